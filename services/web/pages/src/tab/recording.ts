// All that the core was called with, as text, so that a test can replay it with the native build. One line a call: its
// name, its numbers, and its bytes in hex. "hash" lines say what the state must be by then.
import {hexOf} from "./hex";

const LENGTH_MAX = 64 << 20;

export class Recording {
  private readonly lines: string[] = [];
  private length = 0;

  add(name: string, numbers: readonly number[], input: Uint8Array): void {
    // Text of no length leaves the input as it was.
    const bytes = input.length > 0 ? hexOf(input) : "";
    this.push(`${name} ${numbers.join(",") || "-"} ${bytes || "-"}`);
  }
  hash(hash: string): void { this.push(`hash ${hash}`); }
  get text(): string { return this.lines.join("\n") + "\n"; }

  private push(line: string): void {
    if (this.length > LENGTH_MAX) return;
    this.length += line.length;
    this.lines.push(line);
  }
}
