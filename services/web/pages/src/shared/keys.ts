// The keyboard: what each key does, a page of help behind "?", and a switch for single-letter keys (WCAG 2.1.4).
import {make} from "./dom";
import {texts} from "./texts";

export interface Key {
  readonly key: string;      // of the event, in lower case
  readonly shown: string;    // in the help
  readonly does: string;
  readonly act: () => void;
}
export interface OtherKey { readonly shown: string; readonly does: string }  // that an element handles by itself

const STORED = "lvs-letters";

export class Keys {
  private letters = true;
  private readonly dialog: HTMLDialogElement;

  constructor(private readonly keys: readonly Key[], others: readonly OtherKey[], opener: HTMLElement) {
    try { this.letters = localStorage.getItem(STORED) !== "off"; } catch { /* not allowed: on */ }
    this.dialog = this.help(others);
    document.body.append(this.dialog);
    document.documentElement.classList.toggle("no-letters", !this.letters);
    opener.addEventListener("click", () => this.open());
    addEventListener("keydown", (event) => this.take(event));
  }

  private open(): void { if (!this.dialog.open) this.dialog.showModal(); }

  private take(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented || this.dialog.open) return;
    const target = event.target;
    if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement) return;
    const pressed = event.key.toLowerCase();
    // A button has a use for the space bar itself.
    if (pressed === " " && target instanceof HTMLElement && target.closest("button, a, summary")) return;
    if (pressed === "?") { event.preventDefault(); this.open(); return; }
    if (!this.letters && pressed.length === 1 && pressed !== " ") return;
    const found = this.keys.find(({key}) => key === pressed);
    if (!found) return;
    event.preventDefault();
    found.act();
  }

  private help(others: readonly OtherKey[]): HTMLDialogElement {
    const row = ({shown, does}: OtherKey) => make("div", {}, make("dt", {}, make("kbd", {}, shown)), make("dd", {}, does));
    const letters = make("input", {type: "checkbox", id: "letters"});
    letters.checked = this.letters;
    letters.addEventListener("change", () => {
      this.letters = letters.checked;
      document.documentElement.classList.toggle("no-letters", !this.letters);
      try { localStorage.setItem(STORED, this.letters ? "on" : "off"); } catch { /* not allowed: this page only */ }
    });
    const close = make("button", {type: "submit"}, texts.keysClose);
    return make("dialog", {class: "keys", "aria-labelledby": "keys-title"},
      make("form", {method: "dialog"},
        make("h2", {id: "keys-title"}, texts.keysTitle),
        make("dl", {}, ...[...this.keys, ...others, {shown: "?", does: texts.keyHelp}].map(row)),
        make("p", {}, make("label", {for: "letters"}, letters, ` ${texts.keysLetters}`)),
        make("p", {class: "note"}, texts.keysLettersNote), close));
  }
}
