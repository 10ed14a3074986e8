// Runs every case of case.h in WebAssembly and natively, on each SIMD target of this machine, and compares what both
// show after every cycle.
//
//   node equality_test.mjs NATIVE MODULE               the comparison
//   node equality_test.mjs NATIVE MODULE --self-test   plants differences and checks that each one is found
import {execFileSync} from 'node:child_process';
import {load} from './module.mjs';
import {compare, gaps} from './comparison.mjs';

const CYCLES = 300;
const LEAST_CASES = 10;
const [native, file, mode] = process.argv.slice(2);

const nativeLines = (...words) =>
  execFileSync(native, words.map(String), {encoding: 'utf8', maxBuffer: 1 << 28}).trimEnd().split('\n');

function runNative(target, cycles, ...planted) {
  const run = [];
  for (const line of nativeLines('cases', target, cycles, ...planted)) {
    const facts = line.match(/^facts (\d+) (.*)$/);
    const words = line.split(' ');
    const index = Number(facts ? facts[1] : words[0]);
    run[index] ??= {cycles: []};
    if (facts) {
      run[index].facts = JSON.parse(facts[2]);
    } else {
      if (Number(words[1]) !== run[index].cycles.length + 1) throw new Error(`${target}: cycles out of order: ${line}`);
      run[index].cycles.push(`${words[2]} ${words[3]}`);
    }
  }
  return run;
}

function runWasm(cycles) {
  const core = load(file);
  return Array.from({length: core.caseCount()}, (_, index) => core.runCase(index, cycles));
}

function comparison() {
  const targets = nativeLines('targets');
  const complaints = [];
  // Debian builds every target of the processor. One alone would mean that dispatch at run time is gone.
  if (targets.length < 2) complaints.push(`only one native SIMD target: ${targets}`);
  const wasm = runWasm(CYCLES);
  complaints.push(...gaps(wasm, {cycles: CYCLES, leastCases: LEAST_CASES}));
  let compared = 0;
  for (const target of targets) {
    const run = runNative(target, CYCLES);
    complaints.push(...compare(wasm, run).map(complaint => `WASM and ${target}: ${complaint}`));
    compared += run.reduce((sum, {cycles}) => sum + cycles.length, 0);
  }
  for (const [index, {cycles, facts}] of wasm.entries()) {
    console.log(
      `case ${index}: ${facts.name}: ${facts.value_slots}+${facts.free_coordinates} coordinates, ${facts.peers} peers, ` +
      `${facts.server_nodes} server nodes, ${facts.replica_cycles} replica cycles, ${facts.entered} entered, ` +
      `${facts.left} left, ${facts.frames} frames, ${facts.lies.reduce((a, b) => a + b)} lies; ` +
      `${facts.restarts} restarts; ${cycles.length} cycles end in ${cycles.at(-1)}`);
  }
  console.log(`${wasm.length} cases, ${CYCLES} cycles each, against ${targets.join(', ')}: ${compared} cycles compared`);
  if (compared !== wasm.length * CYCLES * targets.length) complaints.push(`only ${compared} cycles were compared`);
  return complaints;
}

function selfTest() {
  const cycles = 30;
  const complaints = [];
  const [target] = nativeLines('targets');
  const wasm = runWasm(cycles);
  const expect = (what, found, pattern) => {
    const right = pattern === null ? found.length === 0 : found.length > 0 && found.every(text => pattern.test(text));
    console.log(`${what}: ${found.join('; ') || 'no complaint'}`);
    if (!right) complaints.push(`${what}: expected ${pattern ?? 'no complaint'}, found: ${found.join('; ') || 'none'}`);
  };
  expect('nothing planted', compare(wasm, runNative(target, cycles)), null);
  for (let index = 0; index < wasm.length; ++index) {
    const planted = 1 + (index * 7) % cycles;
    const found = compare(wasm, runNative(target, cycles, index, planted));
    expect(`one bit of case ${index} after cycle ${planted}`, found.filter(text => / differ from cycle /.test(text)),
      new RegExp(`^case ${index} \\(.*\\): rest differ from cycle ${planted} on$`));
  }
  const copy = () => structuredClone(wasm);
  const short = copy();
  short[2].cycles.pop();
  expect('a cycle is missing', compare(wasm, short), /^case 2 .* cycles on one side/);
  expect('a case is missing', compare(wasm, copy().slice(0, -1)), /cases on one side/);
  const otherState = copy();
  otherState[3].cycles[9] = otherState[3].cycles[9].replace(/^./, digit => (digit === '0' ? '1' : '0'));
  expect('a state is another', compare(wasm, otherState), /^case 3 .*: state differ from cycle 10 on$/);
  const otherFacts = copy();
  otherFacts[1].facts.frames += 1;
  expect('a count is another', compare(wasm, otherFacts), /^case 1 .*: frames is /);
  const idle = copy();
  for (const {facts} of idle) facts.lies.fill(0);
  expect('nobody lies', gaps(idle, {cycles, leastCases: LEAST_CASES}).filter(text => /^attack/.test(text)), /0 lies/);
  const still = copy();
  still[0].cycles.fill(still[0].cycles[0]);
  expect('a case stands still', gaps(still, {cycles, leastCases: LEAST_CASES}).filter(text => /stands still/.test(text)), /^case 0/);
  expect('too few cases', gaps(copy().slice(0, 3), {cycles, leastCases: LEAST_CASES}).filter(text => /cases;/.test(text)),
    /^3 cases/);
  return complaints;
}

const complaints = mode === '--self-test' ? selfTest() : comparison();
for (const complaint of complaints) console.error(complaint);
process.exitCode = complaints.length > 0 ? 1 : 0;
