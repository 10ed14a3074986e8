#include "shard/huge_pages.h"

#include <sys/mman.h>

#include <cstdlib>

namespace lvs::shard {

namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kLarge = 2 * kHugePage;

void* Allocate(void*, std::size_t bytes) {
  if (bytes < kLarge) return std::malloc(bytes);
  void* const block = std::aligned_alloc(kHugePage, (bytes + kHugePage - 1) / kHugePage * kHugePage);
  // Without the end, which is not full: a huge page is resident as a whole. Where there are none, nothing is lost.
  if (block != nullptr) static_cast<void>(madvise(block, bytes / kHugePage * kHugePage, MADV_HUGEPAGE));
  return block;
}

}  // namespace

hwy::AlignedFreeUniquePtr<std::uint8_t[]> AllocateInHugePages(std::size_t bytes) {
  return hwy::AllocateAligned<std::uint8_t>(
      bytes, Allocate, [](void*, void* block) { std::free(block); }, nullptr);
}

}  // namespace lvs::shard
