// What is wrong, and what the visitor can do about it.
import {$, fill} from "../shared/dom";
import {notice} from "../shared/live_sentence";
import {texts as shared} from "../shared/texts";
import {LiveNode} from "./live_node";
import {texts} from "./texts";

function ofHub({hub, links}: LiveNode): string | null {
  const left = hub.againAtMs - performance.now(), again = texts.again(left > 0 ? left : 0);
  switch (hub.state) {
    case "full": return texts.hub.full(hub.name, again);
    case "misfit": return texts.hub.misfit(hub.name, hub.words);
    case "refused":
      return /origin/.test(hub.words) ? texts.hub.origin(hub.name, hub.words) : texts.hub.refused(hub.name, hub.words, again);
    case "lost": return texts.hub.lost(hub.name, again, links.length);
    default: return null;
  }
}

function ofBrowser(node: LiveNode): string | null {
  const notes: string[] = [];
  if (node.silent) notes.push(shared.workerSilent);
  if (typeof RTCPeerConnection === "undefined") notes.push(texts.noRtc);
  if (node.clockAheadMs !== 0) notes.push(texts.clock(node.clockAheadMs));
  if (node.cache === "taken") notes.push(texts.cache.taken);
  if (node.cache === "missing") notes.push(texts.cache.missing);
  if (node.cache === "failed") notes.push(texts.cache.failed(node.cacheWords));
  return notes.length > 0 ? notes.join(" ") : null;
}

export function showProblems(node: LiveNode): void {
  if (node.dead) return;
  notice($("problem"), ofHub(node));
  notice($("notice"), ofBrowser(node));
  $("keep").setAttribute("aria-checked", String(node.cache === "on"));
  // Only the hub that the page came from has another page at its address.
  const {hub} = node, newer = hub.state === "welcome" && hub.build !== "" && hub.build !== VERSION && hub.name === location.host;
  $("newer").hidden = !newer;
  if (newer) fill($("newer").querySelector("span") as HTMLElement, texts.newer(hub.build));
}
