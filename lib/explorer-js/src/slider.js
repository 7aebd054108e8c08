// A slider under a hand: what counts as a turn of it, and where it comes to rest.

import { parseValue, writeValue } from "./format.js";
import { positionOf, valueAt } from "./state.js";

export const FINE = 0.1; // step of a slider that may stand between two grid values

// Where a hand leaves a slider: at the nearest number with few digits.
export const tidy = (c, position) => {
  if (c.frames || c.integer || Number.isInteger(position)) return position;
  const value = valueAt(c, position);
  const step = Math.abs(valueAt(c, Math.max(position - FINE, 0)) - value);
  const text = writeValue(value, c.format, (v) => Math.abs(v - value) <= step / 4);
  return positionOf(c, String(parseValue(text, c.format))) ?? position;
};

// `turned` gets a new position, `left` is called when a finger has scrolled the page instead; `at()` is the old position.
export function onTurn(range, at, left, turned) {
  let held = null; // where a finger came down that has not yet said whether it turns the slider or scrolls the page
  const turn = () => {
    held = null;
    if (Number(range.value) !== at()) turned(Number(range.value));
  };
  const far = (a, b) => Math.abs(a - b) > 8;
  const leave = () => {
    if (held) left();
    held = null;
  };
  range.addEventListener("input", () => held || turn());
  range.addEventListener("pointerdown", (event) => (held = event.pointerType === "touch" ? event : null));
  range.addEventListener("pointermove", (event) => held && far(event.clientX, held.clientX) && turn());
  range.addEventListener("pointerup", (event) => held && (far(event.clientY, held.clientY) ? leave() : turn()));
  range.addEventListener("pointercancel", leave);
}
