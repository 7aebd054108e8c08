// Where each control stands, as a position on its grid, and the URL that says so.

// To twelve digits: what was typed comes back as it was typed.
export function valueAt(control, position) {
  if (control.kind === "choice") return control.values[position];
  if (control.kind === "seed") return position;
  const low = Math.min(Math.floor(position), control.values.length - 2);
  const [a, b, f] = [control.values[low], control.values[low + 1], position - low];
  if (f === 0) return a;
  if (f === 1) return b;
  const value = control.log ? a * (b / a) ** f : a + f * (b - a);
  if (control.integer) return Math.round(value);
  const places = control.log ? 99 : 12 - Math.ceil(Math.log10(b - a)); // a position is exact to this part of a cell
  return Number(Number(value.toFixed(Math.min(Math.max(places, 0), 99))).toPrecision(12));
}

export function positionOf(control, text) {
  if (control.kind === "choice") {
    const found = control.values.indexOf(text);
    return found < 0 ? null : found;
  }
  const value = Number(text);
  if (control.kind === "seed") return /^\d+$/.test(text) && value < 2 ** 31 ? value : null;
  const { values } = control;
  const last = values.length - 1;
  if (text.trim() === "" || !(value >= values[0] && value <= values[last])) return null;
  const low = values.findIndex((v, k) => k === last - 1 || values[k + 1] > value);
  const [a, b] = [values[low], values[low + 1]];
  return low + (control.log ? Math.log(value / a) / Math.log(b / a) : (value - a) / (b - a));
}

// "#id?flow=score&angle=94;other?x=1" -> Map(id -> URLSearchParams); any other hash is not ours.
// Programs that send addresses on may write its marks as %3F, %3D, %26 and %3B.
export function readHash(hash) {
  const found = new Map();
  if (!hash.includes("?")) hash = hash.replace(/%3F/gi, "?");
  if (!hash.includes("=")) hash = hash.replace(/%(3D|26|3B)/gi, decodeURIComponent);
  for (const part of hash.replace(/^#/, "").split(";")) {
    const [id, query] = part.split("?");
    if (id && query) found.set(id, new URLSearchParams(query));
  }
  return found;
}

export function writeHash(states) {
  const parts = [...states].filter(([, q]) => String(q)).map(([id, q]) => `${id}?${q}`);
  return parts.length ? "#" + parts.join(";") : "";
}
