// Choosing a point of a swarm by pointer or by arrow keys.
import {Swarm} from "./swarm";

export interface Choice {
  readonly first: () => number;                           // where the arrow keys begin
  readonly next: (slot: number, step: 1 | -1) => number;  // the point before or after
  readonly picked: (slot: number, byKey: boolean) => void;  // -1: none
}

export function pickByHand(canvas: HTMLCanvasElement, swarm: Swarm, choice: Choice): void {
  const pick = (slot: number, byKey: boolean) => {
    if (slot === swarm.picked) return;
    swarm.pick(slot);
    choice.picked(slot, byKey);
  };
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    pick(swarm.near(event.clientX - box.left, event.clientY - box.top), false);
  });
  // A finger does not hover: what it touches stays chosen.
  canvas.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") pick(-1, false); });
  canvas.addEventListener("blur", () => pick(-1, false));
  canvas.addEventListener("keydown", (event) => {
    const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key] as 1 | -1 | undefined;
    if (event.key === "Escape") pick(-1, true);
    else if (step) {
      event.preventDefault();
      pick(swarm.picked < 0 ? choice.first() : choice.next(swarm.picked, step), true);
    }
  });
}
