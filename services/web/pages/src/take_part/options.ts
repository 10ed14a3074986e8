// What the address of the page may say, for tests and for the curious:
//   ?micro=3      micro-nodes that the tab begins with
//   ?region=eu    where it says it is
//   ?relay=0.5    the share of direct connections that are forbidden, so that the hub relays
//   ?seed=7       its draws, the same each time
//   ?keep=1       keeps the ledger in this browser
//   ?hub=https://hub.example   another hub than the page's own address
//   ?record=1     keeps every call of the core, for a replay
import {originOf} from "../tab/config";

export interface Options {
  readonly microNodes: number; readonly region: string; readonly relay: number; readonly seed: number | null;
  readonly keep: boolean; readonly hub: string; readonly record: boolean;
}

export const MICRO_NODES_MAX = 4096;
const KEEP = "lvs-keep";

export function storedKeep(): boolean {
  try { return localStorage.getItem(KEEP) === "on"; } catch { return false; }
}
export function storeKeep(on: boolean): void {
  try {
    if (on) localStorage.setItem(KEEP, "on");
    else localStorage.removeItem(KEEP);
  } catch { /* not allowed: this page only */ }
}

export function optionsOf(search: string): Options {
  const asked = new URLSearchParams(search);
  const number = (name: string, least: number, most: number, otherwise: number) => {
    const value = Number(asked.get(name) ?? NaN);
    return Number.isFinite(value) ? Math.min(most, Math.max(least, value)) : otherwise;
  };
  const region = asked.get("region") ?? "";
  return {
    microNodes: Math.floor(number("micro", 1, MICRO_NODES_MAX, 1)),
    region: /^[ -~]{1,64}$/.test(region) ? region : "",
    relay: number("relay", 0, 1, 0),
    seed: asked.has("seed") ? Math.floor(number("seed", 1, 2 ** 31, 1)) : null,
    keep: asked.get("keep") === "1" || storedKeep(),
    hub: originOf(asked.get("hub") ?? "") ?? location.origin,
    record: asked.get("record") === "1",
  };
}
