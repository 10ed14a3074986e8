// The drawing of a swarm on a canvas. A page gives it looks; it moves points from look to look, and rests when nothing
// moves.
//
//   const swarm = new Swarm(canvas);
//   swarm.begin({groups: 3, mine: [7], label: "you", range: 200});
//   swarm.show(look, {moved: true, period: 333});   // after every cycle
//   swarm.part({side: [0, 1, 1], names: ["Europe", "the others"]});
//   swarm.setPlane(false);                          // rings
import {Colours, coloursOf} from "./colours";
import {CALM, isStill, Lenses, lenses, middles, Middles, mix, place, Placed, Seats, seats, shareAway, smooth, WIDE} from "./layout";
import {Cast, Kind, Look, Points, Split} from "./look";
import {
  paintGrid, paintHalos, paintLinks, paintMine, paintNumbers, paintPicked, paintPoints, paintPulses, paintTails,
  paintWords, Pulse, Scene, TAIL, Word,
} from "./paint";

const SPLIT_MS = 900, PLANE_MS = 1300, CALM_MS = 3200, WIDE_MS = 1200;
const STEP_MS_MIN = 90, STEP_MS_MAX = 420;  // points take that long from look to look
const NEAR_PX = 18;                         // of the pointer
const SLOW_FRAME_MS = 45, FAST_FRAME_MS = 24;
const PULSES_MAX = 600;                     // at a time

export interface Showing {
  readonly moved: boolean;   // a cycle went by; false: the same cycle, looked at again
  readonly period?: number;  // ms to the next cycle
}

export class Swarm {
  picked = -1;   // slot
  frames = 0;    // drawn so far
  private readonly c: CanvasRenderingContext2D;
  private readonly still: boolean;
  private colours: Colours;
  private casting: Cast = {groups: 1, mine: [], label: "", range: 200};
  private w = 0;
  private h = 0;
  private ratio = 1;
  private history: Placed[] = [];
  private at = new Float32Array(0);
  private seats: Seats = {whole: new Float32Array(0), apart: new Float32Array(0), order: []};
  private population = "";  // that the seats are for
  private split: Split | null = null;  // still drawn while its parts come together again
  private splitIs = 0;
  private splitTo = 0;
  private planeIs = 1;
  private planeTo = 1;
  private coreIs = WIDE;
  private coreTo = WIDE;
  private since = 0;   // of the last look that moved
  private period = 0;
  private pulses: Pulse[] = [];
  private words: Word[] = [];
  private dirty = false;
  private stale = true;  // every look must be placed again
  private last = 0;      // frame
  private pace = 16;     // ms a frame, smoothed
  private rough = false;

  constructor(private readonly canvas: HTMLCanvasElement) {
    const context = canvas.getContext("2d");
    if (!context) throw new Error("this browser gives no 2D canvas");
    this.c = context;
    this.still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.colours = coloursOf(canvas);
    this.resize();
    new ResizeObserver(() => this.resize()).observe(canvas);
    const loop = (now: number) => {
      if (this.dirty || this.moves(now)) this.draw(now);
      requestAnimationFrame(loop);
    };
    requestAnimationFrame(loop);
  }

  // Starts anew with other points.
  begin(cast: Cast): void {
    this.casting = cast;
    this.history = [];
    this.pulses = [];
    this.words = [];
    this.split = null;
    this.splitIs = this.splitTo = 0;
    this.coreIs = this.coreTo = WIDE;
    this.picked = -1;
    this.population = "";
    this.dirty = true;
  }

  // Other points are the visitor's own, or are called something else.
  cast(cast: Cast): void { this.casting = cast; }

  show(look: Look, {moved, period = 300}: Showing): void {
    const now = performance.now(), {points} = look, before = this.history[0]?.look.points;
    if (before && before.size === points.size) this.pulseLearners(before, points, now, period);
    else this.history = [];
    if (this.at.length !== 2 * points.size) this.at = new Float32Array(2 * points.size);
    this.seat(points);
    if (!moved) this.history.shift();
    this.history.unshift({
      look, middles: middles(points, this.split), at: new Float32Array(2 * points.size),
      base: new Float32Array(2 * points.size), fresh: true});
    if (this.history.length > TAIL) this.history.length = TAIL;
    this.coreTo = shareAway(this.history[0], this.splitTo ? this.split : null, 3e-3) < 0.04 ? CALM : WIDE;
    this.dirty = true;
    if (!moved) return;
    this.since = now;
    this.period = this.still ? 0 : Math.min(Math.max(period, STEP_MS_MIN), STEP_MS_MAX);
  }

  part(split: Split, atOnce = this.still): void {
    if (this.splitTo === 1 && this.split && this.split.side.join() === split.side.join()) return;
    this.split = split;
    this.splitTo = 1;
    if (atOnce || this.still) this.splitIs = 1;
    this.population = "";
    for (const one of this.history) (one as {middles: Middles}).middles = middles(one.look.points, split);
    const newest = this.history[0];
    if (newest) this.seat(newest.look.points);
    this.stale = true;
  }

  join(atOnce = this.still): void {
    this.splitTo = 0;
    if (atOnce || this.still) this.splitIs = 0;
    this.stale = true;
  }

  setPlane(plane: boolean, atOnce = this.still): void {
    this.planeTo = plane ? 1 : 0;
    if (atOnce) this.planeIs = this.planeTo;
    this.stale = true;
  }
  get plane(): boolean { return this.planeTo === 1; }

  // The theme has changed.
  recolour(): void {
    this.colours = coloursOf(this.canvas);
    this.dirty = true;
  }
  get paint(): Colours { return this.colours; }

  say(slot: number, text: string): void {
    if (!this.still) this.words.push({slot, text, since: performance.now()});
    this.dirty = true;
  }
  pulse(slot: number): void {
    if (!this.still) this.pulses.push({slot, since: performance.now(), big: true});
  }

  // The middle of the honest crowd, in free coordinates.
  get middle(): {x: number; y: number} | null { return this.history[0]?.middles[0] ?? null; }

  // The slot nearest to a place on the canvas; -1 where nobody is near.
  near(x: number, y: number): number {
    const points = this.history[0]?.look.points;
    if (!points) return -1;
    let best = -1, least = NEAR_PX * NEAR_PX;
    for (let slot = 0; slot < points.size; ++slot) {
      if (points.kind[slot] === Kind.nobody) continue;
      const d = (this.at[2 * slot] - x) ** 2 + (this.at[2 * slot + 1] - y) ** 2;
      if (d < least) { least = d; best = slot; }
    }
    return best;
  }

  pick(slot: number): void {
    if (slot === this.picked) return;
    this.picked = slot;
    this.dirty = true;
  }

  // The drawing at rest, for a test or a picture: everything is where it is going.
  settle(): void {
    this.splitIs = this.splitTo;
    this.planeIs = this.planeTo;
    this.coreIs = this.coreTo;
    this.since = -1e9;
    this.pulses = [];
    this.words = [];
    this.stale = true;
  }

  private resize(): void {
    const box = this.canvas.getBoundingClientRect();
    this.ratio = Math.min(devicePixelRatio || 1, 2);
    this.w = box.width;
    this.h = box.height;
    this.canvas.width = Math.round(this.w * this.ratio);
    this.canvas.height = Math.round(this.h * this.ratio);
    this.stale = true;
  }

  // Seats are drawn anew when points come or go for good.
  private seat(points: Points): void {
    let key = `${points.size},${this.split ? this.split.side.join("") : ""}`, taken = 0;
    for (let slot = 0; slot < points.size; ++slot) {
      if (points.kind[slot] !== Kind.nobody) taken = (Math.imul(taken, 31) + slot * 8 + points.group[slot] + 1) | 0;
    }
    key += `,${taken}`;
    if (key === this.population) return;
    this.population = key;
    this.seats = seats(points, this.casting.groups, this.split);
    this.stale = true;
  }

  // Whoever has learnt of the last contribution lights up with a ring.
  private pulseLearners(before: Points, points: Points, now: number, period: number): void {
    if (this.still) return;
    for (let slot = 0; slot < points.size && this.pulses.length < PULSES_MAX; ++slot) {
      if (points.kind[slot] !== Kind.member || !(before.behind[slot] > 1e-7) || !(points.behind[slot] <= 1e-7)) continue;
      if (points.age[slot] > 1) this.pulses.push({slot, since: now + (slot % 7) * period / 9, big: false});
    }
  }

  private moves(now: number): boolean {
    return this.stale || (this.period > 0 && now < this.since + this.period + 40) || this.pulses.length > 0 || this.words.length > 0 ||
      this.splitIs !== this.splitTo || this.planeIs !== this.planeTo || this.coreIs !== this.coreTo;
  }

  private draw(now: number): void {
    const newest = this.history[0];
    this.dirty = false;
    if (!newest || this.w === 0) { this.stale = false; return; }
    ++this.frames;
    const gap = now - (this.last || now);
    this.last = now;
    if (gap < 500) this.pace = mix(this.pace, gap, 0.1);
    this.rough = this.rough ? this.pace > FAST_FRAME_MS : this.pace > SLOW_FRAME_MS;
    const changed = this.ease(Math.min(gap, 100)) || this.stale;
    this.stale = false;
    const lens = lenses(this.w, this.h, this.splitIs), dot = this.dotOf(lens, newest.look.points.size);
    const fresh = newest.fresh;
    this.placeAll(lens, dot, changed);
    // A cycle in which nobody moves is one picture.
    if (fresh && this.history.length > 1 && isStill(this.history[1], newest)) this.period = 0;
    const t = this.period ? smooth(Math.min(1, (now - this.since) / this.period)) : 1;
    this.between(t);
    const scene: Scene = {
      c: this.c, w: this.w, h: this.h, colours: this.colours, lenses: lens, plane: this.planeIs, core: this.coreIs, dot,
      cast: this.casting, split: this.split, look: newest.look, history: this.history, at: this.at, t, rough: this.rough};
    this.paintAll(scene, now);
  }

  // True: the view moved.
  private ease(dt: number): boolean {
    const step = (is: number, to: number, ms: number) =>
      this.still || Math.abs(is - to) < 2e-3 ? to : is + Math.sign(to - is) * Math.min(Math.abs(to - is), dt / ms);
    const was = [this.splitIs, this.planeIs, this.coreIs];
    this.splitIs = step(this.splitIs, this.splitTo, SPLIT_MS);
    this.planeIs = step(this.planeIs, this.planeTo, PLANE_MS);
    this.coreIs = step(this.coreIs, this.coreTo, this.coreTo === CALM ? CALM_MS : WIDE_MS);
    if (this.split && this.splitIs === 0 && this.splitTo === 0) {
      this.split = null;
      this.population = "";
      this.seat(this.history[0].look.points);
    }
    return was[0] !== this.splitIs || was[1] !== this.planeIs || was[2] !== this.coreIs;
  }

  private dotOf(lens: Lenses, size: number): number {
    const r = lens.parts[0].r;
    const resting = 0.55 * r * this.coreIs / Math.sqrt(size), moving = Math.min(3, 62 / Math.sqrt(size)) * lens.whole.r / 260;
    return Math.min(5, Math.max(1.3, resting, moving));
  }

  private placeAll(lens: Lenses, dot: number, all: boolean): void {
    const view = {
      lenses: lens, plane: this.planeIs, core: this.coreIs, dot, cast: this.casting, split: this.split, seats: this.seats};
    for (let k = this.history.length - 1; k >= 0; --k) {
      if (all || this.history[k].fresh) place(this.history[k], this.history[k + 1], view);
    }
  }

  private between(t: number): void {
    const to = this.history[0], from = this.history[1] ?? to, {points} = to.look;
    for (let slot = 0; slot < points.size; ++slot) {
      const i = 2 * slot, start = points.age[slot] === 0 || from.look.points.kind[slot] === Kind.nobody ? to.at : from.at;
      this.at[i] = mix(start[i], to.at[i], t);
      this.at[i + 1] = mix(start[i + 1], to.at[i + 1], t);
    }
  }

  private paintAll(scene: Scene, now: number): void {
    const {c} = this;
    c.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    c.clearRect(0, 0, this.w, this.h);
    paintGrid(scene);
    paintTails(scene);
    paintHalos(scene);
    paintNumbers(scene);
    for (const slot of this.casting.mine) paintLinks(scene, slot, 0.28);
    const picked = this.picked >= 0 && this.picked < scene.look.points.size ? this.picked : -1;
    if (picked >= 0 && !this.casting.mine.includes(picked)) paintLinks(scene, picked, 0.75);
    paintPoints(scene);
    this.pulses = paintPulses(scene, this.pulses, now);
    this.words = paintWords(scene, this.words, now);
    paintMine(scene);
    if (picked >= 0) paintPicked(scene, picked);
    c.globalAlpha = 1;
  }
}
