// The network: the core in WebAssembly, one cycle at a time, and what is done to it. A seed and the list of what was done
// in which cycle repeat it, bit for bit. That is how the page goes back: it begins anew and runs to the cycle that is
// asked for.
import {loadModule, failureOf} from "../shared/wasm";
import {
  ActKind, Columns, CYCLES_MAX, Done, DONE_MAX, Figures, FIGURES, FromWorker, PEERS, Setup, ToWorker,
} from "./protocol";

interface Core {
  readonly memory: WebAssembly.Memory;
  playground_start(seed: number, regions: number, microNodes: number): void;
  playground_do(kind: number, a: number, b: number): number;
  playground_step(): void;
  playground_slots(): number;
  playground_hash(): bigint;
  playground_figures(): number;
  playground_figure_count(): number;
  playground_column(column: number): number;
  playground_links_to(): number;
  playground_links_trust(): number;
}

const SLICE_MS = 40;      // a jump answers in between
const LATE_CYCLES = 1;    // a clock that is later than that starts anew: missed cycles are skipped

let core: Core | null = null;
let setup: Setup = {seed: 1, regions: 3, microNodes: 240};
let cycle = 0;
let newest = 0;
let done: Done[] = [];
let coming: Done[] = [];
let spreads: number[] = [];
let period = 0;
let due = 0;
let timer = 0;
let hidden = false;
let seek = 0;  // counts jumps: a newer one ends an older one

const say = (message: FromWorker, transfer: Transferable[] = []) => postMessage(message, {transfer});
const network = (): Core => {
  if (!core) throw new Error("the network has not started");
  return core;
};

function columns(): Columns {
  const c = network(), {buffer} = c.memory, n = c.playground_slots();
  const floats = (k: number) => new Float32Array(buffer, c.playground_column(k), n).slice();
  return {
    x: floats(0), y: floats(1), behind: floats(2), drift: floats(3), entropy: floats(4), trust: floats(5),
    age: new Uint32Array(buffer, c.playground_column(6), n).slice(),
    kind: new Uint8Array(buffer, c.playground_column(7), n).slice(),
    region: new Uint8Array(buffer, c.playground_column(8), n).slice(),
    linksTo: new Uint32Array(buffer, c.playground_links_to(), n * PEERS).slice(),
    linksTrust: new Float32Array(buffer, c.playground_links_trust(), n * PEERS).slice(),
  };
}

function figures(): Figures {
  const c = network(), count = c.playground_figure_count();
  const numbers = new Float64Array(c.memory.buffer, c.playground_figures(), count);
  const named = Object.fromEntries(FIGURES.map((name, k) => [name, numbers[k]])) as Record<typeof FIGURES[number], number>;
  return {...named, regions: Array.from(numbers.subarray(FIGURES.length, FIGURES.length + setup.regions))};
}

function look(moved: boolean, jumped: boolean): void {
  const now = columns();
  say({
    type: "look", columns: now, figures: figures(), moved, period, newest, done, coming,
    hash: BigInt.asUintN(64, network().playground_hash()).toString(16).padStart(16, "0"),
    spreads: jumped ? Float32Array.from(spreads) : null,
  }, Object.values(now).map((column: Float32Array | Uint32Array | Uint8Array) => column.buffer));
}

function begin(): void {
  network().playground_start(setup.seed, setup.regions, setup.microNodes);
  coming = [...done, ...coming];
  done = [];
  cycle = 0;
  spreads = [figures().spread];
}

// What a link holds is carried out again, exactly when it was.
function carryOut(told: boolean): void {
  while (coming.length > 0 && coming[0].cycle <= cycle) {
    const next = coming.shift() as Done;
    if (network().playground_do(next.kind, next.a, next.b) !== 1) continue;
    done.push(next);
    if (told) say({type: "did", done: next});
  }
}

function advance(told: boolean): void {
  carryOut(told);
  network().playground_step();
  cycle += 1;
  newest = Math.max(newest, cycle);
  const c = network();
  spreads.push(new Float64Array(c.memory.buffer, c.playground_figures(), 2)[1]);
}

// One cycle that is shown. False: the network is as old as it may become.
function step(): boolean {
  if (cycle >= CYCLES_MAX) { period = 0; say({type: "end"}); look(false, false); return false; }
  advance(true);
  look(true, false);
  return true;
}

// An absolute clock: a cycle that was missed is skipped, never made up for.
function arm(): void {
  clearTimeout(timer);
  if (period === 0 || hidden) return;
  const now = performance.now();
  due = now > due + (1 + LATE_CYCLES) * period ? now : due + period;
  timer = setTimeout(guarded(() => { if (step()) arm(); }), Math.max(0, due - performance.now())) as unknown as number;
}

function jump(to: number): void {
  const mine = ++seek;
  clearTimeout(timer);
  if (to < cycle) begin();
  const slice = guarded(() => {
    if (mine !== seek) return;
    const until = performance.now() + SLICE_MS;
    while (cycle < to && performance.now() < until) advance(false);
    if (cycle < to) {
      say({type: "seeking", at: cycle, to});
      setTimeout(slice, 0);
      return;
    }
    look(false, true);
    due = performance.now();
    arm();
  });
  slice();
}

function act(kind: ActKind, a: number, b: number): void {
  if (done.length >= DONE_MAX || network().playground_do(kind, a, b) !== 1) { say({type: "refused"}); return; }
  // Something else is done than was: what came later did not happen.
  coming = [];
  newest = cycle;
  const now: Done = {cycle, kind, a, b};
  done.push(now);
  say({type: "did", done: now});
  look(false, false);
}

async function take(message: ToWorker): Promise<void> {
  switch (message.type) {
    case "start":
      core ??= await loadModule<Core>(ASSETS["playground.wasm"]);
      ++seek;
      setup = message.setup;
      done = [];
      coming = [...message.coming];
      newest = coming.reduce((most, {cycle: at}) => Math.max(most, at), message.to);
      begin();
      look(false, true);
      due = performance.now();
      arm();
      break;
    case "do": act(message.kind, message.a, message.b); break;
    case "speed":
      period = message.hz > 0 ? 1000 / message.hz : 0;
      due = performance.now() - period;
      arm();
      break;
    case "step": step(); break;
    case "seek": jump(Math.min(Math.max(0, Math.floor(message.cycle)), newest)); break;
    case "hidden":
      hidden = message.hidden;
      due = performance.now();
      arm();
      break;
  }
}

function guarded(run: () => void): () => void {
  return () => {
    try { run(); } catch (error) { postMessage(failureOf(error)); }
  };
}

onmessage = ({data}: MessageEvent<ToWorker>) => {
  take(data).catch((error: unknown) => postMessage(failureOf(error)));
};

