// The worker of a tab: the node core, its clock, its socket to a hub and its cache. Connections to tabs are the page's
// (carriers.ts): the two pass bytes.
//
// One timer, armed again after its work: a cycle that was missed is skipped, and nothing is ever made up for.
import {Failure} from "../shared/failure";
import {failureOf} from "../shared/wasm";
import {Cache, ENTRY_BYTES, Kept} from "./cache";
import {CycleClock} from "./clock";
import {fetchConfig, NetworkConfig, Unfit} from "./config";
import {Core, Hands, Now, TabEvent} from "./core";
import {Begin, CacheState, CarrierEvent, FromTab, ToTab} from "./messages";
import {Recording} from "./recording";
import {Sockets} from "./sockets";

// Cycles from tick to tick while nobody looks. A replica in low power moves in cycles of one remainder by 4, so a stride
// that shares a factor with 4 would leave some of them standing for ever.
const HIDDEN_STRIDE = 5;
const CLOCK_AGAIN_MS = 600_000;
const CLOCK_ERROR_MS = 2000;  // of the visitor's own clock, that is worth a word
const LOOK_MS = 90;           // apart, at least
const HIDDEN_LOOK_MS = 1000;

type Post = (message: FromTab | Failure, transfer: Transferable[]) => void;
const say = (message: FromTab | Failure, transfer: Transferable[] = []) => (postMessage as Post)(message, transfer);

class TabWorker {
  private readonly sockets = new Sockets({
    opened: (socket) => this.tell(() => this.core.hubOpened(socket, this.now())),
    closed: (socket, code, words) => this.tell(() => this.core.hubClosed(socket, code, words, this.now())),
    received: (socket, bytes) => this.tell(() => this.core.hubReceived(socket, bytes, this.now())),
  });
  private readonly blocked = new Set<number>();
  private recording: Recording | null = null;
  private cache: Cache | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private hidden = false;
  private drawn = true;      // the page has shown the last look
  private lookedMs = 0;
  private clockMs = 0;       // when a hub was last asked for the time
  private workMs = 0;
  private handing = false;
  private left = false;
  // What the core wants done. Bytes are copied: the core's memory moves on.
  private readonly hands: Hands = {
    dialHub: (socket, hub) => {
      const origin = this.config.hubs[hub] ?? this.config.hubs[0];
      void this.askHub(origin);
      this.sockets.dial(socket, origin);
    },
    sendToHub: (socket, bytes) => this.sockets.send(socket, bytes),
    closeHub: (socket, words) => this.sockets.close(socket, words),
    makeOffer: (channel) => say({type: "order", order: {type: "offer", channel}}),
    acceptOffer: (channel, description) => say({type: "order", order: {type: "accept", channel, description}}),
    applyAnswer: (channel, description) => say({type: "order", order: {type: "complete", channel, description}}),
    sendOnLink: (channel, bytes) => {
      const copy = bytes.slice().buffer;
      say({type: "order", order: {type: "send", channel, bytes: copy}}, [copy]);
    },
    closeLink: (channel) => say({type: "order", order: {type: "close", channel}}),
    event: (event) => this.heard(event),
    entries: (shard, bytes) => this.cache?.put(recordsOf(shard, bytes)),
  };

  private constructor(private readonly core: Core, private config: NetworkConfig, private readonly clock: CycleClock) {}

  static async begin(begin: Begin): Promise<TabWorker> {
    // Both take a round trip.
    const [core, config] = await Promise.all([Core.load(begin.module), fetchConfig(begin.origin).catch((error: unknown) => {
      if (error instanceof Unfit) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new Unfit(`${begin.origin}/config.json could not be read (${why}). Check the connection, and reload the page; ` +
        "or ask who runs this address.");
    })]);
    const clock = new CycleClock(config.periodUs), tab = new TabWorker(core, config, clock);
    tab.setClock(config);
    if (begin.record) {
      const recording = tab.recording = new Recording();
      core.heard = (name, numbers, input) => recording.add(name, numbers, input);
    }
    if (begin.keep) await tab.openCache();
    const sessions = await tab.cache?.sessions() ?? [], kept = await tab.cache?.load() ?? [];
    const why = core.start({
      shards: config.shards, valueSlots: config.valueSlots, freeCoordinates: config.freeCoordinates, periodUs: config.periodUs,
      microNodes: begin.microNodes, hubs: config.hubs.length, direct: begin.direct, sessions, seed: begin.seed, build: begin.build,
      region: begin.region || config.region,
    }, tab.now());
    if (why !== null) throw new Unfit(why);
    const goodbye = core.goodbye("the page was closed").buffer as ArrayBuffer;
    const {shards, valueSlots, freeCoordinates, periodUs, hubs} = config;
    say({type: "turn", iceServers: config.turn});
    const network = {shards, valueSlots, freeCoordinates, periodUs, hubs};
    say({type: "began", id: core.id, network, goodbye, restored: tab.restore(kept)});
    tab.cache?.keepSessions(core.sessions());
    tab.tick();
    return tab;
  }

  take(message: Exclude<ToTab, Begin>): void {
    switch (message.type) {
      case "described": case "opened": case "lost": case "received": case "blocked":
        return this.tell(() => this.carried(message));
      case "contribute":
        return this.tell(() => {
          const words = this.core.contribute(message.id, message.shard, message.slot, message.uvu);
          if (words !== null) say({type: "refused", id: message.id, words});
        });
      case "scatter": return this.tell(() => this.core.scatter());
      case "cut": return this.tell(() => say({type: "cut", done: this.core.cut(message.seconds, this.now())}));
      case "microNodes":
        return this.tell(() => {
          this.core.setMicroNodes(message.count, this.now());
          this.cache?.keepSessions(this.core.sessions());
        });
      case "hidden":
        this.hidden = message.on;
        this.core.setHidden(message.on);
        return this.arm();
      case "lowPower": return this.core.setLowPower(message.on);
      case "keep": void this.keep(message.on); return;
      case "drawn": this.drawn = true; return;
      case "recording": say({type: "recording", text: this.recording?.text ?? ""}); return;
      case "crash": throw new Error("asked to");
      case "leave": return this.leave();
    }
  }

  // ---- Time

  private now(): Now { return {s: performance.now() / 1000, cycle: this.clock.cycle()}; }

  private untilNextMs(): number { return this.clock.untilNextMs(this.hidden ? HIDDEN_STRIDE : 1); }

  private arm(): void {
    clearTimeout(this.timer);
    if (!this.left) this.timer = setTimeout(() => guarded(() => this.tick()), this.untilNextMs());
  }

  private tick(): void {
    const began = performance.now();
    const slept = this.clock.jumped();
    if (slept || began - this.clockMs > CLOCK_AGAIN_MS) void this.askHub(this.config.hubs[0]);
    for (const [socket, blocked] of this.sockets.blocked()) {
      if (blocked === this.blocked.has(socket)) continue;
      if (blocked) this.blocked.add(socket);
      else this.blocked.delete(socket);
      this.core.hubBlocked(socket, blocked);
    }
    this.core.tick(this.now());
    this.recording?.hash(this.core.stateHash());
    this.drain();
    this.workMs = performance.now() - began;
    this.look();
    this.arm();
  }

  // The time, and addresses of TURN servers, of a hub. Whoever does not answer is not needed: the clock goes on.
  private async askHub(origin: string): Promise<void> {
    if (performance.now() - this.clockMs < 1000) return;
    this.clockMs = performance.now();
    try {
      const config = await fetchConfig(origin, 1);
      this.setClock(config);
      say({type: "turn", iceServers: config.turn});
      if (config.hubs.length === this.config.hubs.length) this.config = {...this.config, turn: config.turn};
    } catch { /* the next hub will tell */ }
  }

  private setClock({reading}: NetworkConfig): void {
    if (!reading) return;
    this.clockMs = performance.now();
    this.clock.set(reading);
    const aheadMs = this.clock.wallErrorMs ?? 0;
    say({type: "clock", aheadMs: Math.abs(aheadMs) > CLOCK_ERROR_MS + reading.withinMs ? aheadMs : 0});
  }

  // ---- The core

  // Reports something to the core, and does at once what comes of it.
  private tell(report: () => void): void {
    if (this.left) return;
    guarded(() => {
      report();
      this.drain();
    });
  }

  private drain(): void {
    if (this.handing) return;
    this.handing = true;
    try {
      this.core.drain(this.hands);
    } finally {
      this.handing = false;
    }
  }

  private carried(event: CarrierEvent): void {
    switch (event.type) {
      case "described": return this.core.described(event.channel, event.description, this.now());
      case "opened": return this.core.linkOpened(event.channel, this.now());
      case "lost": return this.core.linkLost(event.channel, this.now());
      case "received": return this.core.linkReceived(event.channel, new Uint8Array(event.bytes), this.now());
      case "blocked": return this.core.linkBlocked(event.channel, event.blocked);
    }
  }

  private heard(event: TabEvent): void {
    // The first welcome may have moved the micro-nodes.
    if (event.event === "mask") this.cache?.keepSessions(this.core.sessions());
    say({type: "event", event});
  }

  private look(): void {
    const now = performance.now();
    if (!this.drawn || now - this.lookedMs < (this.hidden ? HIDDEN_LOOK_MS : LOOK_MS)) return;
    this.drawn = false;
    this.lookedMs = now;
    const points = this.hidden ? new Float32Array(0) : this.core.points();
    const cached = this.cache?.entries ?? 0;
    const look = {figures: this.core.figures(), points, cycleMs: this.untilNextMs(), workMs: this.workMs, cached};
    say({type: "look", ...look}, [points.buffer]);
  }

  private leave(): void {
    if (this.left) return;
    this.core.leave("the page was closed", this.now());
    this.drain();
    this.left = true;
    clearTimeout(this.timer);
    void this.cache?.flush();
  }

  // ---- The cache

  private async openCache(): Promise<Cache | null> {
    const {shards, valueSlots, freeCoordinates, periodUs} = this.config;
    const tellState = (state: CacheState, words = "") => {
      say({type: "cache", state, words});
      return this.cache;
    };
    if (typeof indexedDB === "undefined") return tellState("missing");
    try {
      const opened = await Cache.open(`${shards}-${valueSlots}-${freeCoordinates}-${periodUs}`);
      if (opened === "taken") return tellState("taken");
      this.cache = opened;
      return tellState("on");
    } catch (error) {
      return tellState("failed", error instanceof Error ? error.message : String(error));
    }
  }

  private restore(kept: readonly Kept[]): number {
    const byShard = new Map<number, Uint8Array[]>();
    for (const {shard, record} of kept) {
      const records = byShard.get(shard);
      if (records) records.push(record);
      else byShard.set(shard, [record]);
    }
    for (const [shard, records] of byShard) {
      // The input of the core holds so many at once.
      for (let first = 0; first < records.length; first += 8192) {
        const part = records.slice(first, first + 8192), bytes = new Uint8Array(part.length * ENTRY_BYTES);
        part.forEach((record, k) => bytes.set(record, k * ENTRY_BYTES));
        this.core.restore(shard, bytes, part.length);
      }
    }
    return kept.length;
  }

  private async keep(on: boolean): Promise<void> {
    if (on && !this.cache) {
      const cache = await this.openCache();
      if (!cache) return;
      cache.keepSessions(this.core.sessions());
      for (const {shard} of this.core.figures().shards) this.core.entriesOf(shard, this.hands);
    } else if (!on && this.cache) {
      const {cache} = this;
      this.cache = null;
      await cache.clear().catch(() => {});
      say({type: "cache", state: "off", words: ""});
    }
  }
}

function recordsOf(shard: number, bytes: Uint8Array): Kept[] {
  const kept: Kept[] = [];
  for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
    kept.push({shard, record: bytes.slice(at, at + ENTRY_BYTES)});
  }
  return kept;
}

// A core that failed once is not asked again: its memory may be in any state.
let tab: TabWorker | null = null, dead = false;
function guarded(act: () => void): void {
  if (dead) return;
  try {
    act();
  } catch (error) {
    dead = true;
    say(failureOf(error));
  }
}

onmessage = ({data}: MessageEvent<ToTab>) => {
  if (data.type === "begin") {
    TabWorker.begin(data).then((begun) => { tab = begun; }).catch((error: unknown) => {
      if (error instanceof Unfit) say({type: "unfit", words: error.message});
      else say(failureOf(error));
    });
  } else {
    guarded(() => tab?.take(data));
  }
};
