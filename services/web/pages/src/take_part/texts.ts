// The words of the page "take part". Elements of the page itself are in `html`; what is said while it runs, in `texts`.
import {count, vu} from "../shared/figures";
import {texts as shared} from "../shared/texts";

export const html = {
  title: "Take part · Living Value System",
  description: "Open this page and be a node: your tab holds a part of the ledger, talks to other tabs, and goes on when all servers are gone.",
  skip: "Skip to the actions",
  brand: shared.brand, keys: shared.keys, dark: shared.dark,
  heading: "This tab is a node.\nNobody leads it.",
  lead: "It runs the code that the servers run, bit for bit, and holds a part of the ledger. It talks to other tabs directly. " +
    "If every server dies, the tabs go on, and the value is still there. *Give something, or get in the way.*",
  noscript: "A node runs in this tab, so the page needs JavaScript.",
  starting: "Starting", loading: "Loading the core.",
  picture: "The swarm as this tab sees it",
  views: "View", rings: "Rings", plane: "Plane",
  actions: "Actions",
  you: "You",
  amount: "Amount", slot: "Slot", shard: "Shard",
  contribute: "Contribute",
  throw: "Throw my node out", cut: "Drop my links for 10 s",
  thisTab: "This tab",
  microNodes: "Micro-nodes",
  keep: "Keep the ledger here",
  power: "Save power",
  show: "Shards shown", all: "All my shards",
  who: "Who I am",
  cycle: "Cycle", peers: "Linked with", value: "Value here", spread: "Spread", spreadNote: "of free coordinates",
  spreadPicture: "Spread over the last minutes, on a log scale",
  log: "So far", logNote: "time",
  peersTitle: "Links", shardsTitle: "Shards here",
  thWho: "who", thWay: "how", thRegion: "region", thShared: "shared shards", thHeard: "heard", thBytes: "bytes in / out",
  thShard: "shard", thReplicas: "replicas here", thHolders: "held by", thTotal: "total, VU", thSessions: "contributors", thSpread: "spread", thState: "state",
  how: "*What it shows.* A point is a replica: ringed ones live in this tab, the others are those that it hears of. Every ring is ten " +
    "times closer to agreement than the one outside it. *What good looks like.* Everybody in the middle, held by several, no server needed.",
  more: "What is counted",
};

const seconds = (ms: number): string => ms < 1500 ? "1 s" : ms < 90_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`;
const tabs = (n: number): string => n === 1 ? "one tab" : `${count(n)} tabs`;
const some = (who: readonly string[]): string => who.length > 3 ? `${who[0]} and ${count(who.length - 1)} others` : who.join(", ");
const list = (shards: readonly number[]): string => {
  const runs: string[] = [];
  for (let k = 0, from = 0; k < shards.length; ++k) {
    if (shards[k + 1] === shards[k] + 1) continue;
    runs.push(from === k ? String(shards[k]) : `${shards[from]}–${shards[k]}`);
    from = k + 1;
  }
  return runs.join(", ");
};

export const texts = {
  keyGive: "contribute", keyThrow: "throw your node out", keyCut: "drop your links for 10 seconds",
  keyView: "change between rings and plane", keyPick: shared.keyPick, keyLetGo: shared.keyEscape,
  tabs: (n: number) => n === 1 ? "tab" : "tabs",
  you: "you", server: "server", tab: "tab", unknown: "unknown", all: "All my shards", one: (shard: number) => `shard ${shard}`, slot: (slot: number) => `slot ${slot}`,
  shards: (held: readonly number[]) => held.length === 1 ? `shard ${held[0]}` : `shards ${list(held)}`,
  list, seconds,

  // ---- The live sentence
  looking: "Looking", lookingRest: (hub: string) => `Asking ${hub} who holds the same shards.`,
  catchingUp: "Catching up", catchingRest: (held: string) => `The others send what they have of ${held}. Your replicas enter then.`,
  alone: "Alone", aloneRest: "Nobody else with your shards is there. Your node goes on; what you give is only here.",
  aloneHub: "Nobody is linked, and no hub answers. Your node goes on; what you give is only here.",
  cutOff: "Cut off", cutRest: (left: string) => `You hear nobody, for another ${left}. You go on, and so do they.`,
  scattered: "Thrown out", scatteredRest: (far: string) => `You are ${far} away from the others. They lead you back.`,
  agreeing: "Agreeing", fallRest: (times: string) => `Each cycle brings them ${times} times closer.`,
  apartRest: (spread: string) => `Your replicas and those that you hear are ${spread} apart, where chance would be 58.`,
  spreading: "Spreading", spreadingRest: (amount: string, holders: number) =>
    holders < 2 ? `${amount} is only here so far. Your links are told next.` : `${amount} is held by ${count(holders)}, you included.`,
  agreed: "Agreed", agreedRest: (own: number, heard: number) =>
    `Your ${own === 1 ? "replica" : `${count(own)} replicas`} and the ${count(heard)} that you hear agree. Nobody was asked.`,
  serverless: "Without servers", serverlessRest: (links: number) =>
    `No server answers. You and ${tabs(links)} hold the ledger among you, and go on.`,

  // ---- What happened
  began: (held: string, restored: number) => restored > 0 ? `Your node starts with *${held}*, and ${restored === 1 ? "one entry" : `${count(restored)} entries`} from this browser` : `Your node starts with *${held}*`,
  nowHolds: (held: string) => `You now hold *${held}*`,
  linked: (who: readonly string[], relayed: number) => `Linked with *${some(who)}*${relayed === 0 ? ", directly" : relayed === who.length ? ", through the hub" : `, ${count(relayed)} through the hub`}`,
  unlinked: (who: readonly string[], why: string) => who.length === 1 ? `${who[0]} is gone: ${why}` : `${some(who)} are gone`,
  place: "A *server* takes your frames, and tells you its own",
  noPlace: (why: string) => `The server needs its place for others${why ? `: ${why}` : ""}`,
  gave: (amount: string, shard: number) => `You contribute *${amount}* to shard ${shard}`,
  gaveNow: (holders: number) => holders < 2 ? "only here" : `held by ${count(holders)}`,
  gaveDone: (holders: number) => holders < 2 ? "still only here: keep this tab open until others come" : `held by ${count(holders)}, safe`,
  gaveRefused: (why: string) => `refused: ${why}`,
  threw: "You are *thrown out*", home: (cycles: number) => `home after ${count(cycles)} cycles`,
  didCut: "You *drop all links* for 10 s", cannotCut: "Not cut: no hub is there that could let you in again. Wait until one answers.",
  hubWelcome: (hub: string, region: string) => `*${hub}*${region ? ` in ${region}` : ""} introduces you to others`,
  hubRefused: (words: string) => `The hub did not take a message: ${words}`,
  direct: "directly", relayed: "through the hub", byServer: "server",

  // ---- Who and what
  who: (id: string, region: string, hub: string) => `Tab *${id}*${region ? ` in ${region}` : ""}, introduced by ${hub}.`,
  whoNoHub: (id: string, region: string) => `Tab *${id}*${region ? ` in ${region}` : ""}. No hub answers.`,
  cycleNote: (ms: number, lowPower: boolean) => lowPower ? "low power: one in four" : `one in ${ms} ms`,
  peersNote: (direct: number, relayed: number, server: boolean) =>
    [`${count(direct)} direct`, relayed > 0 ? `${count(relayed)} relayed` : "", server ? "a server" : "no server"].filter((part) => part).join(", "),
  valueNote: (held: string, complete: boolean) => complete ? held : `${held}, not yet all`,
  contributeButton: (amount: string) => `Contribute ${amount} VU`,
  amountWrong: "Type an amount above 0, of at most 1,000 VU, with at most six decimals.",
  vu: (amount: number) => `${vu(amount)} VU`,
  complete: "complete", waiting: "catching up", onlyHere: "only here", adopted: "adopted",
  ago: (s: number) => s < 1 ? "now" : `${count(Math.round(s))} s ago`,
  point: {
    mine: (shard: number) => `*Yours* · shard ${shard}`, tab: (who: string, shard: number) => `*${who}* · shard ${shard}`,
    server: (shard: number) => `*Server* · shard ${shard}`,
    agrees: "agrees to a ten-thousandth", away: (far: string) => `${far} from the middle`, heard: (cycles: number) => `said so ${count(cycles)} cycles ago`,
  },
  legendYou: "yours", legendServer: "server", legendDirect: "direct link", legendRelayed: "relayed", legendToServer: "to a server",
  legendDrift: "drift", legendEntropy: "entropy",
  described: (points: number, mine: number, links: number, spread: string, mood: string) =>
    `${mood}. ${count(points)} replicas, ${count(mine)} of them yours, over ${count(links)} links. Spread ${spread}. Arrow keys choose a replica; the tables below hold the same.`,

  // ---- What is wrong, and what to do
  noRtc: "This browser opens no direct connections (WebRTC is missing or switched off), so a hub relays all that your tab says. For direct links use a current browser, and allow WebRTC in its settings or add-ons.",
  clock: (ms: number) => `Your clock is ${seconds(Math.abs(ms))} ${ms > 0 ? "ahead" : "behind"}. Your node goes by the hub's, so nothing is lost; set your clock all the same.`,
  hub: {
    full: (hub: string, again: string) => `${hub} has as many tabs as it serves. Another hub is tried${again}; you need not do anything.`,
    misfit: (hub: string, words: string) => `${hub} runs another build or another network than this page (${words}). Reload the page to get its newest one.`,
    origin: (hub: string, words: string) => `${hub} does not take this page (${words}). Open the page at the hub's own address, or ask its operator to add this one to \"web.origins\".`,
    refused: (hub: string, words: string, again: string) => `${hub} refused this tab: ${words}. It is asked again${again}.`,
    lost: (hub: string, again: string, links: number) =>
      `${hub} does not answer. ${links > 0 ? `You go on with ${tabs(links)}` : "You go on alone"}; it is asked again${again}.`,
  },
  again: (ms: number) => ms > 0 ? ` in ${seconds(ms)}` : "",
  cache: {
    taken: "Another tab of this browser keeps the ledger already; this one keeps nothing.",
    missing: "This browser has no IndexedDB for this page, so nothing is kept. Leave private mode, or allow the site to store data.",
    failed: (why: string) => `The ledger cannot be kept here (${why}). Free some space, or allow the site to store data.`,
  },
  
  newer: (build: string) => `The hub has a newer page (${build}).`,
  reload: "Reload",
  noStart: "No node",
} as const;
