// A page function at work: that it computes, how far it is, and a button that stops it.

const spaced = (n) => n.toLocaleString("en").replaceAll(",", "\u202f");

export function working(root, stop) {
  const head = root.querySelector("[data-im-busy]");
  let patience = 0;
  let far = null; // how far it said it is

  const wait = (done, of) => {
    root.setAttribute("data-im-waits", "");
    const text = done === undefined ? "computing" : `computing, ${spaced(done)} of ${spaced(of)}`;
    if (head.firstChild.textContent !== text) head.firstChild.textContent = text;
    root.style.setProperty("--im-done", `${(100 * (done ?? 0)) / (of ?? 1)}%`);
  };
  const end = () => {
    clearTimeout(patience);
    far = null;
    root.removeAttribute("aria-busy");
    root.removeAttribute("data-im-waits");
  };
  const begin = () => {
    end();
    root.setAttribute("aria-busy", "true");
    patience = setTimeout(() => wait(...(far ?? [])), 150);
  };
  const said = (...now) => {
    far = now;
    if (root.hasAttribute("data-im-waits")) wait(...now);
  };
  head?.querySelector("button").addEventListener("click", () => {
    stop();
    end();
  });
  return { begin, said, end };
}
