// What a hub says of its network: GET /config.json.
import type {Reading} from "./clock";
import {deadline} from "./deadline";

// What RTCIceServer is to the page; workers have no such name.
export interface TurnServer { readonly urls: string[]; readonly username?: string; readonly credential?: string }

export interface NetworkConfig {
  shards: number;
  periodUs: number;
  valueSlots: number;
  freeCoordinates: number;
  build: string;
  region: string;
  hubs: string[];  // origins, this hub's first
  turn: TurnServer[];
  reading: Reading | undefined;  // none: a static folder tells no time
}

// Why the visitor's page cannot begin, in words that say what to do.
export class Unfit extends Error {}

const TIMEOUT_MS = 5000;
const READINGS = 3;

const isNumber = (value: unknown, min: number, max: number): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max;
const isText = (value: unknown, max: number): value is string => typeof value === "string" && value.length <= max;
const texts = (value: unknown, most: number): string[] =>
  Array.isArray(value) ? value.filter((one): one is string => isText(one, 256)).slice(0, most) : [];

function iceServers(turn: unknown): TurnServer[] {
  if (typeof turn !== "object" || turn === null) return [];
  const {urls, username, credential} = turn as Record<string, unknown>;
  const all = texts(typeof urls === "string" ? [urls] : urls, 8).filter(url => /^(stun|turns?):/.test(url));
  if (all.length === 0) return [];
  if (!isText(username, 256) || !isText(credential, 256)) return [{urls: all.filter(url => url.startsWith("stun:"))}];
  return [{urls: all, username, credential}];
}

// An address of a hub, as an origin: "https://hub.example". Both that and "wss://hub.example/peer" are understood.
export function originOf(hub: string): string | undefined {
  try {
    const url = new URL(hub.replace(/^ws/, "http"));
    return /^https?:$/.test(url.protocol) ? url.origin : undefined;
  } catch {
    return undefined;
  }
}

export function socketOf(origin: string): string {
  return `${origin.replace(/^http/, "ws")}/peer`;
}

export function parseConfig(json: unknown, origin: string): NetworkConfig {
  const said = (typeof json === "object" && json !== null ? json : {}) as Record<string, unknown>;
  const {shards, period_us: periodUs, value_slots: valueSlots, free_coordinates: freeCoordinates} = said;
  if (!isNumber(shards, 4, 64) || !isNumber(periodUs, 1000, 60_000_000) || !isNumber(valueSlots, 1, 8) ||
      !isNumber(freeCoordinates, 0, 4)) {
    throw new Unfit(`${origin}/config.json does not describe a network of this kind. Is the page served by a node of it?`);
  }
  const hubs = [origin, ...texts(said["hubs"], 32).map(originOf).filter((one): one is string => one !== undefined)];
  return {
    shards, periodUs, valueSlots, freeCoordinates,
    build: isText(said["build"], 256) ? said["build"] : "",
    region: isText(said["region"], 64) ? said["region"] : "",
    hubs: [...new Set(hubs)],
    turn: iceServers(said["turn"]),
    reading: undefined,
  };
}

async function fetchOnce(origin: string): Promise<NetworkConfig> {
  const {signal, clear} = deadline(TIMEOUT_MS);
  try {
    const asked = performance.now();
    const answer = await fetch(`${origin}/config.json`, {cache: "no-store", credentials: "omit", signal});
    const heard = performance.now();
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const json: unknown = await answer.json();
    const config = parseConfig(json, origin);
    const {cycle, cycle_us: intoCycleUs} = json as Record<string, unknown>;
    if (isNumber(cycle, 0, Number.MAX_SAFE_INTEGER) && isNumber(intoCycleUs, 0, config.periodUs)) {
      config.reading = {cycle, intoCycleUs, atMs: (asked + heard) / 2, withinMs: (heard - asked) / 2};
    }
    return config;
  } finally {
    clear();
  }
}

// The hub's word, with the reading of its clock that travelled the shortest.
export async function fetchConfig(origin: string, readings = READINGS): Promise<NetworkConfig> {
  let best: NetworkConfig | undefined;
  for (let n = 0; n < readings; ++n) {
    let config: NetworkConfig;
    try {
      config = await fetchOnce(origin);
    } catch (error) {
      if (error instanceof Unfit || best === undefined) throw error;
      break;
    }
    if (best?.reading === undefined || (config.reading?.withinMs ?? Infinity) < best.reading.withinMs) best = config;
    if (config.reading === undefined) break;
  }
  return best!;
}
