// Native and WebAssembly run the same playgrounds, cycle by cycle, to the same state hashes.
//
//   node playground_equality_test.mjs NATIVE MODULE    NATIVE is lvs_playground_hashes
import {execFileSync} from "node:child_process";
import {readFileSync} from "node:fs";
import {LINKS} from "./playground_links.mjs";

const [native, file] = process.argv.slice(2);
const module = new WebAssembly.Module(readFileSync(file));
if (WebAssembly.Module.imports(module).length > 0) throw new Error(`${file} asks its host for something`);
const core = new WebAssembly.Instance(module, {}).exports;
core._initialize();

let wrong = 0;
for (const {name, seed, regions, microNodes, cycles, actions} of LINKS) {
  const words = [seed, regions, microNodes, cycles, ...actions.map((action) => action.join(":"))];
  const expected = execFileSync(native, words.map(String), {encoding: "utf8"}).trim().split("\n");
  core.playground_start(seed, regions, microNodes);
  const shown = [];
  for (let cycle = 0; cycle < cycles; ++cycle) {
    for (const [at, kind, a, b] of actions) {
      if (at === cycle && core.playground_do(kind, a, b) !== 1) throw new Error(`${name}: ${kind} is not taken`);
    }
    core.playground_step();
    shown.push(BigInt.asUintN(64, core.playground_hash()).toString(16).padStart(16, "0"));
  }
  const at = shown.findIndex((hash, cycle) => hash !== expected[cycle]);
  const equal = at < 0 && shown.length === expected.length && new Set(shown).size === shown.length;
  console.log(`${name}: ${equal ? `${cycles} cycles are equal and end in ${shown.at(-1)}` : `differs from cycle ${at + 1} on`}`);
  wrong += equal ? 0 : 1;
}
if (LINKS.length < 3) throw new Error("too few links to compare");
process.exitCode = wrong > 0 ? 1 : 0;
