// The same as the picture, in words: the shards of this tab, its links, and what is counted.
import {fill, make, svg} from "../shared/dom";
import {count, power, vu} from "../shared/figures";
import {Figures} from "../tab/core";
import {LiveNode} from "./live_node";
import {texts} from "./texts";

export const shardsOf = (figures: Figures, name = "mask"): number[] => {
  const held: number[] = [];
  for (let bit = 0; bit < 64; ++bit) {
    const half = bit < 32 ? figures[`${name}_low`] : figures[`${name}_high`];
    if (Math.floor((half ?? 0) / 2 ** (bit % 32)) % 2 === 1) held.push(bit);
  }
  return held;
};
export const shortId = (id: string): string => id.slice(0, 6);

// Rows are made once, and filled again and again: a reader keeps its place.
type Cell = string | Node[];
function rows(table: HTMLTableElement, cells: readonly (readonly Cell[])[], classes: readonly string[], empty: string): void {
  const body = table.tBodies[0];
  if (cells.length === 0) {
    const columns = String(table.tHead?.rows[0]?.cells.length ?? 1);
    if (!body.querySelector(".empty")) fill(body, make("tr", {}, make("td", {class: "empty", colspan: columns}, empty)));
    return;
  }
  if (body.querySelector(".empty")) fill(body);
  while (body.rows.length > cells.length) body.deleteRow(-1);
  cells.forEach((row, r) => {
    const line = body.rows[r] ?? body.insertRow();
    row.forEach((cell, c) => {
      const td = line.cells[c] ?? line.insertCell();
      if (typeof cell === "string") fill(td, cell);
      else fill(td, ...cell);
    });
    const last = line.cells[line.cells.length - 1];
    if (last.className !== classes[r]) last.className = classes[r];
  });
}

export function totalOf(shard: Figures, slots: number): string {
  return Array.from({length: slots}, (_, slot) => vu(shard[`total_vu_${slot}`])).join(" · ");
}

export function showShards(table: HTMLTableElement, node: LiveNode): void {
  const slots = node.network?.valueSlots ?? 1;
  const state = (shard: Figures) => shard.waiting > 0 ? texts.waiting : shard.compared ? texts.complete : texts.onlyHere;
  rows(table, node.shards.map((shard) => [
    String(shard.shard), shard.is_adopted ? `${shard.replicas} (${texts.adopted})` : String(shard.replicas), count(shard.holders),
    totalOf(shard, slots), count(shard.sessions), power(shard.spread), state(shard),
  ]), node.shards.map((shard) => shard.compared ? "good" : "part"), "");
}

const DASHES: Record<string, string> = {direct: "", relayed: "5 3", server: "1.5 3"};
export const lineOf = (way: "direct" | "relayed" | "server"): SVGSVGElement =>
  svg(24, 10, ["line", {
    x1: 1, y1: 5, x2: 23, y2: 5, stroke: "currentColor", "stroke-width": 1.4, "stroke-dasharray": DASHES[way] || "none"}]);

export function showLinks(table: HTMLTableElement, node: LiveNode, empty: string): void {
  const own = new Set(shardsOf(node.tab)), cycle = node.tab.cycle ?? 0, periodS = (node.network?.periodUs ?? 0) / 1e6;
  const heard = (at: number) => texts.ago(Math.max(0, cycle - at) * periodS);
  const kilobytes = (bytes: number) => count(Math.round(bytes / 1024));
  const bytes = (received: number, sent: number) => `${kilobytes(received)} / ${kilobytes(sent)} KB`;
  const cells: Cell[][] = [];
  const shown = (text: string, way: "direct" | "relayed" | "server") => [lineOf(way), document.createTextNode(text)];
  if (node.hub.state === "welcome") {
    const {tab} = node;
    cells.push([node.hub.name, shown(node.served ? texts.byServer : "hub", "server"), node.hub.region,
      node.served ? texts.list([...own]) : "–", heard(tab.server_heard_cycle),
      bytes(tab.server_bytes_received, tab.server_bytes_sent)]);
  }
  for (const link of node.links) {
    const peer = node.peers.get(link.link), way = link.relayed ? "relayed" : "direct";
    const shared = shardsOf(link).filter((shard) => own.has(shard));
    cells.push([
      peer ? shortId(peer.tab) : texts.unknown, shown(link.relayed ? texts.relayed : texts.direct, way), peer?.region ?? "",
      shared.length > 0 ? texts.list(shared) : "–", heard(link.heard_cycle), bytes(link.bytes_received, link.bytes_sent)]);
  }
  rows(table, cells, cells.map(() => ""), empty);
}

const NAMES: readonly [string, string][] = [
  ["cycles", "cycles run"], ["skipped", "cycles skipped"], ["frames_sent", "frames sent"], ["link_messages_sent", "messages to tabs"],
  ["link_messages_received", "messages of tabs"], ["relayed_sent", "relayed messages sent"], ["relayed_received", "relayed messages heard"],
  ["hub_messages_sent", "messages to the hub"], ["hub_messages_received", "messages of the hub"], ["links_opened", "links opened"],
  ["links_relayed", "links that had to be relayed"], ["hub_dials", "dials of a hub"], ["cadence", "cycles from word to word"],
  ["forged", "forged hellos"], ["stray_relays", "stray relays"], ["crowded_out", "crowded out"], ["unexpected", "unexpected messages"],
];

// What is 0 and says nothing is left out.
export function showCounts(list: HTMLElement, node: LiveNode): void {
  const shown: [string, number][] = NAMES.map(([name, words]): [string, number] => [words, node.tab[name] ?? 0]);
  for (const [name, value] of Object.entries(node.tab)) {
    if (value > 0 && name.startsWith("refused_")) shown.push([`refused: ${name.slice(8).replace(/_/g, " ")}`, value]);
    if (value > 0 && name.startsWith("hub_refused_")) shown.push([`by the hub: ${name.slice(12).replace(/_/g, " ")}`, value]);
  }
  fill(list, ...shown.map(([words, value]) => make("div", {}, make("dt", {}, words), make("dd", {}, count(value)))));
}
