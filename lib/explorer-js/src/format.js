// Numbers as the Python side writes them (lib/implicitly/explorer/text.py); tests compare the two.

const SUPER = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const raised = (exponent) => [...String(Number(exponent))].map((c) => SUPER[c]).join("");
const power = (exponent) => " × 10" + raised(exponent);
const trim = (text) => (text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text);

const SPEC = /^(?:\.(\d+))?([fge%d]?)$/;

export function formatValue(value, spec = "") {
  const [, digits, kind] = SPEC.exec(spec);
  if (Number.isNaN(value)) return "–";
  let text;
  if (kind === "d") text = value.toFixed(0);
  else if (kind === "%") text = (100 * value).toFixed(digits ?? 0) + "\u202f%";
  else if (kind === "f") text = value.toFixed(digits ?? 6);
  else if (kind === "e") {
    const [mantissa, exponent] = value.toExponential(digits ?? 6).split("e");
    text = mantissa + power(exponent);
  } else {
    const n = Number(digits) || 3;
    const [mantissa, exponent] = value.toExponential(n - 1).split("e");
    if (value && !(exponent >= -4 && exponent < Math.max(n, 5))) text = trim(mantissa) + power(exponent);
    else text = trim(value.toFixed(Math.max(0, n - 1 - exponent)));
  }
  if (/^-[0.]*(\u202f%)?$/.test(text)) text = text.slice(1);
  return text.replace("-", "−");
}

// `value` as `spec` asks, with as many digits more as it takes until the number that is read back is `close` enough.
export function writeValue(value, spec, close) {
  const [, digits, kind] = SPEC.exec(spec);
  let text = formatValue(value, spec);
  for (let n = Number(digits) || 0; n < 17 && !close(parseValue(text, spec)); ) text = formatValue(value, `.${++n}${kind === "d" ? "f" : kind}`);
  return text;
}

// A number as it is written here, or as people type it; NaN for what is none. "1,000" is none: it may mean 1 or 1000.
export function parseValue(text, spec = "", unit = "") {
  const bare = (t) => t.replace(/\s/g, "");
  let t = bare(text);
  if (unit && t.endsWith(bare(unit))) t = t.slice(0, -bare(unit).length);
  t = t.replace(/[⁻⁰¹²³⁴-⁹]/g, (c) => Object.keys(SUPER).find((k) => SUPER[k] === c));
  t = t.replace(/[−–]/g, "-").replace(/[×x*·]10\^?/, "e").replace(/%$/, "");
  if (!/^[-+]?[1-9]\d{0,2},\d{3}$/.test(t)) t = t.replace(",", ".");
  return /^[-+]?(\d+\.?|\d*\.\d+)(e[-+]?\d+)?$/i.test(t) ? Number(t) / (spec.endsWith("%") ? 100 : 1) : NaN;
}

// A tick at a power of ten.
export const formatPower = (value) => {
  const exponent = Math.round(Math.log10(value));
  return exponent >= -2 && exponent <= 3 ? formatValue(value, ".6g") : "10" + raised(exponent);
};

// A sentence with {name}, {name[0]:.0%}; `read(name, index)` gives a number or ready text.
export function fillSentence(template, read) {
  return template.replace(/\{([A-Za-z_]\w*)(?:\[(\d+)\])?(?::([^{}]*))?\}/g, (_, name, index, spec) => {
    const value = read(name, index === undefined ? null : Number(index));
    return typeof value === "string" ? value : formatValue(value, spec ?? "");
  });
}
