// The node of this tab as the page knows it: its worker, its connections, and the last look at it.
import {Carriers} from "../tab/carriers";
import {Figures, TabEvent} from "../tab/core";
import {CacheState, CarrierEvent, FromTab, Looked, Network, ToTab} from "../tab/messages";
import {WorkerLink} from "../shared/worker_link";
import {Options} from "./options";

export interface Hub {
  readonly state: string; readonly name: string; readonly region: string; readonly build: string;
  readonly words: string; readonly againAtMs: number;
}
export interface Peer {
  readonly link: number; readonly tab: string; readonly relayed: boolean; readonly region: string; readonly build: string;
}

export interface NodeEvents {
  began(restored: number): void;
  looked(): void;
  told(event: TabEvent): void;
  refused(id: number, words: string): void;
  cut(done: boolean): void;
  failed(sentence: string): void;
  changed(): void;  // the hub, the clock or the cache
}

const SILENT_MS = 10_000, LOOK_AGAIN_MS = 2000;

export class LiveNode {
  network: Network | null = null;
  id = "";
  hub: Hub = {state: "dialling", name: location.host, region: "", build: "", words: "", againAtMs: 0};
  served = false;
  clockAheadMs = 0;
  cache: CacheState = "off";
  cacheWords = "";
  last: Looked | null = null;
  dead = false;
  readonly peers = new Map<number, Peer>();
  private readonly carriers: Carriers;
  private readonly worker: WorkerLink<ToTab, FromTab>;
  private heardMs = performance.now();
  private goodbye: ArrayBuffer | null = null;
  private recorded: ((text: string) => void) | null = null;

  constructor(private readonly events: NodeEvents, options: Options, build: string) {
    const direct = typeof RTCPeerConnection !== "undefined";
    const report = (event: CarrierEvent, transfer?: Transferable[]) => this.worker.post(event, {transfer});
    this.carriers = new Carriers(report, {iceServers: [], forbidden: options.relay});
    this.worker = new WorkerLink<ToTab, FromTab>(ASSETS["tab_worker.js"], {
      message: (message) => this.take(message),
      failed: (sentence) => this.fail(sentence),
    });
    this.worker.post({
      type: "begin", module: new URL(ASSETS["tab.wasm"], location.href).href, origin: options.hub,
      microNodes: options.microNodes, region: options.region, seed: options.seed, direct, keep: options.keep,
      record: options.record, build,
    });
    setInterval(() => this.events.changed(), LOOK_AGAIN_MS);
    addEventListener("pagehide", () => this.leave());
    // A page that comes back from the browser's memory has no connection any more.
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  }

  post(message: ToTab): void { this.worker.post(message); }

  recording(): Promise<string> {
    return new Promise((resolve) => {
      this.recorded = resolve;
      this.worker.post({type: "recording"});
    });
  }

  get tab(): Figures { return this.last?.figures.tab ?? {}; }
  get shards(): readonly Figures[] { return this.last?.figures.shards ?? []; }
  get links(): readonly Figures[] { return (this.last?.figures.links ?? []).filter((link) => link.is_ready === 1); }
  get ticking(): boolean { return this.last !== null; }

  // Nothing was heard of the worker for a while: it loads, or the machine is busy. It goes on when it can.
  get silent(): boolean { return !document.hidden && performance.now() - this.heardMs > SILENT_MS; }

  private leave(): void {
    this.worker.post({type: "leave"});
    if (this.goodbye) this.carriers.leave(this.goodbye);
  }

  private fail(sentence: string): void {
    this.dead = true;
    if (this.goodbye) this.carriers.leave(this.goodbye);
    this.events.failed(sentence);
  }

  private take(message: FromTab): void {
    this.heardMs = performance.now();
    switch (message.type) {
      case "order": return this.carriers.handle(message.order);
      case "look":
        this.last = message;
        this.events.looked();
        return this.worker.post({type: "drawn"});
      case "began":
        this.network = message.network;
        this.id = message.id;
        this.goodbye = message.goodbye;
        return this.events.began(message.restored);
      case "unfit": return this.fail(message.words);
      case "event": return this.hear(message.event);
      case "refused": return this.events.refused(message.id, message.words);
      case "cut": return this.events.cut(message.done);
      case "turn": return this.carriers.setIceServers(message.iceServers);
      case "clock": this.clockAheadMs = message.aheadMs; return this.events.changed();
      case "cache": this.cache = message.state; this.cacheWords = message.words; return this.events.changed();
      case "recording": return this.recorded?.(message.text);
    }
  }

  private hear(event: TabEvent): void {
    if (event.event === "hub") {
      const name = this.network?.hubs[event.hub] ?? location.origin;
      this.hub = {
        state: event.state, name: new URL(name).host, words: event.words, build: event.build || this.hub.build,
        region: event.region || (event.state === "welcome" ? "" : this.hub.region),
        againAtMs: event.again_ms > 0 ? performance.now() + event.again_ms : 0};
      this.events.changed();
    } else if (event.event === "link_open") {
      this.peers.set(event.link, event);
    } else if (event.event === "place") {
      this.served = event.given;
    }
    this.events.told(event);
    if (event.event === "link_ended") this.peers.delete(event.link);
  }
}
