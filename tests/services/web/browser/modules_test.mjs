// The modules of a tab that need no browser: amounts, config.json, the clock, descriptions of strangers, the crowd.
//
//   node modules_test.mjs SOURCES ESBUILD
import assert from "node:assert/strict";
import {execFileSync} from "node:child_process";
import {join} from "node:path";
import {test} from "node:test";

const [sources, esbuild] = process.argv.slice(2);
async function load(path) {
  const code = execFileSync(esbuild, [join(sources, path), "--bundle", "--format=esm", "--log-level=warning", "--define:ASSETS={}"], {encoding: "utf8"});
  return import(`data:text/javascript;base64,${Buffer.from(code).toString("base64")}`);
}
const [giving, config, clocks, carriers, crowds, options, standing] = await Promise.all([
  "take_part/giving.ts", "tab/config.ts", "tab/clock.ts", "tab/carriers.ts", "take_part/crowd.ts", "take_part/options.ts", "take_part/standing.ts",
].map(load));

test("an amount is read as digits, to the micro-unit", () => {
  for (const [text, uvu] of [["5", 5_000_000], ["2.500001", 2_500_001], ["0,1", 100_000], [" 1000 ", 1_000_000_000], ["0.000001", 1], ["4.35", 4_350_000]]) {
    assert.equal(giving.readAmount(text), uvu, text);
  }
  for (const text of ["", "0", "0.0000001", "-1", "1e3", "1000.000001", "10000", "1 2", "0x10", "five", "1.2.3", "٣"]) {
    assert.equal(giving.readAmount(text), null, text);
  }
});

const GOOD = {shards: 16, period_us: 100_000, value_slots: 2, free_coordinates: 2, build: "b", region: "eu", hubs: ["wss://us.example/peer"]};

test("config.json is checked field by field", () => {
  const read = config.parseConfig(GOOD, "https://eu.example");
  assert.deepEqual(read.hubs, ["https://eu.example", "https://us.example"]);
  assert.deepEqual(read.turn, []);
  for (const change of [{shards: 0}, {shards: 65}, {shards: "16"}, {period_us: 0}, {value_slots: 9}, {free_coordinates: 5}, {shards: 1.5}]) {
    assert.throws(() => config.parseConfig({...GOOD, ...change}, "https://eu.example"), config.Unfit, JSON.stringify(change));
  }
  for (const json of [null, 7, "text", []]) assert.throws(() => config.parseConfig(json, "https://eu.example"), config.Unfit);
});

test("what config.json names beside its numbers is bounded, and of the kinds that are known", () => {
  const hubs = config.parseConfig({...GOOD, hubs: ["javascript:alert(1)", 5, null, "https://eu.example", ...Array(99).fill("wss://x.example/peer")]}, "https://eu.example").hubs;
  assert.deepEqual(hubs, ["https://eu.example", "https://x.example"]);
  const turn = {urls: ["turn:t.example:3478", "http://no.example", "stun:s.example"], username: "u", credential: "c"};
  assert.deepEqual(config.parseConfig({...GOOD, turn}, "https://eu.example").turn, [{urls: ["turn:t.example:3478", "stun:s.example"], username: "u", credential: "c"}]);
  assert.equal(config.parseConfig({...GOOD, region: "x".repeat(65)}, "https://eu.example").region, "");
  assert.equal(config.socketOf("https://eu.example"), "wss://eu.example/peer");
});

test("the clock counts on from the hub's, whatever the time of day is", () => {
  const clock = new clocks.CycleClock(100_000);
  const atMs = performance.now();
  clock.set({cycle: 1000, intoCycleUs: 50_000, atMs: atMs - 60, withinMs: 5});
  assert.equal(clock.cycle() - 1001 < 5, true);
  assert.equal(clock.cycle() >= 1001, true);
  assert.equal(clock.untilNextMs() > 0 && clock.untilNextMs() <= 100, true);
  assert.equal(clock.untilNextMs(5) > 400, true);
  assert.equal(Math.abs(clock.wallErrorMs) > 1e9, true);  // 2026 is far from cycle 1000
  assert.equal(clock.jumped(), false);
  const now = Date.now;
  Date.now = () => now() + 3_600_000;  // the machine slept, and performance.now() stood still
  try {
    const before = clock.cycle();
    assert.equal(clock.jumped(), true);
    assert.equal(Math.abs(clock.cycle() - before - 36_000) <= 2, true);
    assert.equal(clock.jumped(), false);
    Date.now = () => now() - 3_600_000;  // set back: nobody sleeps backwards
    const after = clock.cycle();
    assert.equal(clock.jumped(), true);
    assert.equal(clock.cycle() - after < 5, true);
  } finally {
    Date.now = now;
  }
});

test("a stranger's description names one DataChannel and few addresses", () => {
  const head = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n";
  const address = "a=candidate:1 1 udp 2122 10.0.0.1 5000 typ host\r\n";
  assert.equal(carriers.whyUnfit(head + data + address.repeat(16)), undefined);
  assert.match(carriers.whyUnfit(head + data + address.repeat(17)), /too many addresses/);
  assert.match(carriers.whyUnfit(head + data + data), /not of a DataChannel/);
  assert.match(carriers.whyUnfit(`${head}m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n${data}`), /not of a DataChannel/);
  assert.match(carriers.whyUnfit(head), /not of a DataChannel/);
  assert.match(carriers.whyUnfit(head + data + "x".repeat(8192)), /too long/);
});

const point = (shard, link, number, x, y) => [shard, link, number, x, y, 0, 1, 0.5];

test("a point keeps its slot, and shards lie about one middle", () => {
  const crowd = new crowds.Crowd(), far = new Map([[3, {link: 9, way: 0, group: 1}]]);
  const first = crowd.look(1, Float32Array.from([...point(0, -1, 0, 10, 10), ...point(0, 3, 0, 10, 10), ...point(5, -1, 0, 150, 20)]), null, far, []);
  const slots = new Map([...crowd.people].map(([slot, {shard, slot: link}]) => [`${shard}/${link}`, slot]));
  for (const slot of slots.values()) assert.deepEqual([first.points.x[slot], first.points.y[slot]], [100, 100]);
  assert.deepEqual([...crowd.mine].sort(), [slots.get("0/-1"), slots.get("5/-1")].sort());
  assert.equal(first.links.count, 1);
  assert.deepEqual([first.links.from[0], first.links.to[0]], [slots.get("0/-1"), slots.get("0/3")]);
  crowd.look(2, Float32Array.from([...point(5, -1, 0, 150, 20), ...point(0, 3, 0, 12, 10)]), null, far, []);
  assert.equal(crowd.people.has(slots.get("0/-1")), false);
  assert.equal(crowd.people.get(slots.get("0/3")).shard, 0);
  const alone = crowd.look(3, Float32Array.from(point(5, -1, 0, 150, 20)), 5, far, []);
  assert.equal(alone.points.x[slots.get("5/-1")], 150);  // one shard is shown where it is
});

test("a crowd grows as far as it has to", () => {
  const crowd = new crowds.Crowd(), drawn = [];
  for (let n = 0; n < 1000; ++n) drawn.push(...point(n % 16, -1, n, n % 200, 7));
  const {points} = crowd.look(1, Float32Array.from(drawn), null, new Map(), []);
  assert.equal(crowd.people.size, 1000);
  assert.equal(points.kind.reduce((sum, kind) => sum + kind, 0), 1000);
  assert.equal(crowd.mine.length <= 64, true);
});

test("options of the address are bounded", () => {
  globalThis.location = {origin: "https://here.example"};
  const read = options.optionsOf("?micro=9999999&relay=7&seed=3.5&region=%C3%A4&hub=javascript:1&keep=1");
  assert.deepEqual(read, {microNodes: 4096, region: "", relay: 1, seed: 3, keep: true, hub: "https://here.example", record: false});
  assert.equal(options.optionsOf("?hub=https://other.example/x").hub, "https://other.example");
  assert.equal(options.optionsOf("").microNodes, 1);
});

const shard = (change = {}) => ({shard: 4, waiting: 0, replicas: 1, compared: 1, spread: 0, ...change});
const hub = (state, againAtMs = 0) => ({state, name: "hub.example", region: "eu", build: "", words: "", againAtMs});
const say = (change) => standing.sentence({
  shards: [shard()], links: 3, served: true, hub: hub("welcome"), own: 4, heard: 9, spread: 0, fall: 1, away: 0, spreading: null, now: 0, ...change});

test("one sentence says how things stand", () => {
  const word = (change) => say(change)[1];
  assert.equal(word({}), "Agreed");
  assert.equal(word({shards: [shard({waiting: 1})], links: 0, served: false}), "Looking");
  assert.equal(word({shards: [shard({waiting: 1})]}), "Catching up");
  assert.equal(word({links: 0, served: false, spread: NaN}), "Alone");
  assert.equal(word({hub: hub("off", 5000), links: 0, served: false}), "Cut off");
  assert.equal(word({spread: 4}), "Agreeing");
  assert.equal(word({spread: 4, away: 60}), "Thrown out");
  assert.equal(word({spreading: {amount: "5 VU", holders: 1}}), "Spreading");
  assert.equal(word({hub: hub("lost"), served: false}), "Without servers");
  assert.match(say({hub: hub("lost"), served: false})[2], /You and 3 tabs/);
  assert.match(say({hub: hub("off", 5000)})[2], /for another 5 s/);
});
