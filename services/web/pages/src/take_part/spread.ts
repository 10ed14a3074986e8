// How far apart this tab and those that it hears are, how fast that falls, and whether a node that was thrown out is home.
import {Crowd} from "./crowd";
import {Line} from "./event_log";
import {LiveNode} from "./live_node";
import {texts} from "./texts";

const RATE_CYCLES = 5, KEPT_CYCLES = 20, HOME = 1e-3;

export class Spread {
  now = NaN;  // of the shard that is farthest apart; not a number where nobody is heard
  private past: [number, number][] = [];  // cycle, spread
  private thrown: {readonly cycle: number; readonly line: Line} | null = null;

  constructor(private readonly crowd: Crowd) {}

  look(node: LiveNode): void {
    const {shards, tab: {cycle}} = node;
    const alone = node.links.length === 0 && !node.served && shards.every(({replicas}) => replicas < 2);
    this.now = shards.length === 0 || alone ? NaN : Math.max(...shards.map(({spread}) => spread));
    this.past.push([cycle, this.now]);
    while (this.past.length > 1 && this.past[0][0] < cycle - KEPT_CYCLES) this.past.shift();
    if (!this.thrown || cycle <= this.thrown.cycle + 1 || this.away >= HOME) return;
    this.thrown.line.outcome(texts.home(cycle - this.thrown.cycle));
    this.thrown = null;
  }

  throw(cycle: number, line: Line): void { this.thrown = {cycle, line}; }

  // How many times closer a cycle brings them.
  get fall(): number {
    const from = this.past[0], to = this.past[this.past.length - 1];
    if (!from || to[0] - from[0] < RATE_CYCLES || !(this.now > 0)) return 1;
    return (from[1] / this.now) ** (1 / (to[0] - from[0]));
  }

  // Of this tab's replica that is farthest from the others.
  get away(): number {
    let most = 0;
    for (const {slot, distance} of this.crowd.people.values()) if (slot < 0) most = Math.max(most, distance);
    return most;
  }
}
