// The page "take part": this tab is a node, and the page shows it among those that it hears.
import {$, fill, make, rich, svg} from "../shared/dom";
import {count, power, powerNodes, spoken, two, vu} from "../shared/figures";
import {Keys} from "../shared/keys";
import {LiveSentence, notice} from "../shared/live_sentence";
import {Way} from "../shared/swarm/look";
import {pickByHand} from "../shared/swarm/picker";
import {Swarm} from "../shared/swarm/swarm";
import {onColours, themeButton} from "../shared/theme_button";
import {TabEvent} from "../tab/core";
import {Crowd, Far} from "./crowd";
import {EventLog, Line} from "./event_log";
import {Giving, readAmount} from "./giving";
import {LiveNode} from "./live_node";
import {watchPower} from "./low_power";
import {optionsOf, storeKeep} from "./options";
import {SpreadChart} from "./spread_chart";
import {AGREED, heldBy, sentence, Standing} from "./standing";
import {lineOf, shardsOf, shortId, showCounts, showLinks, showShards} from "./tables";
import {texts} from "./texts";

const CUT_SECONDS = 10, MICRO_CHOICES = [1, 3, 10, 100], GROUPS = 8, RATE_CYCLES = 5, SAID_MS = 3000, RING = 1e-4;

class TakePart {
  private readonly options = optionsOf(location.search);
  private readonly swarm = new Swarm($<HTMLCanvasElement>("swarm"));
  private readonly crowd = new Crowd();
  private readonly log = new EventLog($("log"));
  private readonly giving = new Giving(this.log);
  private readonly live = new LiveSentence($("verdict"));
  private readonly chart = new SpreadChart($("chart"));
  private readonly node: LiveNode;
  private readonly regions: string[] = [];
  private far = new Map<number, Far>();
  private shown: number | null = null;  // shard; null: all
  private power = false;       // by the visitor
  private powerByItself = false;
  private spread = NaN;
  private spreads: [number, number][] = [];  // cycle, spread
  private threw: {cycle: number; line: Line} | null = null;
  private held = "";
  private readonly relayedTabs = new Set<string>();
  private saidMs = 0;
  private heard = 0;

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
      changed: () => this.problems(),
    }, this.options, VERSION);
    this.controls();
    onColours(() => { this.swarm.recolour(); this.legend(); });
    document.addEventListener("visibilitychange", () => this.node.post({type: "hidden", on: document.hidden}));
    watchPower((low) => { this.powerByItself = low; this.sendPower(); });
  }

  // ---- The node

  private begin(restored: number): void {
    if (document.hidden) this.node.post({type: "hidden", on: true});
    this.sendPower();
    const network = this.node.network;
    if (!network) return;
    fill($("slot"), ...Array.from({length: network.valueSlots}, (_, slot) => make("option", {value: String(slot)}, texts.slot(slot))));
    if (network.valueSlots === 1) $("slot").hidden = true;
    this.restored = restored;
  }
  private restored: number | null = null;  // entries of the cache, until it was said

  private fail(why: string): void {
    notice($("problem"), why);
    this.live.say("bad", texts.noStart, why);
    for (const control of document.querySelectorAll<HTMLButtonElement>("#actions button, #actions input, #actions select")) control.disabled = true;
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
      case "link_open":
        if (event.relayed) this.relayedTabs.add(shortId(event.tab));
        this.log.gather("linked", shortId(event.tab), (who) => texts.linked(who, who.filter((one) => this.relayedTabs.has(one)).length));
        return;
      case "link_ended":
        this.relayedTabs.delete(shortId(event.tab));
        this.log.gather("unlinked", shortId(event.tab), (who) => texts.unlinked(who, event.words));
        return;
      case "hub_refused":
        this.log.add(texts.hubRefused(event.words), true);
        return;
      case "mask": case "builds": return;
    }
  }

  // ---- What the visitor does

  private controls(): void {
    const give = () => this.give(), away = () => this.throwOut(), cut = () => this.node.post({type: "cut", seconds: CUT_SECONDS});
    $("give").addEventListener("submit", (event) => { event.preventDefault(); give(); });
    $("amount").addEventListener("input", () => this.readAmount());
    $("throw").addEventListener("click", away);
    $("cut").addEventListener("click", cut);
    $("keep").addEventListener("click", () => this.setKeep($("keep").getAttribute("aria-checked") !== "true"));
    $("shown").addEventListener("change", () => {
      const shard = Number($<HTMLSelectElement>("shown").value);
      this.shown = shard < 0 ? null : shard;
    });
    $("power").addEventListener("click", () => { this.power = !this.power; this.sendPower(); });
    for (const button of document.querySelectorAll<HTMLButtonElement>("[data-view]")) {
      button.addEventListener("click", () => this.view(button.dataset.view === "plane"));
    }
    fill($("micro"), ...this.choices(MICRO_CHOICES.map((n) => [count(n), n] as const), (n) => this.node.post({type: "microNodes", count: n})));
    this.reflectMicro(this.options.microNodes);
    pickByHand($<HTMLCanvasElement>("swarm"), this.swarm, {
      first: () => this.crowd.mine[0] ?? -1, next: (slot, step) => this.next(slot, step), picked: (slot, byKey) => this.picked(slot, byKey)});
    themeButton($<HTMLButtonElement>("theme"));
    new Keys([
      {key: "c", shown: "C", does: "contribute", act: give},
      {key: "d", shown: "D", does: "throw your node out", act: away},
      {key: "x", shown: "X", does: "drop your links for 10 seconds", act: cut},
      {key: "v", shown: "V", does: "change between rings and plane", act: () => this.view(!this.swarm.plane)},
    ], [{shown: "← →", does: "choose a point, in the picture"}, {shown: "Esc", does: "let go of it"}], $("keys"));
    const offer = $("newer").querySelector("button") as HTMLButtonElement;
    fill(offer, texts.reload);
    offer.addEventListener("click", () => location.reload());
    this.legend();
  }

  private choices(of: readonly (readonly [string, number])[], act: (value: number) => void): HTMLButtonElement[] {
    return of.map(([text, value]) => {
      const button = make("button", {type: "button", "data-value": String(value), "aria-pressed": "false"}, text);
      button.addEventListener("click", () => act(value));
      return button;
    });
  }

  private readAmount(): number | null {
    const field = $<HTMLInputElement>("amount"), uvu = readAmount(field.value), button = $("contribute").querySelector("span") as HTMLElement;
    field.setAttribute("aria-invalid", String(uvu === null));
    notice($("amount-wrong"), uvu === null ? texts.amountWrong : null);
    if (uvu !== null) fill(button, texts.contributeButton(vu(uvu / 1e6)));
    return uvu;
  }

  private give(): void {
    const uvu = this.readAmount(), shard = Number($<HTMLSelectElement>("shard").value), slot = Number($<HTMLSelectElement>("slot").value);
    if (uvu === null) { $("amount").focus(); return; }
    if (this.node.dead || !this.node.ticking) return;
    const amount = texts.vu(uvu / 1e6), id = this.giving.give(amount, shard);
    this.node.post({type: "contribute", id, shard, slot, uvu});
    const mine = this.crowd.mine.find((one) => this.crowd.people.get(one)?.shard === shard) ?? this.crowd.mine[0];
    if (mine === undefined) return;
    this.swarm.pulse(mine);
    this.swarm.say(mine, `+${amount}`);
  }

  private throwOut(): void {
    if (this.node.dead || !this.node.ticking) return;
    this.node.post({type: "scatter"});
    this.threw = {cycle: this.node.tab.cycle, line: this.log.add(texts.threw)};
  }

  private setKeep(on: boolean): void {
    storeKeep(on);
    this.node.post({type: "keep", on});
  }

  private sendPower(): void {
    const on = this.power || this.powerByItself;
    $("power").setAttribute("aria-checked", String(on));
    this.node?.post({type: "lowPower", on});
  }

  private view(plane: boolean): void {
    this.swarm.setPlane(plane);
    for (const button of document.querySelectorAll<HTMLButtonElement>("[data-view]")) {
      button.setAttribute("aria-pressed", String((button.dataset.view === "plane") === plane));
    }
  }

  // ---- What is shown

  private look(): void {
    const {last, tab, shards} = this.node;
    if (!last) return;
    if (this.restored !== null) {
      this.held = heldBy(shards);
      this.log.add(texts.began(this.held, this.restored));
      this.restored = null;
    }
    this.hold();
    if (last.points.length > 0) {
      this.faces();
      const look = this.crowd.look(tab.cycle, last.points, this.shown, this.far, this.node.links);
      this.swarm.show(look, {moved: true, period: last.cycleMs});
    }
    this.measure();
    this.figures();
    this.say();
    this.problems();
    showShards($<HTMLTableElement>("shards"), this.node);
    showLinks($<HTMLTableElement>("links"), this.node, texts.aloneHub);
    if ($<HTMLDetailsElement>("counts").closest("details")?.open) showCounts($("counts"), this.node);
    this.card();
    this.expose();
  }

  // The shards of this tab have changed.
  private hold(): void {
    const {shards} = this.node, held = heldBy(shards);
    const select = $<HTMLSelectElement>("shard");
    if (select.options.length === shards.length && held === this.held) return;
    if (held !== this.held) this.log.gather("holds", held, (all) => texts.nowHolds(all[all.length - 1]));
    this.held = held;
    const was = select.value;
    fill(select, ...shards.map(({shard}) => make("option", {value: String(shard)}, texts.one(shard))));
    if (shards.some(({shard}) => String(shard) === was)) select.value = was;
    if (this.shown !== null && !shards.some(({shard}) => shard === this.shown)) this.shown = null;
    fill($("shown"), make("option", {value: "-1"}, texts.all), ...shards.map(({shard}) => make("option", {value: String(shard)}, texts.one(shard))));
    $<HTMLSelectElement>("shown").value = String(this.shown ?? -1);
    this.reflectMicro(this.node.tab.micro_nodes);
  }
  private reflectMicro(n: number): void {
    for (const button of $("micro").children) button.setAttribute("aria-pressed", String(Number((button as HTMLElement).dataset.value) === n));
  }

  // Who is at the far ends, and which colour they have.
  private faces(): void {
    const {node} = this, own = this.regionOf(this.options.region || node.hub.region);
    const before = this.regions.length;
    this.far = new Map(node.links.map((link) => [link.slot,
      {link: link.link, way: link.relayed ? Way.relayed : Way.direct, group: this.regionOf(node.peers.get(link.link)?.region ?? "")}]));
    if (node.served) this.far.set(this.serverSlot(), {link: 0, way: Way.server, group: this.regionOf(node.hub.region)});
    if (this.regions.length !== before || own !== 0) this.legend();
  }
  // The server's slot comes behind those of all tabs.
  private serverSlot(): number {
    let most = -1;
    const points = this.node.last?.points ?? new Float32Array(0);
    for (let at = 1; at < points.length; at += 8) most = Math.max(most, points[at]);
    return this.node.links.some((link) => link.slot === most) ? -2 : most;
  }
  private regionOf(region: string): number {
    const known = this.regions.indexOf(region);
    if (known >= 0) return known;
    if (this.regions.length < GROUPS) return this.regions.push(region) - 1;
    return GROUPS - 1;
  }

  private legend(): void {
    const colours = this.swarm.paint, swatch = (...shapes: Parameters<typeof svg>[2][]) => svg(20, 14, ...shapes);
    const item = (drawing: SVGSVGElement, text: string) => make("span", {}, drawing, text);
    fill($("legend"),
      ...this.regions.map((region, k) => item(swatch(["circle", {cx: 10, cy: 7, r: 4.5, fill: colours.group[k]}]), region || texts.unknown)),
      item(swatch(["circle", {cx: 10, cy: 7, r: 3.2, fill: colours.group[0]}], ["circle", {cx: 10, cy: 7, r: 5.8, fill: "none", stroke: "currentColor", "stroke-width": 1.6}]), texts.legendYou),
      item(swatch(["rect", {x: 5.5, y: 2.5, width: 9, height: 9, fill: colours.group[0]}]), texts.legendServer),
      item(lineOf("direct"), texts.legendDirect), item(lineOf("relayed"), texts.legendRelayed), item(lineOf("server"), texts.legendToServer));
  }

  // How far apart they are, and how fast that falls.
  private measure(): void {
    const {tab, shards} = this.node;
    // Nobody is apart who is alone.
    const alone = this.node.links.length === 0 && !this.node.served && shards.every(({replicas}) => replicas < 2);
    this.spread = shards.length === 0 || alone ? NaN : Math.max(...shards.map(({spread}) => spread));
    this.spreads.push([tab.cycle, this.spread]);
    while (this.spreads.length > 1 && this.spreads[0][0] < tab.cycle - 4 * RATE_CYCLES) this.spreads.shift();
    this.chart.add(Math.floor(performance.now() / 1000), Number.isNaN(this.spread) ? null : this.spread);
    if (this.threw && tab.cycle > this.threw.cycle + 1 && this.away < 1e-3) {
      this.threw.line.outcome(texts.home(tab.cycle - this.threw.cycle));
      this.threw = null;
    }
  }
  private get fall(): number {
    const [from] = this.spreads, cycles = (this.node.tab.cycle ?? 0) - (from?.[0] ?? 0);
    return cycles >= RATE_CYCLES && this.spread > 0 ? (from[1] / this.spread) ** (1 / cycles) : 1;
  }
  // The distance of this tab's replica that is farthest from the others.
  private get away(): number {
    let most = 0;
    for (const {slot, distance} of this.crowd.people.values()) if (slot < 0) most = Math.max(most, distance);
    return most;
  }

  private standing(): Standing {
    let own = 0;
    this.heard = 0;
    for (const {slot} of this.crowd.people.values()) slot < 0 ? ++own : ++this.heard;
    return {
      shards: this.node.shards, links: this.node.links.length, served: this.node.served, hub: this.node.hub, own, heard: this.heard,
      spread: this.spread, fall: this.fall, away: this.away, spreading: this.giving.spreading, now: performance.now()};
  }

  private say(): void {
    const standing = this.standing(), [mood, word, rest] = sentence(standing), now = performance.now();
    this.live.say(mood, word, rest);
    if (now - this.saidMs < SAID_MS) return;
    this.saidMs = now;
    fill($("said"), texts.described(standing.own + standing.heard, standing.own, standing.links, Number.isNaN(this.spread) ? texts.unknown : spoken(this.spread), `${word}. ${rest}`));
  }

  private figures(): void {
    const {node} = this, {tab, shards, links, hub} = node, slots = node.network?.valueSlots ?? 1;
    const relayed = links.filter((link) => link.relayed).length;
    fill($("t-cycle"), count(tab.cycle));
    fill($("t-cycle-note"), texts.cycleNote((node.network?.periodUs ?? 0) / 1000, this.power || this.powerByItself));
    fill($("t-peers"), `${count(links.length)} `, make("small", {}, links.length === 1 ? texts.tab : `${texts.tab}s`));
    fill($("t-peers-note"), texts.peersNote(links.length - relayed, relayed, node.served));
    let total = 0;
    for (const shard of shards) for (let slot = 0; slot < slots; ++slot) total += shard[`total_vu_${slot}`];
    fill($("t-value"), `${vu(total)} `, make("small", {}, "VU"));
    fill($("t-value-note"), texts.valueNote(heldBy(shards), shards.every(({compared}) => compared === 1)));
    fill($("t-spread"), ...(Number.isNaN(this.spread) ? ["–"] : powerNodes(this.spread)));
    const region = this.options.region || hub.region;
    fill($("who"), ...rich(hub.state === "welcome" ? texts.who(shortId(node.id), region, hub.name) : texts.whoNoHub(shortId(node.id), region)));
  }

  // ---- What is wrong

  private problems(): void {
    const {node} = this, {hub} = node, now = performance.now();
    if (node.dead) return;
    const again = texts.again(hub.againAtMs > now ? hub.againAtMs - now : 0);
    let problem: string | null = null;
    if (hub.state === "full") problem = texts.hub.full(hub.name, again);
    else if (hub.state === "misfit") problem = texts.hub.misfit(hub.name, hub.words);
    else if (hub.state === "refused") problem = /origin/.test(hub.words) ? texts.hub.origin(hub.name, hub.words) : texts.hub.refused(hub.name, hub.words, again);
    else if (hub.state === "lost") problem = texts.hub.lost(hub.name, again, node.links.length);
    notice($("problem"), problem);
    const notes: string[] = [];
    if (typeof RTCPeerConnection === "undefined") notes.push(texts.noRtc);
    if (node.clockAheadMs !== 0) notes.push(texts.clock(node.clockAheadMs));
    if (node.cache === "taken") notes.push(texts.cache.taken);
    if (node.cache === "missing") notes.push(texts.cache.missing);
    if (node.cache === "failed") notes.push(texts.cache.failed(node.cacheWords));
    notice($("notice"), notes.length > 0 ? notes.join(" ") : null);
    $("keep").setAttribute("aria-checked", String(node.cache === "on"));
    const newer = hub.state === "welcome" && hub.build !== "" && hub.build !== VERSION && hub.name === location.host;
    $("newer").hidden = !newer;
    if (newer) fill($("newer").querySelector("span") as HTMLElement, texts.newer(hub.build));
  }

  // ---- One point

  private next(slot: number, step: 1 | -1): number {
    const slots = [...this.crowd.people.keys()].sort((a, b) => a - b), at = slots.indexOf(slot);
    return slots[(at + step + slots.length) % slots.length] ?? -1;
  }
  private picked(_: number, byKey: boolean): void {
    this.card();
    if (byKey) fill($("said"), $("card").textContent ?? "");
  }
  private card(): void {
    const person = this.crowd.people.get(this.swarm.picked), card = $("card");
    card.hidden = !person;
    if (!person) return;
    const far = this.far.get(person.slot), peer = far ? this.node.peers.get(far.link) : undefined;
    const who = person.slot < 0 ? texts.point.mine(person.shard) : far?.way === Way.server ? texts.point.server(person.shard)
      : texts.point.tab(peer ? shortId(peer.tab) : texts.unknown, person.shard);
    const where = person.distance < RING ? texts.point.agrees : texts.point.away(power(person.distance));
    fill(card, ...rich(who), make("br"), where, ...(person.slot < 0 ? [] : [make("br"), texts.point.heard(person.age)]));
  }

  // ---- For tests, and for the curious at the console

  private expose(): void {
    const {node} = this, {tab} = node;
    const state = {
      cycle: tab.cycle ?? 0, id: node.id, hub: node.hub.state, hubName: node.hub.name, served: node.served, links: node.links.length,
      relayed: node.links.filter((link) => link.relayed).length, peers: [...node.peers.values()].map((peer) => peer.tab), spread: this.spread,
      agreed: this.spread < AGREED, ready: tab.ready === 1, dead: node.dead, shards: node.shards, tab, hash: `${tab.hash_high}:${tab.hash_low}`,
      held: shardsOf(tab), cached: node.last?.cached ?? 0, cache: node.cache, gifts: this.giving.gifts, workMs: node.last?.workMs ?? 0,
      frames: this.swarm.frames, clockAheadMs: node.clockAheadMs,
    };
    Object.assign(globalThis, {lvs: {state, recording: () => node.recording(), crash: () => node.post({type: "crash"}), settle: () => this.swarm.settle(), worst: two(this.away)}});
  }
}

new TakePart();
