// What happened, the newest first.
import {fill, make, rich} from "../shared/dom";

const SHOWN = 8, TOGETHER_MS = 10_000;

export interface Line { outcome(text: string, bad?: boolean): void }

export class EventLog {
  constructor(private readonly list: HTMLElement) {}

  // Many of a kind within some seconds are one line.
  private together: {kind: string; names: string[]; since: number; item: Element; said: HTMLElement} | null = null;
  gather(kind: string, name: string, text: (names: readonly string[]) => string): void {
    const now = performance.now(), {together} = this;
    if (together && together.kind === kind && now - together.since < TOGETHER_MS && together.item === this.list.firstElementChild) {
      together.names.push(name);
      fill(together.said, ...rich(text(together.names)));
      return;
    }
    this.add(text([name]));
    const item = this.list.firstElementChild as Element;
    this.together = {kind, names: [name], since: now, item, said: item.lastElementChild as HTMLElement};
  }

  add(text: string, bad = false): Line {
    const said = make("span", {}), outcome = make("i", {});
    const time = make("time", {}, new Date().toLocaleTimeString("en", {hour12: false}));
    fill(said, ...rich(text));
    const item = make("li", bad ? {class: "bad"} : {}, time, said);
    this.list.prepend(item);
    while (this.list.children.length > SHOWN) this.list.lastElementChild?.remove();
    return {
      outcome: (came, isBad = false) => {
        fill(outcome, came);
        if (!outcome.isConnected) said.append(outcome);
        item.classList.toggle("bad", isBad);
      },
    };
  }
}
