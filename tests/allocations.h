// How many times the whole program has allocated, and how many bytes. For programs that link allocations.cc, which counts.
#pragma once

#include <atomic>
#include <cstdint>

namespace lvs {
extern std::atomic<std::uint64_t> allocations;
extern std::atomic<std::uint64_t> allocated_bytes;
}  // namespace lvs
