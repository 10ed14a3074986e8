// The playground: an emulated network in the page, and its visitor. The worker has the network; this module listens to it
// and shows what it says.
import {$, fill, make, rich} from "../shared/dom";
import {count, powerNodes, two, vu} from "../shared/figures";
import {Keys} from "../shared/keys";
import {LiveSentence, notice} from "../shared/live_sentence";
import {showLegend} from "../shared/swarm/legend";
import {Kind, Look, Way} from "../shared/swarm/look";
import {pickByHand} from "../shared/swarm/picker";
import {Swarm} from "../shared/swarm/swarm";
import {onColours, themeButton} from "../shared/theme_button";
import {WorkerLink} from "../shared/worker_link";
import {Controls, Speed} from "./controls";
import {after, Faults, faultsOf, noFaults} from "./faults";
import {Link, readLink, writeLink} from "./link";
import {Act, Columns, Done, FromWorker, LookMessage, PEERS, REGIONS, Setup, ToWorker, UVU} from "./protocol";
import {RegionTable} from "./region_table";
import {SpreadChart} from "./spread_chart";
import {Stand, standOf, sentence} from "./stand";
import {Story} from "./story";
import {texts} from "./texts";

const USUAL: Setup = {seed: 21, regions: REGIONS, microNodes: 480};
const SLOW_HZ = 3, REAL_HZ = 10;
const RANGE = 200;
const SAID_MS = 3000;       // a voice hears of the picture this often
const OPENING_MS = 1100;    // the page opens in the plane, turns to the rings, and begins
const FIRST_CYCLE_MS = 2100;
const HINT_MS = 9000;

const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
const canvas = $<HTMLCanvasElement>("swarm");
const swarm = new Swarm(canvas);
const story = new Story($("log"));
const chart = new SpreadChart($("chart"));
const table = new RegionTable($("table"));
const live = new LiveSentence($("verdict"));
const scrubber = $<HTMLInputElement>("scrubber");

let setup = USUAL;
let link: Link | null = null;    // that is replayed, until its cycle is reached or the visitor does something else
let hz = SLOW_HZ;
let before = SLOW_HZ;            // a pause
let last: LookMessage | null = null;
let stand: Stand | null = null;
let spreads: number[] = [];
let faults: Faults = noFaults;
let amount = 0;                  // VU that are on their way
let answers = 0;
let saidAt = -SAID_MS;
let hintTimer = 0;
let viewChosen = false;
let timeChosen = false;
let linkFrom = new Uint32Array(0);

const worker = new WorkerLink<ToWorker, FromWorker>(ASSETS["playground_worker.js"], {
  message: take,
  failed: (text) => notice($("problem"), text),
});

// ---- From the worker ----

function take(message: FromWorker): void {
  switch (message.type) {
    case "look": look(message); break;
    case "did": tell(message.done); break;
    case "refused": hint(texts.refused.full); break;
    case "seeking": live.say("part", texts.agreeing, texts.seeking(message.at, message.to)); break;
    case "end": hz = 0; hint(texts.ended); break;
  }
}

function look(message: LookMessage): void {
  const {columns, figures, spreads: all} = message;
  last = message;
  if (all) jumped(message, Array.from(all));
  else if (message.moved) spreads.push(figures.spread);
  faults = faultsOf(message.done);
  if (figures.cycle > 0 || all) swarm.cast({groups: REGIONS, mine: [figures.me], label: texts.me, range: RANGE});
  swarm.show(pictureOf(columns, figures.cycle), {moved: message.moved, period: message.period || 300});
  stand = standOf(message, swarm.middle, faults);
  if (figures.answers > answers) answered(figures.answer);
  answers = figures.answers;
  if (stand.allKnow) amount = 0;
  story.look(stand);
  checkLink(message);
  show(message, stand);
}

// The picture is of another cycle: what was told and pulsed on the way there is over.
function jumped(message: LookMessage, all: number[]): void {
  spreads = all;
  answers = message.figures.answers;
  amount = 0;
  split(faultsOf(message.done), true);
  if (message.done.length === 0 && message.figures.cycle === 0) return;
  story.clear();
  story.tell(0, texts.begun(setup.microNodes));
  faults = noFaults;
  for (const one of message.done) tell(one, false);
}

function pictureOf(columns: Columns, cycle: number): Look {
  const size = columns.x.length;
  if (linkFrom.length !== size * PEERS) linkFrom = Uint32Array.from({length: size * PEERS}, (_, k) => Math.floor(k / PEERS));
  return {
    cycle,
    points: {
      size, x: columns.x, y: columns.y, behind: columns.behind, drift: columns.drift, entropy: columns.entropy,
      kind: columns.kind, group: columns.region, age: columns.age},
    links: {
      count: size * PEERS, from: linkFrom, to: columns.linksTo, trust: columns.linksTrust,
      way: new Uint8Array(size * PEERS).fill(Way.direct)},
  };
}

// `now`: it happens in this cycle; else the page came to a later one, and when it was over is not known.
function tell(done: Done, now = true): void {
  const {cycle, kind, a, b} = done, {did, over} = texts, open = (test: (s: Stand) => boolean) => now ? test : undefined;
  const whole = (s: Stand) => s.agreed && s.allKnow;
  faults = after(faults, done);
  switch (kind) {
    case Act.contribute:
      story.tell(cycle, did.contribute(a / UVU), open((s) => s.allKnow), over.known);
      if (!now) break;
      amount += a / UVU;
      swarm.pulse(last?.figures.me ?? 0);
      swarm.say(last?.figures.me ?? 0, `+${vu(a / UVU)} VU`);
      break;
    case Act.throw: story.tell(cycle, did.throw, open((s) => s.home), over.home); break;
    case Act.scatter: story.tell(cycle, did.scatter, open((s) => s.agreed), over.agreed); break;
    case Act.cut: story.tell(cycle, did.cut(a), a === 0 ? open(whole) : undefined, over.one); break;
    case Act.loss: story.tell(cycle, did.loss(a)); break;
    case Act.kill: story.tell(cycle, did.kill(a)); break;
    case Act.start: story.tell(cycle, did.start(a), open((s) => s.allThere && whole(s)), over.back); break;
    case Act.churn: story.tell(cycle, did.churn(a)); break;
    case Act.attack: story.tell(cycle, did.attack(a, b)); break;
  }
  if (now) split(faults, still);
}

function split(now: Faults, atOnce: boolean): void {
  if (now.cut > 0) {
    swarm.part({side: Array.from({length: REGIONS}, (_, region) => (now.cut >> region & 1) === 1 ? 0 : 1), names: texts.sides(now.cut)}, atOnce);
  } else {
    swarm.join(atOnce);
  }
}

function answered(answer: number): void {
  if (answer <= 1) return;
  amount = 0;
  const refusal = answer - 2;
  hint(refusal === 11 ? texts.refused.rate : refusal === 4 ? texts.refused.nobody : texts.refused.other);
}

// At the cycle that the link names, the state must be the one that it names.
function checkLink({figures, hash, done}: LookMessage): void {
  if (!link || figures.cycle < link.to) return;
  const {to, hash: named, done: of} = link;
  link = null;
  if (figures.cycle !== to || named === "" || done.length < of.filter(({cycle}) => cycle < to).length) return;
  if (hash === named) story.tell(figures.cycle, texts.linkSame(to));
  else { story.tell(figures.cycle, texts.linkOther); hint(texts.linkOtherNotice); }
}

// ---- On the page ----

function show(message: LookMessage, s: Stand): void {
  const {figures, columns, coming} = message, regions = figures.regions;
  fill($("t-cycle"), count(s.cycle));
  fill($("t-time"), texts.seconds(s.cycle));
  fill($("t-spread"), ...powerNodes(s.spread));
  fill($("t-value"), `${vu(s.total)} `, make("small", {}, "VU"));
  fill($("t-known"), texts.known(s.known, s.honest));
  fill($("t-carried"), two(s.carried));
  fill($("t-since"), figures.liesSince >= 0 ? texts.carriedSince(figures.liesSince) : texts.carriedNever);
  showPeers(columns, s.me);
  fill($("hash"), message.hash);
  scrubber.max = String(Math.max(1, message.newest));
  if (document.activeElement !== scrubber || hz > 0) scrubber.value = String(s.cycle);
  fill($("at"), count(s.cycle));
  const {mood, word, rest} = sentence(s, faults, spreads, regions, amount);
  live.say(mood, word, coming.length > 0 ? texts.replay(coming.length, rest) : rest);
  controls.show(faults, setup.microNodes, hz, swarm.plane);
  if (performance.now() - saidAt > SAID_MS) {
    saidAt = performance.now();
    fill($("said"), texts.said(s.replicas, s.cycle, s.spread, s.liars, s.home, s.far));
    table.show(columns, swarm.middle);
  }
  card();
  chart.show(spreads, message.done);
}

function showPeers(columns: Columns, me: number): void {
  let heard = 0, lying = 0;
  for (let peer = 0; peer < PEERS; ++peer) {
    const to = columns.linksTo[me * PEERS + peer];
    if (to >= columns.x.length) continue;
    ++heard;
    if (columns.kind[to] === Kind.liar) ++lying;
  }
  fill($("t-peers"), `${heard} `, make("small", {}, texts.of(columns.x.length)));
  fill($("t-trust"), columns.kind[me] === Kind.gone ? texts.deadMe : texts.trust(lying, columns.trust[me]));
}

function hint(text: string): void {
  notice($("hint"), text);
  clearTimeout(hintTimer);
  hintTimer = window.setTimeout(() => notice($("hint"), null), HINT_MS);
}

// A replica that is looked at.
function card(): void {
  const element = $("card"), slot = swarm.picked;
  element.hidden = slot < 0 || !last || last.columns.kind[slot] === Kind.nobody;
  if (element.hidden || !last) return;
  const {columns, figures} = last, kind = columns.kind[slot], middle = swarm.middle;
  const away = middle ? Math.hypot(columns.x[slot] - middle.x, columns.y[slot] - middle.y) : 0;
  const title = [make("b", {}, slot === figures.me ? texts.youTitle : texts.replica(slot)), ` · ${texts.regions[columns.region[slot]]}`];
  const lines = kind === Kind.liar ? [texts.fromMiddle(away)]
    : kind === Kind.gone ? [texts.died]
    : [texts.point(figures.total - columns.behind[slot], columns.trust[slot]),
      (away < 1e-4 ? texts.agrees : texts.fromMiddle(away)) + (columns.age[slot] < figures.cycle ? texts.newcomer(columns.age[slot]) : "")];
  fill(element, ...title, ...(kind === Kind.liar ? [" · ", ...rich(`*${texts.liesToo}*`)] : []),
    ...lines.flatMap((line) => [make("br"), line]));
}

function recolour(): void {
  swarm.recolour();
  showLegend($("legend"), swarm.paint, texts.regions,
    {me: texts.me, drift: texts.drift, entropy: texts.entropy, liar: texts.liar, gone: texts.gone});
  chart.recolour(spreads.length > 0 ? spreads : [1]);
}

// ---- Orders ----

function speed(next: number): void {
  timeChosen = true;
  hz = next;
  worker.post({type: "speed", hz});
  controls.show(faults, setup.microNodes, hz, swarm.plane);
}

function time(which: Speed): void {
  switch (which) {
    case "pause": speed(0); break;
    case "slow": speed(SLOW_HZ); break;
    case "real": speed(REAL_HZ); break;
    case "step": speed(0); worker.post({type: "step"}, {answered: true}); break;
    case "back": speed(0); seek((last?.figures.cycle ?? 0) - 1); break;
  }
}

function seek(cycle: number): void {
  worker.post({type: "seek", cycle: Math.max(0, cycle)}, {answered: true});
}

function pause(): void {
  if (hz > 0) before = hz;
  speed(hz > 0 ? 0 : before);
}

function plane(on: boolean): void {
  viewChosen = true;
  turn(on);
}

function turn(on: boolean): void {
  swarm.setPlane(on);
  controls.show(faults, setup.microNodes, hz, on);
}

const controls = new Controls({
  act: (kind, a = 0, b = 0) => { link = null; worker.post({type: "do", kind, a, b}, {answered: true}); },
  hint,
  size: (microNodes) => {
    history.replaceState(null, "", location.pathname + location.search);
    start({...setup, microNodes}, null);
  },
  time,
  plane,
});

function start(next: Setup, from: Link | null): void {
  setup = next;
  link = from && from.to > 0 ? from : null;
  spreads = [];
  faults = noFaults;
  stand = null;
  answers = amount = 0;
  swarm.begin({groups: REGIONS, mine: [], label: texts.me, range: RANGE});
  story.clear();
  story.tell(0, texts.begun(setup.microNodes), (s) => s.agreed, texts.over.agreed);
  fill($("lead-n"), count(setup.microNodes));
  worker.post({type: "start", setup, coming: from ? from.done : [], to: from ? from.to : 0}, {answered: true});
}

async function copy(): Promise<void> {
  if (!last) return;
  const label = $("copy").querySelector("span") as HTMLElement, usual = label.textContent ?? "";
  history.replaceState(null, "", writeLink(setup, last.done, last.figures.cycle, last.hash));
  try {
    await navigator.clipboard.writeText(location.href);
    label.textContent = texts.copied;
  } catch {
    label.textContent = texts.inAddress;
  }
  setTimeout(() => { label.textContent = usual; }, 2000);
}

function fromAddress(): void {
  const read = readLink(location.hash, USUAL);
  if (read.broken) hint(texts.linkBroken);
  start(read.setup, read.done.length > 0 || read.to > 0 ? read : null);
}

// ---- Keys and pointers ----

const help = texts.keysHelp, letters = ["c", "d", "s", "p", "k", "a", "l", "g"] as const;
new Keys([
  ...letters.map((key) => ({key, shown: key.toUpperCase(), does: help[key], act: () => controls.press(key)})),
  {key: "v", shown: "V", does: help.v, act: () => plane(!swarm.plane)},
  {key: " ", shown: "space", does: help.space, act: pause},
  {key: ".", shown: ".", does: help.dot, act: () => time("step")},
  {key: ",", shown: ",", does: help.comma, act: () => time("back")},
], [{shown: "← → ↑ ↓", does: help.arrows}, {shown: "Esc", does: help.escape}], $("keys"));

pickByHand(canvas, swarm, {
  first: () => last?.figures.me ?? 0,
  next: (slot, step) => { const n = last?.columns.x.length ?? 1; return (slot + step + n) % n; },
  picked: (_, byKey) => { card(); if (byKey) { saidAt = performance.now(); fill($("said"), $("card").textContent ?? ""); } },
});
scrubber.addEventListener("input", () => { if (hz > 0) speed(0); seek(Number(scrubber.value)); });
$("copy").addEventListener("click", () => { void copy(); });
$("table").addEventListener("toggle", () => { if (last) table.show(last.columns, swarm.middle); });
document.addEventListener("visibilitychange", () => worker.post({type: "hidden", hidden: document.hidden}));
addEventListener("hashchange", fromAddress);

fill($("chart-name"), texts.chart);
themeButton($<HTMLButtonElement>("theme"));
onColours(recolour);
recolour();
fromAddress();

// The opening: everybody where they are in the plane; then the rings, and the first cycle. Whoever has chosen a view or a
// pace by then keeps it.
setTimeout(() => { if (!viewChosen) turn(false); }, still ? 0 : OPENING_MS);
setTimeout(() => { if (!timeChosen) speed(hz); }, still ? 300 : FIRST_CYCLE_MS);
