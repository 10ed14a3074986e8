// The layers of the drawing, from the ground up. Each one strokes or fills whole sets of points in one path: that is what
// makes 2,000 points fast on a canvas that is drawn in software.
import {Colours} from "./colours";
import {Circle, Lenses, LIARS_CROWD, Placed, ringAt, smooth} from "./layout";
import {Cast, Kind, Look, Split, Way} from "./look";

export const TAIL = 4;  // looks that a tail goes back
const KNOWS_ALL = 1e-7;  // VU

export interface Scene {
  readonly c: CanvasRenderingContext2D;
  readonly w: number;
  readonly h: number;
  readonly colours: Colours;
  readonly lenses: Lenses;
  readonly plane: number;
  readonly core: number;
  readonly dot: number;
  readonly cast: Cast;
  readonly split: Split | null;
  readonly look: Look;
  readonly history: readonly Placed[];
  readonly at: Float32Array;  // where points are now, between two looks
  readonly t: number;         // 0..1, from the look before to this one
  readonly rough: boolean;    // a slow machine: one tail, no halos
}

const CIRCLE = 7;  // more than a full turn

function disc(c: CanvasRenderingContext2D, x: number, y: number, r: number): void {
  c.moveTo(x + r, y);
  c.arc(x, y, r, 0, CIRCLE);
}

// The crowds that are drawn: one, or the two sides of a split.
const crowds = (s: Scene): readonly Circle[] => s.lenses.split > 0.01 ? s.lenses.parts : [s.lenses.whole];

export function paintGrid(s: Scene): void {
  const {c, w, h, colours, lenses: lens} = s, plane = smooth(s.plane);
  c.lineWidth = 1;
  c.textAlign = "center";
  c.textBaseline = "middle";
  if (plane > 0.01) {
    const {x, y, r} = lens.whole;
    c.globalAlpha = plane;
    c.strokeStyle = colours.hair;
    c.beginPath();
    for (let k = -2; k <= 2; ++k) {
      const at = k / 2 * r * 0.926;
      c.moveTo(x + at, y - r); c.lineTo(x + at, y + r);
      c.moveTo(x - r, y + at); c.lineTo(x + r, y + at);
    }
    c.stroke();
  }
  if (plane > 0.99) return;
  for (const {x, y, r} of crowds(s)) {
    c.globalAlpha = 1 - plane;
    c.fillStyle = colours.wash;
    c.beginPath(); disc(c, x, y, r * s.core * 1.04); c.fill();
    c.strokeStyle = colours.line;
    for (let k = 1; k <= 6; ++k) {
      c.globalAlpha = (1 - plane) * (0.35 + 0.65 * k / 6);
      c.beginPath(); disc(c, x, y, r * ringAt(k, s.core)); c.stroke();
    }
  }
  if (s.split && lens.split > 0.5) {
    c.globalAlpha = (lens.split - 0.5) * 2 * (1 - plane);
    c.fillStyle = colours.faint;
    c.font = `600 13px ${colours.font}`;
    s.split.names.forEach((name, side) => {
      const part = lens.parts[side];
      c.fillText(name, part.x, lens.across ? Math.min(h - 12, part.y + part.r * 1.02 + 16) : part.y - part.r - 8,
        lens.across ? w / 2 - 16 : w - 24);
    });
    c.strokeStyle = colours.faint;
    c.setLineDash([2, 6]);
    c.beginPath();
    if (lens.across) {
      const x = (lens.parts[0].x + lens.parts[1].x) / 2;
      c.moveTo(x, 16); c.lineTo(x, h - 16);
    } else {
      c.moveTo(16, h / 2); c.lineTo(w - 16, h / 2);
    }
    c.stroke();
    c.setLineDash([]);
  }
}

// Where points came from in the last looks, older parts fainter.
export function paintTails(s: Scene): void {
  const {c, look: {points}, at, dot} = s;
  c.lineCap = "round";
  for (let group = 0; group < s.cast.groups; ++group) {
    c.strokeStyle = s.colours.group[group];
    for (let k = 1; k < (s.rough ? Math.min(2, s.history.length) : s.history.length); ++k) {
      const a = k === 1 ? at : s.history[k - 1].at, b = s.history[k].at;
      let any = false;
      c.beginPath();
      for (let slot = 0; slot < points.size; ++slot) {
        if (points.group[slot] !== group || points.kind[slot] !== Kind.member || points.age[slot] < k) continue;
        const i = 2 * slot;
        if (Math.abs(a[i] - b[i]) + Math.abs(a[i + 1] - b[i + 1]) < 1.2) continue;
        c.moveTo(b[i], b[i + 1]);
        c.lineTo(a[i], a[i + 1]);
        any = true;
      }
      if (!any) continue;
      c.globalAlpha = (s.colours.dark ? 0.46 : 0.36) * (1 - (k - 1 + s.t * 0.6) / TAIL) ** 1.6;
      c.lineWidth = Math.max(0.7, dot * 0.42 * (1 - k / (TAIL + 2)));
      c.stroke();
    }
  }
}

// Entropy, which vanishes with disagreement.
export function paintHalos(s: Scene): void {
  if (s.rough || s.colours.forced) return;
  const {c, look: {points}, at, dot} = s, STEPS = 3;
  for (let group = 0; group < s.cast.groups; ++group) {
    c.fillStyle = s.colours.group[group];
    for (let step = 1; step <= STEPS; ++step) {
      let any = false;
      c.beginPath();
      for (let slot = 0; slot < points.size; ++slot) {
        if (points.group[slot] !== group || points.kind[slot] !== Kind.member) continue;
        const strength = Math.min(1, Math.log10(points.drift[slot] / 2e-4) / 6);
        if (!(strength > 0) || Math.ceil(strength * STEPS) !== step) continue;
        disc(c, at[2 * slot], at[2 * slot + 1], dot + (1 + 3.4 * dot * points.entropy[slot]) * strength);
        any = true;
      }
      if (!any) continue;
      c.globalAlpha = (s.colours.dark ? 0.075 : 0.06) * step / 2;
      c.fill("nonzero");
    }
  }
}

// What the rings mean, written on them.
export function paintNumbers(s: Scene): void {
  const {c, colours} = s, plane = smooth(s.plane), turn = -Math.PI * 0.27;
  if (plane > 0.99) return;
  c.font = `11px ${colours.font}`;
  c.textAlign = "center";
  c.textBaseline = "middle";
  const texts = ["0.001", "0.01", "0.1", "1", "10", "100"];
  for (const {x, y, r} of crowds(s)) {
    if (r < 90) continue;
    for (let k = 6, last = Infinity; k >= 1; --k) {
      const ring = r * ringAt(k, s.core);
      if (last - ring < 16 || ring < r * s.core + 9) break;
      last = ring;
      const tx = x + ring * Math.cos(turn), ty = y + ring * Math.sin(turn), wide = c.measureText(texts[k - 1]).width + 8;
      c.globalAlpha = (1 - plane) * 0.75;
      c.fillStyle = colours.paper;
      c.beginPath();
      c.arc(tx - wide / 2 + 7, ty, 7, Math.PI / 2, Math.PI * 1.5);
      c.arc(tx + wide / 2 - 7, ty, 7, -Math.PI / 2, Math.PI / 2);
      c.fill();
      c.globalAlpha = 1 - plane;
      c.fillStyle = colours.faint;
      c.fillText(texts[k - 1], tx, ty);
    }
  }
}

const DASHES = {[Way.direct]: [], [Way.relayed]: [6, 3], [Way.server]: [1.5, 3]} as const;

// The links of one point: stronger with trust, dashed where they are relayed, dotted where nobody is heard.
export function paintLinks(s: Scene, slot: number, alpha: number): void {
  const {c, at, look: {points, links}, colours} = s;
  c.lineWidth = 1;
  for (let link = 0; link < links.count; ++link) {
    if (links.from[link] !== slot) continue;
    const to = links.to[link], trust = links.trust[link];
    if (to >= points.size || points.kind[to] === Kind.nobody) continue;
    const deaf = points.kind[to] === Kind.gone || trust < 0.3 ||
      (s.split !== null && s.split.side[points.group[slot]] !== s.split.side[points.group[to]]);
    c.globalAlpha = alpha * (0.15 + 0.85 * trust);
    c.strokeStyle = points.kind[to] === Kind.liar ? colours.bad : colours.ink;
    c.setLineDash(deaf ? [2, 4] : DASHES[links.way[link] as 0 | 1 | 2] ?? []);
    c.beginPath();
    c.moveTo(at[2 * slot], at[2 * slot + 1]);
    c.lineTo(at[2 * to], at[2 * to + 1]);
    c.stroke();
  }
  c.setLineDash([]);
  c.globalAlpha = 1;
}

// One point as a shape. Shapes tell groups apart where the system allows two colours only.
function shape(c: CanvasRenderingContext2D, x: number, y: number, r: number, sides: number): void {
  if (sides === 0) return disc(c, x, y, r);
  for (let k = 0; k < sides; ++k) {
    const turn = -Math.PI / 2 + (k + (sides === 4 ? 0.5 : 0)) * 2 * Math.PI / sides, R = r * (sides === 3 ? 1.3 : 1.2);
    if (k === 0) c.moveTo(x + R * Math.cos(turn), y + R * Math.sin(turn));
    else c.lineTo(x + R * Math.cos(turn), y + R * Math.sin(turn));
  }
  c.closePath();
}
export const FORCED_SIDES = [0, 4, 6, 3, 5, 8, 7, 9];

// Bright are those who know of everything that was contributed.
export function paintPoints(s: Scene): void {
  const {c, look: {points}, at, dot, colours} = s;
  for (let group = 0; group < s.cast.groups; ++group) {
    c.fillStyle = c.strokeStyle = colours.forced ? colours.ink : colours.group[group];
    const sides = colours.forced ? FORCED_SIDES[group] : 0;
    for (const knows of [false, true]) {
      let any = false;
      c.globalAlpha = knows ? 1 : 0.26;
      c.beginPath();
      for (let slot = 0; slot < points.size; ++slot) {
        const kind = points.kind[slot];
        if (points.group[slot] !== group || (kind !== Kind.member && kind !== Kind.server)) continue;
        if ((points.behind[slot] < KNOWS_ALL) !== knows) continue;
        // Whoever has just come grows from nothing.
        const r = points.age[slot] === 0 ? dot * s.t : dot;
        if (kind === Kind.server) shape(c, at[2 * slot], at[2 * slot + 1], r * 1.5, 4);
        else shape(c, at[2 * slot], at[2 * slot + 1], r, sides);
        any = true;
      }
      if (any) c.fill();
    }
    // The dead are outlines.
    c.globalAlpha = 0.4;
    c.lineWidth = 1;
    c.beginPath();
    for (let slot = 0; slot < points.size; ++slot) {
      if (points.group[slot] === group && points.kind[slot] === Kind.gone) {
        shape(c, at[2 * slot], at[2 * slot + 1], Math.max(1, dot - 0.5), sides);
      }
    }
    c.stroke();
  }
  paintLiars(s);
}

// Hollow triangles.
function paintLiars(s: Scene): void {
  const {c, look: {points}, at} = s, liars = points.kind.reduce((sum, kind) => sum + (kind === Kind.liar ? 1 : 0), 0);
  if (liars === 0) return;
  // They stand closer where many of them claim one place.
  const r = Math.max(1.5, Math.min(s.dot * 0.9, 0.72 * LIARS_CROWD * s.lenses.parts[0].r / Math.sqrt(liars)));
  c.globalAlpha = 0.9;
  c.strokeStyle = s.colours.bad;
  c.lineWidth = 1.2;
  c.beginPath();
  for (let slot = 0; slot < points.size; ++slot) {
    if (points.kind[slot] !== Kind.liar) continue;
    const x = at[2 * slot], y = at[2 * slot + 1];
    c.moveTo(x, y - r * 1.15); c.lineTo(x + r, y + r * 0.75); c.lineTo(x - r, y + r * 0.75); c.closePath();
  }
  c.stroke();
}

// A ring that widens around a point, and a word that rises from it.
export interface Pulse { readonly slot: number; readonly since: number; readonly big: boolean }
export interface Word { readonly slot: number; readonly text: string; readonly since: number }

// Both return what is still to be seen.
export function paintPulses(s: Scene, pulses: readonly Pulse[], now: number): Pulse[] {
  const {c, at, dot} = s;
  c.lineWidth = 1.4;
  return pulses.filter(({slot, since, big}) => {
    const t = (now - since) / (big ? 1100 : 650);
    if (t >= 1) return false;
    if (t < 0) return true;
    const eased = 1 - (1 - t) ** 3;
    c.globalAlpha = (big ? 0.7 : 0.55) * (1 - t);
    c.strokeStyle = big || s.colours.forced ? s.colours.ink : s.colours.group[s.look.points.group[slot]];
    c.beginPath();
    disc(c, at[2 * slot], at[2 * slot + 1], dot + (big ? 60 : 3.2 * dot + 4) * eased);
    c.stroke();
    return true;
  });
}

export function paintWords(s: Scene, words: readonly Word[], now: number): Word[] {
  const {c, at, colours} = s;
  return words.filter(({slot, text, since}) => {
    const t = (now - since) / 1700;
    if (t >= 1) return false;
    c.globalAlpha = Math.min(1, 3 * (1 - t));
    c.font = `650 15px ${colours.font}`;
    c.textAlign = "center";
    outlined(s, text, at[2 * slot], at[2 * slot + 1] - 16 - 22 * (1 - (1 - t) ** 2));
    return true;
  });
}

function outlined(s: Scene, text: string, x: number, y: number): void {
  s.c.lineJoin = "round";
  s.c.lineWidth = 4;
  s.c.strokeStyle = s.colours.paper;
  s.c.fillStyle = s.colours.ink;
  s.c.strokeText(text, x, y);
  s.c.fillText(text, x, y);
}

// The visitor's own points are ringed, and the first one is named.
export function paintMine(s: Scene): void {
  const {c, at, dot, colours} = s;
  s.cast.mine.forEach((slot, index) => {
    if (s.look.points.kind[slot] === Kind.nobody) return;
    const x = at[2 * slot], y = at[2 * slot + 1];
    c.globalAlpha = 1;
    c.strokeStyle = colours.paper;
    c.lineWidth = 5;
    c.beginPath(); disc(c, x, y, dot + 4); c.stroke();
    c.strokeStyle = colours.ink;
    c.lineWidth = 2;
    c.stroke();
    if (index === 0) label(s, slot, s.cast.label);
  });
}

// The label lies outside of the crowd, if its middle is near.
function label(s: Scene, slot: number, text: string): void {
  const {c, at, dot, colours, lenses: lens} = s, x = at[2 * slot], y = at[2 * slot + 1];
  const part = lens.parts[s.split ? s.split.side[s.look.points.group[slot]] : 0];
  const dx = x - part.x, dy = y - part.y, d = Math.hypot(dx, dy), core = part.r * s.core * 1.06;
  const ux = d > 1 ? dx / d : 0.7, uy = d > 1 ? dy / d : -0.7, inside = d < core && s.plane < 0.5;
  const lx = inside ? part.x + ux * (core + 20) : x + ux * 26, ly = inside ? part.y + uy * (core + 20) : y + uy * 22;
  c.font = `650 13px ${colours.font}`;
  c.textAlign = "center";
  c.textBaseline = "middle";
  const half = c.measureText(text).width / 2 + 4;
  const tx = Math.min(s.w - half, Math.max(half, lx)), ty = Math.min(s.h - 10, Math.max(10, ly));
  c.lineWidth = 1;
  c.globalAlpha = 0.8;
  c.strokeStyle = colours.ink;
  c.beginPath();
  c.moveTo(x + ux * (dot + 5), y + uy * (dot + 5));
  c.lineTo(tx - ux * half, ty - uy * 9);
  c.stroke();
  c.globalAlpha = 1;
  outlined(s, text, tx, ty);
}

export function paintPicked(s: Scene, slot: number): void {
  const {c, at, dot} = s;
  c.globalAlpha = 1;
  c.strokeStyle = s.colours.ink;
  c.lineWidth = 1.5;
  c.beginPath(); disc(c, at[2 * slot], at[2 * slot + 1], dot + 3); c.stroke();
}
