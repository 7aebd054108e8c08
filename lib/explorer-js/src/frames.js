// What a layer sees of the arrays where a slider of frames stands.

// `positions` are the controls', `now()` gives the arrays at the setting on the screen.
export function framed(spec, positions, now) {
  const { controls } = spec;
  const arrays = new Map(spec.arrays.map((a) => [a.name, a]));

  const fraction = (name) => {
    const k = controls.findIndex((c) => c.name === name);
    return [positions[k], controls[k].values.length];
  };

  // An array as a layer of base dimension `ndim` sees it: with frames, the current one.
  const get = (name, layer, ndim) => {
    const values = now().get(name);
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

  return { get, until };
}
