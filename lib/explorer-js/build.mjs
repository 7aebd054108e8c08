// Bundles src/ into the one committed script. No import, no export, no request at run time.
import { build } from "esbuild";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = process.argv[2] ?? here("../implicitly/explorer/explorer.js");

// Plot draws axes alone: what it has for maps and for colours is left out, an eighth of the script.
const none = (...names) => names.map((name) => `export const ${name} = () => undefined;`).join("\n");
const LEFT_OUT = {
  "projection.js": none("createProjection", "hasProjection", "projectionAspectRatio", "project", "applyPosition", "getGeometryChannels", "xyProjection"),
  "schemes.js": none("isCategoricalScheme", "isDivergingScheme", "maybeBooleanRange", "ordinalRange", "ordinalScheme", "quantitativeScheme"),
};
const without = {
  name: "without",
  setup: (build) => build.onLoad({ filter: /plot\/src\/(projection|scales\/schemes)\.js$/ }, ({ path }) => ({ contents: LEFT_OUT[basename(path)] })),
};

const { metafile } = await build({
  entryPoints: [here("src/index.js")],
  outfile: out,
  absWorkingDir: here("."),
  bundle: true,
  metafile: true,
  plugins: [without],
  minify: true,
  format: "iife",
  globalName: "Explorer",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  banner: { js: "/* Built from lib/explorer-js by `npm run build`. Licences of what it holds: explorer.LICENSE.txt */" },
});

// The licences of every package that is in the bundle, beside it.
const inputs = Object.entries(Object.values(metafile.outputs)[0].inputs).filter(([, use]) => use.bytesInOutput);
const packages = new Set(inputs.flatMap(([path]) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []));
const texts = [...packages].sort().map((name) => {
  const folder = here(`node_modules/${name}`);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((f) => /^licen[cs]e/i.test(f));
  if (!file) throw new Error(`${name} ${version} (${license}) has no licence file`);
  return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
});
writeFileSync(join(dirname(out), "explorer.LICENSE.txt"), texts.join("\n" + "-".repeat(72) + "\n\n"));
