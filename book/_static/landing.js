// The cover's picture: lines of the score flow, computed by the library's own function (implicitly.diffusion.pages),
// whose compiled module comes with the page.
function Cover(bytes) {
  var LINES = 676, POINTS = 81, BOX = [-1.1, 1.8, -0.8, 1.8];
  var env = { sin: Math.sin, cos: Math.cos, hypot: Math.hypot, NRT_MemInfo_call_dtor: function () {} };
  var f = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: env }).exports;
  var at = (f.__heap_base.value + 31) & ~15, ends = at + 16 * LINES * POINTS, size = ends + 8 * LINES;
  f.memory.grow(Math.max(0, Math.ceil((size - f.memory.buffer.byteLength) / 65536)));
  function edge(angle) {
    return [Math.cos(angle * Math.PI / 180), Math.sin(angle * Math.PI / 180)];
  }
  // flat lists of coordinates, with whether they end at the sum
  function lines(angle) {
    var out = [], all = new Float64Array(f.memory.buffer, at, 2 * LINES * POINTS), sum = new Float64Array(f.memory.buffer, ends, LINES);
    f.f(at - 16, at - 8, angle, at, ends);
    for (var i = 0; i < LINES; i++) {
      out.push(all.slice(2 * POINTS * i, 2 * POINTS * (i + 1)));
      out[i].sum = sum[i] == 1;
    }
    return out;
  }
  // a point on one of its lines, as the library has it
  var line = lines(120)[300];
  if (!(Math.abs(line[40] - 0.5733386982976901) + Math.abs(line[41] - 0.07910076398980172) < 1e-9))
    throw new Error("other numbers than the book's");
  return { edge: edge, lines: lines, BOX: BOX };
}

if (typeof document !== "undefined") (function () {
  function get(id) { return document.getElementById("im-" + id); }
  var canvas = get("flow"), slider = get("angle"), c = canvas.getContext("2d");
  try {
    var cover = Cover(Uint8Array.from(atob(canvas.dataset.module), function (c) { return c.charCodeAt(0); }));
  } catch (error) {
    canvas.hidden = slider.parentNode.hidden = !(get("still").hidden = false);
    get("count").textContent = "A stored picture: this browser cannot compute it.";
    return;
  }
  var box = cover.BOX, all, frame, forced = matchMedia("(forced-colors: active)");

  function draw(part) {
    var scale = Math.min(devicePixelRatio || 1, 2), width = canvas.clientWidth;
    var k = width / (box[1] - box[0]), u = cover.edge(+slider.value);
    canvas.width = width * scale;
    canvas.height = width * scale * (box[3] - box[2]) / (box[1] - box[0]);
    c.setTransform(k * scale, 0, 0, -k * scale, -box[0] * k * scale, box[3] * k * scale);
    (forced.matches ? ["CanvasText", "CanvasText"] : ["#ff9359", "#9fbeff"]).forEach(function (colour, sum) {
      c.beginPath();
      c.lineWidth = 0.9 / k;
      c.strokeStyle = c.fillStyle = colour;
      all.forEach(function (line) {
        if (line.sum != sum) return;
        c.rect(line[0], line[1], 1 / k, 1 / k);
        c.moveTo(line[0], line[1]);
        for (var i = 2; i < part * line.length; i += 2) c.lineTo(line[i], line[i + 1]);
      });
      c.globalAlpha = 0.34;
      c.stroke();
      c.globalAlpha = 1;
      (sum ? [[1 + u[0], u[1]]] : [[0, 0], [1, 0], u]).forEach(function (p) {
        c.beginPath();
        c.arc(p[0], p[1], 6.5 / k, 0, 7);
        c.lineWidth = 3 / k;
        if (sum) c.fillStyle = forced.matches ? "Canvas" : "#1b1a22";
        c.fill();
        c.stroke();
      });
    });
  }
  function update() {
    var angle = +slider.value;
    all = cover.lines(angle);
    var share = Math.round(100 * all.filter(function (line) { return line.sum; }).length / all.length);
    get("angle-value").textContent = angle + "°";
    slider.setAttribute("aria-valuetext", angle + " degrees");
    slider.style.setProperty("--at", (angle - 90) / 0.6 + "%");
    get("count").textContent = share
      ? share + " in 100 lines end at the hollow point: a sum of two training points, which nobody put in the data."
      : "No line ends at the hollow point: past 95.7° it is no resting place. Every line ends at a training point.";
    cancelAnimationFrame(frame);
    draw(1);
  }
  slider.oninput = update;
  onresize = forced.onchange = function () { draw(1); };
  update();
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
    var start;
    frame = requestAnimationFrame(function step(now) {
      var t = Math.min(1, (now - (start = start || now)) / 2200);
      draw(t * t * (3 - 2 * t));
      if (t < 1) frame = requestAnimationFrame(step);
    });
  }
})();
