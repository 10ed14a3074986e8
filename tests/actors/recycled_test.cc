// Threads take and give back at once: nobody gets what another one still holds. A program of its own, without CAF, so
// that the thread sanitizer can watch.
#include "actors/recycled.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <tuple>
#include <vector>

namespace lvs::actors {
namespace {

struct Note {
  std::uint64_t writer = 0;
  std::vector<std::uint64_t> column;
  static constexpr auto kColumns = std::tuple(&Note::column);
};

TEST(Recycled, Arch7WhatOneThreadWritesAnotherReadsAndAThirdUsesAgain) {
  constexpr int kThreads = 4;
  constexpr int kNotes = 5'000;
  std::mutex mu;
  std::vector<std::shared_ptr<const Note>> said;  // by one thread, to be read by any
  const auto work = [&](std::uint64_t writer) {
    for (int n = 0; n < kNotes; ++n) {
      const std::shared_ptr<Note> note = Recycled<Note>();
      ASSERT_EQ(note->writer, 0u);
      ASSERT_TRUE(note->column.empty());
      note->writer = writer;
      note->column.assign(1 + n % 50, writer);
      std::shared_ptr<const Note> read;
      {
        const std::lock_guard lock(mu);
        said.push_back(note);
        if (said.size() > 20) {
          read = said[static_cast<std::size_t>(n) % said.size()];  // another one may let go of it first
          said.erase(said.begin());
        }
      }
      if (read == nullptr) continue;
      for (const std::uint64_t value : read->column) ASSERT_EQ(value, read->writer);
    }
  };
  std::vector<std::thread> threads;
  for (std::uint64_t writer = 1; writer <= kThreads; ++writer) threads.emplace_back(work, writer);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace lvs::actors
