// What the visitor gave, and how far it came. A contribution is safe once a second node holds it.
import {TabEvent} from "../tab/core";
import {EventLog, Line} from "./event_log";
import {texts} from "./texts";

export interface Gift {
  readonly id: number; readonly amount: string; readonly shard: number;
  holders: number; over: boolean; refused: boolean;
}

const UVU = 1_000_000, MOST_VU = 1000, KEPT = 32;

// Micro-units, or null where the text is no amount. Decimals are read as digits: a product of doubles could be one off.
export function readAmount(text: string): number | null {
  const match = /^\s*(\d{1,4})(?:[.,](\d{0,6}))?\s*$/.exec(text);
  if (!match) return null;
  const uvu = Number(match[1]) * UVU + Number((match[2] ?? "").padEnd(6, "0"));
  return uvu > 0 && uvu <= MOST_VU * UVU ? uvu : null;
}

export class Giving {
  readonly gifts: Gift[] = [];
  private readonly lines = new Map<number, Line>();
  private begun = 0;

  constructor(private readonly log: EventLog) {}

  // The number of a new one.
  give(amount: string, shard: number): number {
    const id = ++this.begun;
    this.gifts.push({id, amount, shard, holders: 0, over: false, refused: false});
    this.lines.set(id, this.log.add(texts.gave(amount, shard)));
    if (this.gifts.length > KEPT) this.lines.delete((this.gifts.shift() as Gift).id);
    return id;
  }

  refused(id: number, why: string): void {
    const gift = this.gifts.find((one) => one.id === id);
    if (!gift) return;
    gift.refused = gift.over = true;
    this.lines.get(id)?.outcome(texts.gaveRefused(why), true);
  }

  heard(event: TabEvent & {readonly event: "contributed"}): void {
    const gift = this.gifts.find((one) => one.id === event.id);
    if (!gift) return;
    if (event.refused) return this.refused(event.id, event.refused);
    gift.holders = Math.max(gift.holders, event.holders);
    gift.over = gift.over || event.final;
    const came = event.final ? texts.gaveDone(gift.holders) : texts.gaveNow(gift.holders);
    this.lines.get(event.id)?.outcome(came, event.final && gift.holders < 2);
  }

  // The newest one that is still on its way.
  get spreading(): Gift | null {
    for (let k = this.gifts.length - 1; k >= 0; --k) if (!this.gifts[k].over && this.gifts[k].holders < 2) return this.gifts[k];
    return null;
  }
}
