// The cover's picture: lines of the score flow of the minimum-norm denoiser on three points.
// Closed form (chapter score-flow, C1): x' = h(x) - x with h(x) = sum_n u_n ramp(u_n . x), edges of
// length 1 at `angle` degrees from the origin, noise radius RHO.  A test holds it to the library.
// It holds from 90 to 150 degrees only; for acute data it is not the minimum-norm denoiser.
var Cover = (function () {
  var RHO = 0.2, GRID = 26, STEP = 0.15, STEPS = 90, BOX = [-1.1, 1.8, -0.8, 1.8];
  function ramp(z) {
    return z <= RHO ? 0 : z >= 1 - RHO ? 1 : (z - RHO) / (1 - 2 * RHO);
  }
  function edge(angle) {
    var a = angle * Math.PI / 180;
    return [Math.cos(a), Math.sin(a)];
  }
  function field(x, y, u) {
    var p = ramp(x), q = ramp(u[0] * x + u[1] * y);
    return [p + u[0] * q - x, u[1] * q - y];
  }
  // one line from (x, y): Heun's method, as a flat list of coordinates; the last pair is at rest
  function trace(x, y, u) {
    var line = [x, y];
    for (var i = 0; i < STEPS; i++) {
      var a = field(x, y, u), b = field(x + STEP * a[0], y + STEP * a[1], u);
      x += STEP * (a[0] + b[0]) / 2;
      y += STEP * (a[1] + b[1]) / 2;
      line.push(x, y);
    }
    return line;
  }
  function isSum(x, y, u) {
    return Math.hypot(x - 1 - u[0], y - u[1]) < 0.1;
  }
  function lines(angle) {
    var u = edge(angle), out = [];
    for (var i = 0; i < GRID * GRID; i++) {
      // a golden-ratio shift row by row keeps the starts from lining up
      var row = Math.floor(i / GRID), col = (i % GRID + (row * 0.618034) % 1) / GRID;
      var line = trace(BOX[0] + (BOX[1] - BOX[0]) * col,
        BOX[2] + (BOX[3] - BOX[2]) * (row + 0.5) / GRID, u);
      line.sum = isSum(line[line.length - 2], line[line.length - 1], u);
      out.push(line);
    }
    return out;
  }
  return { ramp: ramp, edge: edge, field: field, trace: trace, lines: lines, RHO: RHO, BOX: BOX };
})();

if (typeof document !== "undefined") (function () {
  var canvas = document.getElementById("im-flow"), slider = document.getElementById("im-angle");
  if (!canvas || !slider) return;
  var context = canvas.getContext("2d"), shown = document.getElementById("im-angle-value");
  var count = document.getElementById("im-count"), box = Cover.BOX, all, frame = 0;
  var PREFER = "#ff9359", WITHOUT = "#9fbeff", GROUND;

  function draw(part) {
    var scale = Math.min(window.devicePixelRatio || 1, 2), w = canvas.clientWidth;
    var k = w / (box[1] - box[0]), u = Cover.edge(+slider.value);
    canvas.width = w * scale;
    canvas.height = Math.round(w * 574 / 640 * scale);
    GROUND = getComputedStyle(canvas.closest(".im-cover")).backgroundColor;
    context.setTransform(k * scale, 0, 0, -k * scale, -box[0] * k * scale, box[3] * k * scale);
    context.lineWidth = 0.9 / k;
    [false, true].forEach(function (sum) {
      var colour = sum ? WITHOUT : PREFER;
      context.beginPath();
      context.strokeStyle = context.fillStyle = colour;
      all.forEach(function (line) {
        if (line.sum !== sum) return;
        var last = Math.max(1, Math.round(part * (line.length / 2 - 1)));
        context.moveTo(line[0], line[1]);
        for (var i = 1; i <= last; i++) context.lineTo(line[2 * i], line[2 * i + 1]);
      });
      context.globalAlpha = 0.34;
      context.stroke();
      context.globalAlpha = 0.6;
      all.forEach(function (line) {
        if (line.sum === sum) context.fillRect(line[0] - 0.9 / k, line[1] - 0.9 / k, 1.8 / k, 1.8 / k);
      });
      context.globalAlpha = 1;
    });
    [[0, 0], [1, 0], u].forEach(function (p) { dot(p, 7.5, PREFER, PREFER); });
    dot([1 + u[0], u[1]], 6, WITHOUT, GROUND);
    function dot(p, r, edge, fill) {
      context.beginPath();
      context.arc(p[0], p[1], r / k, 0, 7);
      context.fillStyle = fill;
      context.strokeStyle = edge;
      context.lineWidth = 3 / k;
      context.fill();
      context.stroke();
    }
  }
  function update() {
    var angle = +slider.value, share;
    all = Cover.lines(angle);
    share = Math.round(100 * all.filter(function (l) { return l.sum; }).length / all.length);
    shown.textContent = angle + "°";
    slider.setAttribute("aria-valuetext", angle + " degrees");
    slider.style.setProperty("--at", (angle - 90) / 0.6 + "%");
    count.textContent = share
      ? share + " in 100 lines end at the hollow point: a sum of two training points, which nobody put in the data."
      : "No line ends at the hollow point any more. Every one of them ends at a training point.";
    cancelAnimationFrame(frame);
    draw(1);
  }
  slider.addEventListener("input", update);
  window.addEventListener("resize", function () { draw(1); });
  update();
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
    var start;
    frame = requestAnimationFrame(function step(now) {
      start = start || now;
      var t = Math.min(1, (now - start) / 2200);
      draw(t * t * (3 - 2 * t));
      if (t < 1) frame = requestAnimationFrame(step);
    });
  }
})();
