// A worker's last word. WorkerLink turns it into a sentence that says what to do.

export interface Failure {
  readonly type: "failure";
  readonly kind: "simd" | "wasm" | "load" | "died";
  readonly file: string;
  readonly why: string;
}
