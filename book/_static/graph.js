// The graph of claims: a line that says what one points at, arrow keys, and a claim that is held. Without this script the
// picture is whole, its links show what they use, and the list below it says everything.
(() => {
  const graph = document.querySelector(".im-graph");
  const picture = graph?.querySelector(":scope > svg");
  const said = graph?.querySelector(".im-graph-said");
  if (!picture || !said) return;
  const hint = said.innerHTML;
  const claims = new Map([...picture.querySelectorAll(".im-graph-claim")].map((link) => [link.dataset.claim, link]));
  const items = new Map([...document.querySelectorAll(".im-graph-list [data-claim]")].map((item) => [item.dataset.claim, item]));
  const arrows = [...picture.querySelectorAll(".im-graph-use")];
  let held = null;
  let shown = null;

  function show(link) {
    const now = link && `${link.dataset.claim} ${link === held}`;
    if (now === shown) return; // who is in the line's links must not lose them
    shown = now;
    for (const name of ["on", "near", "in", "held"])
      for (const other of picture.querySelectorAll(`.im-graph-${name}`)) other.classList.remove(`im-graph-${name}`);
    picture.classList.toggle("im-graph-some", Boolean(link));
    if (!link) {
      said.innerHTML = hint;
      return;
    }
    link.classList.add("im-graph-on");
    link.classList.toggle("im-graph-held", link === held);
    for (const arrow of arrows) {
      const from = arrow.parentElement;
      if (from === link) claims.get(arrow.dataset.to).classList.add("im-graph-near");
      if (arrow.dataset.to !== link.dataset.claim) continue;
      arrow.classList.add("im-graph-in");
      from.classList.add("im-graph-near");
    }
    const line = document.createElement("p");
    const id = document.createElement("code");
    id.textContent = link.dataset.claim;
    const told = [...items.get(link.dataset.claim).cloneNode(true).childNodes];
    line.append(id, ...told.filter((node) => !node.classList?.contains("im-graph-id")));
    if (link === held) {
      const there = document.createElement("a");
      there.href = link.getAttribute("href");
      line.querySelector(".im-graph-title").replaceWith(there);
      there.append(items.get(link.dataset.claim).querySelector(".im-graph-title").cloneNode(true));
    } else for (const a of line.querySelectorAll("a")) a.replaceWith(...a.childNodes); // no links that come and go
    said.replaceChildren(line);
  }

  const target = (event) => event.target.closest?.(".im-graph-claim");
  const focused = () => target({ target: document.activeElement });
  // Listened to around the picture: Chromium lets the Tab key stop at an svg that itself listens to the focus.
  graph.addEventListener("pointerover", (event) => target(event) && show(held ?? target(event)));
  graph.addEventListener("focusin", (event) => target(event) && show(target(event)));
  graph.addEventListener("focusout", (event) => target(event) && show(held));
  picture.addEventListener("pointerleave", () => show(held ?? focused()));
  picture.addEventListener("click", (event) => {
    const link = target(event);
    if (!event.target.closest("a")) show((held = null)); // beside all claims: let go
    if (!link || link === held || event.ctrlKey || event.metaKey || event.shiftKey) return; // the second time it leads there
    event.preventDefault();
    held = link;
    show(link);
  });

  // One stop for the Tab key; the arrow keys walk: along a row, and to the rows above and below.
  const rows = [];
  for (const link of picture.querySelectorAll("a")) {
    if (link.matches(".im-graph-chapter")) rows.push([]);
    rows.at(-1).push(link);
    link.setAttribute("tabindex", "-1");
  }
  let stop = rows[0][1] ?? rows[0][0];
  stop.setAttribute("tabindex", "0");
  graph.addEventListener("focusin", (event) => {
    const link = event.target.closest("a");
    if (!picture.contains(link)) return;
    stop.setAttribute("tabindex", "-1");
    stop = link;
    stop.setAttribute("tabindex", "0");
  });
  picture.addEventListener("keydown", (event) => {
    const row = rows.findIndex((links) => links.includes(event.target));
    if (event.key === "Escape") {
      held = null;
      show(null);
    }
    if (row < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = rows[row].indexOf(event.target);
    const to = {
      ArrowLeft: () => rows[row][at - 1],
      ArrowRight: () => rows[row][at + 1],
      ArrowUp: () => rows[row - 1]?.[Math.min(at, rows[row - 1].length - 1)],
      ArrowDown: () => rows[row + 1]?.[Math.min(at, rows[row + 1].length - 1)],
      Home: () => rows[row][0],
      End: () => rows[row].at(-1),
    }[event.key];
    if (!to) return;
    event.preventDefault();
    to()?.focus();
  });

  said.classList.remove("im-waiting");
})();
