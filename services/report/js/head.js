// The head of the page: the verdict, the tiles with the figures that matter most, and where the run came from.

const RING = "M20 3a17 17 0 1 1 0 34a17 17 0 1 1 0-34";

function verdict() {
  const failed = s.thresholds.filter((t) => !t.passed).length;
  const all = s.thresholds.length;
  const limits = (n) => `${n} ${n === 1 ? "threshold" : "thresholds"}`;
  const held = all === 0 ? "The scenario sets no thresholds."
    : failed === 0 ? (all === 1 ? "The one threshold held." : `All ${all} thresholds held.`)
    : `${failed} of ${limits(all)} did not hold: ${s.thresholds.filter((t) => !t.passed).map((t) => t.metric)
        .slice(0, 4).join(", ")}${failed > 4 ? ", …" : ""}.`;
  const ran = testnet ? `Recorded for ${seconds(s.wall_seconds)}, ${whole(s.cycles)} cycles`
    : `${whole(s.cycles)} cycles, ${seconds(s.virtual_seconds)} of virtual time`;
  // A verdict is about the limits alone. What no limit judges is said beside it.
  const spread = samples.free_spread_relative?.[rows - 1];
  const judged = s.thresholds.some((t) => t.metric === "drift.relative_spread");
  const apart = s.complete && s.passed && !judged && spread > 1e-3
    ? ` No limit judges free coordinates, and they did not agree: their spread is ${short(spread)}.` : "";
  const [kind, word, text, icon] =
    !s.complete ? ["partial", "Partial", `Stopped early, after ${seconds(s.virtual_seconds)}. The figures are those of the cycles that were run. ` +
      held, "M20 10v10l7 5"]
    : s.passed ? ["passed", "Passed", `${held}${apart} ${ran}.`, "M12 20.5l5.5 5.5L28.5 14.5"]
    : ["failed", "Failed", `${held}`, "M14 14l12 12M26 14l-12 12"];
  $("verdict").append(h("div", {class: `verdict ${kind}`, role: "status"}, svg(`${RING} ${icon}`),
    h("div", {}, h("strong", {}, word), h("br"), h("span", {}, text))));
}

// What a tile shows: a figure and its unit.
const figure = (value, unit) => [value, unit ? h("small", {}, " " + unit) : null];

const missingTile = () => ["Missing value", figure(...vu(s.ledger.missing_uvu).split(" ")),
  Number(s.ledger.missing_uvu) === 0 ? (testnet ? "every node holds what any node holds" : "nothing accepted was lost")
    : "accepted, and lacking in some replica"];

function bandwidthTile() {
  const b = s.bandwidth.bytes_per_node_minute;
  const fill = h("i", {class: b > BUDGET_BYTES_PER_MINUTE ? "over" : ""});
  fill.style.width = `${Math.min(100, 100 * b / BUDGET_BYTES_PER_MINUTE)}%`;
  return ["Bandwidth", figure(...bytes(b).split(" ")), [h("span", {class: "gauge"}, fill),
    `a node a minute, ${fixed(100 * b / BUDGET_BYTES_PER_MINUTE, 0)} % of the 50 KB budget`]];
}

function testnetTiles() {
  const serving = s.nodes.filter((n) => n.state === "SERVING");
  const contributions = Number(s.ledger.contributions);
  const [load] = s.loads;
  const ledgers = new Set(serving.map((n) => n.ledger_digest)).size;
  return [
    ["Server nodes", figure(whole(s.server_nodes)), `${whole(serving.length)} serving at the end`],
    ["Micro-nodes", figure(whole(s.micro_nodes)), `${whole(s.replicas)} replicas of ${many(s.shards, "shard")}`],
    ["Ledgers", figure(whole(ledgers)), ledgers === 1 ? "all nodes agree, to the last entry" : "different ones at the end"],
    missingTile(),
    ["Contributions", figure(whole(contributions)), contributions
      ? `taken; ${fixed(contributions / s.wall_seconds, 1)} a second over the whole time` : "nobody brought any"],
    ["Latency", load ? figure(fixed(load.p50_ms, 0), "ms") : figure(NONE),
      load ? `half of the load; 99 % within ${fixed(load.p99_ms, 0)} ms` : "no load was measured"],
    ["Final spread", figure(short(s.drift.relative_spread)), "of states drawn at random, over all processes"],
    bandwidthTile(),
  ];
}

function runTiles() {
  const realtime = s.virtual_seconds / s.wall_seconds;
  return [
    ["Micro-nodes", figure(whole(s.micro_nodes)), `${whole(s.micro_nodes_alive)} alive at the end`],
    ["Replicas", figure(whole(s.replicas)), `of ${many(s.shards, "shard")}, on ${many(s.server_nodes, "server node")}`],
    ["Drift cycles", figure(whole(s.cycles)),
      `${seconds(s.virtual_seconds)} virtual, ${seconds(s.wall_seconds)} on the clock`],
    ["Speed", figure(large(s.micro_node_cycles_per_second), "node cycles/s"),
      s.wall_seconds > 0 ? `${short(realtime)} × real time, ${large(s.replica_cycles_per_second)} replica cycles/s`
        : ""],
    ["Memory", figure(whole(s.resident_bytes_per_micro_node), "bytes a node"),
      "resident, the whole process shared out"],
    missingTile(),
    ["Final spread", figure(short(s.drift.relative_spread)), s.drift.reduction_per_cycle > 0
      ? `of the start; it fell ${short(s.drift.reduction_per_cycle)}-fold a cycle` : "of the start"],
    bandwidthTile(),
  ];
}

function provenance() {
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
  const facts = [
    [testnet ? "One like it" : "Run it again", s.replay && h("span", {class: "command"}, h("code", {}, s.replay), copy)],
    ["Seed", !testnet && h("code", {}, String(s.seed))],
    ["State hash", s.state_hash && h("code", {}, s.state_hash)],
    ["Build", s.build && h("code", {}, s.build)],
    ["Rule and engine", !testnet && [s.rule && `${s.rule.toLowerCase()} rule`, many(s.threads, "thread"),
      s.simd_target, `started in ${seconds(s.startup_seconds)}`].filter(Boolean).join(", ")],
  ];
  for (const [name, value] of facts) if (value) $("provenance").append(h("dt", {}, name), h("dd", {}, value));
}

function head() {
  $("about").textContent = data.about;
  verdict();
  for (const [name, value, note] of testnet ? testnetTiles() : runTiles()) {
    $("tiles").append(h("div", {}, h("dt", {}, name), h("dd", {class: "figure"}, value),
      h("dd", {class: "note"}, note)));
  }
  provenance();
  $("foot").textContent =
    `Living Value System · ${s.scenario} · ` +
    (testnet ? `build ${s.build || "unknown"}. ` : `seed ${s.seed} · state ${s.state_hash || "unknown"}. `) +
    "Aggregates only: no micro-node and no session is named. This file holds all of its data and fetches nothing.";
  $("yaml").querySelector("pre").textContent = data.scenario_yaml || "(not recorded)";
}
