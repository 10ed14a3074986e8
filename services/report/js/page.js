// Builds the page from top to bottom, and repaints it.

head();
thresholds();
promises();
if (testnet) {
  nodes();
  loads();
}
facts("facts-convergence", testnet ? [
  ["Spread at the end", short(s.drift.relative_spread)],
  ["Error at the end", short(s.ledger.effective_error_relative)],
  ...meanMoved(), ...regionsApart()] : [
  ["Disagreement falls, each cycle", `${short(s.drift.reduction_per_cycle)}-fold`],
  ["To a millionth of the start", cyclesTo(s.drift.cycles_to_1ppm)],
  ["Values to a millionth", cyclesTo(s.ledger.cycles_to_1ppm)],
  ...meanMoved(), ...regionsApart()]);
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
// Printing uses the light theme and opens the scenario, because paper is white and cannot be clicked.
let before = root.dataset.theme;
addEventListener("beforeprint", () => { $("yaml").open = true; before = root.dataset.theme; paint("light"); });
addEventListener("afterprint", () => paint(before));
