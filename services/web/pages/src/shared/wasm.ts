// Loads a module of the core, in a worker. The core is pure: it asks its host for nothing.
import {Failure} from "./failure";

// A module with one SIMD instruction: (func (result v128) i32.const 0 i8x16.splat)
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11]);

export class LoadError extends Error {
  constructor(readonly kind: Failure["kind"], readonly file: string, why: string) { super(why); }
}

export async function loadModule<Exports>(address: string, imports: WebAssembly.Imports = {}): Promise<Exports> {
  if (typeof WebAssembly !== "object") throw new LoadError("wasm", address, "no WebAssembly");
  if (!WebAssembly.validate(SIMD)) throw new LoadError("simd", address, "no SIMD");
  let response: Response;
  try {
    response = await fetch(address);
  } catch (error) {
    throw new LoadError("load", address, error instanceof Error ? error.message : String(error));
  }
  if (!response.ok) throw new LoadError("load", address, `HTTP ${response.status}`);
  // A host may serve the file with another type than application/wasm, which streaming refuses.
  const streams = response.headers.get("content-type")?.startsWith("application/wasm");
  const {instance} = streams
    ? await WebAssembly.instantiateStreaming(response, imports)
    : await WebAssembly.instantiate(await response.arrayBuffer(), imports);
  (instance.exports._initialize as () => void)();
  return instance.exports as unknown as Exports;
}

export function failureOf(error: unknown): Failure {
  if (error instanceof LoadError) return {type: "failure", kind: error.kind, file: error.file, why: error.message};
  return {type: "failure", kind: "died", file: "", why: error instanceof Error ? error.message : String(error)};
}
