// Memory that is used again. What one cycle said has been read by the next: a payload goes back to its kind when the
// last reader lets go of it, with the memory of its columns, and is made into another one. So a cycle that is like the
// one before allocates nothing (ARCH-7).
//
// Threads: any; each kind has a lock of its own. What is kept is bounded, in number and bytes; the rest is freed.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "shard/reuse.h"

namespace lvs::actors {

// Of a kind. A million micro-nodes in three regions of 256 shards have some 1,500 frames on their way at once, and 768
// of everything else.
#ifdef __SANITIZE_ADDRESS__
inline constexpr std::size_t kKept = 0;  // the sanitizer shall see who reads what he let go of
#else
inline constexpr std::size_t kKept = 4096;
#endif
inline constexpr std::size_t kKeptBytes = std::size_t{32} << 20;

// Free blocks of one size.
template <std::size_t kBytes>
class Blocks {
 public:
  static void* Take() {
    Blocks& all = All();
    {
      const std::lock_guard lock(all.mu_);
      if (!all.free_.empty()) {
        void* const block = all.free_.back();
        all.free_.pop_back();
        return block;
      }
    }
    return ::operator new(kBytes);
  }
  static void Give(void* block) {
    Blocks& all = All();
    {
      const std::lock_guard lock(all.mu_);
      if (all.free_.size() < kKept) return all.free_.push_back(block);
    }
    ::operator delete(block);
  }

 private:
  Blocks() { free_.reserve(kKept); }  // to give back must not fail
  // Never destroyed: actors may end after main.
  static Blocks& All() {
    static auto* const all = new Blocks;
    return *all;
  }

  std::mutex mu_;
  std::vector<void*> free_;
};

// For what the standard library allocates one by one: the counts of shared pointers.
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

// Payloads of one kind that nobody reads.
template <class T>
class Spares {
 public:
  static T* Take() {
    Spares& all = All();
    {
      const std::lock_guard lock(all.mu_);
      if (!all.free_.empty()) {
        T* const payload = all.free_.back().release();
        all.free_.pop_back();
        all.bytes_ -= shard::HeldBytes(*payload);
        return payload;
      }
    }
    return new T;
  }
  static void Give(T* payload) {
    std::unique_ptr<T> own(payload);
    shard::Clear(payload);
    const std::size_t bytes = shard::HeldBytes(*payload);
    Spares& all = All();
    const std::lock_guard lock(all.mu_);
    if (all.free_.size() >= kKept || all.bytes_ + bytes > kKeptBytes) return;
    all.bytes_ += bytes;
    all.free_.push_back(std::move(own));
  }

 private:
  Spares() { free_.reserve(kKept); }
  static Spares& All() {
    static auto* const all = new Spares;
    return *all;
  }

  std::mutex mu_;
  std::vector<std::unique_ptr<T>> free_;
  std::size_t bytes_ = 0;  // that they hold
};

// An empty payload.
template <class T>
std::shared_ptr<T> Recycled() {
  return std::shared_ptr<T>(Spares<T>::Take(), &Spares<T>::Give, BlockAllocator<T>{});
}

}  // namespace lvs::actors
