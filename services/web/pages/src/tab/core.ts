// The tab module (shard/wasm/tab_module.h) with its bytes: the whole node of a tab but its sockets, its clock and its
// connections.
import {loadModule} from "../shared/wasm";

// Of tab_module.h.
const enum Kind {
  dialHub = 1, sendToHub, closeHub, makeOffer, acceptOffer, applyAnswer, sendOnLink, closeLink, event, entries,
}
const HEAD_WORDS = 4, POINT_FLOATS = 8, POINTS_MAX = 2048;
const START_WORDS = 5;

interface Exports {
  memory: WebAssembly.Memory;
  tab_input(bytes: number): number;
  tab_take(): number;
  tab_taken_bytes(): number;
  tab_entries(shard: number): number;
  tab_goodbye(bytes: number): number;
  tab_words(): number;
  tab_figure_names(): number;
  tab_figures(): number;
  tab_points(most: number): number;
  tab_points_at(): number;
  tab_sessions(): number;
  tab_sessions_at(): number;
  tab_state_hash(): bigint;
  [call: string]: unknown;
}

export interface Start {
  readonly shards: number; readonly valueSlots: number; readonly freeCoordinates: number; readonly periodUs: number;
  readonly microNodes: number; readonly hubs: number; readonly direct: boolean;
  readonly sessions: readonly bigint[];
  readonly build: string; readonly region: string;
  readonly seed: number | null;  // for tests; else all is drawn
}

export interface Now { readonly s: number; readonly cycle: number }

export type Figures = Readonly<Record<string, number>>;
export interface AllFigures { readonly tab: Figures; readonly shards: readonly Figures[]; readonly links: readonly Figures[] }

export interface Build { readonly build: string; readonly protocol: number; readonly nodes: number }

export type TabEvent =
  | {readonly event: "contributed"; readonly id: number; readonly shard: number; readonly holders: number;
    readonly final: boolean; readonly refused: string}
  | {readonly event: "mask"}
  | {readonly event: "hub"; readonly state: string; readonly hub: number; readonly words: string; readonly region: string;
    readonly build: string; readonly again_ms: number}
  | {readonly event: "place"; readonly given: boolean; readonly words: string}
  | {readonly event: "link_open"; readonly link: number; readonly tab: string; readonly relayed: boolean;
    readonly region: string; readonly build: string}
  | {readonly event: "link_ended"; readonly link: number; readonly tab: string; readonly words: string}
  | {readonly event: "hub_refused"; readonly reason: string; readonly kind: number; readonly words: string}
  | {readonly event: "builds"; readonly builds: readonly Build[]};

// What the core wants done.
export interface Hands {
  dialHub(socket: number, hub: number): void;
  sendToHub(socket: number, bytes: Uint8Array): void;  // good until it returns
  closeHub(socket: number, words: string): void;
  makeOffer(link: number): void;
  acceptOffer(link: number, description: string): void;
  applyAnswer(link: number, description: string): void;
  sendOnLink(link: number, bytes: Uint8Array): void;
  closeLink(link: number, words: string): void;
  event(event: TabEvent): void;
  entries(shard: number, bytes: Uint8Array, count: number): void;
}

// One call of the core, for a replay by the native build. Text: what the page of a test reads.
export type Heard = (name: string, numbers: readonly number[], input: Uint8Array) => void;

const NOTHING = new Uint8Array(0);
const hex = (word: bigint): string => BigInt.asUintN(64, word).toString(16).padStart(16, "0");
const encoder = new TextEncoder(), decoder = new TextDecoder();

export class Core {
  id = "";  // of the tab, as others see it
  heard: Heard | null = null;
  private names: readonly (readonly string[])[] = [];

  static async load(address: string): Promise<Core> { return new Core(await loadModule<Exports>(address)); }
  private constructor(private readonly wasm: Exports) {}

  get memoryBytes(): number { return this.wasm.memory.buffer.byteLength; }

  // The reason why it does not start; null: it has.
  start(start: Start, now: Now): string | null {
    const words = new BigUint64Array(START_WORDS + start.sessions.length);
    crypto.getRandomValues(words.subarray(0, START_WORDS));
    if (start.seed !== null) for (let k = 0; k < START_WORDS; ++k) words[k] = BigInt(start.seed) * 0x9e3779b9n + BigInt(k + 1);
    words.set(start.sessions, START_WORDS);
    this.id = hex(words[0]) + hex(words[1]);
    const build = encoder.encode(start.build), region = encoder.encode(start.region);
    const input = new Uint8Array(words.byteLength + build.length + region.length);
    input.set(new Uint8Array(words.buffer));
    input.set(build, words.byteLength);
    input.set(region, words.byteLength + build.length);
    const began = this.call("tab_start", input, start.shards, start.valueSlots, start.freeCoordinates, start.periodUs,
      start.microNodes, start.hubs, start.direct ? 1 : 0, start.sessions.length, build.length, region.length, now.s, now.cycle);
    if (began === 0) return this.textAt(this.wasm.tab_words());
    this.names = this.textAt(this.wasm.tab_figure_names()).split("\n").map((line) => line.split(" "));
    return null;
  }

  restore(shard: number, entries: Uint8Array, count: number): void { this.call("tab_restore", entries, shard, count); }
  // All entries of a shard, as `entries` tells of those that change.
  entriesOf(shard: number, hands: Pick<Hands, "entries">): void {
    const taken = this.taken(this.wasm.tab_entries(shard)), [, number, more, length] = new Uint32Array(taken.buffer, 0, HEAD_WORDS);
    hands.entries(number, taken.subarray(4 * HEAD_WORDS, 4 * HEAD_WORDS + length), more);
  }
  // The message that says goodbye on a link.
  goodbye(words: string): Uint8Array {
    const input = encoder.encode(words);
    new Uint8Array(this.wasm.memory.buffer, this.wasm.tab_input(input.length), input.length).set(input);
    return this.taken(this.wasm.tab_goodbye(input.length));
  }
  tick(now: Now): void { this.call("tab_tick", NOTHING, now.s, now.cycle); }
  leave(words: string, now: Now): void { this.withText("tab_leave", words, [], now); }

  hubOpened(socket: number, now: Now): void { this.call("tab_hub_opened", NOTHING, socket, now.s, now.cycle); }
  hubClosed(socket: number, code: number, words: string, now: Now): void {
    this.withText("tab_hub_closed", words, [socket, code], now);
  }
  hubReceived(socket: number, bytes: Uint8Array, now: Now): void {
    this.call("tab_hub_received", bytes, socket, bytes.length, now.s, now.cycle);
  }
  hubBlocked(socket: number, blocked: boolean): void { this.call("tab_hub_blocked", NOTHING, socket, blocked ? 1 : 0); }
  described(link: number, description: string, now: Now): void { this.withText("tab_described", description, [link], now); }
  linkOpened(link: number, now: Now): void { this.call("tab_link_opened", NOTHING, link, now.s, now.cycle); }
  linkLost(link: number, now: Now): void { this.call("tab_link_lost", NOTHING, link, now.s, now.cycle); }
  linkReceived(link: number, bytes: Uint8Array, now: Now): void {
    this.call("tab_link_received", bytes, link, bytes.length, now.s, now.cycle);
  }
  linkBlocked(link: number, blocked: boolean): void { this.call("tab_link_blocked", NOTHING, link, blocked ? 1 : 0); }

  // Why it was refused; null: it was not.
  contribute(id: number, shard: number, slot: number, amountUvu: number): string | null {
    return this.call("tab_contribute", NOTHING, id, shard, slot, amountUvu) === 0 ? null : this.textAt(this.wasm.tab_words());
  }
  scatter(): void { this.call("tab_scatter", NOTHING); }
  cut(seconds: number, now: Now): boolean { return this.call("tab_cut", NOTHING, seconds, now.s, now.cycle) === 1; }
  setMicroNodes(count: number, now: Now): void { this.call("tab_set_micro_nodes", NOTHING, count, now.s, now.cycle); }
  setLowPower(on: boolean): void { this.call("tab_set_low_power", NOTHING, on ? 1 : 0); }
  setHidden(on: boolean): void { this.call("tab_set_hidden", NOTHING, on ? 1 : 0); }

  // Does what the core wants done by now.
  drain(hands: Hands): void {
    const taken = this.taken(this.wasm.tab_take());
    const head = new Uint32Array(taken.buffer);
    for (let word = 0; word < head.length;) {
      const [kind, number, more, length] = head.subarray(word, word + HEAD_WORDS), from = 4 * (word + HEAD_WORDS);
      this.hand(hands, kind, number, more, taken.subarray(from, from + length));
      word += HEAD_WORDS + Math.ceil(length / 4);
    }
  }

  figures(): AllFigures {
    const at = this.wasm.tab_figures(), {buffer} = this.wasm.memory;
    const [shards, links] = new Float64Array(buffer, at, 2), [ofTab, ofShard, ofLink] = this.names;
    const values = new Float64Array(buffer, at + 16, ofTab.length + shards * ofShard.length + links * ofLink.length);
    let next = 0;
    const read = (names: readonly string[]): Figures => {
      const figures: Record<string, number> = {};
      for (const name of names) figures[name] = values[next++];
      return figures;
    };
    const many = (count: number, names: readonly string[]) => Array.from({length: count}, () => read(names));
    return {tab: read(ofTab), shards: many(shards, ofShard), links: many(links, ofLink)};
  }

  // Eight numbers a point: shard, slot of the link or -1, micro-node, two coordinates, how far it drifted, age, entropy.
  points(): Float32Array {
    const count = this.wasm.tab_points(POINTS_MAX);
    return new Float32Array(this.wasm.memory.buffer, this.wasm.tab_points_at(), count * POINT_FLOATS).slice();
  }
  sessions(): bigint[] {
    const count = this.wasm.tab_sessions();
    return [...new BigUint64Array(this.wasm.memory.buffer, this.wasm.tab_sessions_at(), count)];
  }
  stateHash(): string { return hex(this.wasm.tab_state_hash()); }

  private hand(hands: Hands, kind: Kind, number: number, more: number, bytes: Uint8Array): void {
    const text = () => decoder.decode(bytes);
    switch (kind) {
      case Kind.dialHub: return hands.dialHub(number, more);
      case Kind.sendToHub: return hands.sendToHub(number, bytes);
      case Kind.closeHub: return hands.closeHub(number, text());
      case Kind.makeOffer: return hands.makeOffer(number);
      case Kind.acceptOffer: return hands.acceptOffer(number, text());
      case Kind.applyAnswer: return hands.applyAnswer(number, text());
      case Kind.sendOnLink: return hands.sendOnLink(number, bytes);
      case Kind.closeLink: return hands.closeLink(number, text());
      case Kind.event: return hands.event(JSON.parse(text()) as TabEvent);
      case Kind.entries: return hands.entries(number, bytes, more);
    }
  }

  private withText(name: string, text: string, before: number[], now: Now): void {
    const input = encoder.encode(text);
    this.call(name, input, ...before, input.length, now.s, now.cycle);
  }

  private call(name: string, input: Uint8Array, ...numbers: number[]): number {
    if (input.length > 0) {
      const at = this.wasm.tab_input(input.length);
      if (at === 0) throw new Error(`${input.length} bytes are more than the core takes at once`);
      new Uint8Array(this.wasm.memory.buffer, at, input.length).set(input);
    }
    this.heard?.(name, numbers, input);
    return (this.wasm[name] as (...numbers: number[]) => number)(...numbers) ?? 0;
  }

  // A copy: what is done with it may call the core again, and move its memory.
  private taken(at: number): Uint8Array {
    return new Uint8Array(this.wasm.memory.buffer, at, this.wasm.tab_taken_bytes()).slice();
  }

  private textAt(address: number): string {
    const bytes = new Uint8Array(this.wasm.memory.buffer, address);
    return decoder.decode(bytes.subarray(0, bytes.indexOf(0)));
  }
}
