// The page "take part": this tab is a node, and the page shows it among those that it hears.
import {$, fill, make, rich} from "../shared/dom";
import {count, power, powerNodes, spoken, vu} from "../shared/figures";
import {LiveSentence, notice} from "../shared/live_sentence";
import {Way} from "../shared/swarm/look";
import {pickByHand} from "../shared/swarm/picker";
import {Swarm} from "../shared/swarm/swarm";
import {onColours, themeButton} from "../shared/theme_button";
import {TabEvent} from "../tab/core";
import {Actions, Gift} from "./actions";
import {Crowd} from "./crowd";
import {EventLog} from "./event_log";
import {Faces, GROUPS} from "./faces";
import {Giving} from "./giving";
import {LiveNode} from "./live_node";
import {watchPower} from "./low_power";
import {optionsOf, storeKeep} from "./options";
import {showProblems} from "./problems";
import {Spread} from "./spread";
import {SpreadChart} from "./spread_chart";
import {AGREED, heldBy, sentence, Standing} from "./standing";
import {shardsOf, shortId, showCounts, showLinks, showShards} from "./tables";
import {texts} from "./texts";

const CUT_SECONDS = 10, SAID_MS = 3000, ARRIVED = 1e-4, UVU = 1e6;

class TakePart {
  private readonly options = optionsOf(location.search);
  private readonly swarm = new Swarm($<HTMLCanvasElement>("swarm"));
  private readonly crowd = new Crowd();
  private readonly faces = new Faces();
  private readonly spread = new Spread(this.crowd);
  private readonly log = new EventLog($("log"));
  private readonly giving = new Giving(this.log);
  private readonly live = new LiveSentence($("verdict"));
  private readonly chart = new SpreadChart($("chart"));
  private readonly relayedTabs = new Set<string>();
  private readonly node: LiveNode;
  private readonly actions: Actions;
  private shown: number | null = null;  // shard; null: all
  private power = false;                // saved by the visitor,
  private powerByItself = false;        // or because of the machine
  private restored: number | null = null;  // entries of the cache, until it was said
  private held = "";
  private saidMs = 0;

  constructor() {
    this.swarm.begin(this.crowd.cast(GROUPS, texts.you));
    this.swarm.setPlane(false, true);
    this.node = new LiveNode({
      began: (restored) => this.begin(restored),
      looked: () => this.look(),
      told: (event) => this.told(event),
      refused: (id, words) => this.giving.refused(id, words),
      cut: (done) => { this.log.add(done ? texts.didCut : texts.cannotCut, !done); },
      failed: (why) => this.fail(why),
      changed: () => showProblems(this.node),
    }, this.options, VERSION);
    this.actions = new Actions({
      give: (gift) => this.give(gift),
      throwOut: () => this.throwOut(),
      cut: () => this.node.post({type: "cut", seconds: CUT_SECONDS}),
      keep: (on) => { storeKeep(on); this.node.post({type: "keep", on}); },
      power: () => { this.power = !this.power; this.sendPower(); },
      microNodes: (n) => this.node.post({type: "microNodes", count: n}),
      show: (shard) => { this.shown = shard; },
      view: (plane) => this.view(plane ?? !this.swarm.plane),
    }, this.options.microNodes);
    pickByHand($<HTMLCanvasElement>("swarm"), this.swarm, {
      first: () => this.crowd.mine[0] ?? -1, next: (slot, step) => this.next(slot, step),
      picked: (_, byKey) => this.picked(byKey)});
    themeButton($<HTMLButtonElement>("theme"));
    this.legend();
    onColours(() => { this.swarm.recolour(); this.legend(); });
    document.addEventListener("visibilitychange", () => this.node.post({type: "hidden", on: document.hidden}));
    watchPower((low) => { this.powerByItself = low; this.sendPower(); });
  }

  // ---- The node

  private begin(restored: number): void {
    if (document.hidden) this.node.post({type: "hidden", on: true});
    this.sendPower();
    this.actions.setSlots(this.node.network?.valueSlots ?? 1);
    this.restored = restored;
  }

  private fail(why: string): void {
    notice($("problem"), why);
    this.live.say("bad", texts.noStart, why);
    this.actions.disable();
    this.expose();
  }

  private told(event: TabEvent): void {
    switch (event.event) {
      case "contributed": return this.giving.heard(event);
      case "hub":
        if (event.state === "welcome") this.log.add(texts.hubWelcome(this.node.hub.name, event.region));
        return;
      case "place":
        this.log.add(event.given ? texts.place : texts.noPlace(event.words));
        return;
      case "link_open": {
        const id = shortId(event.tab);
        if (event.relayed) this.relayedTabs.add(id);
        return this.log.gather("linked", id, (who) => texts.linked(who, who.filter((one) => this.relayedTabs.has(one)).length));
      }
      case "link_ended":
        this.relayedTabs.delete(shortId(event.tab));
        return this.log.gather("unlinked", shortId(event.tab), (who) => texts.unlinked(who, event.words));
      case "hub_refused":
        this.log.add(texts.hubRefused(event.words), true);
        return;
      case "mask": case "builds": return;
    }
  }

  // ---- What the visitor does

  private give({uvu, shard, slot}: Gift): void {
    if (this.node.dead || !this.node.ticking) return;
    const amount = texts.vu(uvu / UVU);
    this.node.post({type: "contribute", id: this.giving.give(amount, shard), shard, slot, uvu});
    const {mine, people} = this.crowd, from = mine.find((one) => people.get(one)?.shard === shard) ?? mine[0];
    if (from === undefined) return;
    this.swarm.pulse(from);
    this.swarm.say(from, `+${amount}`);
  }

  private throwOut(): void {
    if (this.node.dead || !this.node.ticking) return;
    this.node.post({type: "scatter"});
    this.spread.throw(this.node.tab.cycle, this.log.add(texts.threw));
  }

  private sendPower(): void {
    const on = this.power || this.powerByItself;
    this.actions.reflectPower(on);
    this.node.post({type: "lowPower", on});
  }

  private view(plane: boolean): void {
    this.swarm.setPlane(plane);
    this.actions.reflectView(plane);
  }

  // ---- What is shown

  private look(): void {
    const {node} = this, {last, tab, shards} = node;
    if (!last) return;
    this.hold();
    if (last.points.length > 0) {
      if (this.faces.look(node, this.region)) this.legend();
      const look = this.crowd.look(tab.cycle, last.points, this.shown, this.faces.far, node.links);
      this.swarm.show(look, {moved: true, period: last.cycleMs});
    }
    this.spread.look(node);
    this.chart.add(Math.floor(performance.now() / 1000), Number.isNaN(this.spread.now) ? null : this.spread.now);
    this.figures();
    this.say();
    showProblems(node);
    showShards($<HTMLTableElement>("shards"), node);
    showLinks($<HTMLTableElement>("links"), node, texts.aloneHub);
    if ($("counts").closest("details")?.open) showCounts($("counts"), node);
    this.card();
    this.expose();
    this.actions.setShards(shards, this.shown);
  }

  // What the tab holds is said when it changes.
  private hold(): void {
    const {shards, tab} = this.node, held = heldBy(shards);
    if (this.restored !== null) this.log.add(texts.began(held, this.restored));
    else if (held !== this.held) this.log.gather("holds", held, (all) => texts.nowHolds(all[all.length - 1]));
    this.restored = null;
    this.held = held;
    if (!shards.some(({shard}) => shard === this.shown)) this.shown = null;
    this.actions.reflectMicroNodes(tab.micro_nodes);
  }

  private get region(): string { return this.options.region || this.node.hub.region; }
  private legend(): void { this.faces.legend($("legend"), this.swarm.paint); }

  private standing(): Standing {
    const {node, spread} = this, own = [...this.crowd.people.values()].filter(({slot}) => slot < 0).length;
    return {
      shards: node.shards, links: node.links.length, served: node.served, hub: node.hub, own, heard: this.crowd.people.size - own,
      spread: spread.now, fall: spread.fall, away: spread.away, spreading: this.giving.spreading, now: performance.now()};
  }

  private say(): void {
    const standing = this.standing(), [mood, word, rest] = sentence(standing), now = performance.now();
    this.live.say(mood, word, rest);
    if (now - this.saidMs < SAID_MS) return;
    this.saidMs = now;
    const apart = Number.isNaN(standing.spread) ? texts.unknown : spoken(standing.spread);
    fill($("said"), texts.described(standing.own + standing.heard, standing.own, standing.links, apart, `${word}. ${rest}`));
  }

  private figures(): void {
    const {node, region} = this, {tab, shards, links, hub} = node, slots = node.network?.valueSlots ?? 1;
    const relayed = links.filter((link) => link.relayed).length;
    fill($("t-cycle"), count(tab.cycle));
    fill($("t-cycle-note"), texts.cycleNote((node.network?.periodUs ?? 0) / 1000, this.power || this.powerByItself));
    fill($("t-peers"), `${count(links.length)} `, make("small", {}, texts.tabs(links.length)));
    fill($("t-peers-note"), texts.peersNote(links.length - relayed, relayed, node.served));
    let total = 0;
    for (const shard of shards) for (let slot = 0; slot < slots; ++slot) total += shard[`total_vu_${slot}`];
    fill($("t-value"), `${vu(total)} `, make("small", {}, "VU"));
    fill($("t-value-note"), texts.valueNote(heldBy(shards), shards.every(({compared}) => compared === 1)));
    fill($("t-spread"), ...(Number.isNaN(this.spread.now) ? ["–"] : powerNodes(this.spread.now)));
    const id = shortId(node.id);
    fill($("who"), ...rich(hub.state === "welcome" ? texts.who(id, region, hub.name) : texts.whoNoHub(id, region)));
  }

  // ---- One point

  private next(slot: number, step: 1 | -1): number {
    const slots = [...this.crowd.people.keys()].sort((a, b) => a - b), at = slots.indexOf(slot);
    return slots[(at + step + slots.length) % slots.length] ?? -1;
  }
  private picked(byKey: boolean): void {
    this.card();
    if (byKey) fill($("said"), $("card").textContent ?? "");
  }
  private card(): void {
    const person = this.crowd.people.get(this.swarm.picked);
    $("card").hidden = !person;
    if (!person) return;
    const {shard, slot, distance, age} = person, end = this.faces.far.get(slot), peer = end && this.node.peers.get(end.link);
    const who = slot < 0 ? texts.point.mine(shard) : end?.way === Way.server ? texts.point.server(shard)
      : texts.point.tab(peer ? shortId(peer.tab) : texts.unknown, shard);
    const where = distance < ARRIVED ? texts.point.agrees : texts.point.away(power(distance));
    fill($("card"), ...rich(who), make("br"), where, ...(slot < 0 ? [] : [make("br"), texts.point.heard(age)]));
  }

  // ---- For tests, and for the curious at the console

  private expose(): void {
    const {node} = this, {tab, hub, links, shards} = node;
    const state = {
      id: node.id, cycle: tab.cycle ?? 0, tab, shards, held: shardsOf(tab), ready: tab.ready === 1, dead: node.dead,
      hub: hub.state, hubName: hub.name, served: node.served, links: links.length,
      relayed: links.filter((link) => link.relayed).length, peers: [...node.peers.values()].map((peer) => peer.tab),
      spread: this.spread.now, agreed: this.spread.now < AGREED, gifts: this.giving.gifts,
      cache: node.cache, cached: node.last?.cached ?? 0, clockAheadMs: node.clockAheadMs, workMs: node.last?.workMs ?? 0,
      frames: this.swarm.frames,
    };
    const crash = () => node.post({type: "crash"});
    Object.assign(globalThis, {lvs: {state, crash, recording: () => node.recording(), settle: () => this.swarm.settle()}});
  }
}

new TakePart();
