// One sentence on how things stand. It changes with every cycle, so a voice reads it only when its word changes.

export type Mood = "good" | "part" | "bad";

export class LiveSentence {
  private word = "";

  // `box` holds a <strong> and a <span>.
  constructor(private readonly box: HTMLElement) {}

  say(mood: Mood, word: string, rest: string): void {
    const strong = this.box.querySelector("strong"), span = this.box.querySelector("span");
    if (!strong || !span) throw new Error("the sentence has no place on the page");
    this.box.setAttribute("aria-live", word === this.word ? "off" : "polite");
    this.word = word;
    this.box.classList.remove("good", "part", "bad");
    this.box.classList.add(mood);
    if (strong.textContent !== word) strong.textContent = word;
    if (span.textContent !== rest) span.textContent = rest;
  }
}

// Says what went wrong, and what to do.
export function notice(element: HTMLElement, text: string | null): void {
  element.hidden = text === null;
  if (text !== null && element.textContent !== text) element.textContent = text;
}
