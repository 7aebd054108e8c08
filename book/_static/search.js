// The search page. search-text.js holds the text of every page by section, Sphinx's stemmer, and the words too common to
// search for. A symbol is found as one sees it (γ), as TeX (\gamma), by name (gamma) or by its name in code; a claim by its
// id; a function by its name, with or without its module. Hyphen, space and underscore are one, and so is a word without
// them; four-bit is 4-bit and FP4.
const Finder = (() => {
  const NAMES = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi psi omega".split(" ");
  const GREEK = new Map(NAMES.map((name, i) => [name, String.fromCharCode(0x3b1 + i + (i > 16 ? 1 : 0))]));
  for (const name of ["epsilon", "theta", "phi", "rho"]) GREEK.set("var" + name, GREEK.get(name));
  const NAME = new Map([...GREEK].reverse().map(([name, letter]) => [letter, name]));
  const ALIKE = { "ϵ": "ε", "ϕ": "φ", "ϑ": "θ", "ϱ": "ρ", "ς": "σ", "∥": "‖", "−": "-", "∣": "|" };
  const alike = text => text.replace(/[ϵϕϑϱς∥−∣]/g, letter => ALIKE[letter]);
  const TEX = { star: "⋆", infty: "∞", nabla: "∇", lVert: "‖", rVert: "‖", Vert: "‖", cdot: "⋅" };
  const escape = text => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

  const LETTER = "(?<![\\p{L}\\p{N}])";  // a word begins here
  const GAP = "[\\s_\\-\u2010-\u2013]?";   // hard-margin, hard margin, hard_margin and hardmargin are one
  const COMPOUND = /^\p{L}*\p{N}*(?:[-\u2010\u2011][\p{L}\p{N}]+)+$/u;
  const BITS = ["two 2", "three 3", "four 4", "six 6", "eight 8", "sixteen 16"].map(pair => pair.split(" "));

  // A term of the query: how to find it, whether it is a symbol, and the word to mark on the page it leads to.
  function term(typed, before = "") {
    const seen = typed.replace(/\\([a-zA-Z]+)/g, (_, name) => TEX[name] ?? name).replace(/·/g, "⋅");
    const bare = alike(seen.replace(/[$\\{}]/g, "").replace(/\|\|/g, "‖"));
    const lower = bare.toLowerCase();
    const letter = GREEK.get(lower) ?? (NAME.has(lower) ? lower : null);
    if (letter) {
      const capital = bare[0] !== lower[0] ? letter.toUpperCase() : letter;
      const name = NAME.get(letter);
      return { pattern: new RegExp(`${capital}|${LETTER}${name}(?![\\p{L}])`, "gu"), symbol: true, core: `(?:${capital}|${name})` };
    }
    const bits = BITS.find(pair => pair.some(n => lower === `${n} bits`));
    if (bits) {
      const core = `(?:fp${bits[1]}|(?:${bits.join("|")})${GAP}bits?)`;
      return { pattern: new RegExp(`${LETTER}${core}(?![\\p{L}\\p{N}])`, "giu"), core, bits: true };
    }
    if (/^\p{L}{1,2}$/u.test(bare)) return { pattern: new RegExp(`${LETTER}${bare}(?!\\p{L})`, "gu"), symbol: true, core: bare };
    const joined = escape(bare.replace(/[_^](?=\S)/g, ""));
    if (/[^\p{L}\p{N}_.\-]/u.test(bare)) {
      // as one sees it: k^(-1/3) without the sign of a power and its parentheses, 2/eta with the letter
      const flat = escape(bare.replace(/[_^]\(([^()]*)\)/g, "$1").replace(/[_^](?=\S)/g, ""));
      const drawn = flat.replace(/(?<!\p{L})[a-z]+(?!\p{L})/giu, name => GREEK.has(name.toLowerCase()) ? `(?:${GREEK.get(name.toLowerCase())}|${name})` : name);
      return { pattern: new RegExp(/^[\p{L}\p{N}]/u.test(bare) ? LETTER + drawn : drawn, "giu"), symbol: true, core: drawn };
    }
    const stem = /^[a-z]+$/.test(lower) ? new Stemmer().stemWord(lower) : lower;
    const start = lower.startsWith(stem) ? stem : lower.slice(0, -1);
    const plain = /^\p{L}+$/u.test(lower);
    // rollout as roll-out too; score_flow as score-flow
    const parted = plain && start.length > 5 ? [...start].join(GAP) : escape(start).replace(/(?<=[\p{L}\p{N}])_(?=[\p{L}\p{N}])/gu, GAP);
    const either = bare.length < 5 && joined !== escape(lower) ? `|${joined}` : "";  // x_1 as one sees it: x1
    const after = plain && before ? `|(?<=${LETTER}${escape(before)})${start}` : "";    // roll out as rollout too
    return {
      pattern: new RegExp(`(?:${LETTER}(?:${parted}${either})${after})[\\p{L}]*`, "giu"),
      symbol: Boolean(either), word: lower, identifier: lower.includes("_"), core: `(?:${parted}${either})\\p{L}*`,
    };
  }

  // The words of a query: hyphens part them, and a number of bits is one word.
  function parse(query) {
    const bits = new RegExp(`${LETTER}(?:(${BITS.flat().join("|")})[\\s\\-]?bits?|fp(${BITS.map(pair => pair[1]).join("|")}))(?![\\p{L}\\p{N}])`, "giu");
    const typed = query.replace(/["\u201c\u201d\u201e]/g, " ").replace(bits, (_, word, n) => ` ${word ?? n}\u00a0bits `).trim().split(/[^\S\u00a0]+/).filter(Boolean)
      .flatMap(word => COMPOUND.test(word) ? word.split(/[-\u2010\u2011]/) : [word]).map(word => word.replace("\u00a0", " "));
    const telling = typed.filter(word => !stopwords.includes(word.toLowerCase()) || word.length === 1);
    const kept = telling.length ? telling : typed;
    return kept.map((word, i) => term(word, /^\p{L}{2,}$/u.test(kept[i - 1] ?? "") ? kept[i - 1] : ""));
  }

  const count = (text, pattern) => (text.match(pattern) ?? []).length;
  const FIVE = "In five minutes";
  const CLAIM = /\/C\d+$/;
  // What a reader looks for first: chapters and their theorems, then sections, functions, and what lists other pages.
  function weight(page, anchor, opens) {
    if (page.startsWith("chapters/")) return CLAIM.test(anchor) ? 12 : opens ? 14 : 8;
    if (page === "book/library") return /(^|\.)figures\./.test(anchor) ? -40 : 0;
    return ["book/notation", "book/map", "book/claims", "book/references", "book/index"].includes(page) ? -30 : 4;
  }

  // [anchor, heading, text, what is searched: heading, text, and what it weighs] of the sections of a page
  const prepared = new WeakMap();
  function searched({ page, sections, claims = [] }) {
    if (!prepared.has(sections)) {
      const said = new Map(claims);
      const [, slug] = page.split("/"), chapter = page.startsWith("chapters/");
      const opening = chapter ? sections.findIndex(([, heading]) => heading) : -1;
      prepared.set(sections, sections.flatMap(([anchor, heading, text], i) => {
        // a chapter is what its title, its address, its question and In five minutes say: one result
        if (chapter && opening >= 0 && i === opening + 1 && heading === FIVE) return [];
        const first = i === opening, next = first && sections[i + 1]?.[1] === FIVE ? sections[i + 1][2] : "";
        const whole = `${text} ${next}`.trim();
        return [{ anchor, heading, text: whole, weight: weight(page, anchor, first),
          inHeading: alike(first ? `${heading} ${slug}` : heading), inText: alike(`${whole} ${said.get(anchor) ?? ""}`) }];
      }));
    }
    return prepared.get(sections);
  }

  // Results, best first: {page, anchor, title, where, text or html}. Where few places have all words, those with most of them
  // follow: `full` of the list is how many have all, `most` how many words the others have.
  function find(query, pages) {
    const terms = parse(query);
    if (!terms.length) return [];
    const results = [], some = [];
    const id = query.trim().toLowerCase();
    const phrase = terms.length > 1 ? new RegExp(LETTER + terms.map(t => t.core).join(GAP) + "(?![\\p{L}\\p{N}])", "iu") : null;
    const worded = terms.some(t => !t.symbol && !t.identifier);  // a row of the notation is no first answer to words
    const named = name => name.toLowerCase().replace(/[\s_-]/g, "");
    for (const { page, title, sections, symbols = [], claims = [] } of pages) {
      for (const [claim, statement] of id.includes("/c") ? claims : []) {
        const exact = claim.toLowerCase() === id;
        if (exact || claim.toLowerCase().startsWith(id)) results.push({ page, anchor: claim, score: exact ? 3000 : 2000, title: claim, where: title, text: statement });
      }
      if (terms.some(t => t.symbol || t.identifier)) {
        for (const [anchor, where, symbol, symbolText, meaning, meaningText, code] of symbols) {
          const hit = terms.every(t => count(alike(t.symbol ? symbolText : `${symbolText} ${meaningText} ${code}`), t.pattern));
          if (hit) results.push({ page, anchor, score: worded ? 20 : 1000, title: symbol, where: `${title}, ${where}`, html: meaning });
        }
      }
      const found = searched({ page, sections, claims }).map(({ anchor, heading, text, weight, inHeading, inText }) => {
        const hits = terms.map(t => [count(inHeading, t.pattern), count(inText, t.pattern)]);
        const whole = phrase ? [phrase.test(inHeading), phrase.test(inText)] : [false, false];
        // a function by its name, with or without its module: before all others if it was typed as a name
        const name = anchor.includes(".") && `.${named(anchor)}`.endsWith(`.${named(id)}`) ? (/[._]/.test(id) ? 60 : 15) : 0;
        const has = hits.filter(([a, b]) => a + b).length;
        const all = has === terms.length || whole[0] || whole[1] || name > 0;
        const score = hits.reduce((sum, [a, b]) => sum + 20 * Math.min(a, 1) + Math.log2(1 + b), name + 25 * whole[0] + 8 * whole[1] + weight * (has || name ? 1 : 0));
        return { page, anchor, text, all, has, score, hits, title: heading || title, where: title };
      });
      let best = found.filter(section => section.all);
      // words that are in a chapter but in no one section: the section that has most of them
      if (page.startsWith("chapters/") && !best.length && terms.every((_, i) => found.some(s => s.hits[i][0] + s.hits[i][1]))) {
        best = [found.reduce((a, b) => (b.has - a.has || b.score - a.score) > 0 ? b : a)];
        best[0].score /= 2;
      }
      results.push(...best.sort((a, b) => b.score - a.score).slice(0, 6));
      some.push(...found.filter(section => section.has && !best.includes(section)));
    }
    results.sort((a, b) => b.score - a.score);
    results.full = results.length;
    // one place with all words may be an odd one, and hide what was meant; one word of two says too little
    const most = Math.max(0, ...some.map(section => section.has));
    if (terms.length > 1 && (!results.length || results.length < 3 && most > 1 && results[0].score < 1000)) {
      results.push(...some.filter(section => section.has === most).sort((a, b) => b.score - a.score).slice(0, 12));
      if (results.length > results.full) results.most = most;
    }
    return results;
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

  // The text weighs more than a chapter: it comes when something is searched for.
  let text = null, asked = "";
  const loaded = () => text ??= new Promise((done, fail) => {
    const script = document.createElement("script");
    script.src = document.getElementById("im-search-text").dataset.src;
    script.onload = done;
    script.onerror = fail;
    document.head.append(script);
  });

  async function show(query) {
    asked = query;
    if (query.trim()) await loaded();
    if (asked !== query) return;  // another was typed meanwhile
    out.replaceChildren();
    out.dataset.query = query;
    if (!query.trim()) return;
    const terms = Finder.parse(query), results = Finder.find(query, SEARCH_TEXT);
    const on = some => {
      const pages = new Set(some.map(result => result.page)).size;
      return `${some.length} place${some.length === 1 ? "" : "s"} on ${pages} page${pages === 1 ? "" : "s"}`;
    };
    const full = results.slice(0, results.full), rest = results.slice(results.full);
    const others = results.most ? ` The best with ${results.most} of ${terms.length}: ${on(rest)}` : "";
    make("p", out, !results.length ? "Nothing has these words. Try fewer, or a symbol by its name: gamma finds γ."
      : !full.length ? `No place has all of these words.${others}`
      : others ? `${on(full)} with all of these words.${others}` : on(full), "search-summary").role = "status";
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
  // the caret stands in the page's field; the page is not shown, and takes no focus, until its faces are there
  const field = fields.find(field => field.closest("main"));
  (function focus() {
    if (getComputedStyle(document.body).visibility === "hidden") return requestAnimationFrame(focus);
    if (field && document.activeElement === document.body) field.focus();
  })();
});
