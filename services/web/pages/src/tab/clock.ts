// Which cycle it is. Cycles are numbered by the time of day (services/base/cycle_clock.h), and a visitor's clock may be
// wrong by hours. So the hub tells the cycle once, and from there on a clock counts that nobody sets.
//
//   const clock = new CycleClock(100_000);
//   clock.set(reading);                        // the hub's, as of a moment of performance.now()
//   clock.cycle();  clock.untilNextMs();
//
// While the machine sleeps, performance.now() stands still in some browsers. Then the time of day goes on further than
// it does, and the difference is added; a hub corrects what is wrong with that.
const EPOCH_MS = 1_767_225_600_000;  // 2026-01-01T00:00:00Z
const JUMP_MS = 1500;

export interface Reading {
  cycle: number;
  intoCycleUs: number;
  atMs: number;      // performance.now()
  withinMs: number;  // how far off that may be
}

export class CycleClock {
  private startMs: number;  // of cycle 0, by performance.now()
  private aheadMs: number;  // of the time of day before performance.now()
  // How far the time of day of this machine is ahead of the hub's. Unknown without a hub.
  wallErrorMs: number | undefined;

  constructor(private readonly periodUs: number) {
    this.aheadMs = Date.now() - performance.now();
    this.startMs = EPOCH_MS - this.aheadMs;
  }

  set({cycle, intoCycleUs, atMs}: Reading): void {
    this.aheadMs = Date.now() - performance.now();
    this.startMs = atMs - (cycle * this.periodUs + intoCycleUs) / 1000;
    this.wallErrorMs = this.aheadMs + this.startMs - EPOCH_MS;
  }

  // True where the machine slept, or its clock was set: ask a hub again.
  jumped(): boolean {
    const aheadMs = Date.now() - performance.now();
    const jumpMs = aheadMs - this.aheadMs;
    this.aheadMs = aheadMs;
    if (Math.abs(jumpMs) < JUMP_MS) {
      if (this.wallErrorMs !== undefined) this.wallErrorMs += jumpMs;
      return false;
    }
    if (jumpMs > 0) this.startMs -= jumpMs;  // rather asleep than set forward
    return true;
  }

  cycle(): number {
    return Math.max(0, Math.floor((performance.now() - this.startMs) * 1000 / this.periodUs));
  }

  // At least a millisecond, so that a timer that fires early does not spin.
  untilNextMs(cycles = 1): number {
    const next = (this.cycle() + cycles) * this.periodUs / 1000 + this.startMs;
    return Math.max(1, next - performance.now());
  }
}
