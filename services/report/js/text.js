// Formats numbers, values and names for readers.

const NONE = "n/a";
const HUGE = 1e15;  // from here on powers of ten
const missing = (v) => v === null || v === undefined || Number.isNaN(v);
const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const power = (e) => "10" + (e < 0 ? "⁻" : "") + [...String(Math.abs(e))].map((d) => SUPERSCRIPT[d]).join("");
function fixed(v, digits) {
  if (missing(v)) return NONE;
  if (Math.abs(v) >= HUGE) return short(v);
  const text = Number(v).toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits});
  return /[1-9]/.test(text) ? text.replace("-", "−") : text.replace("-", "");
}
function whole(v) {
  if (missing(v)) return NONE;
  if (typeof v === "number" && Math.abs(v) >= HUGE) return short(v);
  return (typeof v === "string" ? BigInt(v) : BigInt(Math.round(v))).toLocaleString("en-US").replace("-", "−");
}
// Formats a number of any size with three significant digits.
function short(v) {
  if (missing(v)) return NONE;
  if (v === 0) return "0";
  const a = Math.abs(v);
  if (a >= HUGE || a < 1e-3) {
    const e = Math.floor(Math.log10(a));
    const m = (v / 10 ** e).toPrecision(3).replace("-", "−");
    return Math.abs(m) === 10 ? `1.00 × ${power(e + 1)}` : `${m} × ${power(e)}`;
  }
  return fixed(v, a >= 100 ? 0 : a >= 10 ? 1 : a >= 1 ? 2 : Math.min(5, 2 - Math.floor(Math.log10(a))));
}
function scaled(v, units, step) {
  if (missing(v)) return NONE;
  let u = 0;
  while (u + 1 < units.length && Math.abs(v) >= step) { v /= step; ++u; }
  const digits = u === 0 ? (Math.abs(v) < 10 && v % 1 ? 1 : 0) : Math.abs(v) >= 100 ? 0 : 1;
  return `${fixed(v, digits)} ${units[u]}`.trim();
}
const large = (v) => missing(v) ? NONE : Math.abs(v) < 1e6 ? whole(v) : scaled(v / 1e6, ["million", "billion"], 1000);
const bytes = (v) => scaled(v, ["B", "KB", "MB", "GB"], 1000);
const seconds = (v) => missing(v) ? NONE : `${fixed(v, v >= 100 ? 0 : v % 1 ? (v < 10 ? 2 : 1) : 0)} s`;
function percent(v) {
  if (missing(v)) return NONE;
  return v === 0 ? "0 %" : `${Math.abs(v) < 0.1 ? short(v * 100) : fixed(v * 100, 1)} %`;
}
const many = (n, one, more = one + "s") => `${whole(n)} ${Number(n) === 1 ? one : more}`;
const cyclesTo = (v) => missing(v) ? NONE : v < 0 ? "not reached" : many(v, "cycle");
// Formats micro-VU exactly: 12,345.678901 VU.
function vu(uvu) {
  if (missing(uvu)) return NONE;
  if (typeof uvu === "number" && Math.abs(uvu) >= 1e20) return `${short(uvu / 1e6)} VU`;
  const v = BigInt(typeof uvu === "string" ? uvu : Math.round(uvu));
  const a = v < 0n ? -v : v;
  const part = a % 1000000n;
  const text = (a / 1000000n).toLocaleString("en-US") + (part ? "." + String(part).padStart(6, "0").replace(/0+$/, "") : "");
  return `${v < 0n ? "−" : ""}${text} VU`;
}
const vuShort = (v) => missing(v) ? NONE : `${Math.abs(v) < 0.1 ? short(v) : fixed(v, 2)} VU`;
// Formats a number on an axis, as short as possible.
const plain = (v) => Number(v.toPrecision(6)).toLocaleString("en-US");
const words = (name) => String(name).replace(/[_-]+/g, " ");

// A threshold's value in the unit that its metric's name ends in.
function metricValue(t) {
  const v = t.value;
  if (missing(v)) return "no value";
  const name = t.metric;
  if (/_uvu$/.test(name)) return vu(v);
  if (/bytes|_kb$/.test(name)) return /per_micro_node|resident/.test(name) ? `${whole(v)} B` : bytes(v);
  if (/recovery\.seconds/.test(name) && v < 0) return "did not recover";
  if (/seconds$/.test(name)) return seconds(v);
  if (/cycles_to/.test(name)) return cyclesTo(v);
  if (/_ms$|_ms_/.test(name)) return `${fixed(v, 1)} ms`;
  if (/loss|share/.test(name)) return percent(v);
  return Number.isInteger(v) ? whole(v) : short(v);
}
