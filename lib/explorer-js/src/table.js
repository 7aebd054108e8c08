// The packed table (layout: lib/implicitly/explorer/table.py) and how a setting is looked up in it.

const GAP = 65535;

async function inflate(text) {
  if (typeof DecompressionStream === "undefined") throw new Error("this browser is too old to unpack its table");
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Undo `_shuffle`: low and high bytes apart, zigzag, differences along rows of `width`.
function unshuffle(raw, at, count, width) {
  const out = new Uint16Array(count);
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const z = raw[at + i] | (raw[at + count + i] << 8);
    if (i % width === 0) sum = 0;
    sum = (sum + ((z >> 1) ^ -(z & 1))) & 0xffff;
    out[i] = sum;
  }
  return out;
}

const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);

export async function decode(text, arrays, points) {
  const raw = await inflate(text);
  const head = new DataView(raw.buffer, raw.byteOffset);
  let at = 24 * arrays.length;
  const table = new Map();
  arrays.forEach((array, k) => {
    const [low, step, rows] = [0, 8, 16].map((o) => head.getFloat64(24 * k + o, true));
    const size = sizeOf(array.shape);
    const index = unshuffle(raw, at, points, points);
    at += 2 * points;
    const codes = unshuffle(raw, at, rows * size, array.shape[array.shape.length - 1] ?? 1);
    at += 2 * rows * size;
    const values = new Float32Array(rows * size);
    for (let i = 0; i < values.length; i++) values[i] = codes[i] === GAP ? NaN : low + step * codes[i];
    table.set(array.name, { ...array, size, index, values });
  });
  if (at !== raw.length) throw new Error(`the table holds ${raw.length} bytes, its arrays take ${at}`);
  return table;
}

// Positions (one per control; fractions lie between grid values) with the default in place of each
// that has no effect: the same rule as `canonical` in Python.
export function canonical(controls, positions) {
  return controls.map((c, k) => (isEnabled(controls, positions, c) ? positions[k] : c.default));
}

export function isEnabled(controls, positions, control) {
  return Object.entries(control.enabled ?? {}).every(([name, allowed]) =>
    allowed.includes(positions[controls.findIndex((c) => c.name === name)]),
  );
}

// Grid point -> its number in the table: the grid in order, each different setting counted once.
export function gridIndex(controls) {
  const numbers = new Map();
  const walk = (k, positions) => {
    if (k === controls.length) {
      const key = gridKey(controls, canonical(controls, positions));
      if (!numbers.has(key)) numbers.set(key, numbers.size);
      return;
    }
    for (const i of grid(controls[k])) walk(k + 1, [...positions, i]);
  };
  walk(0, []);
  return numbers;
}

// Positions of a control that the table has: a page function's is small, and it holds one data set.
const grid = (c) => (passes(c) ? [0] : c.stored ?? c.values.keys());
const passes = (c) => c.frames || c.kind === "seed";
const gridKey = (controls, positions) => positions.filter((_, k) => !passes(controls[k])).join();

// The corners of the grid cell around `positions`: [grid point number, weight], heaviest first.
export function corners(controls, numbers, positions) {
  let found = [[[], 1]];
  canonical(controls, positions).forEach((p, k) => {
    const control = controls[k];
    if (passes(control)) return (found = found.map(([at, w]) => [[...at, 0], w]));
    const places = [...grid(control)];
    const after = Math.max(1, places.findIndex((place) => place >= p));
    const [low, high] = [places[after - 1], places[after] ?? places[after - 1]];
    const f = high > low ? (p - low) / (high - low) : 0;
    const stepped = control.kind === "choice" || control.nearest || f === 0 || f === 1;
    found = found.flatMap(([at, w]) => (stepped ? [[[...at, f < 0.5 ? low : high], w]] : [[[...at, low], w * (1 - f)], [[...at, high], w * f]]));
  });
  return found
    .map(([at, weight]) => [numbers.get(gridKey(controls, at)), weight])
    .sort((a, b) => b[1] - a[1]);
}

// One array at a setting: multilinear on its own scale; classes from the nearest corner.
export function lookup(entry, cell) {
  const row = (n) => entry.values.subarray(entry.index[n] * entry.size, (entry.index[n] + 1) * entry.size);
  const first = entry.index[cell[0][0]];
  let out = row(cell[0][0]);
  if (!entry.whole && cell.some(([n]) => entry.index[n] !== first)) {
    out = new Float32Array(entry.size);
    for (const [n, weight] of cell) {
      const from = row(n);
      for (let i = 0; i < out.length; i++) out[i] += weight * from[i];
    }
  }
  return entry.log ? out.map((v) => 10 ** v) : out;
}
