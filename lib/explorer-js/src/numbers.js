// What is drawn, in numbers: a table that is written when it is opened, and the same as a file.

const plain = (v) => (Number.isNaN(v) ? "" : String(Number(v.toPrecision(9))));

// Arrays of one shape share a table: one row a place in them, named by its indices.
function tables(spec, { get, words }) {
  const layers = [...spec.panels.flatMap((panel) => panel.layers), ...spec.side];
  const groups = new Map();
  for (const { name, shape } of spec.arrays) {
    const key = name.replace(/\.[xy]$/, "");
    const layer = layers.find((l) => Object.values(l).flat(2).includes(key));
    const values = get(name, layer, null);
    const now = values.length < shape.reduce((a, b) => a * b, 1) ? shape.slice(1) : shape; // without the frames
    const group = groups.get(now.join()) ?? { shape: now, columns: [] };
    group.columns.push([name, values]);
    groups.set(now.join(), group);
  }
  const found = [...groups.values()].map(({ shape, columns }) => ({
    head: [...shape.map((_, k) => (shape.length > 1 ? ["row", "column", "layer"][k] ?? `index ${k}` : "row")), ...columns.map(([name]) => name)],
    rows: Array.from(columns[0][1], (_, i) => {
      let rest = i;
      const at = [...shape].reverse().map((n) => [rest % n, (rest = Math.floor(rest / n))][0]).reverse();
      return [...at.map((k) => String(k + 1)), ...columns.map(([, values]) => plain(values[i]))];
    }),
  }));
  return [{ head: words.map(([label]) => label), rows: [words.map(([, text]) => text)] }, ...found];
}

const MANY = 500; // rows that a page shows; the file has all

function html({ head, rows }) {
  const table = document.createElement("table");
  table.createTHead().insertRow().append(...head.map((text) => Object.assign(document.createElement("th"), { textContent: text, scope: "col" })));
  const body = table.createTBody();
  for (const row of rows.slice(0, MANY)) {
    const line = body.insertRow();
    for (const text of row) line.insertCell().textContent = text;
  }
  if (rows.length > MANY) table.createCaption().textContent = `The first ${MANY} of ${rows.length} rows; the file has all.`;
  return table;
}

const quote = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

export const csvOf = (found) => found.map(({ head, rows }) => [head, ...rows].map((row) => row.map(quote).join(",") + "\r\n").join("")).join("\r\n");

export function numbersOf(root, spec, now) {
  const fold = root.querySelector("[data-im-numbers]");
  if (!fold) return { show() {} };
  const show = () => fold.open && now() && fold.lastElementChild.replaceChildren(...tables(spec, now()).map(html));
  fold.addEventListener("toggle", show);
  root.querySelector("[data-im-csv]").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff" + csvOf(tables(spec, now()))], { type: "text/csv" }));
    link.download = `${spec.id}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
  return { show };
}
