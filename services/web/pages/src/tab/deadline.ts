// A signal that ends what takes too long. Debian's TypeScript 4.8 knows no AbortController.abort() in workers.
export interface Deadline { readonly signal: AbortSignal; clear(): void }

export function deadline(ms: number): Deadline {
  const controller = new AbortController();
  const timer = setTimeout(() => (controller as unknown as {abort(): void}).abort(), ms);
  return {signal: controller.signal, clear: () => clearTimeout(timer)};
}
