// The question before the picture: answered or skipped once, and kept in this browser alone.

import { parseValue, writeValue } from "./format.js";

// Storage may be denied, full, or hold what somebody else has put there.
const kept = (act) => {
  try {
    return act(localStorage);
  } catch {
    return null;
  }
};

export const isRight = ({ choices, answer, tolerance }, given) =>
  choices ? given === answer : Math.abs(given - answer) <= tolerance * (1 + 1e-9);

// What was kept, as an answer to this question: a number, the position of a choice, null if it was skipped; undefined
// if it is none.
export function answered({ question, choices }, text) {
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(found) || found[0] !== question) return undefined;
  const given = found[1];
  return given === null || (choices ? Number.isInteger(given) && given in choices : Number.isFinite(given)) ? given : undefined;
}

const none = { show: () => {}, again: () => {} };

// The controls wait for the answer.
export function ask(root, { id, predict }) {
  if (!predict) return none;
  const form = root.querySelector("[data-im-predict]");
  const controls = root.querySelector(".im-ex-controls");
  const $ = (selector) => form.querySelector(selector);
  const place = `implicitly/predict/${id}`;

  const lock = (on) => {
    controls.disabled = on;
    controls.setAttribute("aria-disabled", String(on));
  };
  const written = (value) => writeValue(value, predict.format, (v) => Math.abs(v - value) <= 1e-9 * Math.abs(value)) + predict.unit;
  const verdict = (given) => {
    if (given === null) return "";
    return isRight(predict, given) ? "Right." : `Not quite: you said ${predict.choices?.[given] ?? written(given)}.`;
  };

  const show = (given = null) => {
    $("[data-im-verdict]").textContent = verdict(given);
    form.toggleAttribute("data-im-answered", true);
    lock(false);
  };

  const settle = (given) => {
    complain("");
    kept((storage) => storage.setItem(place, JSON.stringify([predict.question, given])));
    show(given);
    $("[data-im-heard]").textContent = $("[data-im-told]").textContent.trim();
    controls.querySelector("input:enabled")?.focus({ preventScroll: true }); // what had the focus is gone
  };

  // In a bubble beside the field: the place for messages is under the picture, and would move what follows.
  const complain = (text) => {
    for (const input of form.querySelectorAll("input")) {
      input.setCustomValidity(text);
      text ? input.setAttribute("aria-invalid", "true") : input.removeAttribute("aria-invalid");
    }
    $("[data-im-heard]").textContent = text;
    if (text) $("input").reportValidity();
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = predict.choices ? Number($("input:checked")?.value ?? NaN) : parseValue($("[data-im-guess]").value, predict.format, predict.unit);
    if (!Number.isNaN(given)) return settle(given);
    complain(predict.choices ? "Choose an answer first, or let it be shown." : "A number is needed, or let it be shown.");
  });
  form.addEventListener("input", () => complain(""));
  $("[data-im-skip]").addEventListener("click", () => settle(null));

  const before = answered(predict, kept((storage) => storage.getItem(place)));
  if (before !== undefined) show(before);

  const again = () => {
    complain("");
    kept((storage) => storage.removeItem(place));
    form.reset();
    form.removeAttribute("data-im-answered");
    lock(true);
  };
  return { show, again };
}
