// The host in Jupyter: the kernel computes, and the table stands in for one that is silent.

import { fail, mount } from "./mount.js";

const PATIENCE = 10_000; // milliseconds until a kernel that says nothing is taken for lost

// Live: one request in flight, only the newest waiting.
export function live(model, el) {
  const spec = JSON.parse(model.get("spec"));
  const root = document.createElement("div");
  root.className = "im-explorer im-ex-jupyter";
  root.dataset.imExplorer = spec.id;
  // JupyterLab takes the arrow keys from a focused slider for itself, unless the slider has this mark
  root.addEventListener("focusin", (event) => (event.target.dataset.lmSuppressShortcuts = "true"));
  // ids must differ between two views of one widget
  const unique = spec.id + "-" + Math.random().toString(36).slice(2, 8);
  root.innerHTML = spec.chrome.replaceAll(`"${spec.id}-`, `"${unique}-`);
  el.replaceChildren(root);
  let number = 0;
  let flying = null;
  let waiting = null;
  let timer = 0; // runs while an answer is waited for
  let silent = false;
  let last = JSON.stringify(defaults(spec)); // the table holds the default setting
  const send = (request) => {
    flying = request;
    root.setAttribute("aria-busy", "true");
    timer = setTimeout(hush, PATIENCE);
    try {
      model.send({ kind: "compute", view: unique, number: request.number, params: request.params });
    } catch {
      hush(); // there is no kernel
    }
  };
  const rest = () => {
    clearTimeout(timer);
    timer = 0;
    if (waiting) send(...[waiting, (waiting = null)]);
    else root.removeAttribute("aria-busy");
  };
  const hush = () => {
    silent = true;
    (waiting ?? flying).done(null, null);
    rest();
  };
  const lost = () => (timer ? hush() : (silent = true)); // the kernel was restarted or stopped
  const answered = (content, buffers) => {
    if (content.view !== unique || content.number !== flying?.number) return;
    const { done } = flying;
    flying = null;
    silent = false;
    rest();
    if (content.kind === "error") {
      last = null; // ask again when the reader comes back to this setting
      return done(content.message, null);
    }
    root.setAttribute("data-im-answers", String(content.number));
    const raw = (b) => (b.buffer ? new Float32Array(b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength)) : new Float32Array(b));
    done(null, new Map(content.names.map((name, k) => [name, raw(buffers[k])])));
  };
  model.on("msg:custom", answered);
  model.on("comm_live_update", lost);
  const host = {
    ask: (params, done) => {
      const key = JSON.stringify(params);
      if (key === last) return; // a frame slider moved, or nothing did
      last = key;
      const request = { number: ++number, params, done };
      if (silent) done(null, null); // from the table, while the kernel is asked again
      if (timer) waiting = request;
      else send(request);
    },
  };
  let explorer = null;
  mount(root, spec, host).then((made) => (explorer = made), (error) => fail(root, error));
  return () => {
    clearTimeout(timer);
    model.off("msg:custom", answered);
    model.off("comm_live_update", lost);
    explorer?.remove();
  };
}

const defaults = ({ controls }) =>
  Object.fromEntries(controls.filter((c) => !c.frames).map((c) => [c.name, c.kind === "slider" ? c.values[c.default] : c.default]));
