// How the network stands, and the sentence about it. Pure.
import {Kind} from "../shared/swarm/look";
import {Mood} from "../shared/live_sentence";
import {Faults} from "./faults";
import {LookMessage} from "./protocol";
import {texts} from "./texts";

const AGREED = 1e-6;      // spread
const HOME = 1e-3;        // from the middle
const STUCK_CYCLES = 10;

export interface Stand {
  readonly cycle: number;
  readonly spread: number;
  readonly total: number;        // VU
  readonly replicas: number;
  readonly honest: number;
  readonly known: number;        // of these, who knows of everything
  readonly liars: number;
  readonly agreed: boolean;
  readonly allKnow: boolean;
  readonly allThere: boolean;    // no region is dead, and none waits for the ledger
  readonly me: number;
  readonly myKind: number;
  readonly far: number;          // I, from the middle
  readonly home: boolean;
  readonly lacking: number;      // VU that are on their way
  readonly carried: number;      // the crowd, since the lies began
  readonly valueError: number;
  readonly waiting: number;      // a region that has started and holds nothing yet; -1: none
}

export function standOf(
  {figures, columns}: LookMessage, middle: {x: number; y: number} | null, faults: Faults): Stand {
  const me = figures.me, far = middle ? Math.hypot(columns.x[me] - middle.x, columns.y[me] - middle.y) : 0;
  let lacking = 0, gone = 0;
  const goneOf = faults.dead.map(() => 0);
  for (let slot = 0; slot < columns.x.length; ++slot) {
    if (columns.kind[slot] === Kind.member) lacking = Math.max(lacking, columns.behind[slot]);
    if (columns.kind[slot] === Kind.gone) { ++gone; ++goneOf[columns.region[slot]]; }
  }
  return {
    cycle: figures.cycle, spread: figures.spread, total: figures.total, replicas: columns.x.length,
    honest: figures.honest, known: figures.knowing, liars: figures.liars, me, myKind: columns.kind[me], far,
    agreed: figures.spread < AGREED, allKnow: figures.knowing === figures.honest, allThere: gone === 0, home: far < HOME,
    lacking, carried: figures.carried,
    valueError: figures.valueError, waiting: goneOf.findIndex((n, region) => n > 0 && !faults.dead[region])};
}

// No nearer than ten cycles ago.
export function isStuck(spreads: readonly number[]): boolean {
  const now = spreads[spreads.length - 1], then = spreads[spreads.length - 1 - STUCK_CYCLES];
  return then !== undefined && Math.abs(Math.log(now / then)) < 0.2 && now < 0.95;
}

// How fast the spread falls, over the last three cycles.
function fall(spreads: readonly number[]): string {
  const last = spreads.length - 1, steps = Math.min(3, last), now = spreads[last];
  const rate = steps > 0 && now > 0 ? (spreads[last - steps] / now) ** (1 / steps) : 1;
  return rate > 1.15 ? texts.closer(rate) : rate < 0.9 ? texts.driven : texts.distance(now);
}

export interface Sentence { readonly mood: Mood; readonly word: string; readonly rest: string }

export function sentence(s: Stand, faults: Faults, spreads: readonly number[], regions: readonly number[], amount: number): Sentence {
  const lies = s.liars > 0 ? texts.lies(s.liars, s.replicas, s.carried) : "";
  const dead = faults.dead.includes(true);
  if (s.honest === 0 && s.waiting < 0) return {mood: "bad", word: texts.nobody[0], rest: texts.nobody[1]};
  if (faults.cut > 0) {
    const of = (side: 0 | 1) => Math.max(...regions.map((held, k) => (faults.cut >> k & 1) === side ? held : 0));
    const rest = !s.agreed && !s.allKnow ? texts.apartScattered
      : !s.allKnow ? texts.apartValue(faults.cut, of(1), of(0)) : texts.apartCalm(faults.cut);
    return {mood: "part", word: texts.apart, rest};
  }
  if (!s.agreed && isStuck(spreads) && s.valueError < 1e-3) {
    return {mood: "bad", word: texts.camps, rest: (lies || texts.campsRest(s.spread)) + texts.valueRight};
  }
  if (!s.agreed) {
    const rest = s.spread > 0.5 ? texts.everywhere : s.far > 1 && s.spread < 0.05 ? texts.far(s.far) : fall(spreads);
    return {mood: "part", word: s.spread > 0.3 ? texts.scattered : texts.agreeing,
      rest: lies + (faults.loss > 0 && s.liars === 0 ? texts.lost : "") + rest};
  }
  if (!s.allKnow) return {mood: "good", word: texts.spreading, rest: texts.knows(s.known, s.honest, amount || s.lacking)};
  return {mood: "good", word: texts.agreed, rest: calm(s, faults, lies, dead)};
}

function calm(s: Stand, faults: Faults, lies: string, dead: boolean): string {
  if (s.liars > 0) return lies + (s.carried > 1 ? texts.valueRight : texts.agreedLies(s.total));
  if (s.waiting >= 0) return texts.waiting(texts.regions[s.waiting]);
  if (dead) return texts.agreedDown(texts.dead(faults.dead), s.total);
  if (faults.loss > 0) return texts.agreedLoss;
  if (faults.churn > 0) return texts.agreedChurn;
  return texts.agreedRest(s.honest, s.total);
}
