// Where points stand on the canvas. A point's distance from the middle of the crowd is shown on a log scale, as rings:
// each ring is ten times closer to agreement than the next one outside. Points that agree sit in the innermost disc as
// the seeds of a sunflower. In the other view, the plane, free coordinates are shown as they are.
//
// Pure: numbers in, numbers out.
import {Cast, Kind, Look, Points, Split} from "./look";

export const FLOOR = 1e-4;  // a point closer than this to the middle has arrived
const TOP = Math.log10(141 / FLOOR);
const BEND = 2.2;           // outer rings are wider
const FARTHEST = 1.035;     // of TOP
const LIARS_AT = 1.045;      // whoever claims to be beyond the rings
export const LIARS_CROWD = 0.25;   // radius of liars who all claim one place
const STILL_PX = 0.2;
export const GOLDEN = Math.PI * (3 - Math.sqrt(5));
export const WIDE = 0.3;    // radius of the innermost disc while most points are on their way,
export const CALM = 0.6;    // and once they are there

export const mix = (a: number, b: number, t: number): number => a + (b - a) * t;
export const smooth = (t: number): number => t <= 0 ? 0 : t >= 1 ? 1 : t * t * (3 - 2 * t);

// The radius of so many decades above FLOOR, where 1 is the outermost ring.
export const ringAt = (decades: number, core: number): number =>
  core + (1 - core) * Math.pow(Math.min(decades / TOP, FARTHEST), BEND);

export interface Circle { readonly x: number; readonly y: number; readonly r: number }

// The circles of both views, for one size of the canvas.
export interface Lenses {
  readonly across: boolean;             // the parts of a split stand side by side, not one above the other
  readonly split: number;               // 0: one crowd; 1: two
  readonly whole: Circle;
  readonly parts: readonly [Circle, Circle];
}

export function lenses(w: number, h: number, split: number): Lenses {
  const across = w >= h, s = smooth(split);
  const radius = Math.min(w, h) / 2 * 0.93;
  const part = Math.min(across ? w / 4 : w / 2, across ? h / 2 : h / 4) * 0.9;
  const away = across ? Math.max(part * 1.04, Math.min(w / 4, part * 1.25)) : h / 4;
  const circle = (sign: number): Circle => ({
    x: w / 2 + (across ? sign * away * s : 0), y: h / 2 + (across ? 0 : sign * away * s), r: mix(radius, part, s)});
  return {across, split: s, whole: {x: w / 2, y: h / 2, r: radius}, parts: [circle(-1), circle(1)]};
}

// Seeds of the sunflower for every slot: of the whole crowd, and of each side of a split. Groups take turns, so that all
// colours are mixed.
export interface Seats {
  readonly whole: Float32Array;
  readonly apart: Float32Array;
  readonly order: readonly number[];  // slots, group after group in turn
}

export function seats(points: Points, groups: number, split: Split | null): Seats {
  const byGroup: number[][] = Array.from({length: groups}, () => []);
  for (let slot = 0; slot < points.size; ++slot) {
    if (points.kind[slot] !== Kind.nobody) byGroup[points.group[slot] % groups].push(slot);
  }
  const whole = new Float32Array(2 * points.size), apart = new Float32Array(2 * points.size), order: number[] = [];
  // A side that holds fewer points does not fill its circle.
  const lay = (to: Float32Array, members: number[][], fill: number, seen?: number[]) => {
    const most = Math.max(0, ...members.map((slots) => slots.length));
    const total = members.reduce((sum, slots) => sum + slots.length, 0);
    let seed = 0;
    for (let k = 0; k < most; ++k) {
      for (const slots of members) {
        if (k >= slots.length) continue;
        const r = 0.94 * fill * Math.sqrt((seed + 0.5) / total), turn = seed++ * GOLDEN;
        to[2 * slots[k]] = r * Math.cos(turn);
        to[2 * slots[k] + 1] = r * Math.sin(turn);
        seen?.push(slots[k]);
      }
    }
  };
  lay(whole, byGroup, 1, order);
  if (split) {
    const all = byGroup.reduce((sum, slots) => sum + slots.length, 0);
    for (const side of [0, 1]) {
      const members = byGroup.filter((_, group) => split.side[group] === side);
      const here = members.reduce((sum, slots) => sum + slots.length, 0);
      lay(apart, members, Math.min(1, Math.sqrt(2.4 * here / Math.max(1, all))));
    }
  }
  return {whole, apart, order};
}

// The middle of the honest: the median of each coordinate, so that one who is thrown out moves nobody. Of everybody, and
// of each side of a split.
export interface Middle { readonly x: number; readonly y: number }
export type Middles = readonly [Middle, Middle, Middle];

export function middles(points: Points, split: Split | null): Middles {
  const medianOf = (column: Float32Array, side: number | null): number => {
    const values = new Float32Array(points.size);
    let n = 0;
    for (let slot = 0; slot < points.size; ++slot) {
      if (points.kind[slot] !== Kind.member) continue;
      if (side !== null && split && split.side[points.group[slot]] !== side) continue;
      values[n++] = column[slot];
    }
    return n === 0 ? NaN : values.subarray(0, n).sort()[n >> 1];
  };
  const middle = (side: number | null): Middle => ({x: medianOf(points.x, side), y: medianOf(points.y, side)});
  const all = middle(null);
  return split ? [all, middle(0), middle(1)] : [all, all, all];
}

// One look with its places on the canvas.
export interface Placed {
  readonly look: Look;
  readonly middles: Middles;
  at: Float32Array;       // two numbers a slot
  base: Float32Array;     // the same before crowds at rest elsewhere were laid out
  fresh: boolean;         // not placed yet
}

export interface View {
  readonly lenses: Lenses;
  readonly plane: number;  // 0: rings; 1: plane
  readonly core: number;   // radius of the innermost disc
  readonly dot: number;    // radius of a point
  readonly cast: Cast;
  readonly split: Split | null;
  readonly seats: Seats;
}

// Fills in placed.at. `before` is the look before this one.
export function place(placed: Placed, before: Placed | undefined, view: View): void {
  const {points} = placed.look, {lenses: lens, core, cast, split} = view;
  const plane = smooth(view.plane), half = cast.range / 2, at = placed.at;
  const out = {x: 0, y: 0};
  const inRings = (slot: number, middle: Middle, seat: Float32Array) => {
    const dx = points.x[slot] - middle.x, dy = points.y[slot] - middle.y, d = Math.sqrt(dx * dx + dy * dy);
    const sx = core * seat[2 * slot], sy = core * seat[2 * slot + 1], decades = Math.log10(d / FLOOR);
    if (!(decades > 0)) { out.x = sx; out.y = sy; return; }
    const ring = decades > TOP && points.kind[slot] === Kind.liar ? LIARS_AT : ringAt(decades, core);
    const arriving = decades < 1 ? smooth(1 - decades) : 0;
    out.x = mix(dx * ring / d, sx, arriving);
    out.y = mix(dy * ring / d, sy, arriving);
  };
  for (let slot = 0; slot < points.size; ++slot) {
    if (points.kind[slot] === Kind.nobody) continue;
    const side = split ? split.side[points.group[slot]] : 0, circle = lens.parts[side];
    let x = 0, y = 0;
    if (lens.split < 1) { inRings(slot, placed.middles[0], view.seats.whole); x = out.x; y = out.y; }
    if (lens.split > 0 && split) {
      inRings(slot, placed.middles[1 + side], view.seats.apart);
      x = mix(x, out.x, lens.split);
      y = mix(y, out.y, lens.split);
    }
    x = circle.x + x * circle.r;
    y = circle.y + y * circle.r;
    if (plane > 0) {
      const px = (points.x[slot] - half) / half, py = (points.y[slot] - half) / half;
      const k = Math.min(1, 1.52 / Math.sqrt(px * px + py * py)) * lens.whole.r * 0.926;
      x = mix(x, lens.whole.x + px * k, plane);
      y = mix(y, lens.whole.y + py * k, plane);
    }
    at[2 * slot] = x;
    at[2 * slot + 1] = y;
  }
  placed.fresh = false;
  placed.base = at.slice();
  if (before) layOut(placed, before, view, 1.75 * view.dot * (1 - plane));
}

// A crowd that came to rest elsewhere, all on one spot, is laid out there as a sunflower of its own.
function layOut(placed: Placed, before: Placed, view: View, step: number): void {
  if (step <= 0) return;
  const {points} = placed.look, {base, at} = placed, was = before.base, cells = new Map<number, number>();
  const liars = points.kind.reduce((sum, kind) => sum + (kind === Kind.liar ? 1 : 0), 0);
  const liarStep = Math.min(step, LIARS_CROWD * view.lenses.parts[0].r * (1 - smooth(view.plane)) / Math.sqrt(Math.max(1, liars)));
  for (const slot of view.seats.order) {
    const kind = points.kind[slot];
    if (kind === Kind.nobody) continue;
    const x = base[2 * slot], y = base[2 * slot + 1];
    if (Math.abs(x - was[2 * slot]) + Math.abs(y - was[2 * slot + 1]) > 1) continue;
    const cell = Math.round(x / 4) * 8192 + Math.round(y / 4), k = cells.get(cell) ?? 0;
    cells.set(cell, k + 1);
    const r = (kind === Kind.liar ? liarStep : step) * Math.sqrt(k);
    at[2 * slot] += r * Math.cos(k * GOLDEN);
    at[2 * slot + 1] += r * Math.sin(k * GOLDEN);
  }
}

// Whether no point moves by as much as can be seen from one look to the next.
export function isStill(from: Placed, to: Placed): boolean {
  for (let k = 0; k < to.at.length; ++k) if (Math.abs(to.at[k] - from.at[k]) > STILL_PX) return false;
  return true;
}

// The share of the honest that is farther from the middle of its side than `limit`.
export function shareAway(placed: Placed, split: Split | null, limit: number): number {
  const {points} = placed.look;
  let away = 0, honest = 0;
  for (let slot = 0; slot < points.size; ++slot) {
    if (points.kind[slot] !== Kind.member) continue;
    const middle = placed.middles[split ? 1 + split.side[points.group[slot]] : 0];
    ++honest;
    const dx = points.x[slot] - middle.x, dy = points.y[slot] - middle.y;
    if (dx * dx + dy * dy > limit * limit) ++away;
  }
  return honest === 0 ? 0 : away / honest;
}
