// Charts over time, with the bands of faults behind them.

const FAMILY = {partition: "link", outage: "link", restart: "link", degrade: "link", adversaries: "foe", corrupt: "foe",
  load: "load", scatter: "foe"};
const timeEnd = rows ? samples.seconds[rows - 1] : 0;
const timeStart = rows ? Math.min(samples.seconds[0], 0) : 0;
const bands = data.faults.map((f) => ({
  label: f.label || f.kind, color: `--fault-${FAMILY[f.kind] || "node"}`,
  from: Math.max(timeStart, f.from_seconds || 0),
  to: missing(f.to_seconds) ? timeEnd : Math.min(timeEnd, Math.max(f.to_seconds, f.from_seconds || 0)),
})).filter((f) => f.from <= timeEnd);
const LANE = 17, LANES_MAX = 6;

// Assigns the labels of the bands to lanes, so that none overlaps another: [{band, lane, x}] for a plot `width` wide.
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
    // A long fault is drawn paler, as a backdrop for the others.
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

// The bottom edge of a chart on a log scale: the decade below the least value, lowered a little where zeros lie on it.
function logFloor(series, zeros) {
  const positive = series.flatMap((one) => one.values).filter((v) => v > 0);
  const least = positive.reduce((a, b) => Math.min(a, b), 1);
  return 10 ** Math.max(-18, Math.floor(Math.log10(least) - (zeros ? 0.301 : 0)));
}

function longest(labels) {
  measure.font = FONT(12);
  return Math.ceil(Math.max(...(labels || [""]).map((l) => measure.measureText(l || "").width))) + 14;
}

function yScale(spec, series, floor) {
  return spec.log ? {distr: 3, range: (u, min, max) =>
      [floor, 10 ** Math.ceil(Math.log10(Math.max(max || 1, floor * 100)) - 1e-9)]}
    : {range: (u, min, max) => {
        if (min === null) return [0, 1];
        if (spec.limit) max = Math.max(max, spec.limit.value * 1.12);
        if (series.some((one) => one.below)) return [Math.min(-1, min * 1.08), Math.max(1, max * 1.08)];
        if (spec.zero) return [0, spec.top || max * 1.06 || 1];
        const pad = (max - min) * 0.06 || Math.abs(max) * 0.01 || 1;
        return [min - pad, max + pad];
      }};
}

function chartAxes(spec) {
  const grid = {stroke: () => css("--hair"), width: 1};
  const axis = {stroke: () => css("--faint"), font: FONT(12), ticks: {show: false}, grid};
  return [
    {...axis, size: 30, values: (u, splits) => splits.map((v) => v === null ? "" : `${plain(v)} s`)},
    {...axis, size: (u, labels, i, cycle) => cycle > 1 ? u.axes[i]._size : longest(labels),
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
  ];
}

function chartSeries(spec, series) {
  return [
    {label: "Time", value: (u, v) => missing(v) ? "at the end" : seconds(v)},
    ...series.map((one) => ({
      label: one.name, stroke: () => css(`--${one.color}`), width: one.width || 1.8, dash: one.dash, spanGaps: false,
      ...(one.area ? {width: 1, fillTo: 0,
        fill: () => `color-mix(in srgb, ${css(`--${one.color}`)} 30%, transparent)`} : {}),
      points: {show: rows < 3, size: 7},
      value: (u, v, i, index) => spec.format(one.values[missing(index) ? rows - 1 : index]),
    })),
  ];
}

// The figures of a chart as a table, built when it is opened.
function chartTable(spec, series) {
  const details = h("details", {}, h("summary", {}, "Figures"));
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    const count = Math.min(rows, 25);
    const picked = [...new Array(count).keys()].map((i) => count === 1 ? 0 : Math.round(i * (rows - 1) / (count - 1)));
    details.append(table("", [{t: "Time", n: 1}, ...series.map((one) => ({t: one.name, n: 1}))], picked.map((i) =>
      h("tr", {}, h("td", {}, seconds(samples.seconds[i])),
        series.map((one) => h("td", {}, spec.format(one.values[i])))))));
  });
  return details;
}

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

  const zeros = spec.log && series.some((one) => one.values.includes(0));
  const floor = spec.log ? logFloor(series, zeros) : 0;
  const drawn = (v) => missing(v) ? null : spec.log && v <= 0 ? floor : v;
  const last = (values) => values[values.length - 1];
  const options = {
    width: Math.max(240, host.clientWidth), height: spec.height || 220,
    padding: [spec.labelled ? (u) => {
      measure.font = FONT(11);
      return 12 + LANE * lanes(Math.max(100, u.width - 70), measure).count;
    } : 12, 14, 0, 0],
    scales: {
      x: {time: false, range: (u, min, max) => rows === 1 ? [timeEnd - 0.5, timeEnd + 0.5]
        : [min === samples.seconds[0] ? timeStart : min, max]},
      y: yScale(spec, series, floor),
    },
    axes: chartAxes(spec),
    cursor: {sync: {key: "lvs"}, drag: {x: true, y: false}, points: {size: 7}, y: false},
    legend: {markers: {width: 2, stroke: (u, i) => i ? `var(--${series[i - 1].color})` : "transparent",
      dash: (u, i) => i && series[i - 1].dash ? "dashed" : "solid", fill: () => "transparent"}},
    series: chartSeries(spec, series),
    hooks: {drawClear: [(u) => drawBands(u, spec.labelled)], draw: spec.limit ? [(u) => drawLimit(u, spec.limit)] : []},
  };
  const lines = series.map((one) => one.values.map((v) => one.below && v ? -v : drawn(v)));
  const u = new uPlot(options, [samples.seconds, ...lines], host);
  u.root.setAttribute("role", "img");
  const title = host.parentElement.querySelector("figcaption").textContent;
  u.root.setAttribute("aria-label", `${title}, over ${seconds(timeEnd)}. At the end: ` +
    series.map((one) => `${one.name} ${spec.format(last(one.values))}`).join(", "));
  charts.push({u, host});
  if (zeros) host.append(h("p", {class: "how"}, "Zero has no place on a log scale and is drawn at the bottom edge."));
  host.parentElement.append(chartTable(spec, series));
}

// Counts per row become rates, divided by the time since the previous row.
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

// The mean over the last second, because cycles do not fall into rows evenly.
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
  // Without two server nodes, or without free coordinates, there is no such column.
  if (!samples.region_distance_relative) $("chart-regions").parentElement.remove();
  else chart("chart-regions", {log: true, labelled: true, height: 260, format: percent, series: [
    line("Farthest two", column("region_distance_relative"), "c4")]});
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
