// Unit tests of the parts that need no browser. Cases shared with Python come from fixtures that
// tests/lib/test_explorer_js.py writes from the library and passes in EXPLORER_FIXTURES.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

import { shade } from "../src/draw.js";
import { fillSentence, formatPower, formatValue, parseValue, writeValue } from "../src/format.js";
import { answered, isRight } from "../src/predict.js";
import { positionOf, readHash, valueAt, writeHash } from "../src/state.js";
import { canonical, corners, decode, gridIndex, isEnabled, lookup } from "../src/table.js";

const slider = (name, values, more = {}) => ({
  name, kind: "slider", values, default: 1, nearest: false, frames: false, log: false, integer: false, enabled: {}, ...more,
});
const flow = { name: "flow", kind: "choice", values: ["a", "b"], default: 0, enabled: {} };

describe("format", () => {
  it("writes numbers", () => {
    assert.equal(formatValue(-0.001, ".2f"), "0.00");
    assert.equal(formatValue(-1.5, ".1f"), "−1.5");
    assert.equal(formatValue(0.904, ".0%"), "90\u202f%");
    assert.equal(formatValue(6.9e-8), "6.9 × 10⁻⁸");
    assert.equal(formatValue(NaN, ".2f"), "–");
    assert.equal(formatPower(1e-5), "10⁻⁵");
    assert.equal(formatPower(100), "100");
  });
  it("reads what it writes, and what people type", () => {
    for (const value of [0, 1.5, -2, 0.00012345, 6.9e-8, -1.25e12, 1000.4, 0.143])
      for (const spec of ["", "d", ".1f", ".2e", ".3g", ".0%"]) {
        const text = writeValue(value, spec, (v) => Math.abs(v - value) <= 1e-9 * Math.abs(value));
        assert.ok(Math.abs(parseValue(text, spec) - value) <= 1e-9 * Math.abs(value), `${value} ${spec}: ${text}`);
      }
    assert.equal(writeValue(0.155, ".2f", (v) => v === 0.155), "0.155");
    assert.equal(writeValue(0.2, ".2f", (v) => v === 0.2), "0.20");
    const typed = [["1e-3", 0.001], [" .5 ", 0.5], ["−2", -2], ["1.5 × 10⁻³", 0.0015], ["1.5*10^-3", 0.0015], ["0,25", 0.25], ["+3.", 3]];
    for (const [text, value] of typed) assert.equal(parseValue(text), value);
    assert.equal(parseValue("90", ".0%"), 0.9);
    assert.equal(parseValue("90 %", ".0%"), 0.9);
    assert.equal(parseValue("94.5°", "", "°"), 94.5);
    assert.equal(parseValue("12 nats", "", " nats"), 12);
    for (const text of ["", "x", "1 or 2", "1,000", "--1", "1e", ".", "Infinity", "0x10", "1/2"]) assert.ok(Number.isNaN(parseValue(text)), text);
  });
  it("fills sentences", () => {
    const read = (name, index) => (name === "flow" ? "score" : [0.25, 0.5][index]);
    assert.equal(fillSentence("{flow}: {share[1]:.0%}", read), "score: 50\u202f%");
  });
});

describe("state", () => {
  it("goes from position to value and back", () => {
    const linear = slider("a", [0, 1, 4]);
    assert.equal(valueAt(linear, 1.5), 2.5);
    assert.equal(positionOf(linear, "2.5"), 1.5);
    const log = slider("a", [0.01, 1, 100], { log: true });
    assert.equal(valueAt(log, 0.5), 0.1);
    assert.ok(Math.abs(positionOf(log, "0.1") - 0.5) < 1e-12);
    assert.equal(valueAt(slider("n", [2, 5], { integer: true }), 0.5), 4);
  });
  it("keeps every digit of a value", () => {
    const cases = [
      [slider("a", [1000, 1001]), [1000.4, 1000.9, 1000.123456]],
      [slider("a", [0, 1000, 5000]), [0.5, 0.123456, 4999.999999]],
      [slider("a", [-1, 0.3, 2]), [0, -1e-6, 1.1, 0.1]],
      [slider("a", [1e-3, 1e-2, 1], { log: true }), [0.00123456789, 0.0155, 0.3]],
      [slider("a", [1e15, 3e15]), [1.5e15]],
    ];
    for (const [control, values] of cases)
      for (const value of values) assert.equal(valueAt(control, positionOf(control, String(value))), value);
  });
  it("refuses what a URL cannot ask for", () => {
    for (const text of ["", "x", "-1", "5", "NaN"]) assert.equal(positionOf(slider("a", [0, 1, 4]), text), null);
    assert.equal(positionOf(flow, "c"), null);
  });
  it("keeps several explorers in one hash and leaves plain anchors alone", () => {
    const states = new Map([["one", new URLSearchParams({ a: "1", b: "x;&?=" })], ["two", new URLSearchParams({ c: "2" })]]);
    const again = readHash(writeHash(states));
    assert.deepEqual([...again.get("one")], [["a", "1"], ["b", "x;&?="]]);
    assert.equal(again.get("two").get("c"), "2");
    assert.equal(readHash("#score-flow/C1").size, 0);
    // programs that pass an address on write its marks in their own way
    for (const hash of ["#one%3Fa=1&b=2;two%3fc=3", "#one%3Fa%3D1%26b%3D2%3Btwo%3Fc%3D3"]) {
      const found = readHash(hash);
      assert.deepEqual([...found.get("one")], [["a", "1"], ["b", "2"]]);
      assert.equal(found.get("two").get("c"), "3");
    }
    assert.equal(readHash("#one?b=x%3Fy").get("one").get("b"), "x?y");
    assert.equal(writeHash(new Map([["one", new URLSearchParams()]])), "");
  });
});

describe("grid", () => {
  const off = slider("s", [0, 1, 2], { enabled: { flow: [1] } });
  const controls = [flow, off, slider("t", [0, 1, 2, 3], { frames: true })];
  it("counts a setting that differs only where it has no effect once, and frames never", () => {
    assert.equal(gridIndex(controls).size, 1 + 3);
    assert.deepEqual(canonical(controls, [0, 2, 3]), [0, 1, 3]);
    assert.equal(isEnabled(controls, [0, 0, 0], off), false);
  });
  it("interpolates between grid values, never between options", () => {
    const plain = [flow, slider("x", [0, 1]), slider("y", [0, 1])];
    const cell = corners(plain, gridIndex(plain), [1, 0.25, 0.5]);
    assert.deepEqual(new Map(cell), new Map([[4, 0.375], [5, 0.375], [6, 0.125], [7, 0.125]]));
    const steps = [flow, slider("x", [0, 1], { nearest: true })];
    assert.deepEqual(corners(steps, gridIndex(steps), [1, 0.7]), [[3, 1]]);
  });
  it("looks arrays up: linear, logarithmic, classes, gaps", () => {
    const entry = (values, more) => ({ size: 1, index: [0, 1], values: Float32Array.from(values), ...more });
    const cell = [[1, 0.75], [0, 0.25]];
    assert.equal(lookup(entry([0, 4]), cell)[0], 3);
    assert.equal(lookup(entry([0, 4], { log: true }), cell)[0], 1000);
    assert.equal(lookup(entry([0, 4], { whole: true }), cell)[0], 4);
    assert.ok(Number.isNaN(lookup(entry([NaN, 4]), cell)[0]));
  });
});

it("shades values, and nothing for a gap", () => {
  const number = shade([1, 100], true, 256);
  assert.deepEqual([1, 10, 100, 1000].map(number), [0, 128, 255, 255]);
  assert.ok(Number.isNaN(number(NaN)));
});

describe("predict", () => {
  const which = { question: "q", choices: ["up", "down"], answer: 1, tolerance: null };
  const number = { question: "q", choices: null, answer: 0.37, tolerance: 0.05 };
  it("judges", () => {
    assert.deepEqual([0, 1].map((k) => isRight(which, k)), [false, true]);
    assert.deepEqual([0.31, 0.32, 0.42, 0.43].map((v) => isRight(number, v)), [false, true, true, false]);
  });
  it("knows what was kept, and nothing else", () => {
    for (const given of [0, 1, null]) assert.equal(answered(which, JSON.stringify(["q", given])), given);
    for (const given of [-2.5, 0, null]) assert.equal(answered(number, JSON.stringify(["q", given])), given);
    const others = [null, undefined, "", "x", "{}", "3", "[]", '["q"]', '["other", 1]', '["q", 2]', '["q", "length"]', '["q", 0.5]'];
    for (const text of others) assert.equal(answered(which, text), undefined, text);
    assert.equal(answered(number, '["q", "1"]'), undefined);
  });
});

const path = process.env.EXPLORER_FIXTURES;
describe("agrees with Python", { skip: !path && "EXPLORER_FIXTURES is not set (run through pytest)" }, () => {
  const fixtures = path ? JSON.parse(readFileSync(path, "utf8")) : {};
  it("in how numbers are written", () => {
    for (const [value, spec, text] of fixtures.formats) {
      assert.equal(formatValue(value, spec), text, `${value} ${spec}`);
    }
  });
  it("in the table at every grid point", async () => {
    for (const { spec, points, columns } of fixtures.tables) {
      const numbers = gridIndex(spec.controls);
      assert.equal(numbers.size, points);
      const table = await decode(spec.data, spec.arrays, points);
      for (const { name } of spec.arrays) {
        columns[name].forEach((row, n) => {
          const found = lookup(table.get(name), [[n, 1]]);
          assert.equal(found.length, row.length);
          row.forEach((want, i) => {
            const close = want === null ? Number.isNaN(found[i]) : Math.abs(found[i] - want) <= 2e-6 * Math.max(1, Math.abs(want));
            assert.ok(close, `${spec.id} ${name} point ${n} element ${i}: ${found[i]} is not ${want}`);
          });
        });
      }
    }
  });
});
