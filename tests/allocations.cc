#include "tests/allocations.h"

#include <cstdlib>
#include <new>

std::atomic<std::uint64_t> lvs::allocations{0};
std::atomic<std::uint64_t> lvs::allocated_bytes{0};

// Sized and array forms come here too.
void* operator new(std::size_t size) {
  ++lvs::allocations;
  lvs::allocated_bytes += size;
  if (void* p = std::malloc(size)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
