// A link to a playground: #n=480&seed=21&e=12c5000000,33a1.300&to=120&hash=95a8379f10ea052c
//
// `e` is what was done: the cycle, a letter, and up to two numbers. `to` and `hash` are the cycle at which the link was
// made and the state hash of that cycle, so that whoever opens it can see that it repeats.
import {Act, ActKind, CYCLES_MAX, Done, DONE_MAX, REGIONS, Setup, SIZES} from "./protocol";

const LETTERS: Record<string, ActKind> = {
  c: Act.contribute, d: Act.throw, s: Act.scatter, p: Act.cut, l: Act.loss, a: Act.attack, k: Act.kill, r: Act.start,
  g: Act.churn};
const letterOf = (kind: ActKind): string => Object.keys(LETTERS).find((letter) => LETTERS[letter] === kind) ?? "";

export interface Link {
  readonly setup: Setup;
  readonly done: readonly Done[];
  readonly to: number;    // 0: the link names no cycle
  readonly hash: string;  // "": nor a hash
  readonly broken: boolean;  // some of it could not be read, and was left out
}

const SEED_MAX = 2 ** 32 - 1;

export function readLink(fragment: string, usual: Setup): Link {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  let broken = false;
  const number = (name: string, least: number, most: number, otherwise: number): number => {
    const text = fields.get(name);
    if (text === null) return otherwise;
    if (/^\d{1,10}$/.test(text) && Number(text) >= least && Number(text) <= most) return Number(text);
    broken = true;
    return otherwise;
  };
  const size = number("n", 0, 1e9, usual.microNodes);
  const microNodes = SIZES.reduce((a, b) => Math.abs(b - size) < Math.abs(a - size) ? b : a) as number;
  broken ||= microNodes !== size;
  const setup = {regions: REGIONS, microNodes, seed: number("seed", 0, SEED_MAX, usual.seed)};
  const done: Done[] = [];
  for (const word of (fields.get("e") ?? "").split(",").filter((text) => text !== "")) {
    const parts = /^(\d{1,6})([a-z])(?:(\d{1,13})(?:\.(\d{1,6}))?)?$/.exec(word), kind = parts ? LETTERS[parts[2]] : undefined;
    if (!parts || kind === undefined || Number(parts[1]) >= CYCLES_MAX || done.length >= DONE_MAX) { broken = true; continue; }
    done.push({cycle: Number(parts[1]), kind, a: Number(parts[3] ?? 0), b: Number(parts[4] ?? 0)});
  }
  // A list out of order would be carried out in another order than it was done.
  if (done.some(({cycle}, k) => k > 0 && cycle < done[k - 1].cycle)) {
    broken = true;
    done.sort((a, b) => a.cycle - b.cycle);
  }
  const hash = fields.get("hash") ?? "";
  if (hash !== "" && !/^[0-9a-f]{16}$/.test(hash)) broken = true;
  return {setup, done, to: number("to", 0, CYCLES_MAX, 0), hash: /^[0-9a-f]{16}$/.test(hash) ? hash : "", broken};
}

export function writeLink(setup: Setup, done: readonly Done[], to: number, hash: string): string {
  const words = done.map(({cycle, kind, a, b}) => `${cycle}${letterOf(kind)}${b > 0 ? `${a}.${b}` : a > 0 ? a : ""}`);
  return `#n=${setup.microNodes}&seed=${setup.seed}&e=${words.join(",")}&to=${to}&hash=${hash}`;
}
