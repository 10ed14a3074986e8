// What the core draws from becomes what the swarm draws: each replica keeps its slot for as long as it is heard.
//
// A tab holds several shards, and each of them agrees on coordinates of its own. All of them are shown about one middle,
// so that distance from agreement is seen; one shard alone is shown where it is.
import {Figures} from "../tab/core";
import {Cast, emptyPoints, Kind, Links, Look, Way} from "../shared/swarm/look";

const FLOATS = 8;  // of a point: core.ts
const FIRST_SIZE = 256;
const MINE_MAX = 64;         // rings
const ENTROPY_MAX = 1.74;    // of a component, 111/64
const FRESH_CYCLES = 130;    // a link that is older is drawn fainter
export const RANGE = 200;

// Who is behind a point.
export interface Person {
  readonly shard: number; readonly slot: number;  // of the link; -1: this tab
  readonly number: number; readonly distance: number; readonly age: number;
}
export interface Far { readonly link: number; readonly way: number; readonly group: number }

export class Crowd {
  readonly mine: number[] = [];  // slots; the swarm holds this array
  readonly people = new Map<number, Person>();
  private size = FIRST_SIZE;
  private readonly slots = new Map<string, number>();
  private readonly ages = new Map<number, number>();
  private free: number[] = [];
  private last = new Map<number, [number, number]>();

  constructor() { this.release(0); }

  cast(groups: number, label: string): Cast { return {groups, mine: this.mine, label, range: RANGE}; }

  // `shard`: the one that is shown; null: all. `far`: who is at the end of a link's slot.
  look(cycle: number, drawn: Float32Array, shard: number | null, far: ReadonlyMap<number, Far>, links: readonly Figures[]): Look {
    const count = drawn.length / FLOATS, seen = new Set<number>(), middles = this.middles(drawn);
    while (count > this.size / 2) this.grow();
    const points = emptyPoints(this.size);
    this.people.clear();
    const firsts = new Map<string, number>(), mine: number[] = [], was = this.last;
    this.last = new Map();
    for (let k = 0; k < count; ++k) {
      const [of, link, number, px, py, drift, age, entropy] = drawn.subarray(FLOATS * k, FLOATS * (k + 1));
      if (shard !== null && of !== shard) continue;
      const end = link < 0 ? undefined : far.get(link);
      if (link >= 0 && !end) continue;
      const slot = this.slotOf(`${of}/${link}/${number}`), [mx, my] = middles.get(of) ?? [RANGE / 2, RANGE / 2];
      seen.add(slot);
      const x = shard === null ? px - mx + RANGE / 2 : px, y = shard === null ? py - my + RANGE / 2 : py, before = was.get(slot);
      points.x[slot] = x;
      points.y[slot] = y;
      points.kind[slot] = end?.way === Way.server ? Kind.server : Kind.member;
      points.group[slot] = end?.group ?? 0;
      points.drift[slot] = Math.max(drift, before ? Math.hypot(x - before[0], y - before[1]) : 0);
      points.entropy[slot] = Math.min(1, entropy / ENTROPY_MAX);
      points.age[slot] = this.ages.get(slot) ?? 0;
      this.ages.set(slot, points.age[slot] + 1);
      this.last.set(slot, [x, y]);
      this.people.set(slot, {shard: of, slot: link, number, age, distance: Math.hypot(px - mx, py - my)});
      if (link < 0) mine.push(slot);
      const first = `${of}/${link}`;
      if (!firsts.has(first)) firsts.set(first, slot);
    }
    for (const [key, slot] of this.slots) if (!seen.has(slot)) this.forget(key, slot);
    this.mine.splice(0, this.mine.length, ...mine.slice(0, MINE_MAX));
    return {cycle, points, links: this.linesOf(cycle, firsts, far, links)};
  }

  // A line from this tab to each far end, in a shard that both hold.
  private linesOf(cycle: number, firsts: ReadonlyMap<string, number>, far: ReadonlyMap<number, Far>,
                  links: readonly Figures[]): Links {
    const heard = new Map(links.map((link) => [link.slot, link.heard_cycle]));
    const from: number[] = [], to: number[] = [], trust: number[] = [], way: number[] = [];
    for (const [key, slot] of firsts) {
      const [of, link] = key.split("/").map(Number), own = firsts.get(`${of}/-1`), end = far.get(link);
      if (link < 0 || own === undefined || !end || !this.mine.includes(own)) continue;
      from.push(own);
      to.push(slot);
      trust.push(cycle - (heard.get(link) ?? cycle) < FRESH_CYCLES ? 1 : 0.2);
      way.push(end.way);
    }
    return {
      count: from.length, from: Uint32Array.from(from), to: Uint32Array.from(to), trust: Float32Array.from(trust),
      way: Uint8Array.from(way)};
  }

  // Of each shard the median, so that one who is thrown out moves nobody.
  private middles(drawn: Float32Array): Map<number, [number, number]> {
    const byShard = new Map<number, [number[], number[]]>();
    for (let at = 0; at < drawn.length; at += FLOATS) {
      const both = byShard.get(drawn[at]) ?? [[], []];
      byShard.set(drawn[at], both);
      both[0].push(drawn[at + 3]);
      both[1].push(drawn[at + 4]);
    }
    const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1];
    return new Map([...byShard].map(([shard, [x, y]]) => [shard, [median(x), median(y)]]));
  }

  private slotOf(key: string): number {
    let slot = this.slots.get(key);
    if (slot === undefined) {
      slot = this.free.pop() as number;
      this.slots.set(key, slot);
      this.ages.set(slot, 0);
    }
    return slot;
  }
  private forget(key: string, slot: number): void {
    this.slots.delete(key);
    this.ages.delete(slot);
    this.free.push(slot);
  }
  private release(from: number): void {
    for (let slot = this.size - 1; slot >= from; --slot) this.free.push(slot);
  }
  private grow(): void {
    const from = this.size;
    this.size *= 2;
    this.free.unshift(...Array.from({length: this.size - from}, (_, k) => this.size - 1 - k));
  }
}
