#include "services/base/heap.h"

#include <malloc.h>

namespace lvs::services {

namespace {
// Free memory that an arena of the heap may keep at its top: some messages of the largest size.
constexpr int kTopBytes = 16 << 20;
// Blocks from here on are mapped one by one; no message is as large. To set either of the two ends the adaptation of
// both that glibc does by itself.
constexpr int kMappedBytes = 512 << 10;
}  // namespace

void KeepHeap() {
  mallopt(M_TRIM_THRESHOLD, kTopBytes);
  mallopt(M_MMAP_THRESHOLD, kMappedBytes);
}

}  // namespace lvs::services
