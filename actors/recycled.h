// Recycled memory for messages between actors (ARCH-7). Messages of one cycle have been read by the next. When the last
// reader releases a payload, the payload and the memory of its columns go back to the shelf of its kind, for the next
// payload. In the steady state a cycle allocates nothing.
//
//   std::shared_ptr<ShardTick> tick = Recycled<ShardTick>();   // empty, as if new
//   tick->cycle = 7;
//   Post(shard, Payload<ShardTick>(std::move(tick)));
//
// Threads: any; each kind has a lock of its own. Shelves are bounded in number and bytes; the rest is freed.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "services/base/mutex.h"
#include "shard/reuse.h"

namespace lvs::actors {

// The most items that are kept of a kind. A million micro-nodes in three regions of 256 shards have some 1,500 frames
// on their way at once, and 768 of everything else.
#ifdef __SANITIZE_ADDRESS__
inline constexpr std::size_t kKept = 0;  // so that the sanitizer sees every use after release
#else
inline constexpr std::size_t kKept = 4096;
#endif
inline constexpr std::size_t kKeptBytes = std::size_t{32} << 20;

// Unused items, newest first: one shelf for each kind.
template <class Item, class Kind>
class Shelf {
 public:
  // Never destroyed: actors may end after main.
  static Shelf& All() {
    static auto* const shelf = new Shelf;
    return *shelf;
  }

  // Null where the shelf is empty.
  Item* Take() {
    const services::MutexLock lock(&mu_);
    if (kept_.empty()) return nullptr;
    const auto [item, bytes] = kept_.back();
    kept_.pop_back();
    bytes_ -= bytes;
    return item;
  }
  // False where there is no room.
  bool Keep(Item* item, std::size_t bytes) {
    const services::MutexLock lock(&mu_);
    if (kept_.size() >= kKept || bytes_ + bytes > kKeptBytes) return false;
    kept_.emplace_back(item, bytes);
    bytes_ += bytes;
    return true;
  }

 private:
  Shelf() { kept_.reserve(kKept); }  // returning an item must not fail

  services::Mutex mu_;
  std::vector<std::pair<Item*, std::size_t>> kept_ ABSL_GUARDED_BY(mu_);  // and the bytes that each holds
  std::size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

// Blocks of one size.
template <std::size_t kBytes>
struct Blocks {
  static void* Take() {
    void* const block = Shelf<void, Blocks>::All().Take();
    return block != nullptr ? block : ::operator new(kBytes);
  }
  static void Give(void* block) {
    if (!Shelf<void, Blocks>::All().Keep(block, kBytes)) ::operator delete(block);
  }
};

// For objects that the standard library allocates one by one: the counts of shared pointers.
template <class T>
struct BlockAllocator {
  using value_type = T;
  BlockAllocator() = default;
  template <class U>
  BlockAllocator(const BlockAllocator<U>&) {}
  T* allocate(std::size_t n) {
    static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    if (n != 1) throw std::bad_alloc();
    return static_cast<T*>(Blocks<sizeof(T)>::Take());
  }
  void deallocate(T* block, std::size_t) { Blocks<sizeof(T)>::Give(block); }
  friend bool operator==(const BlockAllocator&, const BlockAllocator&) = default;
};

// Released payloads of one kind.
template <class T>
struct Spares {
  static T* Take() {
    T* const payload = Shelf<T, Spares>::All().Take();
    return payload != nullptr ? payload : new T;
  }
  static void Give(T* payload) {
    shard::Clear(payload);
    if (!Shelf<T, Spares>::All().Keep(payload, shard::HeldBytes(*payload))) delete payload;
  }
};

// An empty payload.
template <class T>
std::shared_ptr<T> Recycled() {
  return std::shared_ptr<T>(Spares<T>::Take(), &Spares<T>::Give, BlockAllocator<T>{});
}

}  // namespace lvs::actors
