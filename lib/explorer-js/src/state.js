// Where each control stands, as a position on its grid, and the URL that says so.

export function valueAt(control, position) {
  if (control.kind === "choice") return control.values[position];
  const low = Math.min(Math.floor(position), control.values.length - 2);
  const [a, b, f] = [control.values[low], control.values[low + 1], position - low];
  if (f === 0) return a;
  if (f === 1) return b;
  const value = control.log ? a * (b / a) ** f : a + f * (b - a);
  return control.integer ? Math.round(value) : Number(value.toPrecision(4));
}

export function positionOf(control, text) {
  if (control.kind === "choice") {
    const found = control.values.indexOf(text);
    return found < 0 ? null : found;
  }
  const value = Number(text);
  const { values } = control;
  if (text.trim() === "" || !(value >= values[0] && value <= values.at(-1))) return null;
  const low = Math.min(values.findLastIndex((v) => v <= value), values.length - 2);
  const [a, b] = [values[low], values[low + 1]];
  return low + (control.log ? Math.log(value / a) / Math.log(b / a) : (value - a) / (b - a));
}

// "#id?flow=score&angle=94;other?x=1" -> Map(id -> URLSearchParams); any other hash is not ours.
export function readHash(hash) {
  const found = new Map();
  for (const part of hash.replace(/^#/, "").split(";")) {
    const [id, query] = part.split("?");
    if (id && query) found.set(id, new URLSearchParams(query));
  }
  return found;
}

export function writeHash(states) {
  const parts = [...states].filter(([, q]) => q.size).map(([id, q]) => `${id}?${q}`);
  return parts.length ? "#" + parts.join(";") : "";
}
