// Loads the WebAssembly module of the core (module.cc) and wraps its exports.
//
//   const core = load('build/wasm/lvs_wasm.wasm');
//   const {cycles, facts} = core.runCase(0, 300);   // cycles[k] = "state rest" after cycle k + 1
import {readFileSync} from 'node:fs';

const hex = word => BigInt.asUintN(64, word).toString(16).padStart(16, '0');

export function load(file) {
  const module = new WebAssembly.Module(readFileSync(file));
  // The core is pure, so the module asks its host for nothing.
  const wanted = WebAssembly.Module.imports(module).map(({module, name}) => `${module}.${name}`);
  if (wanted.length > 0) throw new Error(`${file} imports ${wanted.join(', ')}; the core must need nothing of its host`);
  const core = new WebAssembly.Instance(module, {}).exports;
  core._initialize();

  const textAt = address => {
    const bytes = new Uint8Array(core.memory.buffer, address);
    return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
  };
  return {
    caseCount: () => core.case_count(),
    runCase(index, cycles) {
      core.case_start(index);
      const shown = [];
      for (let cycle = 1; cycle <= cycles; ++cycle) {
        const at = core.case_step(cycle);  // before the buffer is asked for: memory that grows is a new buffer
        const [state, rest] = new BigInt64Array(core.memory.buffer, at, 2);
        shown.push(`${hex(state)} ${hex(rest)}`);
      }
      return {cycles: shown, facts: JSON.parse(textAt(core.case_facts()))};
    },
    throughputStart: (shards, replicas) => core.throughput_start(shards, replicas),
    throughputCycles: cycles => core.throughput_cycles(cycles),
    throughputHash: () => hex(core.throughput_hash()),
    memoryBytes: () => core.memory.buffer.byteLength,
  };
}
