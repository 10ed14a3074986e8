// What the core links in a native build and WebAssembly lacks: the compiled part of Highway (libhwy-dev has only this
// machine's), the end of a thread, and the end of a program. A module has one SIMD target and one thread, so each
// function here is short.
#include <hwy/aligned_allocator.h>
#include <hwy/targets.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace hwy {

namespace {

// The block as it was allocated is stored just below the aligned payload.
constexpr std::size_t kHeader = sizeof(void*);

}  // namespace

void* AllocateAlignedBytes(std::size_t payload_size, AllocPtr alloc_ptr, void* opaque_ptr) {
  constexpr std::size_t kExtra = HWY_ALIGNMENT + kHeader;
  if (payload_size > SIZE_MAX - kExtra) return nullptr;
  void* const block =
      alloc_ptr == nullptr ? std::malloc(payload_size + kExtra) : alloc_ptr(opaque_ptr, payload_size + kExtra);
  if (block == nullptr) return nullptr;
  const auto first = reinterpret_cast<std::uintptr_t>(block) + kHeader;
  const std::uintptr_t aligned = (first + HWY_ALIGNMENT - 1) / HWY_ALIGNMENT * HWY_ALIGNMENT;
  std::memcpy(reinterpret_cast<void*>(aligned - kHeader), &block, sizeof block);
  return reinterpret_cast<void*>(aligned);
}

void FreeAlignedBytes(const void* aligned_pointer, FreePtr free_ptr, void* opaque_ptr) {
  if (aligned_pointer == nullptr) return;
  void* block;
  std::memcpy(&block, reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(aligned_pointer) - kHeader),
              sizeof block);
  if (free_ptr == nullptr) {
    std::free(block);
  } else {
    free_ptr(opaque_ptr, block);
  }
}

std::int64_t SupportedTargets() { return HWY_WASM; }
void DisableTargets(std::int64_t) {}
void SetSupportedTargetsForTest(std::int64_t) {}
ChosenTarget& GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}

}  // namespace hwy

// thread_local objects live as long as the module: there is no thread whose end would destroy them.
extern "C" int __cxa_thread_atexit(void (*)(void*), void*, void*) { return 0; }

// A trap ends the module and names the place in the browser's console. The C++ library would print a message first:
// that would make the module ask its host for a file system, and carry printf.
extern "C" void abort_message(const char*, ...) { __builtin_trap(); }
