// A page function in the page (lib/implicitly/explorer/compiled.py): its module, in this thread or in a worker.

const made = []; // the functions in this thread
export const memory = () => made.reduce((sum, f) => sum + f.bytes(), 0); // what they hold, for tests

const SLOW = 12; // milliseconds from which a function is moved to the worker

// The function of a compiled module: numbers in, Map name -> Float64Array out. `said(done, of)` hears how far it is.
// Its text is also the worker's, so it uses nothing from around it.
export function instantiate(module, spec, said) {
  const bits = (text) => new Float64Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const env = { NRT_MemInfo_call_dtor() {}, progress: said };
  for (const { name } of WebAssembly.Module.imports(module)) {
    if (name in env) continue;
    const exact = Math[name];
    const single = Math[name.replace(/f$/, "")];
    if (!exact && !single) throw new Error(`its module asks for ${name}`);
    env[name] = exact ?? ((...x) => Math.fround(single(...x)));
  }
  const { memory, f, __heap_base } = new WebAssembly.Instance(module, { env }).exports;
  const size = (shape) => shape.reduce((a, b) => a * b, 1);
  const room = [...spec.data.map((text) => bits(text)), ...spec.arrays.map(([, shape]) => size(shape)), ...spec.work];
  let at = (__heap_base.value + 15) & ~15;
  const result = at; // numba's own: a place for what is returned and one for what is raised
  at += 16;
  const places = room.map((given) => {
    const place = { at, length: given.length ?? given, given: given.length ? given : null };
    at += 16 * Math.ceil(place.length / 2);
    return place;
  });
  const missing = at - memory.buffer.byteLength;
  try {
    if (missing > 0) memory.grow(Math.ceil(missing / 65536));
  } catch {
    throw new Error("its arrays take more memory than the browser gives");
  }
  const compute = (params) => {
    for (const { at, length, given } of places) {
      const array = new Float64Array(memory.buffer, at, length);
      given ? array.set(given) : array.fill(0);
    }
    const numbers = params.map((value, k) => (spec.params[k][1] === "int" ? BigInt(value) : value));
    if (f(result, result + 8, ...numbers, ...places.map((p) => p.at))) throw new Error("the function raised an error");
    return new Map(spec.arrays.map(([name], k) => {
      const { at, length } = places[spec.data.length + k];
      return [name, new Float64Array(memory.buffer, at, length).slice()];
    }));
  };
  return Object.assign(compute, { bytes: () => memory.buffer.byteLength });
}

// Whether the numbers are the book's, at a few settings: evenly spaced ones of each array.
export function agrees(spec, compute) {
  return spec.check.every(([params, text]) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const wanted = new Float64Array(bytes.buffer);
    let at = 0;
    return [...compute(params).values()].every((array) => {
      const count = Math.min(spec.samples, array.length);
      const largest = Math.max(...wanted.subarray(at, at + count).map((v) => Math.abs(v) || 0));
      for (let k = 0; k < count; k++) {
        const [found, want] = [array[Math.floor((k * array.length) / count)], wanted[at + k]];
        const same = Object.is(found, want) || found === want;
        if (!same && !(Math.abs(found - want) <= spec.tolerance * largest)) return false;
      }
      at += count;
      return true;
    });
  });
}

// In the worker: [number, params] comes in; {number, result | error} or {number, done, of} goes out.
function work(make, check) {
  let compute, spec, number;
  let last = 0;
  const said = (done, of) => {
    const now = performance.now();
    if (now - last < 50) return; // the page's thread has other work
    last = now;
    postMessage({ number, done, of });
  };
  onmessage = ({ data }) => {
    number = data.number;
    try {
      if (data.spec) {
        spec = data.spec;
        compute = make(new WebAssembly.Module(Uint8Array.from(atob(spec.wasm), (c) => c.charCodeAt(0))), spec, said);
        if (data.check) postMessage({ number, agrees: check(spec, compute) });
      } else postMessage({ number, result: compute(data.params) });
    } catch (error) {
      postMessage({ number, error: error.message });
    }
  };
}

// What a page asks: `ask(params, {done, fail, said})`. The newest setting wins; one that is under way is given up.
// Resolves when the numbers have been found to be the book's; rejects, with words for the reader, if they are not.
export async function computer(spec) {
  if (typeof WebAssembly === "undefined") throw new Error("this browser has no WebAssembly");
  let worker = null;
  let flying = null; // what the worker computes
  let number = 0;
  let late = 0; // how often it took long in this thread
  let near = null; // the function in this thread, as long as it is fast enough

  const start = (check, heard) => {
    const url = URL.createObjectURL(new Blob([`(${work})(${instantiate}, ${agrees})`], { type: "text/javascript" }));
    worker = new Worker(url);
    URL.revokeObjectURL(url);
    worker.onmessage = ({ data }) => "done" in data || heard?.(data);
    worker.onerror = (event) => heard?.({ number, error: event.message || "its worker could not start" });
    worker.postMessage({ number, spec, check });
  };
  const far = (params, { done, fail, said }) => {
    number++;
    if (flying) stop();
    if (!worker) start(false);
    flying = { done, fail, said };
    worker.onmessage = ({ data }) => {
      if (data.number !== number) return;
      if ("done" in data) return said?.(data.done, data.of);
      flying = null;
      data.error ? fail(new Error(data.error)) : done(data.result);
    };
    worker.onerror = (event) => ((flying = null), fail(new Error(event.message)));
    worker.postMessage({ number, params });
  };
  const stop = () => {
    flying = null;
    worker?.terminate();
    worker = null;
  };

  const wrong = new Error("this browser's numbers differ from the book's");
  if (spec.slow)
    await new Promise((resolve, reject) => start(true, (data) => (data.agrees ? resolve() : reject(data.error ? new Error(data.error) : wrong))));
  else {
    near = instantiate(await WebAssembly.compile(Uint8Array.from(atob(spec.wasm), (c) => c.charCodeAt(0))), spec, () => {});
    if (!agrees(spec, near)) throw wrong;
    made.push(near);
  }
  return {
    ask(params, heard) {
      if (!near) return far(params, heard);
      const before = performance.now();
      let result;
      try {
        result = near(params);
      } catch (error) {
        return heard.fail(error);
      }
      if (performance.now() - before > SLOW && ++late === 3) near = null;
      heard.done(result);
    },
    get busy() {
      return Boolean(flying);
    },
    stop,
  };
}

// What the function gives, under the names of the table.
export const namedAs = (arrays, result) =>
  new Map(arrays.map(({ name }) => {
    let values = result.get(name);
    if (!values) {
      const pairs = result.get(name.slice(0, -2));
      values = Float64Array.from({ length: pairs.length / 2 }, (_, i) => pairs[2 * i + (name.endsWith(".y") ? 1 : 0)]);
    }
    if (values.some((v) => Math.abs(v) === Infinity)) throw new Error(`There are infinite values in ${name}.`);
    return [name, values];
  }));
