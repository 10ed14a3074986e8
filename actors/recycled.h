// Memory that is used again. What one cycle said has been read by the next: a payload goes back to its kind when the
// last reader lets go of it, with the memory of its columns, and is made into another one. So a cycle that is like the
// one before allocates nothing (ARCH-7), and what is said in a hurry does not wait for the heap.
//
// Threads: any. At most kKept of a kind are kept; what comes back beyond that is freed.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

namespace lvs::actors {

inline constexpr std::size_t kKept = 1024;

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
    if (n != 1) throw std::bad_alloc();
    return static_cast<T*>(Blocks<sizeof(T)>::Take());
  }
  void deallocate(T* block, std::size_t) { Blocks<sizeof(T)>::Give(block); }
  friend bool operator==(const BlockAllocator&, const BlockAllocator&) = default;
};

// What is new in a payload that is used again: nothing. One that has large columns empties them instead (messages.h,
// shard/frame.h).
template <class T>
void Clear(T* payload) {
  *payload = T{};
}

// Payloads of one kind that nobody reads.
template <class T>
class Unread {
 public:
  static T* Take() {
    Unread& all = All();
    {
      const std::lock_guard lock(all.mu_);
      if (!all.free_.empty()) {
        T* const payload = all.free_.back().release();
        all.free_.pop_back();
        return payload;
      }
    }
    return new T;
  }
  static void Give(T* payload) {
    std::unique_ptr<T> own(payload);
    Clear(payload);
    Unread& all = All();
    const std::lock_guard lock(all.mu_);
    if (all.free_.size() < kKept) all.free_.push_back(std::move(own));
  }

 private:
  static Unread& All() {
    static auto* const all = new Unread;
    return *all;
  }

  std::mutex mu_;
  std::vector<std::unique_ptr<T>> free_;
};

// An empty payload.
template <class T>
std::shared_ptr<T> Recycled() {
  return std::shared_ptr<T>(Unread<T>::Take(), &Unread<T>::Give, BlockAllocator<T>{});
}

}  // namespace lvs::actors
