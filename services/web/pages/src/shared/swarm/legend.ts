// The legend of a swarm: its groups, and the signs that the page uses.
import {make, svg} from "../dom";
import {Colours} from "./colours";
import {FORCED_SIDES} from "./paint";

export interface Signs { readonly me?: string; readonly drift?: string; readonly entropy?: string; readonly liar?: string; readonly gone?: string }

export function showLegend(element: HTMLElement, colours: Colours, groups: readonly string[], signs: Signs): void {
  type Shape = [string, Record<string, string | number>];
  const first = colours.forced ? colours.ink : colours.group[0];
  const entry = (text: string, ...shapes: Shape[]) => make("span", {}, svg(20, 16, ...shapes), text);
  const dot = (fill: string, r = 5): Shape => ["circle", {cx: 10, cy: 8, r, fill}];
  // Where the system allows two colours, groups have shapes.
  const polygon = (sides: number): Shape => {
    const points = Array.from({length: sides}, (_, k) => -Math.PI / 2 + (k + (sides === 4 ? 0.5 : 0)) * 2 * Math.PI / sides)
      .map((turn) => `${10 + 6 * Math.cos(turn)},${8 + 6 * Math.sin(turn)}`);
    return ["polygon", {points: points.join(" "), fill: colours.ink}];
  };
  const sign = (k: number) => !colours.forced ? dot(colours.group[k]) : FORCED_SIDES[k] === 0 ? dot(colours.ink) : polygon(FORCED_SIDES[k]);
  const entries = groups.map((name, k) => entry(name, sign(k)));
  if (signs.me) entries.push(entry(signs.me, dot(first, 3.4), ["circle", {cx: 10, cy: 8, r: 6.6, fill: "none", stroke: colours.ink, "stroke-width": 2}]));
  if (signs.drift) {
    entries.push(entry(signs.drift, ["path", {d: "M1 14L15 4", stroke: first, "stroke-width": 1.6, opacity: 0.5}], ["circle", {cx: 15, cy: 4, r: 3.4, fill: first}]));
  }
  if (signs.entropy) entries.push(entry(signs.entropy, ["circle", {cx: 10, cy: 8, r: 7.5, fill: first, opacity: 0.2}], dot(first, 3.4)));
  if (signs.liar) entries.push(entry(signs.liar, ["path", {d: "M10 3l5 9H5z", fill: "none", stroke: colours.bad, "stroke-width": 1.5}]));
  if (signs.gone) entries.push(entry(signs.gone, ["circle", {cx: 10, cy: 8, r: 4.4, fill: "none", stroke: first, "stroke-width": 1.2, opacity: 0.55}]));
  element.replaceChildren(...entries);
}
