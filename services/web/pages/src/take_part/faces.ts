// Who is at the far ends of links, which colour they have, and the legend that says so.
import {fill, make, svg} from "../shared/dom";
import {Colours} from "../shared/swarm/colours";
import {Way} from "../shared/swarm/look";
import {Far} from "./crowd";
import {LiveNode} from "./live_node";
import {lineOf} from "./tables";
import {texts} from "./texts";

export const GROUPS = 8;  // regions that have a colour of their own

export class Faces {
  far: ReadonlyMap<number, Far> = new Map();  // by the slot of the link
  private readonly regions: string[] = [];

  // True: a region was seen for the first time.
  look(node: LiveNode, own: string): boolean {
    const known = this.regions.length;
    this.groupOf(own);
    const far = new Map<number, Far>();
    for (const link of node.links) {
      const region = node.peers.get(link.link)?.region ?? "";
      far.set(link.slot, {link: link.link, way: link.relayed ? Way.relayed : Way.direct, group: this.groupOf(region)});
    }
    if (node.served) far.set(node.tab.server_slot, {link: 0, way: Way.server, group: this.groupOf(node.hub.region)});
    this.far = far;
    return this.regions.length !== known;
  }

  legend(element: HTMLElement, colours: Colours): void {
    const item = (drawing: SVGSVGElement, text: string) => make("span", {}, drawing, text), own = colours.group[0];
    fill(element,
      ...this.regions.map((region, k) =>
        item(svg(20, 14, ["circle", {cx: 10, cy: 7, r: 4.5, fill: colours.group[k]}]), region || texts.unknown)),
      item(svg(20, 14, ["circle", {cx: 10, cy: 7, r: 3.2, fill: own}],
        ["circle", {cx: 10, cy: 7, r: 5.8, fill: "none", stroke: "currentColor", "stroke-width": 1.6}]), texts.legendYou),
      item(svg(20, 14, ["rect", {x: 5.5, y: 2.5, width: 9, height: 9, fill: own}]), texts.legendServer),
      item(lineOf("direct"), texts.legendDirect), item(lineOf("relayed"), texts.legendRelayed),
      item(lineOf("server"), texts.legendToServer));
  }

  private groupOf(region: string): number {
    const known = this.regions.indexOf(region);
    if (known >= 0) return known;
    return this.regions.length < GROUPS ? this.regions.push(region) - 1 : GROUPS - 1;
  }
}
