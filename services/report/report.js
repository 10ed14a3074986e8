// Fills report.html from its data (v1::RunReport, samples and dots as columns). Text of the data only ever becomes
// text nodes.
(() => {
"use strict";

const BUDGET_BYTES_PER_MINUTE = 50000;  // SPEC-12
const data = JSON.parse(document.getElementById("data").textContent);
const s = data.summary;
const samples = data.samples;
const rows = samples.seconds.length;
const $ = (id) => document.getElementById(id);
// The nodes of a testnet were real processes; a run emulates everything, in one.
const testnet = s.nodes.length > 0;
for (const e of document.querySelectorAll(testnet ? ".of-run" : ".of-testnet")) e.remove();

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// h("td", {class: "n"}, "text", child): an element; strings become text.
function h(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes || {})) if (v !== undefined && v !== null) e.setAttribute(k, v);
  e.append(...children.flat().filter((c) => c !== null && c !== undefined));
  return e;
}

// ---- Numbers as people read them -----------------------------------------------------------------------------------

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
// Three significant digits, whatever the size.
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
// Micro-VU, exact: 12,345.678901 VU.
function vu(uvu) {
  if (missing(uvu)) return NONE;
  if (typeof uvu === "number" && Math.abs(uvu) >= 1e20) return `${short(uvu / 1e6)} VU`;
  const v = BigInt(typeof uvu === "string" ? uvu : Math.round(uvu));
  const a = v < 0n ? -v : v;
  const part = a % 1000000n;
  const text = (a / 1000000n).toLocaleString("en-US") + (part ? "." + String(part).padStart(6, "0") : "");
  return `${v < 0n ? "−" : ""}${text} VU`;
}
const vuShort = (v) => missing(v) ? NONE : `${Math.abs(v) < 0.1 ? short(v) : fixed(v, 2)} VU`;
// A number on an axis, as short as it goes.
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

// ---- Head ----------------------------------------------------------------------------------------------------------

const svg = (path) => {
  const ns = "http:" + "//www.w3.org/2000/svg";  // a name, nothing is fetched
  const e = document.createElementNS(ns, "svg");
  const p = document.createElementNS(ns, "path");
  for (const [k, v] of Object.entries({viewBox: "0 0 40 40", "aria-hidden": "true"})) e.setAttribute(k, v);
  for (const [k, v] of Object.entries({d: path, fill: "none", stroke: "currentColor", "stroke-width": "3.4",
    "stroke-linecap": "round", "stroke-linejoin": "round"})) p.setAttribute(k, v);
  e.append(p);
  return e;
};
const RING = "M20 3a17 17 0 1 1 0 34a17 17 0 1 1 0-34";

function head() {
  $("about").textContent = data.about;
  const failed = s.thresholds.filter((t) => !t.passed).length;
  const all = s.thresholds.length;
  const limits = (n) => `${n} ${n === 1 ? "threshold" : "thresholds"}`;
  const held = all === 0 ? "The scenario sets no thresholds."
    : failed === 0 ? (all === 1 ? "The one threshold held." : `All ${all} thresholds held.`)
    : `${failed} of ${limits(all)} did not hold: ${s.thresholds.filter((t) => !t.passed).map((t) => t.metric)
        .slice(0, 4).join(", ")}${failed > 4 ? ", …" : ""}.`;
  const ran = testnet ? `Recorded for ${seconds(s.wall_seconds)}, ${whole(s.cycles)} cycles`
    : `${whole(s.cycles)} cycles, ${seconds(s.virtual_seconds)} of virtual time`;
  const [kind, word, text, icon] =
    !s.complete ? ["partial", "Partial", `Stopped early, after ${seconds(s.virtual_seconds)}. The figures are those of the cycles that were run. ` +
      held, "M20 10v10l7 5"]
    : s.passed ? ["passed", "Passed", `${held} ${ran}.`, "M12 20.5l5.5 5.5L28.5 14.5"]
    : ["failed", "Failed", `${held}`, "M14 14l12 12M26 14l-12 12"];
  $("verdict").append(h("div", {class: `verdict ${kind}`, role: "status"}, svg(`${RING} ${icon}`),
    h("div", {}, h("strong", {}, word), h("br"), h("span", {}, text))));

  const b = s.bandwidth.bytes_per_node_minute;
  const realtime = s.virtual_seconds / s.wall_seconds;
  const fill = h("i", {class: b > BUDGET_BYTES_PER_MINUTE ? "over" : ""});
  fill.style.width = `${Math.min(100, 100 * b / BUDGET_BYTES_PER_MINUTE)}%`;
  const figure = (value, unit) => [value, unit ? h("small", {}, " " + unit) : null];
  const serve = s.nodes.filter((n) => n.state === "SERVING").length;
  const contributions = Number(s.ledger.contributions);
  const [load] = s.loads;
  const ledgers = new Set(s.nodes.filter((n) => n.state === "SERVING").map((n) => n.ledger_digest)).size;
  const missingValue = ["Missing value", figure(...vu(s.ledger.missing_uvu).split(" ")),
    Number(s.ledger.missing_uvu) === 0 ? (testnet ? "every node holds what any node holds" : "nothing accepted was lost")
      : "accepted, and lacking in some replica"];
  const bandwidth = ["Bandwidth", figure(...bytes(b).split(" ")), [h("span", {class: "gauge"}, fill),
    `a node a minute, ${fixed(100 * b / BUDGET_BYTES_PER_MINUTE, 0)} % of the 50 KB budget`]];
  const tiles = testnet ? [
    ["Server nodes", figure(whole(s.server_nodes)), `${whole(serve)} serving at the end`],
    ["Micro-nodes", figure(whole(s.micro_nodes)), `${whole(s.replicas)} replicas of ${many(s.shards, "shard")}`],
    ["Ledgers", figure(whole(ledgers)), ledgers === 1 ? "all nodes agree, to the last entry" : "different ones at the end"],
    missingValue,
    ["Contributions", figure(whole(contributions)), contributions
      ? `taken; ${fixed(contributions / s.wall_seconds, 1)} a second over the whole time` : "nobody brought any"],
    ["Latency", load ? figure(fixed(load.p50_ms, 0), "ms") : figure(NONE),
      load ? `half of the load; 99 % within ${fixed(load.p99_ms, 0)} ms` : "no load was measured"],
    ["Final spread", figure(short(s.drift.relative_spread)), "of states drawn at random, over all processes"],
    bandwidth,
  ] : [
    ["Micro-nodes", figure(whole(s.micro_nodes)), `${whole(s.micro_nodes_alive)} alive at the end`],
    ["Replicas", figure(whole(s.replicas)), `of ${many(s.shards, "shard")}, on ${many(s.server_nodes, "server node")}`],
    ["Drift cycles", figure(whole(s.cycles)),
      `${seconds(s.virtual_seconds)} virtual, ${seconds(s.wall_seconds)} on the clock`],
    ["Speed", figure(large(s.micro_node_cycles_per_second), "node cycles/s"),
      s.wall_seconds > 0 ? `${short(realtime)} × real time, ${large(s.replica_cycles_per_second)} replica cycles/s`
        : ""],
    ["Memory", figure(whole(s.resident_bytes_per_micro_node), "bytes a node"),
      "resident, the whole process shared out"],
    missingValue,
    ["Final spread", figure(short(s.drift.relative_spread)), s.drift.reduction_per_cycle > 0
      ? `of the start; it fell ${short(s.drift.reduction_per_cycle)}-fold a cycle` : "of the start"],
    bandwidth,
  ];
  for (const [name, value, note] of tiles) {
    $("tiles").append(h("div", {}, h("dt", {}, name), h("dd", {class: "figure"}, value),
      h("dd", {class: "note"}, note)));
  }

  const copy = h("button", {type: "button"}, "Copy");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(s.replay);
      copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(copy.previousSibling);
      copy.textContent = document.execCommand("copy") ? "Copied" : "Selected";
    }
    setTimeout(() => { copy.textContent = "Copy"; }, 1600);
  });
  const provenance = [
    [testnet ? "One like it" : "Run it again", s.replay && h("span", {class: "command"}, h("code", {}, s.replay), copy)],
    ["Seed", !testnet && h("code", {}, String(s.seed))],
    ["State hash", s.state_hash && h("code", {}, s.state_hash)],
    ["Build", s.build && h("code", {}, s.build)],
    ["Rule and engine", !testnet && [s.rule && `${s.rule.toLowerCase()} rule`, many(s.threads, "thread"),
      s.simd_target, `started in ${seconds(s.startup_seconds)}`].filter(Boolean).join(", ")],
  ];
  for (const [name, value] of provenance) if (value) $("provenance").append(h("dt", {}, name), h("dd", {}, value));
  $("foot").textContent =
    `Living Value System · ${s.scenario} · ` +
    (testnet ? `build ${s.build || "unknown"}. ` : `seed ${s.seed} · state ${s.state_hash || "unknown"}. `) +
    "Aggregates only: no micro-node and no session is named. This file holds all of its data and fetches nothing.";
  $("yaml").querySelector("pre").textContent = data.scenario_yaml || "(not recorded)";
}

// ---- Tables --------------------------------------------------------------------------------------------------------

function table(className, headings, body) {
  return h("div", {class: "scroll"}, h("table", {class: className},
    h("thead", {}, h("tr", {}, headings.map((c) => h("th", {scope: "col", class: c.n ? "n" : null}, c.t ?? c)))),
    h("tbody", {}, body)));
}
const none = (text) => h("p", {class: "none"}, text);

function nodes() {
  const digests = [...new Set(s.nodes.map((n) => n.ledger_digest))];
  $("nodes").append(h("div", {class: "block"}, table("cluster", ["Node", "Region", "State", {t: "Starts", n: 1},
    {t: "Peers", n: 1}, {t: "Contributions", n: 1}, {t: "Refused", n: 1}, {t: "Frames out, in", n: 1},
    {t: "Sent a minute", n: 1}, {t: "CPU", n: 1}, {t: "Memory", n: 1}, "Ledger", {t: "Behind", n: 1}],
  s.nodes.map((n) => {
    const serves = n.state === "SERVING";
    const swatch = h("i", {class: "swatch"});
    const line = s.nodes.indexOf(n);
    swatch.style.background = line < data.nodes.length ? `var(--r${line % 8})` : "transparent";
    return h("tr", {}, h("th", {scope: "row"}, swatch, n.name.replace(/^node /, "")), h("td", {}, n.region),
      h("td", {class: `mark ${serves ? "passed" : "failed"}`}, serves ? "serving" : n.state.toLowerCase()),
      h("td", {class: "n"}, whole(n.starts)), h("td", {class: "n"}, whole(n.peers)),
      h("td", {class: "n"}, whole(n.accepted)), h("td", {class: "n"}, whole(n.refused)),
      h("td", {class: "n"}, `${large(n.frames_sent)}, ${large(n.frames_received)}`),
      h("td", {class: "n"}, bytes(n.bytes_sent_per_minute)), h("td", {class: "n"}, percent(n.cpu_share)),
      h("td", {class: "n"}, bytes(Number(n.resident_bytes))),
      h("td", {}, h("code", {}, serves ? n.ledger_digest.slice(0, 8) : "")),
      h("td", {class: "n"}, serves ? vu(n.behind_uvu) : ""));
  })), h("p", {class: "how"}, digests.length === 1 ? "Equal digests are equal ledgers, entry by entry. " : "",
    "CPU is of one core. Starts count the times that a node came up or was there when the recording began.")));
  if (!data.faults.length) return;
  $("happened").append(h("div", {class: "block"}, h("h3", {}, "What was done to it"),
    table("", ["What", {t: "From", n: 1}, {t: "Until", n: 1}, {t: "For", n: 1}], data.faults.map((f) => h("tr", {},
      h("th", {scope: "row"}, f.label), h("td", {class: "n"}, seconds(f.from_seconds)),
      h("td", {class: "n"}, f.to_seconds >= timeEnd ? "the end" : seconds(f.to_seconds)),
      h("td", {class: "n"}, seconds(f.to_seconds - f.from_seconds)))))));
}

function loads() {
  if (!s.loads.length) return;
  const ms = (v) => `${short(v)} ms`;
  $("loads").append(h("div", {class: "block"}, h("h3", {}, "The load", h("small", {}, "open model: latency counts from the time that each was due")),
    table("", [{t: "Wanted", n: 1}, "Safe where", {t: "Offered", n: 1}, {t: "Acknowledged", n: 1}, {t: "Failed", n: 1},
      {t: "Repeated", n: 1}, {t: "p50", n: 1}, {t: "p90", n: 1}, {t: "p99", n: 1}, {t: "p99.9", n: 1}, {t: "Highest", n: 1}],
    s.loads.map((l) => h("tr", {}, h("td", {class: "n"}, `${short(l.rate)}/s, ${seconds(l.seconds)}`),
      h("td", {}, l.durability), h("td", {class: "n"}, whole(l.offered)), h("td", {class: "n value"}, whole(l.acknowledged)),
      h("td", {class: "n"}, whole(Number(l.failed) + Number(l.not_sent))), h("td", {class: "n"}, whole(l.repeated_attempts)),
      [l.p50_ms, l.p90_ms, l.p99_ms, l.p999_ms, l.max_ms].map((v) => h("td", {class: "n"}, ms(v))))))));
}

function thresholds() {
  if (!s.thresholds.length) return $("thresholds").append(none("This scenario sets no thresholds."));
  $("thresholds").append(table("thresholds", ["Metric", "When", "Limit", {t: "Value", n: 1}, "Verdict", "Requirement"],
    s.thresholds.map((t) => h("tr", {class: t.passed ? "passed" : "failed"},
      h("th", {scope: "row"}, t.metric), h("td", {class: "when"}, t.when || "end"), h("td", {class: "limit"}, t.limit),
      h("td", {class: "n value"}, metricValue(t)),
      h("td", {class: `mark ${t.passed ? "passed" : "failed"}`}, t.passed ? "✓ held" : "✕ breached"),
      h("td", {class: "requirement"}, h("span", {class: "ids"},
        t.requirement.split(/[\s,;]+/).filter(Boolean).map((id) => h("span", {}, id))))))));
}

function facts(id, pairs) {
  const inColumns = $(id).parentElement.tagName === "SECTION";
  for (const [name, value] of pairs) {
    const pair = [h("dt", {}, name), h("dd", {}, value)];
    $(id).append(...(inColumns ? [h("div", {}, pair)] : pair));
  }
}

function recoveries() {
  if (!s.recoveries.length) return;
  $("recoveries").append(h("div", {class: "block"}, h("h3", {}, "Recovery after each fault"),
    table("", ["After", {t: "Fault ended at", n: 1}, {t: "Recovered in", n: 1}], s.recoveries.map((r) => h("tr", {},
      h("th", {scope: "row"}, words(r.after)), h("td", {class: "n"}, seconds(r.ended_at_seconds)),
      r.seconds < 0 ? h("td", {class: "n mark failed"}, "not before the end")
        : h("td", {class: "n value"}, seconds(r.seconds))))),
    h("p", {class: "how"}, "Recovered means: every replica holds what had been accepted when the fault ended, and " +
      "states agree to one part in a thousand again.")));
}

function latency() {
  if (!s.latency.length) return $("latency").append(none(testnet ? "One node: there was no link."
    : "One region: there was no link between server nodes."));
  const names = [...new Set([...data.regions, ...s.latency.flatMap((l) => [l.from, l.to])])]
    .filter((n) => s.latency.some((l) => l.from === n || l.to === n));
  const most = Math.max(...s.latency.map((l) => l.mean_ms || 0), 1e-9);
  const cell = (from, to) => {
    const l = s.latency.find((x) => x.from === from && x.to === to);
    if (!l) return h("td", {}, from === to ? h("small", {}, "itself") : h("small", {}, "no link"));
    const sent = Number(l.frames) + Number(l.lost);
    const td = h("td", {}, h("b", {}, `${fixed(l.mean_ms, l.mean_ms < 10 ? 1 : 0)} ms`),
      h("small", {}, `at most ${fixed(l.max_ms, l.max_ms < 10 ? 1 : 0)} ms`),
      h("small", {}, !sent ? "nothing sent" : testnet ? many(sent, "frame")
        : `${fixed(100 * Number(l.lost) / sent, 1)} % lost of ${whole(sent)}`));
    td.style.background = `color-mix(in srgb, var(--c1) ${Math.round(4 + 18 * (l.mean_ms || 0) / most)}%, transparent)`;
    return td;
  };
  $("latency").append(h("div", {class: "block"},
    h("h3", {}, `Latency between ${testnet ? "nodes" : "regions"}`,
      h("small", {}, `mean, highest, ${testnet ? "frames sent" : "share of frames lost"}`)),
    table("matrix", ["from ╲ to", ...names], names.map((from) =>
      h("tr", {}, h("th", {scope: "row"}, from), names.map((to) => cell(from, to))))),
    h("p", {class: "how"}, h("b", {}, "What it shows. "), testnet ? "One way: half of a ping, and the delay that the testnet adds. " : "How long frames took from one server node to another. ",
      h("b", {}, "What good looks like. "), `The ${testnet ? "testnet" : "scenario"}'s own figures: the protocol has to live with them.`)));
}

function split() {
  const b = s.bandwidth;
  const parts = [["State diffs", b.state_diff, "c1"], ["Entropy", b.entropy, "c2"], ["Ledger", b.ledger, "c3"],
    ["Status beacons", b.beacon, "c4"], [`Between ${testnet ? "server nodes" : "regions"}`, b.frames, "c5"]];
  const total = parts.reduce((sum, p) => sum + (p[1] || 0), 0);
  if (!(total > 0)) return $("split").append(none("Nothing was sent."));
  const share = (v) => `${fixed(100 * v / total, 1)} %`;
  $("split").append(h("div", {class: "block"}, h("h3", {}, "What the bytes are", h("small", {}, testnet ? "the whole recording" : "the whole run")),
    h("div", {class: "split", role: "img", "aria-label": parts.map((p) => `${p[0]} ${share(p[1])}`).join(", ")},
      parts.filter((p) => p[1] > 0).map((p) => {
        const i = h("i", {title: `${p[0]}: ${bytes(p[1])} a minute`});
        i.style.cssText = `flex: ${p[1]} 1 0; background: var(--${p[2]})`;
        return i;
      })),
    h("div", {class: "legend"}, parts.map((p) => {
      const swatch = h("i", {class: "swatch"});
      swatch.style.background = `var(--${p[2]})`;
      return h("span", {}, swatch, p[0], h("b", {}, bytes(p[1])), share(p[1]));
    })),
    h("p", {class: "how"}, `In the steady state (the median of the run) a micro-node sent ${bytes(b.bytes_per_node_minute)} ` +
      `a minute, against a budget of 50 KB. Averaged over the whole run, start-up and faults included, it was ` +
      `${bytes(b.average_bytes_per_node_minute)}; that is what the bar splits.`)));
}

function guard() {
  const tally = (title, counts, empty) => {
    const list = Object.entries(counts).filter(([, n]) => Number(n) > 0)
      .sort((a, b) => Number(b[1]) - Number(a[1]) || (a[0] < b[0] ? -1 : 1));
    const most = Math.max(...list.map(([, n]) => Number(n)), 1);
    return h("div", {class: "block"}, h("h3", {}, title), !list.length ? none(empty) :
      table("tally", ["Reason", {t: "Count", n: 1}, ""], list.map(([name, n]) => {
        const bar = h("i");
        bar.style.width = `${100 * Number(n) / most}%`;
        return h("tr", {}, h("th", {scope: "row"}, words(name)), h("td", {class: "n"}, whole(n)),
          h("td", {class: "bar"}, bar));
      })));
  };
  const v = s.vaultguard;
  $("guard").append(tally("Refused", v.refused, "Nothing was refused."),
    tally("Corrections clamped", v.clamped, "No correction went too far."),
    tally("Anomalies raised", v.anomalies, "No anomaly was raised."));
  $("guard").after(h("p", {class: "how"}, `VaultGuard ordered ${many(v.recoveries, "recovery", "recoveries")}.`));
}

// ---- Charts --------------------------------------------------------------------------------------------------------

const FAMILY = {partition: "link", outage: "link", degrade: "link", adversaries: "foe", corrupt: "foe",
  load: "load", scatter: "foe"};
const timeEnd = rows ? samples.seconds[rows - 1] : 0;
const timeStart = rows ? Math.min(samples.seconds[0], 0) : 0;
const bands = data.faults.map((f) => ({
  label: f.label || f.kind, color: `--fault-${FAMILY[f.kind] || "node"}`,
  from: Math.max(timeStart, f.from_seconds || 0),
  to: missing(f.to_seconds) ? timeEnd : Math.min(timeEnd, Math.max(f.to_seconds, f.from_seconds || 0)),
})).filter((f) => f.from <= timeEnd);
const LANE = 17, LANES_MAX = 6;

// Rows for the labels of the bands, so that none lies on another: [{band, lane, x}] for a plot `width` wide.
function lanes(width, context) {
  const placed = [], ends = [];
  for (const band of bands) {
    const scale = (t) => (t - timeStart) / (timeEnd - timeStart || 1) * width;
    const label = Math.min(context.measureText(band.label).width, width);
    const x = Math.max(0, Math.min(scale(band.from), width - label));
    let lane = ends.findIndex((end) => end + 10 <= x);
    if (lane < 0) lane = ends.length;
    if (lane >= LANES_MAX) continue;
    ends[lane] = Math.max(x + label, scale(band.to));
    placed.push({band, lane, x});
  }
  return {placed, count: ends.length};
}
const measure = document.createElement("canvas").getContext("2d");
const FONT = (size) => `${size}px ui-sans-serif, system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif`;

function drawBands(u, labelled) {
  const {ctx, bbox} = u, ratio = devicePixelRatio;
  ctx.save();
  for (const band of bands) {
    const left = Math.max(bbox.left, u.valToPos(band.from, "x", true));
    const right = Math.min(bbox.left + bbox.width, u.valToPos(band.to, "x", true));
    if (right < bbox.left || left > bbox.left + bbox.width) continue;
    ctx.fillStyle = css(band.color);
    // A fault that lasts most of the run is a backdrop for the others.
    ctx.globalAlpha = Number(css("--band")) * (band.to - band.from > 0.4 * (timeEnd - timeStart) ? 0.45 : 1.1);
    ctx.fillRect(left, bbox.top, Math.max(right - left, ratio), bbox.height);
  }
  if (labelled) {
    measure.font = FONT(11);
    const {placed, count} = lanes(bbox.width / ratio, measure);
    const whole = u.scales.x.min <= timeStart && u.scales.x.max >= timeEnd;
    ctx.font = FONT(11 * ratio);
    ctx.textBaseline = "alphabetic";
    ctx.textAlign = "left";
    for (const {band, lane, x} of whole ? placed : []) {
      const y = bbox.top - (count - lane) * LANE * ratio;
      const left = u.valToPos(band.from, "x", true), right = Math.max(u.valToPos(band.to, "x", true), left + 2 * ratio);
      ctx.fillStyle = css(band.color);
      ctx.globalAlpha = 1;
      ctx.fillRect(left, y + 13 * ratio, right - left, 2 * ratio);
      ctx.fillStyle = css("--soft");
      ctx.fillText(band.label, bbox.left + x * ratio, y + 10 * ratio, bbox.width);
    }
  }
  ctx.restore();
}

function drawLimit(u, limit) {
  const {ctx, bbox} = u, ratio = devicePixelRatio;
  const y = u.valToPos(limit.value, "y", true);
  if (!(y >= bbox.top && y <= bbox.top + bbox.height)) return;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = css("--bad");
  ctx.lineWidth = 1.4 * ratio;
  ctx.setLineDash([6 * ratio, 4 * ratio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.font = FONT(11.5 * ratio);
  ctx.textAlign = "right";
  ctx.fillText(limit.label, bbox.left + bbox.width - 4 * ratio, y - 6 * ratio);
  ctx.restore();
}

const charts = [];
const isDecade = (v) => Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-6;

// One chart over time. spec: series [{name, values, color, dash}], format (a value), axis (a tick), log, zero (the axis
// starts at 0), limit {value, label}, labelled (fault bands carry their names), height. A series with below: true hangs
// under the zero line.
function chart(id, spec) {
  const host = $(id);
  const series = spec.series.filter((one) => one);
  if (!rows) {
    host.parentElement.querySelector(".how").remove();
    return host.append(none("The run ended before its first sample."));
  }

  let floor = 0;
  const zeros = spec.log && series.some((one) => one.values.includes(0));
  if (spec.log) {
    const positive = series.flatMap((one) => one.values).filter((v) => v > 0);
    const least = positive.reduce((a, b) => Math.min(a, b), 1);
    floor = 10 ** Math.max(-18, Math.floor(Math.log10(least) - (zeros ? 0.301 : 0)));
  }
  const drawn = (v) => missing(v) ? null : spec.log && v <= 0 ? floor : v;
  const last = (values) => values[values.length - 1];
  const color = (one) => () => css(`--${one.color}`);
  const longest = (u, labels) => {
    measure.font = FONT(12);
    return Math.ceil(Math.max(...(labels || [""]).map((l) => measure.measureText(l || "").width))) + 14;
  };
  const grid = {stroke: () => css("--hair"), width: 1};
  const axis = {stroke: () => css("--faint"), font: FONT(12), ticks: {show: false}, grid};
  const options = {
    width: Math.max(240, host.clientWidth), height: spec.height || 220,
    padding: [spec.labelled ? (u) => {
      measure.font = FONT(11);
      return 12 + LANE * lanes(Math.max(100, u.width - 70), measure).count;
    } : 12, 14, 0, 0],
    scales: {
      x: {time: false, range: (u, min, max) => rows === 1 ? [timeEnd - 0.5, timeEnd + 0.5]
        : [min === samples.seconds[0] ? timeStart : min, max]},
      y: spec.log ? {distr: 3, range: (u, min, max) =>
          [floor, 10 ** Math.ceil(Math.log10(Math.max(max || 1, floor * 100)) - 1e-9)]}
        : {range: (u, min, max) => {
            if (min === null) return [0, 1];
            if (spec.limit) max = Math.max(max, spec.limit.value * 1.12);
            if (series.some((one) => one.below)) return [Math.min(-1, min * 1.08), Math.max(1, max * 1.08)];
            if (spec.zero) return [0, spec.top || max * 1.06 || 1];
            const pad = (max - min) * 0.06 || Math.abs(max) * 0.01 || 1;
            return [min - pad, max + pad];
          }},
    },
    axes: [
      {...axis, size: 30, values: (u, splits) => splits.map((v) => v === null ? "" : `${plain(v)} s`)},
      {...axis, size: (u, labels, i, cycle) => cycle > 1 ? u.axes[i]._size : longest(u, labels),
       values: (u, splits, i, space, step) => {
         if (spec.log) return splits.map((v) => v === null ? "" : power(Math.round(Math.log10(v))));
         const digits = Math.min(6, (String(Number(step.toPrecision(6))).split(".")[1] || "").length);
         return splits.map((v) => spec.axis ? spec.axis(v, digits) : fixed(v, digits));
       },
       ...(spec.log ? {filter: (u, splits) => {
         const decades = splits.filter(isDecade);
         const every = Math.max(1, Math.ceil(decades.length / (u.bbox.height / devicePixelRatio / 24 || 8)));
         const top = Math.round(Math.log10(decades[decades.length - 1] || 1));
         return splits.map((v) => {
           return isDecade(v) && (top - Math.round(Math.log10(v))) % every === 0 ? v : null;
         });
       }, grid: {...grid, filter: (u, splits) => splits.map((v) => isDecade(v) ? v : null)}} : {space: 34})},
    ],
    cursor: {sync: {key: "lvs"}, drag: {x: true, y: false}, points: {size: 7}, y: false},
    legend: {markers: {width: 2, stroke: (u, i) => i ? `var(--${series[i - 1].color})` : "transparent",
      dash: (u, i) => i && series[i - 1].dash ? "dashed" : "solid", fill: () => "transparent"}},
    series: [
      {label: "Time", value: (u, v) => missing(v) ? "at the end" : seconds(v)},
      ...series.map((one) => ({
        label: one.name, stroke: color(one), width: one.width || 1.8, dash: one.dash, spanGaps: false,
        ...(one.area ? {width: 1, fillTo: 0,
          fill: () => `color-mix(in srgb, ${css(`--${one.color}`)} 30%, transparent)`} : {}),
        points: {show: rows < 3, size: 7},
        value: (u, v, i, index) => spec.format(one.values[missing(index) ? rows - 1 : index]),
      })),
    ],
    hooks: {drawClear: [(u) => drawBands(u, spec.labelled)], draw: spec.limit ? [(u) => drawLimit(u, spec.limit)] : []},
  };
  const lines = series.map((one) => one.values.map((v) => one.below && v ? -v : drawn(v)));
  const u = new uPlot(options, [samples.seconds, ...lines], host);
  u.root.setAttribute("role", "img");
  const title = host.parentElement.querySelector("figcaption").textContent;
  u.root.setAttribute("aria-label", `${title}, over ${seconds(timeEnd)}. At the end: ` +
    series.map((one) => `${one.name} ${spec.format(last(one.values))}`).join(", "));
  charts.push({u, host});

  // The same figures as a table, built when it is opened.
  const details = h("details", {}, h("summary", {}, "Figures"));
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    const count = Math.min(rows, 25);
    const picked = [...new Array(count).keys()].map((i) => count === 1 ? 0 : Math.round(i * (rows - 1) / (count - 1)));
    details.append(table("", [{t: "Time", n: 1}, ...series.map((one) => ({t: one.name, n: 1}))], picked.map((i) =>
      h("tr", {}, h("td", {}, seconds(samples.seconds[i])),
        series.map((one) => h("td", {}, spec.format(one.values[i])))))));
  });
  if (zeros) host.append(h("p", {class: "how"}, "Zero has no place on a log scale and is drawn at the bottom edge."));
  host.parentElement.append(details);
}

// Counts of a row as a rate, by the time since the row before.
const rate = (values) => values.map((v, i) => i === 0 || v === null ? null
  : v / Math.max(1e-3, samples.seconds[i] - samples.seconds[i - 1]));

function testnetCharts(column, line) {
  const of = (field) => data.nodes.map((n, i) => line(`${n.name.replace(/^n/, "N")} (${n.region})`, n[field], `r${i % 8}`,
    {dash: i ? [7, 3 + 2 * i] : undefined}));
  if (!column("accepted_uvu").some((v) => v)) $("chart-effective").parentElement.remove();
  else chart("chart-effective", {labelled: true, height: 320, format: vuShort, series: of("effective_vu")});
  chart("chart-distance", {log: true, labelled: true, height: 320, format: short, series: of("distance_relative")});
  const contributions = column("contributions");
  const latencies = samples.load_p50_ms;
  if (!contributions.some((v) => v) && !latencies) return $("sec-load").remove();
  chart("chart-contributions", {zero: true, format: (v) => `${short(v)}/s`, labelled: true, series: [
    line("Taken", smooth(rate(contributions)), "c1")]});
  if (!latencies) return $("chart-latency").parentElement.remove();
  chart("chart-latency", {zero: true, format: (v) => missing(v) ? NONE : `${short(v)} ms`, labelled: true, series: [
    line("Half within", latencies, "c1"), line("99 % within", samples.load_p99_ms, "c3")]});
}

// The mean over the last second: cycles do not fall into rows evenly.
function smooth(values) {
  return values.map((v, i) => {
    let sum = 0, n = 0;
    for (let k = i; k >= 0 && (k === i || samples.seconds[i] - samples.seconds[k] < 0.95); --k) {
      if (values[k] !== null) { sum += values[k]; ++n; }
    }
    return n ? sum / n : null;
  });
}

function allCharts() {
  const column = (name) => samples[name].map((v) => v === null ? null : Number(v));
  const inVu = (name) => column(name).map((v) => v === null ? null : v / 1e6);
  const some = (values) => values.some((v) => v);
  const line = (name, values, color, more) => ({name, values, color, ...more});
  const free = column("free_spread_relative");
  if (testnet) testnetCharts(column, line);
  chart("chart-convergence", {log: true, labelled: true, height: 400, format: short, series: [
    line("Spread of values", column("value_spread_relative"), "c1"),
    some(free) ? line("Spread of free coordinates", free, "c2") : null,
    line("Error against the ledger", column("effective_error_relative"), "c3", {dash: [6, 3]}),
    testnet ? line("Distance between processes", column("node_distance_relative"), "c4") : null]});
  chart("chart-ledger", {labelled: true, height: 320, format: vuShort, series: [
    line("Accepted", inVu("accepted_uvu"), "c5", {width: 4}),
    line("Held by every server node", inVu("held_uvu"), "c1"),
    line("Effective", inVu("effective_uvu"), "c3", {dash: [6, 3]})]});
  chart("chart-behind", {zero: true, format: vuShort, series: [line("Behind", inVu("behind_uvu"), "c1")]});
  chart("chart-variance", {log: true, format: (v) => short(v) + " VU²", series: [
    line("Variance", column("drift_vector_variance"), "c1")]});
  chart("chart-trust", {zero: true, top: 1.05, format: (v) => missing(v) ? NONE : fixed(v, 3), series: [
    line("Trust", column("mean_trust"), "c2")]});
  chart("chart-loss", {zero: true, axis: (v) => `${plain(100 * v)} %`, format: percent, series: [
    line("Lost", column("loss_ratio"), "c4")]});
  chart("chart-alive", {format: whole, axis: (v) => v % 1 ? "" : whole(v), zero: true, series: [
    line("Alive", column("alive"), "c1")]});
  chart("chart-churn", {axis: (v) => v % 1 ? "" : whole(Math.abs(v)), format: whole, series: [
    line("Came online", column("online_events"), "c2", {area: true}),
    line("Went silent", column("offline_events"), "c3", {area: true, below: true})]});
  if (testnet) {
    chart("chart-links", {zero: true, axis: (v) => `${plain(v / 1000)} KB`, format: bytes, series: [
      line("Sent", smooth(rate(column("node_bytes"))).map((v) => v === null ? null : v * 60), "c5")]});
  }
  chart("chart-bandwidth", {zero: true, height: 260, axis: (v) => `${plain(v / 1000)} KB`, format: bytes, labelled: true,
    limit: {value: BUDGET_BYTES_PER_MINUTE, label: "Budget: 50 KB a minute"},
    series: [line("A micro-node sends", column("bytes_per_node_minute"), "c1")]});
}

// ---- The swarm -----------------------------------------------------------------------------------------------------

const snaps = data.snapshots.filter((one) => one.x.length);

// The middle of the honest dots and their root mean square distance from it.
function center(snap) {
  const honest = snap.x.map((x, i) => [x, snap.y[i]])
    .filter(([x, y], i) => !snap.adversary[i] && !missing(x) && !missing(y));
  const mean = (of) => honest.reduce((sum, p) => sum + of(p), 0) / (honest.length || 1);
  const x = mean((p) => p[0]), y = mean((p) => p[1]);
  return {x, y, rms: Math.sqrt(mean((p) => (p[0] - x) ** 2 + (p[1] - y) ** 2))};
}
// A square around all honest dots of these moments.
function frame(list) {
  let x0 = Infinity, x1 = -Infinity, y0 = Infinity, y1 = -Infinity;
  for (const one of list) one.x.forEach((x, i) => {
    if ((one.adversary[i] && one.adversary.includes(false)) || missing(x) || missing(one.y[i])) return;
    x0 = Math.min(x0, x); x1 = Math.max(x1, x); y0 = Math.min(y0, one.y[i]); y1 = Math.max(y1, one.y[i]);
  });
  if (x0 > x1) return {x: 0, y: 0, half: 1};
  const half = Math.max(x1 - x0, y1 - y0) / 2 * 1.12;
  return {x: (x0 + x1) / 2, y: (y0 + y1) / 2, half: half > 0 ? half : Math.max(1e-9, Math.abs(x0) * 1e-3)};
}

function drawSwarm(canvas, snap, view, big) {
  const ratio = devicePixelRatio || 1;
  const size = canvas.clientWidth || 300;
  canvas.width = canvas.height = Math.round(size * ratio);
  const c = canvas.getContext("2d");
  c.scale(ratio, ratio);
  const px = (x) => size / 2 + (x - view.x) / view.half * size / 2;
  const py = (y) => size / 2 - (y - view.y) / view.half * size / 2;
  const edge = (v) => Math.max(7, Math.min(size - 7, v));
  const ink = css("--ink"), line = css("--hair"), faint = css("--faint"), paper = css("--paper");
  const region = [...new Array(8).keys()].map((i) => css(`--r${i}`));
  const n = snap.x.length;
  const at = snap.x.map((x, i) => missing(x) || missing(snap.y[i]) ? null : [px(x), py(snap.y[i])]);
  const inside = (p) => p && p[0] >= -40 && p[0] <= size + 40 && p[1] >= -40 && p[1] <= size + 40;

  // Grid with the values of its lines.
  const step = 10 ** Math.floor(Math.log10(view.half));
  const grid = view.half / step > 5 ? step * 2 : view.half / step > 2 ? step : step / 2;
  const digits = Math.min(12, Math.max(0, -Math.floor(Math.log10(grid) + 1e-9)));
  c.font = FONT(big ? 12 : 10);
  c.lineWidth = 1;
  for (let k = Math.ceil((view.x - view.half) / grid); k * grid < view.x + view.half; ++k) {
    c.strokeStyle = line; c.beginPath(); c.moveTo(px(k * grid), 0); c.lineTo(px(k * grid), size); c.stroke();
    c.fillStyle = faint; c.textAlign = "center";
    if (px(k * grid) > 40 && px(k * grid) < size - 24) c.fillText(fixed(k * grid, digits), px(k * grid), size - 6);
  }
  for (let k = Math.ceil((view.y - view.half) / grid); k * grid < view.y + view.half; ++k) {
    c.strokeStyle = line; c.beginPath(); c.moveTo(0, py(k * grid)); c.lineTo(size, py(k * grid)); c.stroke();
    c.fillStyle = faint; c.textAlign = "left";
    if (py(k * grid) > 14 && py(k * grid) < size - 22) c.fillText(fixed(k * grid, digits), 5, py(k * grid) - 3);
  }

  c.strokeStyle = ink; c.lineWidth = 0.6; c.globalAlpha = big ? 0.10 : 0.07;
  c.beginPath();
  for (let i = 0; i < n; ++i) for (const j of snap.peer[i]) {
    if (!at[i] || !at[j] || snap.adversary[i] || snap.adversary[j]) continue;
    c.moveTo(...at[i]); c.lineTo(...at[j]);
  }
  c.stroke();

  const radius = big ? 4.2 : 2.6;
  const loudest = Math.max(...snaps.flatMap((one) => one.entropy.map((e) => e || 0)), 1e-12);
  for (let i = 0; i < n; ++i) {
    if (!inside(at[i]) || snap.adversary[i] || !(snap.entropy[i] > 0)) continue;
    c.fillStyle = region[snap.region[i] % 8];
    c.globalAlpha = 0.13;
    c.beginPath(); c.arc(...at[i], radius + (big ? 13 : 8) * snap.entropy[i] / loudest, 0, 7); c.fill();
  }
  c.lineWidth = big ? 1.3 : 0.9;
  for (let i = 0; i < n; ++i) {
    if (!inside(at[i]) || snap.adversary[i]) continue;
    const tx = at[i][0] - (snap.dx[i] || 0) / view.half * size / 2;
    const ty = at[i][1] + (snap.dy[i] || 0) / view.half * size / 2;
    const length = Math.hypot(at[i][0] - tx, at[i][1] - ty);
    if (length < radius + 1.5) continue;
    const ux = (at[i][0] - tx) / length, uy = (at[i][1] - ty) / length, tip = radius + 0.5, head = big ? 6 : 4;
    const hx = at[i][0] - ux * tip, hy = at[i][1] - uy * tip;
    c.strokeStyle = region[snap.region[i] % 8]; c.globalAlpha = 0.5;
    c.beginPath(); c.moveTo(tx, ty); c.lineTo(hx, hy);
    if (length > tip + head) {
      c.moveTo(hx - ux * head - uy * head * 0.5, hy - uy * head + ux * head * 0.5); c.lineTo(hx, hy);
      c.lineTo(hx - ux * head + uy * head * 0.5, hy - uy * head - ux * head * 0.5);
    }
    c.stroke();
  }
  for (const foe of [false, true]) for (let i = 0; i < n; ++i) {
    if (!at[i] || Boolean(snap.adversary[i]) !== foe || (!foe && !inside(at[i]))) continue;
    c.fillStyle = region[snap.region[i] % 8];
    c.globalAlpha = foe ? 1 : 0.9;
    c.beginPath();
    if (!foe) {
      c.arc(...at[i], radius, 0, 7);
      c.fill();
    } else {
      const x = edge(at[i][0]), y = edge(at[i][1]), r = radius * 1.5;
      c.moveTo(x, y - r); c.lineTo(x + r * 0.9, y + r * 0.7); c.lineTo(x - r * 0.9, y + r * 0.7); c.closePath();
      c.fill(); c.strokeStyle = ink; c.lineWidth = 1.2; c.stroke();
    }
  }
  c.globalAlpha = 1;
  c.strokeStyle = paper;
}

let redrawSwarm = () => {};
function swarm() {
  if (!snaps.length) {
    for (const id of ["swarm-legend", "swarm-how"]) $(id).remove();
    return $("swarm").replaceWith(
      none("No pictures were taken: the run was too short, or its states have fewer than two coordinates to draw."));
  }
  const view = frame(snaps);
  const key = (shape, text) => h("span", {}, shape, text);
  const drawing = (d, fill) => { const e = svg(d); e.setAttribute("width", 18); e.setAttribute("height", 18);
    if (fill) e.firstChild.setAttribute("fill", "currentColor"); return e; };
  const used = [...new Set(snaps.flatMap((one) => one.region))].sort((a, b) => a - b);
  const foes = snaps.some((one) => one.adversary.includes(true));
  $("swarm-legend").append(...used.map((r) => {
    const dot = h("i", {class: "swatch dot"});
    dot.style.background = `var(--r${r % 8})`;
    return key(dot, data.regions[r] ?? `region ${r}`);
  }), foes ? key(drawing("M20 6L35 32H5Z", true), "adversary (at the edge where it is outside)") : "",
    key(drawing("M4 34L34 6M20 7L34 6L32 20"), "drift over the last cycles"),
    key(drawing("M20 10a10 10 0 1 1 0 20a10 10 0 1 1 0-20"), "halo: entropy"));

  const name = (one) => words(one.label || `cycle ${one.cycle}`);
  const spread = (one) => `${whole(one.x.length)} replicas, ${short(center(one).rms)} from their centre (rms)`;
  const last = snaps[snaps.length - 1], close = frame([last]);
  const cells = snaps.map((one, i) => ({one, i, view, title: name(one)}));
  // What is left at the end, where the common axes show only a spot.
  if (snaps.length > 1 && view.half > 8 * close.half) {
    const title = `${name(last)}, enlarged ${whole(view.half / close.half)} times`;
    cells.push({one: last, i: snaps.length - 1, view: close, title});
  }
  const holes = (columns) => (columns - cells.length % columns) % columns;
  $("swarm").style.setProperty("--columns", cells.length < 3 ? 2 : holes(3) <= holes(4) ? 3 : 4);
  const canvases = cells.map(({one, i, view: own, title}) => {
    const canvas = h("canvas", {role: "img", "aria-label": `${title}, at ${seconds(one.seconds)}: ${spread(one)}`});
    const button = h("button", {type: "button", class: "moment", title: "Enlarge"}, canvas,
      h("span", {class: "when"}, h("span", {}, title), h("span", {}, seconds(one.seconds))),
      h("span", {class: "what"}, spread(one)));
    button.addEventListener("click", () => { fit = own === close; show(i); });
    $("swarm").append(button);
    return [canvas, one, own];
  });

  let shown = 0, fit = false;
  const viewer = $("viewer");
  const redrawViewer = () => viewer.open &&
    drawSwarm($("viewer-canvas"), snaps[shown], fit ? frame([snaps[shown]]) : view, true);
  function show(i) {
    shown = i;
    $("viewer-title").textContent = `${name(snaps[i])}, ${seconds(snaps[i].seconds)}`;
    $("viewer-caption").textContent = `${spread(snaps[i])}, cycle ${whole(snaps[i].cycle)}. ` +
      (fit ? "Zoomed to this moment's cloud: the scale differs from picture to picture."
        : "All moments have the same axes.");
    $("viewer-canvas").setAttribute("aria-label", $("viewer-caption").textContent);
    $("viewer-prev").disabled = i === 0;
    $("viewer-next").disabled = i === snaps.length - 1;
    $("viewer-fit").setAttribute("aria-pressed", String(fit));
    if (!viewer.open) viewer.showModal();
    redrawViewer();
  }
  $("viewer-prev").addEventListener("click", () => show(Math.max(0, shown - 1)));
  $("viewer-next").addEventListener("click", () => show(Math.min(snaps.length - 1, shown + 1)));
  $("viewer-fit").addEventListener("click", () => { fit = !fit; show(shown); });
  viewer.addEventListener("keydown", (e) => {
    if (e.key === "ArrowLeft" && shown > 0) show(shown - 1);
    if (e.key === "ArrowRight" && shown + 1 < snaps.length) show(shown + 1);
  });
  viewer.addEventListener("click", (e) => { if (e.target === viewer) viewer.close(); });
  redrawSwarm = () => { canvases.forEach(([canvas, one, own]) => drawSwarm(canvas, one, own, false)); redrawViewer(); };
  redrawSwarm();
}

// ---- The page ------------------------------------------------------------------------------------------------------

head();
thresholds();
if (testnet) {
  nodes();
  loads();
}
facts("facts-convergence", testnet ? [
  ["Spread at the end", short(s.drift.relative_spread)],
  ["Error at the end", short(s.ledger.effective_error_relative)],
  ["Mean moved by", `${percent(s.drift.honest_bias_relative)} of the range`]] : [
  ["Disagreement falls, each cycle", `${short(s.drift.reduction_per_cycle)}-fold`],
  ["To a millionth of the start", cyclesTo(s.drift.cycles_to_1ppm)],
  ["Values to a millionth", cyclesTo(s.ledger.cycles_to_1ppm)],
  ["Honest mean moved by", `${percent(s.drift.honest_bias_relative)} of the range`]]);
recoveries();
facts("facts-ledger", [
  ["Accepted", vu(s.ledger.accepted_uvu)],
  ["Held by every server node", vu(s.ledger.held_uvu)],
  ["Missing in the worst replica", vu(s.ledger.missing_uvu)],
  ["Largest error of an honest replica", short(s.ledger.effective_error_relative)],
  [testnet ? "Contributions taken" : "Contributions acknowledged", whole(s.ledger.contributions)],
  ["Contributions still pending", whole(s.ledger.contributions_pending)],
  ["Replicas brought up by direct copy", whole(s.ledger.redundancy_syncs)]]);
facts("facts-swarm", [
  ["Micro-nodes that joined", whole(s.swarm.joined)],
  ["Micro-nodes that left silently", whole(s.swarm.left)],
  ["Replicas created by self-repair", whole(s.swarm.repaired)],
  ["Links replaced for silence or lost trust", whole(s.swarm.fallback_links)],
  ["Messages that never arrived", percent(s.bandwidth.loss_ratio)]]);
latency();
split();
guard();
allCharts();
if (!testnet) swarm();

const repaint = () => { for (const {u} of charts) u.redraw(false); redrawSwarm(); };
let resizing = 0;
function resize() {
  for (const {u, host} of charts) {
    const width = Math.max(240, host.clientWidth);
    if (width !== u.width) u.setSize({width, height: u.height});
  }
  redrawSwarm();
}
addEventListener("resize", () => { cancelAnimationFrame(resizing); resizing = requestAnimationFrame(resize); });
const root = document.documentElement;
const paint = (theme) => { root.dataset.theme = theme; repaint(); };
const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", () => paint(dark.matches ? "dark" : "light"));
// Paper is white and cannot be clicked.
let before = root.dataset.theme;
addEventListener("beforeprint", () => { $("yaml").open = true; before = root.dataset.theme; paint("light"); });
addEventListener("afterprint", () => paint(before));
})();
