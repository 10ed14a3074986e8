#include "services/base/heap.h"

#include <malloc.h>

namespace lvs::services {

namespace {
// Free memory that an arena of the heap may keep at its top: several messages of the largest size.
constexpr int kTopBytes = 16 << 20;
// Blocks of this size and more are mapped one by one; no message is as large. Setting either threshold ends glibc's own
// adaptation of both.
constexpr int kMappedBytes = 512 << 10;
}  // namespace

void KeepHeap() {
  mallopt(M_TRIM_THRESHOLD, kTopBytes);
  mallopt(M_MMAP_THRESHOLD, kMappedBytes);
}

void ReturnFreeMemory() { malloc_trim(kTopBytes); }

}  // namespace lvs::services
