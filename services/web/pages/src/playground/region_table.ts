// The picture as a table, for whoever does not see it: a row a region.
import {fill, make} from "../shared/dom";
import {count, power} from "../shared/figures";
import {Kind} from "../shared/swarm/look";
import {Columns} from "./protocol";
import {texts} from "./texts";

const median = (values: number[]): number => values.length === 0 ? NaN : values.sort((a, b) => a - b)[values.length >> 1];

export class RegionTable {
  constructor(private readonly table: HTMLElement) {
    fill(this.part("thead tr"), ...texts.tableHead.map((head, k) => make("th", {scope: "col", ...(k > 0 ? {class: "n"} : {})}, head)));
  }

  show(columns: Columns, middle: {x: number; y: number} | null): void {
    const rows = texts.regions.map((name, region) => {
      let replicas = 0, knowing = 0, liars = 0, gone = 0, trust = 0;
      const away: number[] = [];
      for (let slot = 0; slot < columns.x.length; ++slot) {
        if (columns.region[slot] !== region) continue;
        ++replicas;
        const kind = columns.kind[slot];
        if (kind === Kind.gone) ++gone;
        if (kind === Kind.liar) ++liars;
        if (kind !== Kind.member) continue;
        trust += columns.trust[slot];
        if (columns.behind[slot] < 1e-7) ++knowing;
        if (middle) away.push(Math.hypot(columns.x[slot] - middle.x, columns.y[slot] - middle.y));
      }
      const honest = replicas - gone - liars;
      const cells = [count(replicas), count(knowing), count(liars), count(gone),
        honest > 0 ? texts.percent(trust / honest) : "–", away.length > 0 ? power(median(away)) : "–"];
      return make("tr", {}, make("th", {scope: "row"}, name), ...cells.map((cell) => make("td", {class: "n"}, cell)));
    });
    fill(this.part("tbody"), ...rows);
  }

  private part(selector: string): Element {
    const found = this.table.querySelector(selector);
    if (!found) throw new Error(`the table has no ${selector}`);
    return found;
  }
}
