// Tables and lists of figures.

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
      h("td", {class: `mark ${t.passed ? "passed" : "failed"}`, title: t.untested || null},
        t.passed ? "✓ held" : t.untested ? "✕ untested" : "✕ breached"),
      h("td", {class: "requirement"}, h("span", {class: "ids"},
        t.requirement.split(/[\s,;]+/).filter(Boolean).map((id) => h("span", {}, id))))))));
}

const ofRange = (v) => `${percent(v)} of the range`;

// How far the mean of the free coordinates moved, by the name of what moved it.
function meanMoved() {
  const {honest_bias_relative: bias, sampling_error_relative: sampling} = s.drift;
  return [
    ...(missing(sampling) ? [] : [[testnet ? "Mean moved by" : "Mean moved without liars (sampling error)", ofRange(sampling)]]),
    ...(missing(bias) ? [] : [["Liars pulled the honest mean by", ofRange(bias)]])];
}
const regionsApart = () => missing(s.drift.region_distance_relative) ? []
  : [[testnet ? "Nodes stand apart by" : "Regions stand apart by", ofRange(s.drift.region_distance_relative)]];

const FIRST_SECONDS = 10;  // in which replicas are ready to follow others
// What the rule promises for values and for free coordinates, and what came of it here.
function promises() {
  const attacks = data.faults.filter((f) => f.kind === "adversaries");
  const first = attacks.filter((f) => f.from_seconds < FIRST_SECONDS);
  const early = first.length > 0;
  const share = first.reduce((sum, f) => sum + Number((/(\d+(\.\d+)?)%/.exec(f.label) || [0, 0])[1]) / 100, 0);
  const spread = samples.free_spread_relative?.[rows - 1];
  const free = [
    ["Free coordinates, nobody lies", "All who hear each other agree, |Si − Sj| → 0, crowds that settled apart too. Where they " +
      "agree may be some percent of the range away from where their mean began: a sampling error.",
      attacks.length ? "does not apply" : `spread ${short(spread)}`],
    ["Free coordinates, liars who come later", "Up to 45 % of liars move an agreed network by about a tenth of a percent " +
      "of the range, or not at all; those who keep just within the slow bound by up to 4 % in its first half minute.",
      attacks.length && !early ? `pulled by ${ofRange(s.drift.honest_bias_relative)}; spread ${short(spread)}` : "does not apply"],
    ["Free coordinates, liars in the first seconds", "Liars who are far away are left out and pull by some percent. Clever " +
      "ones pull more: no rule that does not know where the honest stand can promise less than share / (2 (1 − share)) of " +
      `the range${early && share > 0 && share < 1 ? `, here ${percent(share / (2 * (1 - share)))}` : ""}. From about 20 % on ` +
      "clever ones may pull to anywhere in the range, and keep honest replicas apart.",
      early ? `pulled by ${ofRange(s.drift.honest_bias_relative)}; spread ${short(spread)}` : "does not apply"]];
  $("promises").append(table("promises", ["", "Promised", "Here"], [
    ["Value", "Always, whatever share lies and whenever it comes: every honest replica keeps to its ledger, and nothing that " +
      "was accepted is lost while one who holds it stays.",
      `error ${short(s.ledger.effective_error_relative)}, ${vu(s.ledger.missing_uvu)} missing`],
    ...(testnet || !samples.free_spread_relative?.some((v) => v) ? [] : free)].map(([what, promise, here]) =>
      h("tr", {}, h("th", {scope: "row"}, what), h("td", {}, promise), h("td", {class: "value"}, here)))));
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
