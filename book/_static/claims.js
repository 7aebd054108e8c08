// Filter and order of the claims page. A word is looked for in a check's row, in the title and the statement of its claim, and
// in what In five minutes says of it; all checks of such a claim are kept. While something is chosen, the picture above the
// table makes room, so that what is kept stands below the field. Without this script the page is the whole table, in book order.
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
  const picture = document.querySelector(".im-graph")?.closest("section");
  const GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma sigma tau upsilon phi chi psi omega".split(" ");
  // 2/η is 2/eta, k^(-1/3) is k−1/3 as it is drawn, and a hyphen between letters is a space
  const flat = (text) => text.toLowerCase().replace(/ϵ/g, "ε").replace(/[α-ω]/g, (letter) => GREEK[letter.charCodeAt(0) - 0x3b1])
    .replace(/−/g, "-").replace(/\^\(([^()]*)\)/g, "$1").replace(/[{}^$\\\u200b]/g, "").replace(/(?<=\p{L})[-‐‑_](?=\p{L})/gu, " ");
  const idOf = (row) => row.querySelector(".im-c-id a").hash;
  const said = new Map();
  for (const row of claims) {
    const title = row.querySelector(".im-c-title");
    if (title) said.set(idOf(row), flat(`${title.textContent} ${title.dataset.said}`));
  }
  const texts = new Map(claims.map((row) => [row, flat(`${row.textContent} ${groupOf.get(row).textContent}`) + " " + (said.get(idOf(row)) ?? "")]));
  // letters are looked for where a word begins: sum is not in presumably
  const begins = (word) => new RegExp(word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/^(?=\p{L})/u, "(?<!\\p{L})"), "u");
  const used = (row) => Number(row.querySelector(".im-gauge").style.getPropertyValue("--im-used"));
  const status = (row) => row.querySelector(".im-c-status").textContent;
  const orders = { room: (a, b) => used(b) - used(a), status: (a, b) => status(a).localeCompare(status(b)) };

  function update() {
    const words = flat(filter.value).split(/\s+/).filter(Boolean).map(begins);
    const shown = claims.filter((row) => words.every((word) => word.test(texts.get(row))));
    if (picture) picture.hidden = words.length > 0 || order.value !== "book";
    for (const row of claims) row.hidden = !shown.includes(row);
    const sorted = orders[order.value];
    // Groups mean nothing once claims of different chapters mix.
    for (const row of groups) row.hidden = Boolean(sorted) || !shown.some((claim) => groupOf.get(claim) === row);
    body.append(...(sorted ? [...groups, ...[...claims].sort(sorted)] : inBookOrder));
    count.textContent = `${shown.length} of ${claims.length} checks`;
    if (!shown.length) {
      count.append("; ");
      const all = count.appendChild(document.createElement("a"));
      all.textContent = "search the whole book";
      all.href = `../search.html?q=${encodeURIComponent(filter.value)}`;
    }
  }

  tools.classList.remove("im-waiting");
  filter.addEventListener("input", update);
  order.addEventListener("change", update);
  update();
})();
