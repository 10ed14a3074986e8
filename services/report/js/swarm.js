// The picture of the swarm: moments of one shard, and a viewer that enlarges one.

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

// The state that the layers of one picture share: its canvas, its scale, and the positions of its dots.
function picture(canvas, snap, view, big) {
  const ratio = devicePixelRatio || 1;
  const size = canvas.clientWidth || 300;
  canvas.width = canvas.height = Math.round(size * ratio);
  const c = canvas.getContext("2d");
  c.scale(ratio, ratio);
  const px = (x) => size / 2 + (x - view.x) / view.half * size / 2;
  const py = (y) => size / 2 - (y - view.y) / view.half * size / 2;
  const at = snap.x.map((x, i) => missing(x) || missing(snap.y[i]) ? null : [px(x), py(snap.y[i])]);
  const region = [...new Array(8).keys()].map((i) => css(`--r${i}`));
  return {c, size, px, py, snap, view, big, at, n: snap.x.length, radius: big ? 4.2 : 2.6, ink: css("--ink"),
    color: (i) => region[snap.region[i] % 8],
    inside: (p) => p && p[0] >= -40 && p[0] <= size + 40 && p[1] >= -40 && p[1] <= size + 40};
}

// The grid, with the values of its lines.
function drawGrid({c, size, px, py, view, big}) {
  const line = css("--hair"), faint = css("--faint");
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
}

// Lines between honest dots that are neighbours.
function drawPeers({c, snap, big, at, n, ink}) {
  c.strokeStyle = ink; c.lineWidth = 0.6; c.globalAlpha = big ? 0.10 : 0.07;
  c.beginPath();
  for (let i = 0; i < n; ++i) for (const j of snap.peer[i]) {
    if (!at[i] || !at[j] || snap.adversary[i] || snap.adversary[j]) continue;
    c.moveTo(...at[i]); c.lineTo(...at[j]);
  }
  c.stroke();
}

// A halo whose width is the dot's entropy relative to the largest of all moments.
function drawHalos({c, snap, big, at, n, radius, color, inside}) {
  const loudest = Math.max(...snaps.flatMap((one) => one.entropy.map((e) => e || 0)), 1e-12);
  for (let i = 0; i < n; ++i) {
    if (!inside(at[i]) || snap.adversary[i] || !(snap.entropy[i] > 0)) continue;
    c.fillStyle = color(i);
    c.globalAlpha = 0.13;
    c.beginPath(); c.arc(...at[i], radius + (big ? 13 : 8) * snap.entropy[i] / loudest, 0, 7); c.fill();
  }
}

// An arrow along the dot's movement in the last cycles, ending at the dot.
function drawArrows({c, size, snap, view, big, at, n, radius, color, inside}) {
  c.lineWidth = big ? 1.3 : 0.9;
  for (let i = 0; i < n; ++i) {
    if (!inside(at[i]) || snap.adversary[i]) continue;
    const tx = at[i][0] - (snap.dx[i] || 0) / view.half * size / 2;
    const ty = at[i][1] + (snap.dy[i] || 0) / view.half * size / 2;
    const length = Math.hypot(at[i][0] - tx, at[i][1] - ty);
    if (length < radius + 1.5) continue;
    const ux = (at[i][0] - tx) / length, uy = (at[i][1] - ty) / length, tip = radius + 0.5, head = big ? 6 : 4;
    const hx = at[i][0] - ux * tip, hy = at[i][1] - uy * tip;
    c.strokeStyle = color(i); c.globalAlpha = 0.5;
    c.beginPath(); c.moveTo(tx, ty); c.lineTo(hx, hy);
    if (length > tip + head) {
      c.moveTo(hx - ux * head - uy * head * 0.5, hy - uy * head + ux * head * 0.5); c.lineTo(hx, hy);
      c.lineTo(hx - ux * head + uy * head * 0.5, hy - uy * head - ux * head * 0.5);
    }
    c.stroke();
  }
}

// Honest dots, with adversaries as triangles on top; an adversary outside the view lies at the edge.
function drawDots({c, size, snap, at, n, radius, ink, color, inside}) {
  const edge = (v) => Math.max(7, Math.min(size - 7, v));
  for (const foe of [false, true]) for (let i = 0; i < n; ++i) {
    if (!at[i] || Boolean(snap.adversary[i]) !== foe || (!foe && !inside(at[i]))) continue;
    c.fillStyle = color(i);
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
}

function drawSwarm(canvas, snap, view, big) {
  const one = picture(canvas, snap, view, big);
  for (const layer of [drawGrid, drawPeers, drawHalos, drawArrows, drawDots]) layer(one);
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
  // The last moment is also shown enlarged, where the common axes show only a spot.
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
