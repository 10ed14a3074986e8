// What the page and its worker tell each other, and what a link to a playground holds.

// Numbers of shard/wasm/playground.h.
export const Act = {contribute: 0, throw: 1, scatter: 2, cut: 3, loss: 4, attack: 5, kill: 6, start: 7, churn: 8} as const;
export type ActKind = typeof Act[keyof typeof Act];

// Something that was done before the cycle after `cycle`.
export interface Done {
  readonly cycle: number;
  readonly kind: ActKind;
  readonly a: number;
  readonly b: number;
}

export interface Setup {
  readonly seed: number;
  readonly regions: number;
  readonly microNodes: number;
}

export const REGIONS = 3;
export const SIZES = [240, 480, 960, 1920, 3840] as const;
export const PEERS = 8;
// The network ends there, so that going back to any cycle takes seconds at most.
export const CYCLES_MAX = 20_000;
export const DONE_MAX = 1000;
export const UVU = 1_000_000;  // micro-VU a VU

// In the order in which shard/wasm/playground.h has them.
export const FIGURES = [
  "cycle", "spread", "total", "valueError", "honest", "knowing", "liars", "regionsUp", "anomalies", "claimsRefused",
  "heard", "lost", "strikes", "bytes", "entered", "left", "mine", "me", "answer", "answers", "carried", "liesSince"] as const;
export type Figures = Record<typeof FIGURES[number], number> & {readonly regions: readonly number[]};

export interface Columns {
  readonly x: Float32Array; readonly y: Float32Array; readonly behind: Float32Array; readonly drift: Float32Array;
  readonly entropy: Float32Array; readonly trust: Float32Array;
  readonly age: Uint32Array; readonly kind: Uint8Array; readonly region: Uint8Array;
  readonly linksTo: Uint32Array; readonly linksTrust: Float32Array;
}

export type ToWorker =
  | {readonly type: "start"; readonly setup: Setup; readonly coming: readonly Done[]; readonly to: number}
  | {readonly type: "do"; readonly kind: ActKind; readonly a: number; readonly b: number}
  | {readonly type: "speed"; readonly hz: number}
  | {readonly type: "step"}
  | {readonly type: "seek"; readonly cycle: number}
  | {readonly type: "hidden"; readonly hidden: boolean};

export interface LookMessage {
  readonly type: "look";
  readonly columns: Columns;
  readonly figures: Figures;
  readonly hash: string;
  readonly moved: boolean;   // a cycle went by; false: the same one again, or a jump
  readonly period: number;   // ms to the next one; 0: paused
  readonly newest: number;   // the last cycle that was reached
  readonly done: readonly Done[];    // so far
  readonly coming: readonly Done[];  // later, by a link or because the visitor went back
  readonly spreads: Float32Array | null;  // of all cycles so far, after a jump
}

export type FromWorker =
  | LookMessage
  | {readonly type: "did"; readonly done: Done}
  | {readonly type: "refused"}                       // numbers that mean nothing here
  | {readonly type: "seeking"; readonly at: number; readonly to: number}
  | {readonly type: "end"};                          // CYCLES_MAX
