// The pure modules of the pages, without a browser: links, faults, sentences, the layout of a swarm, figures.
//
//   node modules_test.mjs SOURCES ESBUILD
import assert from "node:assert/strict";
import {execFileSync} from "node:child_process";
import {join} from "node:path";
import {test} from "node:test";

const [sources, esbuild] = process.argv.slice(2);
async function load(path) {
  const code = execFileSync(esbuild, [join(sources, path), "--bundle", "--format=esm", "--log-level=warning"], {encoding: "utf8"});
  return import(`data:text/javascript;base64,${Buffer.from(code).toString("base64")}`);
}
const [link, faults, stand, layout, figures] = await Promise.all(
  ["playground/link.ts", "playground/faults.ts", "playground/stand.ts", "shared/swarm/layout.ts", "shared/figures.ts"].map(load));

const USUAL = {seed: 21, regions: 3, microNodes: 480};
const done = (cycle, kind, a = 0, b = 0) => ({cycle, kind, a, b});

test("a link is read as it was written", () => {
  const events = [done(3, 0, 5_000_000), done(3, 2), done(8, 5, 1, 300), done(9, 3, 1), done(12, 3), done(20, 6, 2), done(30, 7, 2), done(31, 5)];
  const written = link.writeLink({seed: 4_000_000_000, regions: 3, microNodes: 1920}, events, 40, "0123456789abcdef");
  const read = link.readLink(written, USUAL);
  assert.deepEqual(read, {
    setup: {seed: 4_000_000_000, regions: 3, microNodes: 1920}, done: events, to: 40, hash: "0123456789abcdef", broken: false});
});

test("no link is the usual network", () => {
  assert.deepEqual(link.readLink("", USUAL), {setup: USUAL, done: [], to: 0, hash: "", broken: false});
});

test("whatever cannot be read is left out, and said", () => {
  for (const fragment of ["#n=-1", "#n=481", "#seed=4294967296", "#seed=x", "#e=3", "#e=3x", "#e=99999999s", "#e=20000s", "#e=4c5.6.7", "#e=<b>",
    "#to=1e3", "#hash=zz", "#e=9s,3s"]) {
    const read = link.readLink(fragment, USUAL);
    assert.equal(read.broken, true, fragment);
    assert.ok(read.done.every(({cycle}, k) => k === 0 || cycle >= read.done[k - 1].cycle), fragment);
  }
  const long = link.readLink(`#e=${Array.from({length: 3000}, (_, k) => `${k}s`).join(",")}`, USUAL);
  assert.equal(long.done.length, 1000);
  assert.equal(long.broken, true);
});

test("faults follow from what was done, with bands from their begin to their end", () => {
  const events = [done(5, 3, 1), done(8, 4, 500), done(10, 3), done(12, 6, 0), done(14, 6, 2), done(16, 7, 0), done(20, 5, 1, 300)];
  const now = faults.faultsOf(events);
  assert.deepEqual([now.cut, now.loss, now.attack, now.share, now.dead, now.churn], [0, 500, 1, 300, [false, false, true], 0]);
  assert.deepEqual(faults.bands(events, 30).sort((a, b) => a.from - b.from), [
    {name: "cut", from: 5, to: 10}, {name: "loss", from: 8, to: 30}, {name: "down", from: 12, to: 30}, {name: "liars", from: 20, to: 30}]);
});

// A network of `n`, spread by `spread`, that has `change` about it.
function standing(change = {}) {
  return {
    cycle: 50, spread: 1e-8, total: 1200, replicas: 480, honest: 480, known: 480, liars: 0, agreed: true, allKnow: true, allThere: true, me: 7,
    myKind: 1, far: 0, home: true, lacking: 0, carried: 0, valueError: 0, waiting: -1, ...change};
}
const say = (s, f = {}, spreads = [1, 0.4, 0.16, 0.06]) =>
  stand.sentence(s, {...faults.noFaults, ...f}, spreads, [1205, 1200, 1200], 5);

test("one sentence says how things stand", () => {
  assert.deepEqual([say(standing()).word, say(standing()).mood], ["Agreed", "good"]);
  assert.match(say(standing({allKnow: false, known: 12})).rest, /^12 of 480 replicas know of the 5 VU/);
  assert.equal(say(standing({agreed: false, spread: 0.9})).word, "Scattered");
  assert.match(say(standing({agreed: false, spread: 0.06})).rest, /2\.6 times closer/);
  assert.match(say(standing({allKnow: false}), {cut: 1}).rest, /^Europe holds 1,205 VU, the others 1,200/);
  assert.match(say(standing({honest: 320, known: 320}), {dead: [true, false, false]}).rest, /^Europe is dead\. The others hold all 1,200 VU/);
  assert.equal(say(standing({honest: 0, known: 0}), {dead: [true, true, true]}).word, "Gone");
  assert.match(say(standing({waiting: 2})).rest, /^The Americas has started empty/);
  assert.match(say(standing({liars: 144, honest: 336, known: 336, carried: 42.4})).rest, /^144 of 480 lie; they dragged the crowd 42 away/);
  const camps = say(standing({agreed: false, spread: 2e-3, liars: 10}), {attack: 1, share: 20}, Array(20).fill(2e-3));
  assert.deepEqual([camps.word, camps.mood], ["In camps", "bad"]);
});

function points(n, at, kind = () => 1) {
  const columns = Object.fromEntries(["x", "y", "behind", "drift", "entropy"].map((name) => [name, new Float32Array(n)]));
  for (let slot = 0; slot < n; ++slot) [columns.x[slot], columns.y[slot]] = at(slot);
  return {size: n, ...columns, kind: Uint8Array.from({length: n}, (_, k) => kind(k)), group: Uint8Array.from({length: n}, (_, k) => k % 3), age: new Uint32Array(n).fill(9)};
}
function placed(all, {w = 800, h = 600, split = null, splitIs = 0, plane = 0} = {}) {
  const cast = {groups: 3, mine: [], label: "", range: 200}, look = {cycle: 1, points: all, links: {count: 0}};
  const one = {look, middles: layout.middles(all, split), at: new Float32Array(2 * all.size), base: new Float32Array(2 * all.size), fresh: true};
  const lenses = layout.lenses(w, h, splitIs);
  layout.place(one, undefined, {lenses, plane, core: 0.6, dot: 3, cast, split, seats: layout.seats(all, 3, split)});
  return {...one, lenses, from: (slot, {x, y} = lenses.whole) => Math.hypot(one.at[2 * slot] - x, one.at[2 * slot + 1] - y)};
}

test("each ring is ten times closer than the next, and farther is never nearer to the middle", () => {
  const distances = [0, 1e-6, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 100, 500];
  const shown = placed(points(61, (slot) => slot < 51 ? [100, 100] : [100 + distances[slot - 51], 100]));
  const radii = distances.map((_, k) => shown.from(51 + k));
  for (let k = 3; k < radii.length; ++k) assert.ok(radii[k] > radii[k - 1], `${distances[k]}: ${radii}`);
  assert.ok(radii.slice(0, 3).every((r) => r <= 0.6 * shown.lenses.whole.r));
  assert.ok(radii.every((r) => r <= 1.1 * shown.lenses.whole.r));
});

test("who is thrown out moves nobody", () => {
  const calm = placed(points(99, () => [100, 100])), thrown = placed(points(99, (slot) => slot === 4 ? [3000, -20] : [100, 100]));
  for (let slot = 0; slot < 99; ++slot) if (slot !== 4) assert.equal(thrown.at[2 * slot], calm.at[2 * slot]);
});

test("liars do not move the middle, and nobody else's seat is theirs", () => {
  const lying = points(90, (slot) => slot < 40 ? [1000, 1000] : [50, 60], (slot) => slot < 40 ? 2 : 1);
  const [middle] = layout.middles(lying, null);
  assert.deepEqual([middle.x, middle.y], [50, 60]);
  const {whole} = layout.seats(lying, 3, null), seen = new Set();
  for (let slot = 0; slot < 90; ++slot) seen.add(`${whole[2 * slot].toFixed(4)},${whole[2 * slot + 1].toFixed(4)}`);
  assert.equal(seen.size, 90);
});

test("numbers that are none leave everybody on the canvas", () => {
  const strange = points(30, (slot) => [[NaN, 3], [Infinity, 0], [-1e30, 1e30]][slot] ?? [100, 100], (slot) => slot < 3 ? 2 : 1);
  for (const plane of [0, 1]) {
    const shown = placed(strange, {plane});
    for (let slot = 3; slot < 30; ++slot) assert.ok(Number.isFinite(shown.at[2 * slot]) && Number.isFinite(shown.at[2 * slot + 1]));
  }
});

test("a split has two crowds, side by side or one above the other", () => {
  const split = {side: [0, 1, 1], names: ["a", "b"]}, apart = points(90, (slot) => slot % 3 === 0 ? [10, 10] : [150, 150]);
  for (const [w, h] of [[800, 500], [320, 600]]) {
    const shown = placed(apart, {w, h, split, splitIs: 1}), [a, b] = shown.lenses.parts;
    assert.ok(Math.hypot(a.x - b.x, a.y - b.y) >= a.r + b.r - 1, "the circles do not touch");
    for (const {x, y, r} of [a, b]) assert.ok(x - r >= 0 && x + r <= w && y - r >= 0 && y + r <= h, "they are on the canvas");
    for (let slot = 0; slot < 90; ++slot) assert.ok(shown.from(slot, slot % 3 === 0 ? a : b) <= a.r);
  }
});

test("an empty swarm and one point are laid out", () => {
  for (const n of [0, 1, 2]) placed(points(n, () => [100, 100]));
});

test("figures are what people read", () => {
  assert.deepEqual([0, 1.1e-7, 9.96e-4, 0.015, 1, 57.3, 1234.5].map(figures.power), ["0", "1.1 × 10⁻⁷", "1.0 × 10⁻³", "0.015", "1.0", "57", "1,235"]);
  assert.equal(figures.spoken(1.1e-7), "1.1 times ten to the minus 7");
  assert.deepEqual([0.001, 1.26, 33.6].map(figures.two), ["0", "1.3", "34"]);
});
