// The play button: a slider runs to its end.

// Gives what stops it. `set` takes a position as from a hand, `refresh` draws what `positions` hold, `end` comes last.
export function player(button, spec, positions, { set, refresh, end }) {
  let timer = 0;
  const stop = () => {
    cancelAnimationFrame(timer);
    clearTimeout(timer);
    timer = 0;
    button?.setAttribute("aria-pressed", "false");
  };
  button?.addEventListener("click", () => {
    if (timer) return stop();
    const k = spec.controls.findIndex((c) => c.name === spec.animate);
    const last = spec.controls[k].values.length - 1;
    if (positions[k] >= last) positions[k] = 0;
    button.setAttribute("aria-pressed", "true");
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
      else stop(), end();
    };
    timer = requestAnimationFrame(tick);
  });
  return stop;
}
