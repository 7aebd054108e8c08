// Numbers as the Python side writes them (lib/implicitly/explorer/text.py); tests compare the two.

const SUPER = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const raised = (exponent) => [...String(Number(exponent))].map((c) => SUPER[c]).join("");
const power = (exponent) => " × 10" + raised(exponent);
const trim = (text) => (text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text);

export function formatValue(value, spec = "") {
  const [, digits, kind] = /^(?:\.(\d+))?([fge%d]?)$/.exec(spec);
  if (Number.isNaN(value)) return "–";
  let text;
  if (kind === "d") text = value.toFixed(0);
  else if (kind === "%") text = (100 * value).toFixed(digits ?? 0) + "\u202f%";
  else if (kind === "f") text = value.toFixed(digits ?? 6);
  else if (kind === "e") {
    const [mantissa, exponent] = value.toExponential(digits ?? 6).split("e");
    text = mantissa + power(exponent);
  } else {
    const n = Number(digits) || 3;
    const [mantissa, exponent] = value.toExponential(n - 1).split("e");
    if (value && !(exponent >= -4 && exponent < Math.max(n, 5))) text = trim(mantissa) + power(exponent);
    else text = trim(value.toFixed(Math.max(0, n - 1 - exponent)));
  }
  if (/^-[0.]*(\u202f%)?$/.test(text)) text = text.slice(1);
  return text.replace("-", "−");
}

// A tick at a power of ten.
export const formatPower = (value) => {
  const exponent = Math.round(Math.log10(value));
  return exponent >= -2 && exponent <= 3 ? formatValue(value, ".6g") : "10" + raised(exponent);
};

// A sentence with {name}, {name[0]:.0%}; `read(name, index)` gives a number or ready text.
export function fillSentence(template, read) {
  return template.replace(/\{([A-Za-z_]\w*)(?:\[(\d+)\])?(?::([^{}]*))?\}/g, (_, name, index, spec) => {
    const value = read(name, index === undefined ? null : Number(index));
    return typeof value === "string" ? value : formatValue(value, spec ?? "");
  });
}
