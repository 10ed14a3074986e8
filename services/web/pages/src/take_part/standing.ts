// How things stand, in one sentence.
import {Mood} from "../shared/live_sentence";
import {power, two} from "../shared/figures";
import {Figures} from "../tab/core";
import {Gift} from "./giving";
import {Hub} from "./live_node";
import {texts} from "./texts";

export interface Standing {
  readonly shards: readonly Figures[];
  readonly links: number;
  readonly served: boolean;
  readonly hub: Hub;
  readonly own: number;       // replicas of this tab,
  readonly heard: number;     // and those that it hears
  readonly spread: number;
  readonly fall: number;      // how many times closer a cycle brings them
  readonly away: number;      // of this tab's replica that is farthest from the middle
  readonly spreading: Gift | null;
  readonly now: number;
}

export const AGREED = 1e-4;
const FALLS = 1.03, FAR = 0.1;

export const heldBy = (shards: readonly Figures[]): string => texts.shards(shards.map(({shard}) => shard));

export function sentence(s: Standing): [Mood, string, string] {
  const waiting = s.shards.filter((shard) => shard.waiting > 0), reached = s.links > 0 || s.served;
  const hubUp = s.hub.state === "welcome";
  if (s.hub.state === "off") return ["part", texts.cutOff, texts.cutRest(texts.seconds(Math.max(1000, s.hub.againAtMs - s.now)))];
  if (waiting.length > 0 && reached) return ["part", texts.catchingUp, texts.catchingRest(heldBy(waiting))];
  if (waiting.length > 0) return ["part", texts.looking, texts.lookingRest(s.hub.name)];
  if (s.spreading) return ["part", texts.spreading, texts.spreadingRest(s.spreading.amount, s.spreading.holders)];
  if (!reached) return ["part", texts.alone, hubUp ? texts.aloneRest : texts.aloneHub];
  if (s.spread > AGREED) {
    const out = s.away > FAR && s.away > 2 * s.spread;
    if (out) return ["part", texts.scattered, texts.scatteredRest(two(s.away))];
    return ["part", texts.agreeing, s.fall > FALLS ? texts.fallRest(two(s.fall)) : texts.apartRest(power(s.spread))];
  }
  const greeting = s.hub.state === "dialling" || s.hub.state === "open";
  if (!hubUp && !greeting) return ["good", texts.serverless, texts.serverlessRest(s.links)];
  return ["good", texts.agreed, texts.agreedRest(s.own, s.heard)];
}
