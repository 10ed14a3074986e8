// What happened, newest first, and when it was over.
import {make, rich} from "../shared/dom";
import {count} from "../shared/figures";
import {Stand} from "./stand";

const SHOWN = 7;

type Over = (stand: Stand) => boolean;
interface Open { readonly cycle: number; readonly over: Over; readonly ends: (cycles: number) => string; readonly to: HTMLElement }

export class Story {
  private open: Open[] = [];

  constructor(private readonly list: HTMLElement) {}

  clear(): void {
    this.list.replaceChildren();
    this.open = [];
  }

  tell(cycle: number, text: string, over?: Over, ends?: (cycles: number) => string): void {
    const end = make("span"), line = make("li", {}, make("time", {}, count(cycle)), make("span", {}, ...rich(text), end));
    this.list.prepend(line);
    while (this.list.children.length > SHOWN) this.list.lastElementChild?.remove();
    if (over && ends) this.open.push({cycle, over, ends, to: end});
  }

  // After a cycle.
  look(stand: Stand): void {
    this.open = this.open.filter(({cycle, over, ends, to}) => {
      if (stand.cycle <= cycle) return true;
      if (!over(stand)) return true;
      to.textContent = `, ${ends(stand.cycle - cycle)}`;
      return false;
    });
  }
}
