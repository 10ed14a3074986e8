// The data of the page (v1::RunReport, samples and dots as columns) and the functions that build elements from it. Text
// of the data only ever becomes text nodes, never markup.

const BUDGET_BYTES_PER_MINUTE = 50000;  // SPEC-12
const data = JSON.parse(document.getElementById("data").textContent);
const s = data.summary;
const samples = data.samples;
const rows = samples.seconds.length;
const $ = (id) => document.getElementById(id);
// A testnet's report lists nodes, which were real processes; a run emulates all of them in one process.
const testnet = s.nodes.length > 0;
for (const e of document.querySelectorAll(testnet ? ".of-run" : ".of-testnet")) e.remove();

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// h("td", {class: "n"}, "text", child) builds an element; strings become text nodes.
function h(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes || {})) if (v !== undefined && v !== null) e.setAttribute(k, v);
  e.append(...children.flat().filter((c) => c !== null && c !== undefined));
  return e;
}

// An icon: one path, stroked in the colour of the text.
const svg = (path) => {
  const ns = "http:" + "//www.w3.org/2000/svg";  // a namespace name; nothing is fetched
  const e = document.createElementNS(ns, "svg");
  const p = document.createElementNS(ns, "path");
  for (const [k, v] of Object.entries({viewBox: "0 0 40 40", "aria-hidden": "true"})) e.setAttribute(k, v);
  for (const [k, v] of Object.entries({d: path, fill: "none", stroke: "currentColor", "stroke-width": "3.4",
    "stroke-linecap": "round", "stroke-linejoin": "round"})) p.setAttribute(k, v);
  e.append(p);
  return e;
};
