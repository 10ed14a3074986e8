// Every word of the playground.
import {count, percent, power, spoken, two, vu} from "../shared/figures";

// What page.html is filled with; *bold*, and a line break where the heading breaks.
export const html = {
  title: "Nobody leads · LVS playground",
  description: "Hundreds of replicas of one ledger, in your browser, with no leader. Watch them agree, then try to break it.",
  preview: "A sunflower of coloured points inside thin rings: replicas of a ledger that agree.",
  skip: "Skip to the actions",
  brand: "Living Value System",
  keys: "Keys",
  dark: "Dark",
  heading: "Nobody leads.\nThey agree anyway.",
  leadAfter: " replicas of one ledger live in this page, in the code that the servers run. Each cycle, each of them hears eight others and drifts a little. There is nothing else. *Try to break it.*",
  noscript: "The network runs in your browser, so this page needs JavaScript. Allow it for this page, and reload.",
  starting: "Starting",
  loading: "Loading the core.",
  swarm: "The swarm",
  view: "View",
  rings: "Rings",
  plane: "Plane",
  legend: "Legend",
  time: "Time",
  pause: "Pause",
  back: "Back",
  step: "Step",
  slow: "Slow",
  real: "Real time",
  backTitle: "One cycle back (,)",
  stepTitle: "One cycle (.)",
  scrubber: "Cycle",
  you: "You",
  contribute: "Contribute",
  amount: "Amount in VU",
  unit: "VU",
  throw: "Throw me out",
  break: "Break it",
  scatter: "Scatter everybody",
  which: "Region",
  cut: "Cut off",
  kill: "Kill",
  loss: "Lose half the messages",
  churn: "Come and go",
  churnNote: "2 % a cycle",
  attack: "Let some lie",
  lie: "What they say",
  share: "How many",
  replicas: "Replicas",
  sendOn: "Send it on",
  copy: "Copy a link that replays this",
  endsBefore: "It is in the state ",
  endsAfter: " on every machine, bit for bit.",
  cycle: "Cycle",
  hear: "You hear",
  value: "Value",
  carried: "Carried",
  spread: "Spread",
  spreadNote: "random is 1",
  what: "*What it shows.* A point is a replica, at the two free coordinates of its state. Every ring is ten times closer to agreement than the one outside it; replicas that agree to a ten-thousandth have reached the middle, where they are laid side by side. *What good looks like.* Everybody in the middle, all colours mixed, liars left outside.",
  soFar: "So far",
  soFarNote: "cycle",
  table: "The picture as a table",
};

export const REGION_NAMES = ["Europe", "Asia", "the Americas"];
const titled = (name: string) => name.replace(/^the /, "The ");

// Lies, by the numbers of shard/hosting/attack.h: as a choice, and as what they do in a sentence.
export const LIES: readonly {readonly attack: number; readonly choice: string; readonly claims: string}[] = [
  {attack: 1, choice: "always the same, far away", claims: "claims to be far away, always at the same place"},
  {attack: 2, choice: "all value is gone", claims: "claims that all value is gone"},
  {attack: 3, choice: "noise", claims: "says something huge at random"},
  {attack: 5, choice: "far above, far below", claims: "claims too much and too little in turn"},
  {attack: 6, choice: "a little below everybody", claims: "claims a little less than everybody"},
  {attack: 4, choice: "a little off, within bounds", claims: "is a little off, always to the same side"},
  {attack: 8, choice: "yesterday's news", claims: "repeats what was true once"},
  {attack: 9, choice: "value never earned", claims: "claims value that was never earned"},
  {attack: 7, choice: "bad entropy", claims: "floods the others with bad entropy"},
  {attack: 10, choice: "the edge of the range", claims: "claims to be at the edge of the range"},
  {attack: 11, choice: "far, but just not struck", claims: "claims to be as far away as is just not struck"},
  {attack: 12, choice: "a step ahead", claims: "is always a step ahead"},
  {attack: 13, choice: "a long step ahead", claims: "is always a long step ahead"},
  {attack: 14, choice: "two camps", claims: "pulls towards one of two camps"},
  {attack: 15, choice: "nearer, then far again", claims: "comes nearer like the honest, and starts again"},
];
export const SHARES = [100, 200, 300, 400, 500];  // per mille
export const CHURN = 20;   // per mille a cycle
export const LOSS = 500;   // per mille

const region = (k: number) => REGION_NAMES[k];
const sided = (cut: number) => REGION_NAMES.filter((_, k) => (cut >> k & 1) === 1).join(" and ");
const others = (cut: number) => REGION_NAMES.filter((_, k) => (cut >> k & 1) === 0).join(" and ");
const cycles = (n: number) => `${count(n)} cycle${n === 1 ? "" : "s"}`;

export const texts = {
  me: "you",
  shareOption: (perMille: number) => `${perMille / 100} in 10`,
  regions: REGION_NAMES.map(titled),
  entropy: "entropy", drift: "drift", liar: "liar", gone: "dead",

  // ---- The live sentence: a word, and the rest ----
  sides: (cut: number): [string, string] => [titled(sided(cut)), titled(others(cut))],
  nobody: ["Gone", "Every region is dead, and this network has no disk. Start one: it begins empty."] as const,
  apart: "Apart",
  apartScattered: "Neither side hears the other. Both go on.",
  apartValue: (cut: number, here: number, there: number) =>
    `${titled(sided(cut))} holds ${vu(here)} VU, the others ${vu(there)}. Nothing is lost.`,
  apartCalm: (cut: number) => `${titled(sided(cut))} and the others do not hear each other. Both go on, and take contributions.`,
  camps: "In camps",
  campsRest: (spread: number) => `Crowds stay ${power(spread)} apart. `,
  valueRight: "Every value is right.",
  scattered: "Scattered",
  agreeing: "Agreeing",
  everywhere: "Everybody is somewhere else.",
  far: (distance: number) => `You are ${two(distance)} away from the others, and they lead you back.`,
  closer: (rate: number) => `Each cycle brings them ${rate.toFixed(1)} times closer.`,
  driven: "They have been driven apart.",
  distance: (spread: number) => `They are ${power(spread)} apart, where random is 1.`,
  spreading: "Spreading",
  knows: (known: number, all: number, amount: number) =>
    `${count(known)} of ${count(all)} replicas know of ${amount > 0 ? `the ${vu(amount)} VU` : "everything"}; each tells the next.`,
  agreed: "Agreed",
  agreedRest: (all: number, total: number) => `All ${count(all)} are within a millionth, each worth ${vu(total)} VU. Nobody was asked.`,
  agreedLies: (total: number) => `Nobody follows: the others hold ${vu(total)} VU.`,
  agreedLoss: "Half of what is said is lost, and nothing is missing.",
  agreedChurn: "One in fifty leaves in each cycle, and nothing leaves with them.",
  agreedDown: (names: string, total: number) => `${names} is dead. The others hold all ${vu(total)} VU.`,
  dead: (dead: readonly boolean[]) => titled(dead.map((one, k) => one ? region(k) : "").filter(Boolean).join(" and ")),
  waiting: (name: string) => `${name} has started empty, and asks the others what they hold.`,
  lies: (liars: number, all: number, carried: number) =>
    `${count(liars)} of ${count(all)} lie${carried > 1 ? `; they dragged the crowd ${two(carried)} away` : ""}. `,
  lost: "Half of what is said is lost. ",
  replay: (left: number, rest: string) => `A replay: ${count(left)} more to come. ${rest}`,
  seeking: (at: number, to: number) => `On the way to cycle ${count(to)}: ${count(at)}.`,

  // ---- Figures ----
  seconds: (cycle: number) => `that is ${(cycle / 10).toFixed(1)} s`,
  of: (all: number) => `of ${count(all)}`,
  trust: (lying: number, trust: number) => `${lying > 0 ? `${lying} lie · ` : ""}trust ${percent(trust)}`,
  deadMe: "region is dead",
  known: (known: number, all: number) => known === all ? `all ${count(all)} know` : `${count(known)} of ${count(all)} know`,
  carriedNever: "no lies yet",
  carriedSince: (cycle: number) => `since cycle ${count(cycle)}`,
  chart: "Spread over the last cycles, on a log scale",
  bands: {cut: "cut", loss: "loss", liars: "liars", down: "down", churn: "churn"},

  // ---- A point that is looked at ----
  replica: (slot: number) => `Replica ${count(slot + 1)}`,
  youTitle: "You",
  liesToo: "lies",
  died: "died with its region",
  point: (known: number, trust: number) => `knows ${vu(known)} VU · trusts its eight ${percent(trust)}`,
  agrees: "agrees to a ten-thousandth",
  fromMiddle: (distance: number) => `${power(distance)} from the middle`,
  newcomer: (age: number) => ` · came ${cycles(age)} ago`,

  // ---- What happened, and when it was over ----
  begun: (n: number) => `*${count(n)} replicas* start at random places`,
  did: {
    contribute: (amount: number) => `You contribute *${vu(amount)} VU*`,
    throw: "You are *thrown out*",
    scatter: "Everybody is *scattered*",
    cut: (cut: number) => cut === 0 ? "The cut is *healed*" : `*${titled(sided(cut))}* is cut off`,
    loss: (loss: number) => loss > 0 ? "*Half of all messages* are lost" : "Messages *arrive* again",
    attack: (attack: number, share: number) => share > 0 && attack > 0
      ? `*${share / 100} in ten* begin to lie: each ${LIES.find((lie) => lie.attack === attack)?.claims ?? "lies"}` : "The liars *stop*",
    kill: (k: number) => `*${titled(region(k))}* dies, and its memory with it`,
    start: (k: number) => `*${titled(region(k))}* starts again, empty`,
    churn: (churn: number) => churn > 0 ? "*One in fifty* leaves in each cycle, and a new one comes" : "All of them *stay* again",
  },
  over: {
    agreed: (n: number) => `agreed after ${cycles(n)}`,
    known: (n: number) => `known to all after ${cycles(n)}`,
    home: (n: number) => `home after ${cycles(n)}`,
    one: (n: number) => `one again after ${cycles(n)}`,
    back: (n: number) => `everything is back after ${cycles(n)}`,
  },
  refused: {
    rate: "Refused: a session may earn 1,000 VU at once and 10 VU more in each cycle. Contribute less, or wait.",
    nobody: "Refused: no region is alive to take it. Start one first.",
    other: "Refused by the network. Try a smaller amount.",
    amount: "Enter an amount from 0.000001 to 1,000,000 VU.",
    full: "That was not done: this playground has taken all that a link can hold. Choose a number of replicas to begin a new one.",
  },
  ended: "This playground has reached its last cycle. Go back, or choose a number of replicas to begin a new one.",
  linkBroken: "Some of the link could not be read and was left out. Ask for the link again if this is not what you expected.",
  linkSame: (cycle: number) => `The link's *same state*, bit for bit, at cycle ${count(cycle)}`,
  linkOther: "The link's state is *another one*",
  linkOtherNotice: "This replay has ended in another state than the link says. The link was made with another build of LVS, or was changed.",
  copied: "Copied",
  inAddress: "It is in the address bar",

  // ---- For a voice ----
  said: (n: number, cycle: number, spread: number, liars: number, home: boolean, far: number) =>
    `${count(n)} replicas in Europe, Asia and the Americas. Cycle ${cycle}. Spread ${spoken(spread)} of the start. ` +
    `${liars > 0 ? `${liars} lie. ` : ""}You are ${home ? "with the others" : `${two(far)} away from the others`}. Arrow keys choose a replica.`,
  tableHead: ["Region", "Replicas", "Know everything", "Lie", "Dead", "Mean trust", "From the middle (median)"],
  percent,

  keysHelp: {
    c: "contribute", d: "throw me out", s: "scatter everybody", p: "cut the region off, or heal the cut",
    k: "kill the region, or start it", l: "lose half the messages, or none", a: "let some lie, or nobody",
    g: "come and go, or stay", space: "pause, or go on", dot: "one cycle", comma: "one cycle back", v: "rings or plane",
    arrows: "choose a replica, once the swarm has the focus", escape: "let go of the replica",
  },
} as const;
