// Marks a function that a WebAssembly module exports under its own name. In a native build it is a function of C.
//
//   LVS_EXPORT(playground_step) void playground_step() { ... }
#pragma once

#ifdef __wasm__
#define LVS_EXPORT(name) extern "C" __attribute__((export_name(#name), used))
#else
#define LVS_EXPORT(name) extern "C"
#endif
