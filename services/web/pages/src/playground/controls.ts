// The buttons, switches and choices of the playground, and what each one orders. What is on is shown as the network says,
// not as it was clicked: a replay moves the switches too.
import {$, make} from "../shared/dom";
import {count} from "../shared/figures";
import {Faults} from "./faults";
import {Act, ActKind, SIZES, UVU} from "./protocol";
import {CHURN, LIES, LOSS, SHARES, texts} from "./texts";

const AMOUNT_VU_MAX = 1_000_000;
const USUAL_SHARE = 300;

export type Speed = "pause" | "back" | "step" | "slow" | "real";

export interface Orders {
  readonly act: (kind: ActKind, a?: number, b?: number) => void;
  readonly hint: (text: string) => void;
  readonly size: (microNodes: number) => void;
  readonly time: (speed: Speed) => void;
  readonly plane: (plane: boolean) => void;
}

const button = (selector: string): HTMLButtonElement => {
  const found = document.querySelector<HTMLButtonElement>(selector);
  if (!found) throw new Error(`the page has no ${selector}`);
  return found;
};

export class Controls {
  private region = 0;
  private faults: Faults | null = null;
  private readonly share = $<HTMLSelectElement>("share");
  private readonly lie = $<HTMLSelectElement>("lie");
  private readonly amount = $<HTMLInputElement>("amount");

  constructor(private readonly orders: Orders) {
    for (const share of SHARES) this.share.append(make("option", {value: String(share)}, texts.shareOption(share)));
    this.share.value = String(USUAL_SHARE);
    for (const {attack, choice} of LIES) this.lie.append(make("option", {value: String(attack)}, choice));
    texts.regions.forEach((name, region) => this.choose($("regions"), name, String(region), () => this.pickRegion(region)));
    for (const size of SIZES) this.choose($("sizes"), count(size), String(size), () => orders.size(size));
    for (const one of document.querySelectorAll<HTMLElement>("[data-do]")) one.addEventListener("click", () => this.press(one.dataset.do ?? ""));
    for (const one of document.querySelectorAll<HTMLElement>("[data-time]")) one.addEventListener("click", () => orders.time(one.dataset.time as Speed));
    for (const one of document.querySelectorAll<HTMLElement>("[data-view]")) one.addEventListener("click", () => orders.plane(one.dataset.view === "plane"));
    for (const select of [this.share, this.lie]) select.addEventListener("change", () => { if (this.faults?.attack) this.lieNow(); });
    this.amount.addEventListener("keydown", (event) => { if (event.key === "Enter") this.press("c"); });
    this.pickRegion(0);
  }

  // A key or a click, by letter.
  press(letter: string): void {
    const {act} = this.orders, faults = this.faults;
    switch (letter) {
      case "c": this.contribute(); break;
      case "d": act(Act.throw); break;
      case "s": act(Act.scatter); break;
      case "p": act(Act.cut, faults?.cut === 1 << this.region ? 0 : 1 << this.region); break;
      case "k": act(faults?.dead[this.region] ? Act.start : Act.kill, this.region); break;
      case "l": act(Act.loss, faults?.loss ? 0 : LOSS); break;
      case "a": if (faults?.attack) act(Act.attack, 0, 0); else this.lieNow(); break;
      case "g": act(Act.churn, faults?.churn ? 0 : CHURN); break;
    }
  }

  show(faults: Faults, microNodes: number, hz: number, plane: boolean): void {
    this.faults = faults;
    const on: Record<string, boolean> = {
      p: faults.cut === 1 << this.region, k: faults.dead[this.region], l: faults.loss > 0, a: faults.attack > 0, g: faults.churn > 0};
    for (const [letter, is] of Object.entries(on)) button(`[data-do=${letter}]`).setAttribute("aria-checked", String(is));
    if (faults.attack > 0) {
      this.lie.value = String(faults.attack);
      if (SHARES.includes(faults.share)) this.share.value = String(faults.share);
    }
    for (const one of $("sizes").children) one.setAttribute("aria-pressed", String((one as HTMLElement).dataset.value === String(microNodes)));
    const time: Speed = hz === 0 ? "pause" : hz > 5 ? "real" : "slow";
    for (const one of document.querySelectorAll<HTMLElement>("[data-time][aria-pressed]")) one.setAttribute("aria-pressed", String(one.dataset.time === time));
    for (const one of document.querySelectorAll<HTMLElement>("[data-view]")) one.setAttribute("aria-pressed", String((one.dataset.view === "plane") === plane));
  }

  private choose(group: HTMLElement, text: string, value: string, chosen: () => void): void {
    const one = make("button", {type: "button", "data-value": value, "aria-pressed": "false"}, text);
    one.addEventListener("click", chosen);
    group.append(one);
  }

  private pickRegion(region: number): void {
    this.region = region;
    for (const one of $("regions").children) one.setAttribute("aria-pressed", String((one as HTMLElement).dataset.value === String(region)));
    if (!this.faults) return;
    const {cut, dead} = this.faults;
    button("[data-do=p]").setAttribute("aria-checked", String(cut === 1 << region));
    button("[data-do=k]").setAttribute("aria-checked", String(dead[region]));
  }

  private contribute(): void {
    const text = this.amount.value.trim().replace(/(\d),(?=\d{3}\b)/g, "$1"), vu = Number(text), uvu = Math.round(vu * UVU);
    const right = text !== "" && Number.isFinite(vu) && uvu >= 1 && vu <= AMOUNT_VU_MAX;
    this.amount.setAttribute("aria-invalid", String(!right));
    if (right) this.orders.act(Act.contribute, uvu);
    else this.orders.hint(texts.refused.amount);
  }

  private lieNow(): void { this.orders.act(Act.attack, Number(this.lie.value), Number(this.share.value)); }
}
