// A worker and the messages between it and the page, typed on both sides. Whatever ends the worker becomes one sentence
// that says what to do.
//
//   const link = new WorkerLink<ToWorker, FromWorker>(ASSETS["playground_worker.js"], {
//     message: (message) => { ... },
//     failed: (sentence) => notice($("problem"), sentence),
//   });
//   link.post({type: "start", seed: 21});
import {Failure} from "./failure";
import {texts} from "./texts";

interface Handlers<Out> {
  readonly message: (message: Out) => void;
  readonly failed: (sentence: string) => void;
}

const SILENCE_MS = 10_000;

export class WorkerLink<In, Out extends {readonly type: string}> {
  private readonly worker: Worker | null = null;
  private failed = false;
  private waiting = 0;  // timer of an answer that is due

  constructor(address: string, private readonly handlers: Handlers<Out>) {
    if (typeof WebAssembly !== "object") { this.fail(texts.noWasm); return; }
    try {
      this.worker = new Worker(address);
    } catch {
      this.fail(texts.noWorker);
      return;
    }
    this.worker.onmessage = ({data}: MessageEvent<Out | Failure>) => {
      clearTimeout(this.waiting);
      this.waiting = 0;
      if (data.type === "failure") this.fail(sentenceOf(data as Failure));
      else if (!this.failed) this.handlers.message(data as Out);
    };
    this.worker.onerror = (event) => {
      event.preventDefault();
      // Without a message it is the script itself that could not be loaded.
      this.fail(event.message ? texts.workerDied(event.message) : texts.notLoaded(address, "no answer"));
    };
    this.worker.onmessageerror = () => this.fail(texts.workerDied("a message could not be read"));
  }

  // `answered`: something must come back, or the visitor is told.
  post(message: In, {answered = false, transfer = [] as Transferable[]} = {}): void {
    if (this.failed || !this.worker) return;
    this.worker.postMessage(message, transfer);
    if (!answered || this.waiting) return;
    this.waiting = window.setTimeout(() => {
      this.waiting = 0;
      // The worker may only be slow: it goes on if it can.
      if (!document.hidden) this.handlers.failed(texts.workerSilent);
    }, SILENCE_MS);
  }

  private fail(sentence: string): void {
    if (this.failed) return;
    this.failed = true;
    clearTimeout(this.waiting);
    this.worker?.terminate();
    // Not before the caller has the link.
    queueMicrotask(() => this.handlers.failed(sentence));
  }
}

function sentenceOf({kind, file, why}: Failure): string {
  if (kind === "simd") return texts.noSimd;
  if (kind === "wasm") return texts.noWasm;
  if (kind === "load") return texts.notLoaded(file, why);
  return texts.workerDied(why);
}
