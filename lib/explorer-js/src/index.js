// One core, two hosts: `boot()` mounts every explorer of a static page on its table, `live(model, el)`
// mounts one on a Jupyter kernel. Everything fixed comes as HTML from Python; this fills in the rest.

import { computer, memory } from "./compute.js";
import { drawPanel } from "./draw.js";
import { fillSentence, formatValue, parseValue, writeValue } from "./format.js";
import { numbersOf } from "./numbers.js";
import { ask } from "./predict.js";
import { canonical, corners, decode, gridIndex, isEnabled, lookup } from "./table.js";
import { positionOf, readHash, valueAt, writeHash } from "./state.js";

const FINE = 0.1; // step of a slider that may stand between two grid values
const PATIENCE = 10_000; // milliseconds until a kernel that says nothing is taken for lost
const near = (a, b) => Math.abs(a - b) <= 1e-9 * Math.abs(b);
const spaced = (n) => n.toLocaleString("en").replaceAll(",", "\u202f");
const put = (node, text) => node.textContent !== text && (node.textContent = text);

export async function mount(root, spec, host) {
  const { controls } = spec;
  const numbers = gridIndex(controls);
  const table = await decode(spec.data, spec.arrays, numbers.size);
  const arrays = new Map(spec.arrays.map((a) => [a.name, a]));
  const $ = (selector) => root.querySelector(selector);
  const message = $("[data-im-message]");
  const positions = controls.map((c) => c.default);
  let machine = null; // what computes in this page
  let hopes = Boolean(spec.compute) && !host.ask; // that it will
  let asked = null; // the setting that it computed last, or computes
  let computed = false; // whether the picture is its
  let shown = [...positions]; // where the controls stood for what `current` holds: a new setting may still be computed
  let current = null; // Map name -> values at the setting on the screen
  let queued = false;
  let speak = 0;

  // -- the state of the data ------------------------------------------------------------------

  const fromTable = () => {
    // an integer stands where its value is, not where the hand is
    const at = controls.map((c, k) => (c.integer && !c.frames ? positionOf(c, String(valueAt(c, positions[k]))) : positions[k]));
    const cell = corners(controls, numbers, at);
    return new Map(spec.arrays.map((a) => [a.name, lookup(table.get(a.name), cell)]));
  };

  const fraction = (name) => {
    const k = controls.findIndex((c) => c.name === name);
    return [positions[k], controls[k].values.length];
  };

  // An array as a layer of base dimension `ndim` sees it: with frames, the current one.
  const get = (name, layer, ndim) => {
    const values = current.get(name);
    const { shape, whole } = arrays.get(name);
    const framed = layer?.over && (ndim === null ? shape.length > 1 : shape.length > ndim);
    if (!framed) return values;
    const [at, frames] = fraction(layer.over);
    const size = values.length / frames;
    const low = Math.min(Math.floor(at), frames - 1);
    const f = at - low;
    if (whole || f === 0) return values.subarray(Math.round(at) * size, (Math.round(at) + 1) * size);
    return values.subarray(low * size, (low + 1) * size).map((v, i) => v + f * (values[(low + 1) * size + i] - v));
  };
  get.shape = (name, ndim) => arrays.get(name).shape.slice(-ndim);

  const until = (layer, steps) => {
    if (!layer.until) return steps;
    const [at, frames] = fraction(layer.until);
    return 1 + (at / (frames - 1)) * (steps - 1);
  };

  // -- drawing --------------------------------------------------------------------------------

  // Between two grid values a number is written out: what is shown is what is computed.
  const exactly = (c, value) => writeValue(value, c.format, (v) => near(v, value)) + c.unit;
  const words = (c, k, at = positions) => {
    if (c.kind === "choice") return c.labels[at[k]];
    if (c.kind === "seed") return String(at[k]);
    const value = valueAt(c, at[k]);
    return c.frames || Number.isInteger(at[k]) ? formatValue(value, c.format) + c.unit : exactly(c, value);
  };

  const drawn = () => positions.map((position, k) => (controls[k].frames ? position : shown[k]));
  const sentence = () => {
    const at = drawn();
    let text = controls.filter((c) => isEnabled(controls, at, c)).map((c) => `${c.label}: ${words(c, controls.indexOf(c), at)}`).join("; ") + ".";
    if (spec.summary)
      text += " " + fillSentence(spec.summary, (name, index) => {
        const k = controls.findIndex((c) => c.name === name);
        return k >= 0 ? words(controls[k], k, at) : current.get(name)[index ?? 0];
      });
    return text[0].toUpperCase() + text.slice(1);
  };

  const boxes = spec.panels.map((_, k) => $(`[data-im-panel="${k}"] .im-ex-plot`));
  let sizes = null; // of the boxes, read only when they may have changed: reading makes the browser lay out

  const draw = () => {
    if (!current) return;
    sizes ??= boxes.map((box) => [box.clientWidth, box.clientHeight]);
    spec.panels.forEach((panel, k) => {
      drawPanel(boxes[k], panel, sizes[k], get, until, boxes.length > 1 ? `${spec.title}, picture ${k + 1}` : spec.title);
    });
    spec.side.forEach((bars, k) => {
      get(bars.values, bars, 1).forEach((value, i) => {
        const row = $(`[data-im-bar="${k}:${i}"]`);
        const [low, high] = bars.limits;
        const share = Math.min(Math.max((value - low) / (high - low), 0), 1) || 0;
        put(row.querySelector("b"), formatValue(value, bars.format));
        row.querySelector("i").style.setProperty("--im-share", `${100 * share}%`);
      });
    });
    clearTimeout(speak);
    const text = sentence();
    speak = setTimeout(() => {
      $("[data-im-summary]").textContent = text;
      numbers_.show();
    }, 500);
    const from = host.ask ? "" : computed ? "computed in this page" : "stored values";
    put($("[data-im-origin]") ?? {}, from);
  };

  let note = ""; // why it does not compute, as long as that is so
  const show = (text, stale = Boolean(text)) => {
    message.hidden = !text && !note;
    message.textContent = text || note;
    root.toggleAttribute("data-im-stale", stale);
  };

  // Take the newest setting to the screen, at most once a frame.
  const refresh = () => {
    syncControls();
    if (queued) return;
    queued = true;
    requestAnimationFrame(() => {
      queued = false;
      try {
        const at = [...positions];
        if (host.ask) host.ask(params(), (error, result) => receive(error, result, at));
        else if (machine) compute(at);
        else if (!hopes) (current = fromTable()), (shown = at);
        draw();
      } catch (error) {
        show(`This picture could not be drawn: ${error.message}`);
        throw error;
      }
    });
  };

  // -- a page function --------------------------------------------------------------------------

  const head = $("[data-im-busy]");
  const wait = (done, of) => {
    root.setAttribute("data-im-waits", "");
    put(head.firstChild, done === undefined ? "computing" : `computing, ${spaced(done)} of ${spaced(of)}`);
    root.style.setProperty("--im-done", `${(100 * (done ?? 0)) / (of ?? 1)}%`);
  };
  let patience = 0;
  let far = null; // how far it said it is
  const rest = () => {
    clearTimeout(patience);
    far = null;
    root.removeAttribute("aria-busy");
    root.removeAttribute("data-im-waits");
  };
  const compute = (at) => {
    const setting = params();
    const key = JSON.stringify(setting);
    if (key === asked) return; // a frame slider moved, or nothing did
    asked = key;
    rest();
    root.setAttribute("aria-busy", "true");
    patience = setTimeout(() => wait(...(far ?? [])), 150);
    machine.ask(spec.compute.params.map(([name]) => setting[name]), {
      said: (...now) => {
        far = now;
        if (root.hasAttribute("data-im-waits")) wait(...now);
      },
      done: (result) => {
        rest();
        try {
          current = named(result);
        } catch (error) {
          return failed(error);
        }
        computed = true;
        shown = at;
        show();
        draw();
      },
      fail: (error) => (rest(), failed(error)),
    });
  };
  const failed = (error) => show(`This setting could not be computed; the picture shows the last one that could. ${error.message}`);
  // What the function gives, under the names of the table.
  const named = (result) =>
    new Map(spec.arrays.map(({ name }) => {
      let values = result.get(name);
      if (!values) {
        const pairs = result.get(name.slice(0, -2));
        values = Float64Array.from({ length: pairs.length / 2 }, (_, i) => pairs[2 * i + (name.endsWith(".y") ? 1 : 0)]);
      }
      if (values.some((v) => Math.abs(v) === Infinity)) throw new Error(`There are infinite values in ${name}.`);
      return [name, values];
    }));
  head?.querySelector("button").addEventListener("click", () => {
    machine.stop();
    rest();
    asked = null;
    show("Stopped. The picture shows the setting before.");
  });
  let stored = false; // whether stored settings are all there is: of one data set
  const begin = () =>
    computer(spec.compute).then(
      (made) => (machine = made),
      (error) => {
        hopes = false;
        note = `Nothing is computed in this page, because ${error.message}: it shows a few stored settings and what lies between them.`;
        root.setAttribute("data-im-computes", "no");
        stored = true;
        syncControls();
        show();
      },
    );

  const params = () => {
    const at = canonical(controls, positions);
    const pairs = controls.map((c, k) => [c.name, c.kind === "choice" ? at[k] : valueAt(c, at[k])]);
    return Object.fromEntries(pairs.filter((_, k) => !controls[k].frames));
  };

  // An error, a result, or neither: the kernel is silent, and the table takes over.
  const receive = (error, result, at) => {
    if (error) return show(`The kernel could not compute this setting; the picture shows the last one that it could. ${error}`);
    show(result ? null : "The kernel does not answer: showing the stored table.", false);
    current = result ?? fromTable();
    shown = result ? at : [...positions];
    draw();
  };

  // -- controls -------------------------------------------------------------------------------

  const nodes = controls.map((c) => $(`[data-im-control="${c.name}"]`));

  controls.forEach((c, k) => {
    if (c.kind !== "seed") return;
    nodes[k].querySelector("button").addEventListener("click", () => {
      stop();
      question.again();
      question.show();
      set(k, (positions[k] + 1) % 2 ** 31);
    });
  });

  const ranges = nodes.map((node) => node.querySelector("[type=range]"));
  const fields = nodes.map((node) => node.querySelector("[data-im-value]")); // where a slider's value stands and is typed
  let typing = null; // the field that a reader is writing in

  const syncControls = () => {
    controls.forEach((c, k) => {
      const off = !isEnabled(controls, positions, c);
      nodes[k].toggleAttribute("data-im-off", off);
      off ? nodes[k].setAttribute("aria-disabled", "true") : nodes[k].removeAttribute("aria-disabled");
      for (const input of nodes[k].querySelectorAll("input")) {
        input.disabled = off;
        if (c.kind === "choice") input.checked = Number(input.value) === positions[k];
      }
      if (c.kind === "choice") return;
      const text = words(c, k);
      if (c.kind === "seed") {
        nodes[k].querySelector("button").disabled = off || stored;
        return put(nodes[k].querySelector("[data-im-set]"), `${c.label} ${text}`);
      }
      if (Number(ranges[k].value) !== positions[k]) ranges[k].value = positions[k];
      ranges[k].setAttribute("aria-valuetext", text);
      ranges[k].style.setProperty("--im-share", `${(100 * positions[k]) / (c.values.length - 1)}%`);
      if (fields[k] !== typing && fields[k].value !== text) fields[k].value = text;
    });
    root.setAttribute("data-im-state", query().toString());
  };

  const query = (changed = false) => {
    const found = new URLSearchParams();
    controls.forEach((c, k) => {
      if (!changed || positions[k] !== c.default) found.set(c.name, String(valueAt(c, positions[k])));
    });
    return found;
  };

  const settle = () => {
    if (typing?.getAttribute("aria-invalid")) show();
    typing?.removeAttribute("aria-invalid");
    typing?.setCustomValidity("");
    typing = null;
    refresh();
  };

  const set = (k, position) => {
    positions[k] = position;
    host.remember?.(query(true));
    settle();
  };

  const question = ask(root, spec);

  // A link to a setting is meant to show it.
  const adopt = (wanted) => {
    if (controls.some((c) => wanted?.has(c.name))) question.show();
    controls.forEach((c, k) => {
      const position = wanted?.has(c.name) ? positionOf(c, wanted.get(c.name)) : null;
      positions[k] = position === null ? c.default : stepped(c) ? Math.round(position) : position;
    });
    settle();
  };

  const stepped = (c) => c.kind !== "slider" || (!host.ask && !hopes && !c.frames && c.nearest);

  // Where a hand leaves a slider: at the nearest number with few digits.
  const tidy = (c, position) => {
    if (c.frames || c.integer || Number.isInteger(position)) return position;
    const value = valueAt(c, position);
    const step = Math.abs(valueAt(c, Math.max(position - FINE, 0)) - value);
    const text = writeValue(value, c.format, (v) => Math.abs(v - value) <= step / 4);
    return positionOf(c, String(parseValue(text, c.format))) ?? position;
  };

  const enter = (k) => {
    const c = controls[k];
    const position = positionOf(c, String(parseValue(fields[k].value, c.format, c.unit)));
    if (position !== null) return set(k, stepped(c) ? Math.round(position) : position);
    const [low, high] = [c.values[0], c.values[c.values.length - 1]].map((v) => exactly(c, v));
    const text = `${c.label}: a number from ${low} to ${high} is needed.`;
    show(text, false);
    fields[k].setAttribute("aria-invalid", "true");
    fields[k].setCustomValidity(text);
    if (fields[k].matches(":focus")) fields[k].reportValidity(); // beside the field: the message may be out of sight
  };

  controls.forEach((c, k) => {
    if (c.kind === "choice") {
      for (const input of nodes[k].querySelectorAll("input"))
        input.addEventListener("input", () => {
          stop();
          set(k, Number(input.value));
        });
      return;
    }
    if (c.kind === "seed") return;
    const range = ranges[k];
    const field = fields[k];
    range.step = stepped(c) ? 1 : FINE;
    let held = null; // where a finger came down that has not yet said whether it turns the slider or scrolls the page
    const turn = () => {
      held = null;
      if (Number(range.value) === positions[k]) return;
      stop();
      set(k, tidy(c, Number(range.value)));
    };
    const far = (a, b) => Math.abs(a - b) > 8;
    const leave = () => {
      if (held) refresh();
      held = null;
    };
    range.addEventListener("input", () => held || turn());
    range.addEventListener("pointerdown", (event) => (held = event.pointerType === "touch" ? event : null));
    range.addEventListener("pointermove", (event) => held && far(event.clientX, held.clientX) && turn());
    range.addEventListener("pointerup", (event) => held && (far(event.clientY, held.clientY) ? leave() : turn()));
    range.addEventListener("pointercancel", leave);

    field.addEventListener("focus", () => field.select());
    field.addEventListener("input", () => {
      stop();
      typing = field;
      typing.setCustomValidity("");
    });
    field.addEventListener("change", () => enter(k));
    field.addEventListener("keydown", (event) => event.key === "Escape" && (settle(), field.select()));
  });
  $("[data-im-reset]").addEventListener("click", () => {
    stop();
    question.again();
    positions.splice(0, positions.length, ...controls.map((c) => c.default));
    host.remember?.(query(true));
    settle();
  });

  // -- play -----------------------------------------------------------------------------------

  const play = $("[data-im-play]");
  let timer = 0;
  const stop = () => {
    cancelAnimationFrame(timer);
    clearTimeout(timer);
    timer = 0;
    play?.setAttribute("aria-pressed", "false");
  };
  play?.addEventListener("click", () => {
    if (timer) return stop();
    const k = controls.findIndex((c) => c.name === spec.animate);
    const last = controls[k].values.length - 1;
    if (positions[k] >= last) positions[k] = 0;
    play.setAttribute("aria-pressed", "true");
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      // no motion: one grid value after the other, as if turned by hand
      const hop = () => {
        set(k, Math.min(last, Math.floor(positions[k]) + 1));
        positions[k] < last ? (timer = setTimeout(hop, 700)) : stop();
      };
      return hop();
    }
    let before = performance.now();
    const tick = (now) => {
      const next = positions[k] + ((now - before) / (1000 * spec.seconds)) * last;
      before = now;
      const shown = Math.min(last, next);
      positions[k] = shown;
      refresh();
      if (shown < last) timer = requestAnimationFrame(tick);
      else stop(), host.remember?.(query(true));
    };
    timer = requestAnimationFrame(tick);
  });

  // -- start ----------------------------------------------------------------------------------

  const numbers_ = numbersOf(root, spec, () => current && { get, words: controls.map((c, k) => [c.label, words(c, k, drawn())]) });
  current = fromTable();
  if (hopes) {
    const ready = begin();
    if (spec.compute.slow) {
      asked = JSON.stringify(params()); // the default is stored
      ready.then(refresh);
    } else await ready;
  }
  adopt(host.recall?.());
  draw();
  root.setAttribute("data-im-ready", host.ask ? "live" : "static");
  const observer = new ResizeObserver(() => requestAnimationFrame(() => ((sizes = null), draw())));
  for (const box of boxes) observer.observe(box);
  return { adopt, remove: () => (stop(), observer.disconnect(), clearTimeout(speak), machine?.stop()) };
}

// -- hosts ------------------------------------------------------------------------------------

function fail(root, error) {
  const note = root.querySelector("[data-im-message]") ?? root.appendChild(document.createElement("p"));
  note.hidden = false;
  note.textContent = `This explorer could not start: ${error.message}. The picture shows its first setting.`;
  for (const node of root.querySelectorAll("input, button")) node.disabled = true;
  root.querySelector("[data-im-predict]")?.setAttribute("data-im-answered", "");
  root.querySelector("[data-im-verdict]")?.remove();
  console.error(error);
}

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

export { memory };

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
