// What holds at a cycle, as it follows from what was done: cuts, losses, lies, dead regions, churn.
import {Act, Done, REGIONS} from "./protocol";

export interface Faults {
  readonly cut: number;      // bits of regions; 0: none
  readonly loss: number;     // per mille
  readonly attack: number;   // 0: nobody lies
  readonly share: number;    // of liars, per mille
  readonly dead: readonly boolean[];  // by region
  readonly churn: number;    // per mille a cycle
}

export const noFaults: Faults = {
  cut: 0, loss: 0, attack: 0, share: 0, dead: Array.from({length: REGIONS}, () => false), churn: 0};

export function after(faults: Faults, {kind, a, b}: Done): Faults {
  switch (kind) {
    case Act.cut: return {...faults, cut: a};
    case Act.loss: return {...faults, loss: a};
    case Act.attack: return {...faults, attack: b > 0 ? a : 0, share: a > 0 ? b : 0};
    case Act.kill: return {...faults, dead: faults.dead.map((dead, region) => dead || region === a)};
    case Act.start: return {...faults, dead: faults.dead.map((dead, region) => dead && region !== a)};
    case Act.churn: return {...faults, churn: a};
    default: return faults;
  }
}

export const faultsOf = (done: readonly Done[]): Faults => done.reduce(after, noFaults);

export type FaultName = "cut" | "loss" | "liars" | "down" | "churn";
export interface Band { readonly name: FaultName; readonly from: number; readonly to: number }

// From when to when each fault held, up to `now`, for the chart.
export function bands(done: readonly Done[], now: number): Band[] {
  const found: Band[] = [], since: Partial<Record<FaultName, number>> = {};
  const on = (faults: Faults): Record<FaultName, boolean> => ({
    cut: faults.cut > 0, loss: faults.loss > 0, liars: faults.attack > 0, down: faults.dead.includes(true), churn: faults.churn > 0});
  const turn = (faults: Faults, cycle: number) => {
    for (const [name, holds] of Object.entries(on(faults)) as [FaultName, boolean][]) {
      const from = since[name];
      if (holds && from === undefined) since[name] = cycle;
      if (!holds && from !== undefined) { found.push({name, from, to: cycle}); delete since[name]; }
    }
  };
  let faults = noFaults;
  for (const one of done) turn(faults = after(faults, one), one.cycle);
  turn(noFaults, now);
  return found;
}
