// Who is at the far ends of links, which colour they have, and the legend that says so.
import {make, svg} from "../shared/dom";
import {Colours} from "../shared/swarm/colours";
import {showLegend} from "../shared/swarm/legend";
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
    showLegend(element, colours, this.regions.map((region) => region || texts.unknown), {
      me: texts.legendYou, drift: texts.legendDrift, entropy: texts.legendEntropy});
    const item = (drawing: SVGSVGElement, text: string) => make("span", {}, drawing, text);
    const fillOf = colours.forced ? colours.ink : colours.group[0];
    element.append(
      item(svg(20, 16, ["rect", {x: 5, y: 3, width: 10, height: 10, fill: fillOf}]), texts.legendServer),
      item(lineOf("direct"), texts.legendDirect), item(lineOf("relayed"), texts.legendRelayed),
      item(lineOf("server"), texts.legendToServer));
  }

  private groupOf(region: string): number {
    const known = this.regions.indexOf(region);
    if (known >= 0) return known;
    return this.regions.length < GROUPS ? this.regions.push(region) - 1 : GROUPS - 1;
  }
}
