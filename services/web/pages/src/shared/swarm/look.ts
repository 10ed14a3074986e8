// What the drawing of a swarm is given: looks at the swarm, as plain columns. Every page fills the same form, whatever
// stands behind it: an emulator, the node of this tab, or a run.
//
// A point keeps its slot for as long as it lives. That is how the drawing follows it from look to look.

export const Kind = {
  nobody: 0,  // the slot is empty
  member: 1,
  liar: 2,
  server: 3,  // a server node, drawn as a square
  gone: 4,    // died with its region; it keeps its place, as an outline
} as const;

export const Way = {direct: 0, relayed: 1, server: 2} as const;

export interface Points {
  readonly size: number;  // slots
  readonly x: Float32Array;  // free coordinates
  readonly y: Float32Array;
  readonly behind: Float32Array;   // VU that the point does not know of yet; 0: it knows everything
  readonly drift: Float32Array;    // how far it may move in a cycle; its halo fades with it
  readonly entropy: Float32Array;  // 0..1, the size of its halo
  readonly kind: Uint8Array;
  readonly group: Uint8Array;      // region
  readonly age: Uint32Array;       // cycles since it took its slot
}

export interface Links {
  readonly count: number;
  readonly from: Uint32Array;  // slots
  readonly to: Uint32Array;
  readonly trust: Float32Array;  // 0..1
  readonly way: Uint8Array;
}

export interface Look {
  readonly cycle: number;
  readonly points: Points;
  readonly links: Links;
}

// What stays the same from look to look.
export interface Cast {
  readonly groups: number;               // regions; at most 8 have a colour of their own
  readonly mine: readonly number[];      // slots of the visitor's own points; the first one is labelled
  readonly label: string;                // of it: "you"
  readonly range: number;                // free coordinates start on 0..range
}

// A partition: which side each group is on, and what the two sides are called.
export interface Split {
  readonly side: readonly (0 | 1)[];  // by group
  readonly names: readonly [string, string];
}

export function emptyPoints(size: number): Points {
  return {
    size,
    x: new Float32Array(size), y: new Float32Array(size),
    behind: new Float32Array(size), drift: new Float32Array(size), entropy: new Float32Array(size),
    kind: new Uint8Array(size), group: new Uint8Array(size), age: new Uint32Array(size),
  };
}

export const noLinks: Links = {
  count: 0, from: new Uint32Array(0), to: new Uint32Array(0), trust: new Float32Array(0), way: new Uint8Array(0),
};
