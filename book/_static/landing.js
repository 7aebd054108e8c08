// The cover's picture: lines of the score flow x' = h(x) - x of the minimum-norm denoiser on three
// points, in closed form (chapter score-flow, C1), with edges of length 1 at an angle of 90 to 150
// degrees; for acute angles the form does not hold.  A test holds it to the library.
var Cover = (function () {
  var RHO = 0.1, GRID = 26, STEPS = 80, BOX = [-1.1, 1.8, -0.8, 1.8];
  function ramp(z) {
    return Math.min(1, Math.max(0, (z - RHO) / (1 - 2 * RHO)));
  }
  function edge(angle) {
    return [Math.cos(angle * Math.PI / 180), Math.sin(angle * Math.PI / 180)];
  }
  function field(x, y, u) {
    var p = ramp(x), q = ramp(u[0] * x + u[1] * y);
    return [p + u[0] * q - x, u[1] * q - y];
  }
  // from (x, y) to rest (time 22) by Heun's method; a flat list of coordinates
  function trace(x, y, u) {
    var line = [x, y];
    for (var i = 0; i < STEPS; i++) {
      var step = Math.min(0.5, 0.05 * Math.pow(1.04, i));
      var a = field(x, y, u), b = field(x + step * a[0], y + step * a[1], u);
      line.push(x += step * (a[0] + b[0]) / 2, y += step * (a[1] + b[1]) / 2);
    }
    line.sum = Math.hypot(x - 1 - u[0], y - u[1]) < 0.05;
    return line;
  }
  function lines(angle) {
    var u = edge(angle), out = [];
    for (var i = 0; i < GRID * GRID; i++) {
      // rows are shifted by the golden ratio, or the starts line up
      var row = Math.floor(i / GRID), column = i % GRID + (row * 0.618) % 1;
      out.push(trace(BOX[0] + (BOX[1] - BOX[0]) * column / GRID,
        BOX[2] + (BOX[3] - BOX[2]) * (row + 0.5) / GRID, u));
    }
    return out;
  }
  return { edge: edge, field: field, trace: trace, lines: lines, BOX: BOX };
})();

if (typeof document !== "undefined") (function () {
  function get(id) { return document.getElementById("im-" + id); }
  var canvas = get("flow"), slider = get("angle"), c = canvas.getContext("2d");
  var box = Cover.BOX, all, frame, forced = matchMedia("(forced-colors: active)");

  function draw(part) {
    var scale = Math.min(devicePixelRatio || 1, 2), width = canvas.clientWidth;
    var k = width / (box[1] - box[0]), u = Cover.edge(+slider.value);
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
    all = Cover.lines(angle);
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
