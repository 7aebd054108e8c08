// An explorer in its place: controls, state, picture and words, whoever computes.

import { computer, namedAs } from "./compute.js";
import { drawPanel } from "./draw.js";
import { fillSentence, formatValue, parseValue, writeValue } from "./format.js";
import { framed } from "./frames.js";
import { numbersOf } from "./numbers.js";
import { player } from "./play.js";
import { ask } from "./predict.js";
import { FINE, onTurn, tidy } from "./slider.js";
import { canonical, corners, decode, gridIndex, isEnabled, lookup } from "./table.js";
import { positionOf, valueAt } from "./state.js";
import { working } from "./working.js";

const near = (a, b) => Math.abs(a - b) <= 1e-9 * Math.abs(b);
const put = (node, text) => node.textContent !== text && (node.textContent = text);

export async function mount(root, spec, host) {
  const { controls } = spec;
  const numbers = gridIndex(controls);
  const table = await decode(spec.data, spec.arrays, numbers.size);
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

  const { get, until } = framed(spec, positions, () => current);

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

  const work = working(root, () => {
    machine.stop();
    asked = null;
    show("Stopped. The picture shows the setting before.");
  });
  const compute = (at) => {
    const setting = params();
    const key = JSON.stringify(setting);
    if (key === asked) return; // a frame slider moved, or nothing did
    asked = key;
    work.begin();
    machine.ask(spec.compute.params.map(([name]) => setting[name]), {
      said: work.said,
      done: (result) => {
        work.end();
        try {
          current = namedAs(spec.arrays, result);
        } catch (error) {
          return failed(error);
        }
        computed = true;
        shown = at;
        show();
        draw();
      },
      fail: (error) => (work.end(), failed(error)),
    });
  };
  const failed = (error) => show(`This setting could not be computed; the picture shows the last one that could. ${error.message}`);
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
    onTurn(range, () => positions[k], refresh, (position) => {
      stop();
      set(k, tidy(c, position));
    });

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

  const stop = player($("[data-im-play]"), spec, positions, { set, refresh, end: () => host.remember?.(query(true)) });

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

// What a reader is told where an explorer cannot start.
export function fail(root, error) {
  const note = root.querySelector("[data-im-message]") ?? root.appendChild(document.createElement("p"));
  note.hidden = false;
  note.textContent = `This explorer could not start: ${error.message}. The picture shows its first setting.`;
  for (const node of root.querySelectorAll("input, button")) node.disabled = true;
  root.querySelector("[data-im-predict]")?.setAttribute("data-im-answered", "");
  root.querySelector("[data-im-verdict]")?.remove();
  console.error(error);
}
