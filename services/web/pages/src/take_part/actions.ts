// What the visitor can do: the form of a contribution, buttons, switches and keys.
import {$, fill, make} from "../shared/dom";
import {count, vu} from "../shared/figures";
import {Keys} from "../shared/keys";
import {notice} from "../shared/live_sentence";
import {Figures} from "../tab/core";
import {readAmount} from "./giving";
import {texts} from "./texts";

export interface Gift { readonly uvu: number; readonly shard: number; readonly slot: number }
export interface Acts {
  give(gift: Gift): void;
  throwOut(): void;
  cut(): void;
  keep(on: boolean): void;
  power(): void;
  microNodes(count: number): void;
  show(shard: number | null): void;
  view(plane: boolean | null): void;  // null: the other one
}

const MICRO_CHOICES = [1, 3, 10, 100], ALL = "-1", UVU = 1e6;
const isOn = (id: string) => $(id).getAttribute("aria-checked") === "true";

export class Actions {
  private held = "";

  constructor(private readonly acts: Acts, microNodes: number) {
    const give = () => this.give();
    $("give").addEventListener("submit", (event) => { event.preventDefault(); give(); });
    $("amount").addEventListener("input", () => this.amount());
    $("throw").addEventListener("click", () => acts.throwOut());
    $("cut").addEventListener("click", () => acts.cut());
    $("keep").addEventListener("click", () => acts.keep(!isOn("keep")));
    $("power").addEventListener("click", () => acts.power());
    $("shown").addEventListener("change", () => {
      const {value} = $<HTMLSelectElement>("shown");
      acts.show(value === ALL ? null : Number(value));
    });
    for (const button of document.querySelectorAll<HTMLButtonElement>("[data-view]")) {
      button.addEventListener("click", () => acts.view(button.dataset.view === "plane"));
    }
    fill($("micro"), ...MICRO_CHOICES.map((value) => {
      const button = make("button", {type: "button", "data-value": String(value), "aria-pressed": "false"}, count(value));
      button.addEventListener("click", () => acts.microNodes(value));
      return button;
    }));
    this.reflectMicroNodes(microNodes);
    new Keys([
      {key: "c", shown: "C", does: texts.keyGive, act: give},
      {key: "d", shown: "D", does: texts.keyThrow, act: () => acts.throwOut()},
      {key: "x", shown: "X", does: texts.keyCut, act: () => acts.cut()},
      {key: "v", shown: "V", does: texts.keyView, act: () => acts.view(null)},
    ], [{shown: "← →", does: texts.keyPick}, {shown: "Esc", does: texts.keyLetGo}], $("keys"));
    const reload = $("newer").querySelector("button") as HTMLButtonElement;
    fill(reload, texts.reload);
    reload.addEventListener("click", () => location.reload());
  }

  // How many value slots the network has.
  setSlots(slots: number): void {
    fill($("slot"), ...Array.from({length: slots}, (_, slot) => make("option", {value: String(slot)}, texts.slot(slot))));
    $("slot").hidden = slots === 1;
  }

  // The shards that the tab holds now.
  setShards(shards: readonly Figures[], shown: number | null): void {
    const held = shards.map(({shard}) => shard).join();
    if (held === this.held) return;
    this.held = held;
    const options = () => shards.map(({shard}) => make("option", {value: String(shard)}, texts.one(shard)));
    const select = $<HTMLSelectElement>("shard"), was = select.value;
    fill(select, ...options());
    if (shards.some(({shard}) => String(shard) === was)) select.value = was;
    fill($("shown"), make("option", {value: ALL}, texts.all), ...options());
    $<HTMLSelectElement>("shown").value = shown === null ? ALL : String(shown);
  }

  reflectMicroNodes(n: number): void {
    for (const button of $("micro").children) {
      button.setAttribute("aria-pressed", String(Number((button as HTMLElement).dataset.value) === n));
    }
  }
  reflectPower(on: boolean): void { $("power").setAttribute("aria-checked", String(on)); }
  reflectView(plane: boolean): void {
    for (const button of document.querySelectorAll<HTMLButtonElement>("[data-view]")) {
      button.setAttribute("aria-pressed", String((button.dataset.view === "plane") === plane));
    }
  }
  disable(): void {
    const controls = document.querySelectorAll<HTMLButtonElement>("#actions button, #actions input, #actions select");
    for (const control of controls) control.disabled = true;
  }

  private amount(): number | null {
    const field = $<HTMLInputElement>("amount"), uvu = readAmount(field.value);
    field.setAttribute("aria-invalid", String(uvu === null));
    notice($("amount-wrong"), uvu === null ? texts.amountWrong : null);
    if (uvu !== null) fill($("contribute").querySelector("span") as HTMLElement, texts.contributeButton(vu(uvu / UVU)));
    return uvu;
  }
  private give(): void {
    const uvu = this.amount();
    if (uvu === null) { $("amount").focus(); return; }
    this.acts.give({uvu, shard: Number($<HTMLSelectElement>("shard").value), slot: Number($<HTMLSelectElement>("slot").value)});
  }
}
