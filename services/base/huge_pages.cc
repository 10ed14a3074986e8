#include "services/base/huge_pages.h"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

namespace lvs::services {

namespace {
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kLarge = 2 * kHugePage;
}  // namespace

namespace {

void* AllocateOnce(std::size_t bytes) {
  if (bytes < kLarge) return std::malloc(bytes);
  void* const block = std::aligned_alloc(kHugePage, (bytes + kHugePage - 1) / kHugePage * kHugePage);
  // Without the end, which is not full: a huge page is resident as a whole. A system without huge pages refuses, and
  // the block is as good as any other.
  if (block != nullptr) static_cast<void>(madvise(block, bytes / kHugePage * kHugePage, MADV_HUGEPAGE));
  return block;
}

}  // namespace

void* AllocateInHugePages(void*, std::size_t bytes) {
  while (true) {
    void* const block = AllocateOnce(bytes);
    const std::new_handler handler = std::get_new_handler();
    if (block != nullptr || handler == nullptr) return block;
    handler();  // ends the process, or frees something
  }
}

void FreeHugePages(void*, void* block) { std::free(block); }

}  // namespace lvs::services
