// Marks a function that a WebAssembly module exports under its own name.
//
//   LVS_EXPORT(playground_step) void playground_step() { ... }
#pragma once

#define LVS_EXPORT(name) extern "C" __attribute__((export_name(#name), used))
