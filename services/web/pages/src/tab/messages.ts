// What the page and the worker of a tab say to each other.
import type {TurnServer} from "./config";
import type {AllFigures, TabEvent} from "./core";

// ---- Connections, which the page holds for the worker

export type CarrierOrder =
  | {readonly type: "offer"; readonly channel: number}
  | {readonly type: "accept"; readonly channel: number; readonly description: string}
  | {readonly type: "complete"; readonly channel: number; readonly description: string}
  | {readonly type: "send"; readonly channel: number; readonly bytes: ArrayBuffer}
  | {readonly type: "close"; readonly channel: number};

export type CarrierEvent =
  | {readonly type: "described"; readonly channel: number; readonly description: string}
  | {readonly type: "opened"; readonly channel: number}
  | {readonly type: "lost"; readonly channel: number; readonly words: string}  // it failed, or closed
  | {readonly type: "received"; readonly channel: number; readonly bytes: ArrayBuffer}
  | {readonly type: "blocked"; readonly channel: number; readonly blocked: boolean};

// ---- To the worker

export interface Begin {
  readonly type: "begin";
  readonly module: string;  // address of the tab module
  readonly origin: string;  // of the page: its own hub
  readonly microNodes: number;
  readonly region: string;  // empty: the hub's
  readonly seed: number | null;
  readonly direct: boolean;  // this browser opens DataChannels
  readonly keep: boolean;    // the ledger, in the cache
  readonly record: boolean;  // every call of the core, for a replay
  readonly build: string;
}

export type ToTab =
  | Begin | CarrierEvent
  | {readonly type: "contribute"; readonly id: number; readonly shard: number; readonly slot: number; readonly uvu: number}
  | {readonly type: "scatter"}
  | {readonly type: "cut"; readonly seconds: number}
  | {readonly type: "microNodes"; readonly count: number}
  | {readonly type: "hidden"; readonly on: boolean}
  | {readonly type: "lowPower"; readonly on: boolean}
  | {readonly type: "keep"; readonly on: boolean}
  | {readonly type: "drawn"}  // the last look is on the canvas: another one may come
  | {readonly type: "recording"}
  | {readonly type: "crash"}  // for tests: as if the core had failed
  | {readonly type: "leave"};

// ---- To the page

export interface Network {
  readonly shards: number; readonly valueSlots: number; readonly freeCoordinates: number; readonly periodUs: number;
  readonly hubs: readonly string[];
}

export type CacheState = "off" | "on" | "taken" | "missing" | "failed";

export interface Looked {
  readonly type: "look";
  readonly figures: AllFigures;
  readonly points: Float32Array;  // none while the page is hidden
  readonly cycleMs: number;       // until the next one
  readonly workMs: number;        // what the last tick took
  readonly cached: number;        // entries in the cache
}

// A Failure beside these ends the worker.
export type FromTab =
  | Looked
  | {readonly type: "began"; readonly network: Network; readonly id: string; readonly goodbye: ArrayBuffer;
    readonly restored: number}
  | {readonly type: "unfit"; readonly words: string}  // no network to take part in
  | {readonly type: "order"; readonly order: CarrierOrder}
  | {readonly type: "event"; readonly event: TabEvent}
  | {readonly type: "refused"; readonly id: number; readonly words: string}  // a contribution, at once
  | {readonly type: "cut"; readonly done: boolean}
  | {readonly type: "turn"; readonly iceServers: readonly TurnServer[]}
  | {readonly type: "clock"; readonly aheadMs: number}  // the visitor's, of the hub's
  | {readonly type: "cache"; readonly state: CacheState; readonly words: string}
  | {readonly type: "recording"; readonly text: string};
