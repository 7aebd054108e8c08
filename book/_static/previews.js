// A link to a theorem, an equation, a paper, a function or a word of the glossary shows it beside the link: while the
// pointer rests on the link or on what is shown, or while the keyboard is on the link. Escape closes it.
// _static/previews/ holds what lies on other pages (book/_ext/previews.py).
(() => {
  if (!HTMLElement.prototype.showPopover) return;  // the links lead there all the same
  const LINKS = ".bd-article .internal[href*='#'], .bd-article a.im-api-link[href*='#']";
  const WAIT = 300, LINGER = 250, GAP = 6, EDGE = 16;  // milliseconds; pixels
  const root = new URL(document.documentElement.dataset.content_root || "./", location.href);
  const scripts = new Map();  // by page: what is shown of it
  let box = null, link = null, asked = null, closed = null, timer = 0;  // the popover; whose it is, will be, is not again

  function loaded(page) {
    if (!scripts.has(page)) scripts.set(page, new Promise(resolve => {
      const script = document.createElement("script");
      script.onload = script.onerror = () => resolve(window.imPreviews?.[page] ?? {});
      script.src = new URL(`_static/previews/${page}.js`, root);
      document.head.append(script);
    }));
    return scripts.get(page);
  }

  // The element that a link leads to, if it is one that is shown.
  async function target(to) {
    const url = new URL(to.href), anchor = decodeURIComponent(url.hash.slice(1));
    let element;
    if (url.pathname === location.pathname) element = document.getElementById(anchor);
    else if (url.href.startsWith(root.href) && url.pathname.endsWith(".html")) {
      const template = document.createElement("template");
      template.innerHTML = (await loaded(url.pathname.slice(root.pathname.length, -5)))[anchor] ?? "";
      element = template.content.firstElementChild;
    }
    return element?.matches(".im-box, .im-eq, .citation, dt") ? element : null;
  }

  // A copy without what works only in its place.
  function copy(element) {
    const parts = element.matches("dt") ? [element, element.nextElementSibling?.querySelector("p")] : [element];
    const found = document.createElement("div");
    for (const part of parts) if (part) found.append(part.cloneNode(true));
    found.querySelectorAll(".headerlink, .im-api-source, .label, details, button, script, img").forEach(e => e.remove());
    for (const old of found.querySelectorAll("a, dt")) {
      const plain = document.createElement(old.matches("dt") ? "p" : "span");
      plain.className = old.matches("dt") ? "im-preview-word" : "";
      plain.append(...old.childNodes);
      old.replaceWith(plain);
    }
    for (const one of found.querySelectorAll("[id], [tabindex], [role=group]"))
      for (const name of ["id", "tabindex", "role", "aria-label"]) if (!one.matches(".im-gauge")) one.removeAttribute(name);
    return found;
  }

  const away = one => { const at = one.getBoundingClientRect(); return at.bottom < 0 || at.top > innerHeight; };

  function place() {
    if (away(link)) return hide();
    const at = link.getBoundingClientRect(), below = innerHeight - at.bottom, up = below < at.top && below < 320;
    box.style.maxHeight = `${Math.max(80, (up ? at.top : below) - GAP - EDGE)}px`;
    const size = box.getBoundingClientRect();
    box.style.left = `${Math.max(EDGE, Math.min(at.left, document.documentElement.clientWidth - EDGE - size.width))}px`;
    box.style.top = `${up ? at.top - GAP - size.height : at.bottom + GAP}px`;
  }

  async function show(to) {
    const element = await target(to);
    if (asked !== to || !to.isConnected || !element || element.contains(to) || away(to)) return;
    hide();
    asked = link = to;
    if (!box) {
      box = document.createElement("div");
      box.id = "im-preview";
      box.className = "im-preview bd-article";
      box.popover = "manual";
      box.setAttribute("role", "note");
      box.setAttribute("aria-label", "Preview");
      document.body.append(box);
    }
    box.replaceChildren(...copy(element).childNodes);
    box.removeAttribute("tabindex");
    box.showPopover({ source: link });  // which makes it the next stop of the Tab key, where it is one
    place();
    box.scrollTop = 0;
    if (box.scrollHeight > box.clientHeight + 1) box.tabIndex = 0;  // what scrolls can be reached
    link.setAttribute("aria-details", box.id);
    link.removeAttribute("title");  // it says the same
  }

  function hide() {
    clearTimeout(timer);
    asked = null;
    if (!link) return;
    link.removeAttribute("aria-details");
    link = null;
    if (box.matches(":popover-open")) box.hidePopover();
  }

  function ask(to) {
    clearTimeout(timer);
    if (to === link || to === closed) return;
    asked = to;
    timer = setTimeout(show, WAIT, to);
  }

  const held = one => one?.matches(":focus-visible");  // by the keyboard: the pointer takes nothing from it
  const leave = () => { clearTimeout(timer); asked = closed = null; if (link) timer = setTimeout(hide, LINGER); };
  document.addEventListener("pointerover", event => {
    if (event.pointerType === "touch") return;
    const to = event.target.closest?.(LINKS);
    if (to && to !== asked) ask(to);
    else if (box?.contains(event.target) || (to && to === link)) clearTimeout(timer);
    else if (!to && !held(asked) && !held(link)) leave();
  });
  document.addEventListener("focusin", event => {
    if (event.target.matches(LINKS) && event.target.matches(":focus-visible")) ask(event.target);
    else if (!box?.contains(event.target)) hide();
  });
  document.addEventListener("focusout", event => {
    if (event.relatedTarget === null || !box?.contains(event.relatedTarget)) leave();
  });
  document.addEventListener("keydown", event => {
    if (event.key !== "Escape" || !asked && !link) return;
    if (link) event.stopPropagation();
    if (box?.contains(document.activeElement)) link.focus({ preventScroll: true });
    closed = link ?? asked;
    hide();
  }, true);
  document.addEventListener("pointerdown", event => box?.contains(event.target) || hide());
  addEventListener("scroll", event => {
    if (event.target === box) return;
    if (link) place();
    else if (held(asked)) ask(asked);  // the keyboard has led there, and the page still moves
  }, true);
  addEventListener("resize", () => link && place());
  addEventListener("beforeprint", hide);
})();
