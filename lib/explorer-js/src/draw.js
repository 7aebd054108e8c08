// One panel: Observable Plot draws the axes, once for each size. What moves is drawn here, because Plot takes longer
// than a frame for it (README.md): lines, markers, bars and rules as SVG between grid and axes, as Plot would write
// them; heatmaps and fields on a canvas under that, paths and points on a canvas over it. What stays is left alone.

import { axisX, axisY, frame, gridX, gridY, plot } from "@observablehq/plot";
import {
  line, symbol, symbolCircle, symbolDiamond, symbolPlus, symbolSquare, symbolTimes, symbolTriangle,
} from "d3";

import { formatPower, formatValue } from "./format.js";

const DASHES = [null, "9 4", "2 3", "11 4 2 4", "16 5", "5 3 2 3 2 3"];
const MARKERS = ["square", "circle", "triangle", "diamond", "plus", "times"];
const SYMBOLS = [symbolSquare, symbolCircle, symbolTriangle, symbolDiamond, symbolPlus, symbolTimes].map((type) => symbol(type, 3.5 ** 2 * Math.PI)());
const EDGE = { left: 46, right: 18, top: 8, bottom: 26 };
// Canvases and rasters are drawn in the light palette; the style sheet inverts them in the dark.
const LIGHT = ["#2140a0", "#b5450b", "#418473", "#bf5bcb", "#9a8b38", "#1d1c24"];
const MUTED = "#8b8893";
const RAMPS = {
  sequential: ["#f4f1ea", "#c9cfe6", "#8a9ccf", "#4a66b4", "#2140a0", "#171f4f"],
  diverging: ["#2140a0", "#f4f1ea", "#b5450b"],
};
const color = (k) => `var(--x-c${k})`;

const SVG = "http://www.w3.org/2000/svg";
const drawn = new WeakMap(); // box -> what its panel shows

// `get(name, layer, ndim)` gives an array at the current setting and frame; `until(layer, steps)`
// says how many of the steps are uncovered (a fraction: the last segment is drawn in part).
export function drawPanel(box, panel, [width, height], get, until, label) {
  if (!width || !height) return;
  let state = drawn.get(box);
  if (state?.size !== `${width} ${height}`) drawn.set(box, (state = axesOf(box, panel, width, height, label)));
  const { sx, sy, marks, canvases } = state;
  const html = panel.layers.map((l) => MARKS[l.kind]?.(l, get, sx, sy, until, [width, height], panel) ?? "").join("");
  if (html !== state.html) marks.innerHTML = state.html = html;
  for (const canvas of canvases) paint(canvas, width, height, get, sx, sy, until);
}

function axesOf(box, panel, width, height, label) {
  // a nested svg clips without an id, which another copy of this script could have too
  const marks = document.createElementNS(SVG, "svg");
  const inner = { x: EDGE.left, y: EDGE.top, width: width - EDGE.left - EDGE.right, height: height - EDGE.top - EDGE.bottom };
  for (const [name, value] of Object.entries(inner)) marks.setAttribute(name, value);
  marks.setAttribute("viewBox", Object.values(inner).join(" "));
  const figure = plot(options(panel, marks, width, height));
  figure.setAttribute("role", "img");
  for (const part of figure.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label");
  figure.setAttribute("aria-label", label);
  box.querySelector("svg")?.remove();
  box.prepend(figure);
  const canvases = [];
  for (const [name, painters] of Object.entries(CANVAS)) {
    const layers = panel.layers.filter((l) => l.kind in painters);
    if (!layers.length) continue;
    let node = box.querySelector(`canvas.im-ex-${name}`);
    if (!node) {
      node = document.createElement("canvas");
      node.className = `im-ex-${name}`;
      node.setAttribute("aria-hidden", "true");
      box.append(node);
    }
    canvases.push({ node, layers, painters });
  }
  const [sx, sy] = ["x", "y"].map((a) => pixels(figure.scale(a)));
  return { size: `${width} ${height}`, marks, canvases, sx, sy };
}

function options(panel, marks, width, height) {
  const margin = Object.fromEntries(Object.entries(EDGE).map(([k, v]) => ["margin" + k[0].toUpperCase() + k.slice(1), v]));
  const inner = [width - 64, height - 34];
  const axis = (side, k) => ({
    type: panel[side].log ? "log" : "linear",
    domain: panel[side].lim,
    label: null,
    ...(panel.equal && equalInset(panel, inner, side, k)),
  });
  const ticks = (side, count) => (panel[side].log ? logTicks(panel[side].lim, count) : { ticks: count });
  const text = { fill: "var(--x-muted)", tickSize: 0, label: null, fontSize: 12.5 };
  const bands = panel.bands;
  return {
    width,
    height,
    ...margin,
    style: { fontFamily: "inherit", fontSize: "12.5px", background: "none", overflow: "hidden" },
    x: bands ? { type: "band", domain: bands, label: null, padding: 0.3 } : axis("x", 0),
    y: axis("y", 1),
    marks: [
      panel.x.grid.length ? gridX(panel.x.grid, { stroke: "var(--x-rule)", strokeOpacity: 1 }) : null,
      panel.y.grid.length ? gridY(panel.y.grid, { stroke: "var(--x-rule)", strokeOpacity: 1 }) : null,
      () => marks,
      panel.equal ? null : frame({ anchor: "bottom", stroke: "var(--x-rule-2)" }),
      panel.equal ? null : frame({ anchor: "left", stroke: "var(--x-rule-2)" }),
      axisX({ ...text, ...(bands ? {} : ticks("x", Math.max(2, Math.min(6, width / 90)))) }),
      axisY({ ...text, ...ticks("y", Math.max(3, Math.min(6, height / 60))) }),
    ],
  };
}

// Powers of ten, as many as fit; between two powers, the numbers themselves.
function logTicks([low, high], count) {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  if (last - first < 1) return { ticks: count, tickFormat: (v) => formatValue(v) };
  const every = Math.ceil((last - first + 1) / count);
  const powers = [];
  for (let e = first; e <= last; e++) if (e % every === 0) powers.push(10 ** e);
  return { ticks: powers, tickFormat: (v) => formatPower(v) };
}

// Shrink the longer direction so that a unit has one length in pixels.
function equalInset(panel, inner, side, k) {
  const span = ["x", "y"].map((s) => panel[s].lim[1] - panel[s].lim[0]);
  const unit = Math.min(inner[0] / span[0], inner[1] / span[1]);
  return { inset: (inner[k] - unit * span[k]) / 2 };
}

const MARKS = {
  lines(layer, get, sx, sy, until) {
    const xs = get(layer.x, layer, 1);
    const steps = xs.length;
    const shown = Math.round(until(layer, steps));
    const px = Array.from(xs, sx);
    return layer.series.map(([key, k, mark]) => {
      const py = Array.from(get(key, layer, null), (v, i) => (i % steps < shown ? sy(v) : NaN));
      const there = (i) => Number.isFinite(px[i % steps]) && Number.isFinite(py[i]);
      const all = [...py.keys()];
      if (mark === "line") {
        const path = line((i) => px[i % steps], (i) => py[i]).defined(there);
        let paths = "";
        for (let at = 0; at < py.length; at += steps) paths += `<path d="${path(all.slice(at, at + steps)) ?? ""}"/>`;
        const dash = DASHES[k] ? ` stroke-dasharray="${DASHES[k]}"` : "";
        return group(`fill="none" stroke="${color(k)}" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"${dash}`, paths);
      }
      const dots = all.filter(there).map((i) => `<path transform="translate(${round(px[i % steps])},${round(py[i])})" d="${SYMBOLS[k]}"/>`);
      return group(`fill="var(--x-paper)" stroke="${color(k)}" stroke-width="1.5"`, dots.join(""));
    }).join("");
  },

  bars(layer, get, sx, sy, until, size, panel) {
    const places = panel.bands
      ? panel.bands.map((name) => [sx(name), sx.bandwidth])
      : layer.edges.slice(1).map((right, i) => [sx(layer.edges[i]), sx(right) - sx(layer.edges[i]) - 1]);
    const zero = sy(0);
    return Array.from(get(layer.values, layer, 1), (value, i) => {
      const y = sy(value);
      if (!Number.isFinite(y)) return "";
      const [x, width] = places[i];
      return `<rect x="${round(x)}" width="${round(width)}" y="${round(Math.min(y, zero))}" height="${round(Math.abs(y - zero))}" fill="${color(layer.colors[i])}"/>`;
    }).join("");
  },

  rule(layer, get, sx, sy, until, [width, height]) {
    const at = typeof layer.at === "string" ? get(layer.at, layer, 0) : [layer.at];
    const lines = Array.from(at, layer.axis === "y" ? sy : sx).filter(Number.isFinite).map((v) =>
      layer.axis === "y"
        ? `M${EDGE.left},${round(v + HALF)}H${width - EDGE.right}`
        : `M${round(v + HALF)},${EDGE.top}V${height - EDGE.bottom}`,
    );
    const dash = DASHES[layer.color] ? ` stroke-dasharray="${DASHES[layer.color]}"` : "";
    return lines.map((d) => `<path d="${d}" stroke="${color(layer.color)}" stroke-width="1.5"${dash}/>`).join("");
  },
};

const HALF = globalThis.devicePixelRatio > 1 ? 0 : 0.5; // as Plot moves its marks
const round = (v) => Math.round(1000 * v) / 1000;
const group = (look, inside) => `<g ${look} transform="translate(${HALF},${HALF})">${inside}</g>`;

// 256 colours between the stops of a ramp, as [r, g, b].
function colors(stops) {
  const rgb = stops.map(channels);
  return Array.from({ length: 256 }, (_, i) => {
    const t = (i / 255) * (stops.length - 1);
    const k = Math.min(Math.floor(t), stops.length - 2);
    return rgb[k].map((c, j) => Math.round(c + (t - k) * (rgb[k + 1][j] - c)));
  });
}

const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

// Value -> number of its colour, or NaN for a gap.
export function shade([low, high], log, count) {
  const scaled = log ? Math.log : (v) => v;
  const [a, b] = [scaled(low), scaled(high)];
  return (v) => Math.round((count - 1) * Math.min(Math.max((scaled(v) - a) / (b - a), 0), 1));
}

// -- canvas ----------------------------------------------------------------------------------

function paint(canvas, width, height, get, sx, sy, until) {
  const { node, layers, painters } = canvas;
  const dense = Math.min(window.devicePixelRatio || 1, 2);
  const [w, h] = [Math.round(width * dense), Math.round(height * dense)];
  // what the layers were given when they were last drawn
  if (node.width === w && node.height === h && canvas.given?.every(([now, before]) => same(now(), before))) return;
  const given = (canvas.given = []);
  const kept = (ask) => (...what) => {
    const found = ask(...what);
    given.push([() => ask(...what), found]);
    return found;
  };
  const seen = Object.assign(kept(get), { shape: get.shape });
  node.width = w; // this clears, too
  node.height = h;
  const ctx = node.getContext("2d");
  ctx.setTransform(dense, 0, 0, dense, 0, 0);
  ctx.beginPath();
  ctx.rect(40, 2, width - 44, height - 22);
  ctx.clip();
  for (const layer of layers) painters[layer.kind](ctx, layer, seen, sx, sy, kept(until));
}

const same = (a, b) => a === b || (a.length > 0 && a.length === b.length && a.every((v, i) => Object.is(v, b[i])));

function pixels({ type, domain, range, apply, bandwidth }) {
  if (type === "band") return Object.assign(apply, { bandwidth });
  const scaled = type === "log" ? Math.log : (v) => v;
  const [a, b] = domain.map(scaled);
  const k = (range[1] - range[0]) / (b - a);
  return (v) => range[0] + k * (scaled(v) - a);
}

const GROUND = {
  heatmap(ctx, layer, get, sx, sy) {
    const values = get(layer.values, layer, 2);
    const [rows, columns] = get.shape(layer.values, 2);
    const tints = Array.isArray(layer.colors);
    const palette = tints ? layer.colors.map((k) => channels(LIGHT[k])) : colors(RAMPS[layer.colors]);
    const number = tints ? (v) => v : shade(layer.limits, layer.log, palette.length);
    const image = new ImageData(columns, rows);
    for (let i = 0; i < values.length; i++) {
      const paint = palette[number(values[i])];
      if (!paint) continue; // a gap
      const at = 4 * ((rows - 1 - Math.floor(i / columns)) * columns + (i % columns)); // row 0 at the bottom
      image.data.set(paint, at);
      image.data[at + 3] = tints ? 89 : 255;
    }
    const small = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
    small.getContext("2d").putImageData(image, 0, 0);
    const [left, right] = layer.xlim.map(sx);
    const [bottom, top] = layer.ylim.map(sy);
    ctx.imageSmoothingEnabled = false;
    ctx.drawImage(small, left, top, right - left, bottom - top);
  },

  // Arrows as long as the square root of the vector, the longest of the table as long as a cell.
  field(ctx, layer, get, sx, sy) {
    const [us, vs] = ["x", "y"].map((a) => get(`${layer.vectors}.${a}`, layer, 2));
    const [rows, columns] = get.shape(`${layer.vectors}.x`, 2);
    const step = ([low, high], n) => (n > 1 ? (high - low) / (n - 1) : high - low);
    const [dx, dy] = [step(layer.xlim, columns), step(layer.ylim, rows)];
    const [px, py] = [sx(dx) - sx(0), sy(dy) - sy(0)]; // pixels of a cell; py is negative
    const cell = 0.95 * Math.min(Math.abs(px), Math.abs(py));
    const head = Math.min(4, 0.3 * cell);
    ctx.strokeStyle = MUTED;
    ctx.lineWidth = 1;
    ctx.beginPath();
    for (let i = 0; i < us.length; i++) {
      // the direction as it looks on the screen, where units may differ
      const [u, v] = [(us[i] * px) / dx, (vs[i] * py) / dy];
      const long = Math.hypot(u, v);
      if (!(long > 0)) continue; // a gap, or nowhere to point
      const half = (cell * Math.sqrt(Math.hypot(us[i], vs[i]) / layer.longest)) / 2;
      const [a, b] = [u / long, v / long];
      const x = sx(layer.xlim[0] + dx * (i % columns));
      const y = sy(layer.ylim[0] + dy * Math.floor(i / columns));
      const [tipX, tipY] = [x + half * a, y + half * b];
      ctx.moveTo(x - half * a, y - half * b);
      ctx.lineTo(tipX, tipY);
      const back = Math.min(head, half);
      ctx.moveTo(tipX - back * (a - 0.6 * b), tipY - back * (b + 0.6 * a));
      ctx.lineTo(tipX, tipY);
      ctx.lineTo(tipX - back * (a + 0.6 * b), tipY - back * (b - 0.6 * a));
    }
    ctx.stroke();
  },
};

const OVER = {
  trajectories(ctx, layer, get, sx, sy, until) {
    const [xs, ys] = ["x", "y"].map((a) => get(`${layer.paths}.${a}`, layer, 2));
    const [paths, steps] = get.shape(`${layer.paths}.x`, 2);
    const classes = classesOf(layer, get, paths);
    const shown = until(layer, steps) - 1;
    const whole = Math.floor(shown);
    const rest = shown - whole;
    const place = (values, scale, p) => {
      const i = p * steps + whole;
      return scale(rest > 0 ? values[i] + rest * (values[i + 1] - values[i]) : values[i]);
    };
    ctx.lineJoin = "round";
    ctx.lineWidth = layer.width;
    ctx.globalAlpha = layer.alpha;
    for (let p = 0; p < paths; p++) {
      ctx.strokeStyle = LIGHT[layer.colors[classes[p]]];
      ctx.beginPath();
      let pen = false;
      for (let i = p * steps; i <= p * steps + whole; i++) {
        if (Number.isNaN(xs[i])) pen = false;
        else if (pen) ctx.lineTo(sx(xs[i]), sy(ys[i]));
        else ctx.moveTo(sx(xs[i]), sy(ys[i])), (pen = true);
      }
      if (pen && rest > 0) ctx.lineTo(place(xs, sx, p), place(ys, sy, p));
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
    if (!layer.heads) return;
    for (let p = 0; p < paths; p++) {
      const hollow = layer.hollow.includes(classes[p]);
      marker(ctx, "circle", place(xs, sx, p), place(ys, sy, p), 2, LIGHT[layer.colors[classes[p]]], hollow);
    }
  },

  points(ctx, layer, get, sx, sy) {
    const [xs, ys] = ["x", "y"].map((a) => get(`${layer.points}.${a}`, layer, 1));
    const classes = classesOf(layer, get, xs.length);
    for (let i = 0; i < xs.length; i++) {
      const k = layer.colors[classes[i]];
      marker(ctx, layer.marker ?? MARKERS[k], sx(xs[i]), sy(ys[i]), layer.size, LIGHT[k], layer.hollow.includes(classes[i]));
    }
  },
};

// Class name of a canvas, under or over the marks -> how a kind of layer is painted on it.
const CANVAS = { ground: GROUND, over: OVER };

const classesOf = (layer, get, n) =>
  typeof layer.classes === "string" ? get(layer.classes, layer, 1) : new Uint8Array(n).fill(layer.classes);

function marker(ctx, shape, x, y, r, ink, hollow) {
  if (Number.isNaN(x) || Number.isNaN(y)) return;
  const path = new Path2D();
  const polygon = (...at) => (at.forEach(([a, b], i) => path[i ? "lineTo" : "moveTo"](x + a * r, y + b * r)), path.closePath());
  const strokes = shape === "plus" || shape === "times";
  if (shape === "circle") path.arc(x, y, r, 0, 2 * Math.PI);
  else if (shape === "square") path.rect(x - 0.85 * r, y - 0.85 * r, 1.7 * r, 1.7 * r);
  else if (shape === "triangle") polygon([0, -1.15], [1, 0.75], [-1, 0.75]);
  else if (shape === "diamond") polygon([0, -1.25], [1, 0], [0, 1.25], [-1, 0]);
  else {
    const [a, b] = shape === "plus" ? [1, 0] : [0.75, 0.75];
    for (const [p, q] of [[a, b], [b, -a]]) {
      path.moveTo(x - p * r, y - q * r);
      path.lineTo(x + p * r, y + q * r);
    }
  }
  if (hollow && !strokes) {
    // take away what lies under the ring, so that the paper of either theme shows
    ctx.globalCompositeOperation = "destination-out";
    ctx.fill(path);
    ctx.globalCompositeOperation = "source-over";
  } else if (!strokes) {
    ctx.fillStyle = ink;
    ctx.fill(path);
  }
  if (hollow || strokes) {
    ctx.strokeStyle = ink;
    ctx.lineWidth = r > 3 ? 2.5 : 1.2;
    ctx.stroke(path);
  }
}
