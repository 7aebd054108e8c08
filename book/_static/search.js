// The search page. search-text.js holds the text of every page by section, Sphinx's stemmer, and the words too common to
// search for. A symbol is found as one sees it (γ), as TeX (\gamma), by name (gamma) or by its name in code; a claim by its
// id; a function by its name, with or without its module.
const Finder = (() => {
  const NAMES = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi psi omega".split(" ");
  const GREEK = new Map(NAMES.map((name, i) => [name, String.fromCharCode(0x3b1 + i + (i > 16 ? 1 : 0))]));
  for (const name of ["epsilon", "theta", "phi", "rho"]) GREEK.set("var" + name, GREEK.get(name));
  const NAME = new Map([...GREEK].reverse().map(([name, letter]) => [letter, name]));
  const ALIKE = { "ϵ": "ε", "ϕ": "φ", "ϑ": "θ", "ϱ": "ρ", "ς": "σ", "∥": "‖", "−": "-", "∣": "|" };
  const alike = text => text.replace(/[ϵϕϑϱς∥−∣]/g, letter => ALIKE[letter]);
  const TEX = { star: "⋆", infty: "∞", nabla: "∇", lVert: "‖", rVert: "‖", Vert: "‖", cdot: "⋅" };
  const escape = text => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

  // A term of the query: how to find it, whether it is a symbol, and the word to mark on the page it leads to.
  function term(typed) {
    const seen = typed.replace(/\\([a-zA-Z]+)/g, (_, name) => TEX[name] ?? name).replace(/·/g, "⋅");
    const bare = alike(seen.replace(/[$\\{}]/g, "").replace(/\|\|/g, "‖"));
    const lower = bare.toLowerCase();
    const letter = GREEK.get(lower) ?? (NAME.has(lower) ? lower : null);
    if (letter) {
      const capital = bare[0] !== lower[0] ? letter.toUpperCase() : letter;
      const name = NAME.get(letter);
      return { pattern: new RegExp(`${capital}|(?<![\\p{L}\\p{N}])${name}(?![\\p{L}])`, "gu"), symbol: true };
    }
    if (/^\p{L}{1,2}$/u.test(bare)) return { pattern: new RegExp(`(?<![\\p{L}\\p{N}])${bare}(?!\\p{L})`, "gu"), symbol: true };
    const joined = escape(bare.replace(/[_^](?=\S)/g, ""));
    if (/[^\p{L}\p{N}_.\-]/u.test(bare)) return { pattern: new RegExp(joined, "giu"), symbol: true };
    const stem = /^[a-z]+$/.test(lower) ? new Stemmer().stemWord(lower) : lower;
    const start = escape(lower.startsWith(stem) ? stem : lower.slice(0, -1));
    const either = bare.length < 5 && joined !== escape(lower) ? `|${joined}` : "";  // x_1 as one sees it: x1
    return { pattern: new RegExp(`(?<![\\p{L}\\p{N}])(?:${start}${either})[\\p{L}]*`, "giu"), symbol: Boolean(either), word: lower, identifier: lower.includes("_") };
  }

  function parse(query) {
    const typed = query.trim().split(/\s+/).filter(Boolean);
    const telling = typed.filter(word => !stopwords.includes(word.toLowerCase()) || word.length === 1);
    return (telling.length ? telling : typed).map(term);
  }

  const count = (text, pattern) => (text.match(pattern) ?? []).length;

  // Results, best first: {page, anchor, title, where, text or html}
  function find(query, pages) {
    const terms = parse(query);
    if (!terms.length) return [];
    const results = [];
    const id = query.trim().toLowerCase();
    for (const { page, title, sections, symbols = [], claims = [] } of pages) {
      for (const [claim, statement] of id.includes("/c") ? claims : []) {
        const exact = claim.toLowerCase() === id;
        if (exact || claim.toLowerCase().startsWith(id)) results.push({ page, anchor: claim, score: exact ? 3000 : 2000, title: claim, where: title, text: statement });
      }
      if (terms.some(t => t.symbol || t.identifier)) {
        for (const [anchor, where, symbol, symbolText, meaning, meaningText, code] of symbols) {
          const hit = terms.every(t => count(alike(t.symbol ? symbolText : `${symbolText} ${meaningText} ${code}`), t.pattern));
          if (hit) results.push({ page, anchor, score: 1000, title: symbol, where: `${title}, ${where}`, html: meaning });
        }
      }
      const found = sections.map(([anchor, heading, text]) => {
        const hits = terms.map(t => [count(alike(heading), t.pattern), count(alike(text), t.pattern)]);
        const all = hits.every(([inHeading, inText]) => inHeading + inText);
        const named = terms.length === 1 && anchor.includes(".") && `.${anchor}`.toLowerCase().endsWith(`.${terms[0].word}`);  // a function
        const score = hits.reduce((sum, [inHeading, inText]) => sum + 20 * Math.min(inHeading, 1) + Math.log2(1 + inText), 40 * named);
        return { page, anchor, heading, text, all: all || named, score, hits, title: heading || title, where: title };
      });
      let best = found.filter(section => section.all);
      // words that are on the page but in no one section: the section that has most of them
      if (!best.length && terms.every((_, i) => found.some(s => s.hits[i][0] + s.hits[i][1]))) {
        best = [found.reduce((a, b) => (b.score > a.score ? b : a))];
        best[0].score /= 2;
      }
      results.push(...best.sort((a, b) => b.score - a.score).slice(0, 4));
    }
    return results.sort((a, b) => b.score - a.score);
  }

  // A passage of `text` around the first term, cut at words; [text, marked] pieces.
  function passage(text, terms) {
    const plain = alike(text);
    const found = terms.map(t => plain.search(t.pattern)).filter(i => i >= 0);
    const at = found.length ? Math.min(...found) : 0;  // a function's name may stand in its heading only
    let start = Math.max(0, at - 90), end = Math.min(text.length, start + 240);
    if (start) start = text.indexOf(" ", start) + 1 || start;
    if (end < text.length) end = Math.max(text.lastIndexOf(" ", end), at + 40);
    const marks = terms.flatMap(t => [...plain.slice(start, end).matchAll(t.pattern)].map(m => [m.index, m.index + m[0].length]));
    const pieces = [[start ? "… " : "", false]];
    let from = start;
    for (const [a, b] of marks.sort((x, y) => x[0] - y[0])) {
      if (start + a < from) continue;
      pieces.push([text.slice(from, start + a), false], [text.slice(start + a, start + b), true]);
      from = start + b;
    }
    pieces.push([text.slice(from, end) + (end < text.length ? " …" : ""), false]);
    return pieces.filter(([piece]) => piece);
  }

  return { find, parse, passage };
})();

if (typeof document !== "undefined") addEventListener("DOMContentLoaded", () => {
  const out = document.getElementById("search-results");
  const fields = [...document.querySelectorAll("input[name=q]")];
  const make = (name, parent, text = "", className = "") => {
    const element = parent.appendChild(document.createElement(name));
    element.textContent = text;
    if (className) element.className = className;
    return element;
  };

  function show(query) {
    out.replaceChildren();
    if (!query.trim()) return;
    const terms = Finder.parse(query), results = Finder.find(query, SEARCH_TEXT);
    const pages = new Set(results.map(result => result.page)).size;
    make("p", out, results.length
      ? `${results.length} place${results.length === 1 ? "" : "s"} on ${pages} page${pages === 1 ? "" : "s"}`
      : "Nothing has all of these words. Try fewer, or a symbol by its name: gamma finds γ.", "search-summary").role = "status";
    const list = make("ul", out, "", "search");
    for (const result of results) {
      const item = make("li", list), link = make("a", item);
      // the page marks these words; nothing is kept, so no other page does
      const words = terms.filter(t => t.word && !t.symbol).map(t => t.word).join(" ");
      link.href = `${result.page}.html${words ? "?highlight=" + encodeURIComponent(words) : ""}${result.anchor ? "#" + result.anchor : ""}`;
      if (result.html) link.innerHTML = result.title; else link.textContent = result.title;
      if (result.where !== result.title) make("span", item, result.where, "im-search-where");
      const context = make("p", item, "", "context");
      if (result.html) context.innerHTML = result.html;
      else for (const [text, marked] of Finder.passage(result.text, terms)) make(marked ? "mark" : "span", context, text);
    }
  }

  const query = new URLSearchParams(location.search).get("q") ?? "";
  for (const field of fields) {
    field.value = query;
    if (field.closest("main")) field.addEventListener("input", () => show(field.value));
  }
  show(query);
});
