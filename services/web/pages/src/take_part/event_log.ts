// What happened, the newest first.
import {fill, make, rich} from "../shared/dom";

const SHOWN = 8;

export interface Line { outcome(text: string, bad?: boolean): void }

export class EventLog {
  constructor(private readonly list: HTMLElement) {}

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
