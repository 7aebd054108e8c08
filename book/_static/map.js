// The map: a filter by word and by chapter, and a line that says what one points at. Without this script the picture is
// whole, its links show their curves, and the list below it says everything.
(() => {
  const tools = document.querySelector(".im-map-tools");
  const picture = document.querySelector(".im-map-picture");
  if (!tools || !picture) return;
  const word = tools.querySelector("input");
  const chapter = tools.querySelector("select");
  const count = tools.querySelector("output");
  const said = picture.querySelector(".im-map-said");
  const hint = said.innerHTML;
  const list = [...document.querySelectorAll(".im-map-entry")];
  const drawn = [...picture.querySelectorAll(".im-map-paper")];
  const idOf = (entry) => entry.id || [...entry.classList].find((c) => c.startsWith("im-map-again-")).slice(13);
  const all = new Set(list.map(idOf));
  const chapterOf = (link) => link.closest("[data-chapter]")?.dataset.chapter;
  const groupOf = (entry) => entry.closest("section").id;

  // What is searched of a paper: its entries with the headings above them, and its name in the picture.
  const text = new Map([...all].map((id) => [id, ""]));
  for (const entry of list) {
    let heading = "";
    for (let at = entry.closest("section"); at; at = at.parentElement.closest("section"))
      heading += " " + (at.querySelector(":scope > h2, :scope > h3, :scope > h4")?.textContent ?? "");
    text.set(idOf(entry), `${text.get(idOf(entry))} ${entry.textContent} ${heading}`);
  }
  for (const link of drawn)
    text.set(link.dataset.paper, `${text.get(link.dataset.paper)} ${link.querySelector("text").textContent}`);
  // a hyphen between letters is a space; letters are looked for where a word begins: lora is not in exploration
  const flat = (found) => found.toLowerCase().replace(/(?<=\p{L})[-‐‑](?=\p{L})/gu, " ");
  const begins = (w) => new RegExp(w.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/^(?=\p{L})/u, "(?<!\\p{L})"), "u");
  for (const [id, found] of text) text.set(id, flat(found));

  function update() {
    const words = flat(word.value).split(/\s+/).filter(Boolean).map(begins);
    const matches = (id, group) =>
      (!chapter.value || group === chapter.value) && words.every((w) => w.test(text.get(id)));
    const kept = new Set();
    for (const entry of list) {
      entry.hidden = !matches(idOf(entry), groupOf(entry));
      if (!entry.hidden) kept.add(idOf(entry));
    }
    const some = words.length || chapter.value;
    for (const section of document.querySelectorAll("section:has(.im-map-entry), section:has(> .im-map-none)"))
      if (section.querySelector(":scope > h2, :scope > h3, :scope > h4"))
        section.hidden = Boolean(some) && !section.querySelector(".im-map-entry:not([hidden])");
    for (const link of drawn) {
      const group = chapterOf(link) ? `near-${chapterOf(link)}` : "on-other-subjects";
      link.classList.toggle("im-map-off", !matches(link.dataset.paper, group));
    }
    count.textContent = `${kept.size} of ${all.size} papers`;
    if (!kept.size && words.length) {
      count.append("; ");
      const whole = count.appendChild(document.createElement("a"));
      whole.textContent = "search the whole book";
      whole.href = `../search.html?q=${encodeURIComponent(word.value)}`;
    }
  }

  function show(link) {
    for (const other of picture.querySelectorAll(".im-map-on")) other.classList.remove("im-map-on");
    if (!link) {
      said.innerHTML = hint;
      return;
    }
    const id = link.dataset.paper;
    if (id) {
      for (const other of drawn) other.classList.toggle("im-map-on", other.dataset.paper === id);
      const entry = document.getElementById(id);
      const hows = list.filter((e) => idOf(e) === id).map((e) => {
        const line = e.querySelector(".im-map-how").cloneNode(true);
        const heading = e.closest("section").querySelector("h4");
        if (heading) line.append(` (${heading.firstChild.textContent.trim()})`);
        return line;
      });
      const title = document.createElement("p");
      title.innerHTML = `<b></b> <span></span>`;
      title.firstChild.textContent = entry.querySelector(".im-map-title").textContent;
      title.lastChild.textContent = entry.querySelector(".im-map-who").textContent;
      said.replaceChildren(title, ...hows);
      for (const a of said.querySelectorAll("a")) a.replaceWith(...a.childNodes); // no links that come and go
    } else {
      const branch = link.closest(".im-map-branch");
      const leaves = [...branch.querySelectorAll(".im-map-paper")];
      leaves.forEach((leaf) => leaf.classList.add("im-map-on"));
      const line = document.createElement("p");
      const name = link.querySelector(".im-map-name");
      const words = [...name.childNodes].map((n) => n.textContent.trim()).filter(Boolean).join(" ");
      line.innerHTML = "<b></b> <span></span>";
      line.firstChild.textContent = words;
      line.lastChild.textContent = `${leaves.length} paper${leaves.length === 1 ? "" : "s"} near it`;
      said.replaceChildren(line);
    }
  }

  const target = (event) => event.target.closest?.(".im-map-paper, .im-map-chapter");
  for (const kind of ["pointerover", "focusin"])
    picture.addEventListener(kind, (event) => target(event) && show(target(event)));
  picture.addEventListener("focusout", () => show(null));
  picture.addEventListener("pointerleave", () => show(target({ target: document.activeElement })));
  picture.addEventListener("keydown", (event) => event.key === "Escape" && show(null));

  tools.classList.remove("im-waiting");
  said.classList.remove("im-waiting");
  word.addEventListener("input", update);
  chapter.addEventListener("change", update);
  update();
})();
