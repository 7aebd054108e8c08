// Filter and order of the claims page. Without this script the page is the whole table, in book order.
(() => {
  const table = document.querySelector("table.im-claims");
  const tools = document.querySelector(".im-claims-tools");
  if (!table || !tools) return;
  const body = table.tBodies[0];
  const inBookOrder = [...body.rows];
  const groups = inBookOrder.filter((row) => row.classList.contains("im-group"));
  const claims = inBookOrder.filter((row) => !row.classList.contains("im-group"));
  const groupOf = new Map();
  let group = null;
  for (const row of inBookOrder) {
    if (row.classList.contains("im-group")) group = row;
    else groupOf.set(row, group);
  }
  const filter = tools.querySelector("input");
  const order = tools.querySelector("select");
  const count = tools.querySelector("output");
  const used = (row) => Number(row.querySelector(".im-gauge").style.getPropertyValue("--im-used"));
  const status = (row) => row.querySelector(".im-c-status").textContent;
  const orders = { room: (a, b) => used(b) - used(a), status: (a, b) => status(a).localeCompare(status(b)) };

  function update() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (row) => (row.textContent + " " + groupOf.get(row).textContent).toLowerCase();
    const shown = claims.filter((row) => words.every((word) => text(row).includes(word)));
    for (const row of claims) row.hidden = !shown.includes(row);
    const sorted = orders[order.value];
    // Groups mean nothing once claims of different chapters mix.
    for (const row of groups) row.hidden = Boolean(sorted) || !shown.some((claim) => groupOf.get(claim) === row);
    body.append(...(sorted ? [...groups, ...[...claims].sort(sorted)] : inBookOrder));
    count.textContent = `${shown.length} of ${claims.length} checks`;
  }

  tools.classList.remove("im-waiting");
  filter.addEventListener("input", update);
  order.addEventListener("change", update);
  update();
})();
