// The host on a static page: each explorer is mounted on its table, as a file of its own brings it.

import { fail, mount } from "./mount.js";
import { readHash, writeHash } from "./state.js";

// A page links an explorer's data as a file of its own; the file calls this.
const arrivals = new Map();
export const deliver = (id, spec) => arrivals.get(id)?.(spec);

// A script and not a fetch: the book is also read from a disk, where nothing may be fetched.
const specOf = (root) =>
  new Promise((resolve, reject) => {
    arrivals.set(root.dataset.imExplorer, resolve);
    const script = document.createElement("script");
    script.onerror = () => reject(new Error("its data could not be loaded"));
    script.src = root.dataset.imSrc;
    document.head.append(script);
  });

export function boot() {
  const states = readHash(location.hash);
  const mounted = new Map();
  const begun = new Set();
  const roots = new Map([...document.querySelectorAll("[data-im-explorer]")].map((root) => [root.dataset.imExplorer, root]));

  const begin = (id) => {
    if (begun.has(id)) return;
    begun.add(id);
    const root = roots.get(id);
    const host = {
      recall: () => states.get(id),
      remember: (query) => {
        states.set(id, query);
        clearTimeout(host.timer); // browsers limit how often the URL may change
        host.timer = setTimeout(() => {
          const hash = writeHash(states);
          if (hash || readHash(location.hash).size) history.replaceState(history.state, "", hash || location.pathname + location.search);
        }, 200);
      },
    };
    specOf(root)
      .then((spec) => mount(root, spec, host))
      .then(
        (explorer) => {
          mounted.set(id, explorer);
          if (states.keys().next().value === id) root.scrollIntoView();
        },
        (error) => fail(root, error),
      );
  };

  // Each begins when a reader comes within a screen of it, or when the address names it.
  const near = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) if (isIntersecting) near.unobserve(target), begin(target.dataset.imExplorer);
    },
    { rootMargin: "100% 0px" },
  );
  for (const [id, root] of roots) states.has(id) ? begin(id) : near.observe(root);

  addEventListener("hashchange", () => {
    for (const [id, wanted] of readHash(location.hash)) {
      if (!roots.has(id)) continue;
      states.set(id, wanted);
      mounted.has(id) ? mounted.get(id).adopt(wanted) : begin(id);
    }
  });
}
