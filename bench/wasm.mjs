// Times a replica cycle in WebAssembly, under Node, beside native on each SIMD target (tests/wasm/throughput.h), and
// prints JSON. The sides take turns, and every sample starts from the same state; equal hashes prove equal work.
//
//   node wasm.mjs NATIVE MODULE [--quick]
import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {gzipSync} from 'node:zlib';
import {load} from '../tests/wasm/module.mjs';

const [native, file, mode] = process.argv.slice(2);
const quick = mode === '--quick';
const repetitions = quick ? 2 : 9;
// What one tab may hold, and one large shard. Cycles: a million replica cycles a sample.
const shapes = [[4, 1000], [16, 250], [256, 16], [1, 100_000]].map(([shards, replicas]) => ({
  shards, replicas, cycles: Math.max(4, Math.round((quick ? 200_000 : 1_000_000) / (shards * replicas)))}));

const run = (...words) => execFileSync(native, words.map(String), {encoding: 'utf8'}).trim();
const targets = run('targets').split('\n');

function nativeSample(target, {shards, replicas, cycles}) {
  const [ns, hash] = run('bench', target, shards, replicas, cycles).split(' ');
  return {ns: Number(ns), hash};
}

function wasmSample(core, {shards, replicas, cycles}) {
  core.throughputStart(shards, replicas);
  core.throughputCycles(Math.floor(cycles / 2) + 20);  // as native.cc does
  const before = process.cpuUsage();
  const replicaCycles = core.throughputCycles(cycles);
  const {user, system} = process.cpuUsage(before);
  return {ns: (user + system) * 1e3 / replicaCycles, hash: core.throughputHash()};
}

const runs = [];
for (const shape of shapes) {
  const core = load(file);
  // The optimising compiler of V8 works in the background: the first runs call for it, the pause lets it finish.
  for (let n = 0; n < 2; ++n) wasmSample(core, shape);
  await new Promise(done => setTimeout(done, 500));
  const samples = {WASM: [], ...Object.fromEntries(targets.map(target => [target, []]))};
  const hashes = new Set();
  const add = (side, {ns, hash}) => {
    samples[side].push(ns);
    hashes.add(hash);
  };
  for (let repetition = 0; repetition < repetitions; ++repetition) {
    add('WASM', wasmSample(core, shape));
    for (const target of targets) add(target, nativeSample(target, shape));
  }
  if (hashes.size !== 1) throw new Error(`the sides end in different states: ${[...hashes].join(', ')}`);
  runs.push({shards: shape.shards, replicas: shape.replicas, memory_bytes: core.memoryBytes(), ns: samples});
}
const module = readFileSync(file);
console.log(JSON.stringify(
  {node: process.version, module_bytes: module.length, gzip_bytes: gzipSync(module, {level: 9}).length, runs}));
