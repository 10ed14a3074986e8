// ARCH-7, "no allocation per micro-node in a cycle", between actors: a program of its own, because every allocation is
// counted. What a shard does within its cycle is in tests/shard/allocation_test.cc.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>

#include "actors/recycled.h"
#include "actors/server_node.h"
#include "tests/allocations.h"

namespace lvs::actors {
namespace {

using hosting::NodeReport;
using hosting::NodeTick;
using hosting::Payload;

// Two whole server nodes, and a link each way that loses nothing.
class Pair {
 public:
  static constexpr std::uint32_t kShards = 8;

  Pair() {
    for (std::size_t n = 0; n < 2; ++n) {
      ServerNodeConfig config;
      config.seed = n + 1;
      config.shards = kShards;
      config.micro_nodes = 200;
      config.alone_cycles = 2;
      links_[n] = std::make_shared<Link>();
      nodes_[n] = std::make_unique<ServerNode>(config, std::vector<std::shared_ptr<FrameSink>>{links_[n]},
                                               [this](const Payload<NodeReport>& report) { Take(*report); });
    }
    for (std::size_t n = 0; n < 2; ++n) {
      links_[n]->to = nodes_[1 - n].get();
      nodes_[n]->SetLink(0, true);
    }
  }
  ~Pair() {
    for (const auto& node : nodes_) node->Stop();
  }

  void Run(std::uint64_t cycles) {
    for (std::uint64_t end = cycle_ + cycles; cycle_ < end;) {
      ++cycle_;
      reports_ = 0;
      for (const auto& node : nodes_) {
        NodeTick tick;
        tick.cycle = cycle_;
        tick.measure = true;
        node->Tick(std::move(tick));
      }
      std::unique_lock lock(mu_);
      changed_.wait(lock, [this] { return reports_ == nodes_.size(); });
    }
  }
  std::uint64_t replicas() const { return replicas_; }
  std::uint64_t frames() const { return links_[0]->frames; }

 private:
  struct Link final : FrameSink {
    void Offer(const Payload<shard::Frame>& frame) override {
      ++frames;
      to->Deliver(0, frame);
    }
    void Flush() override {}
    ServerNode* to = nullptr;
    std::atomic<std::uint64_t> frames = 0;
  };

  void Take(const NodeReport& report) {
    const std::lock_guard lock(mu_);
    replicas_ = report.replicas;
    if (++reports_ == nodes_.size()) changed_.notify_one();
  }

  std::array<std::shared_ptr<Link>, 2> links_;
  std::array<std::unique_ptr<ServerNode>, 2> nodes_;
  std::uint64_t cycle_ = 0;
  std::mutex mu_;
  std::condition_variable changed_;
  std::size_t reports_ = 0;
  std::uint64_t replicas_ = 0;
};

TEST(Allocation, Arch7ASteadyCycleOfWholeNodesAllocatesNothing) {
  if (kKept == 0) GTEST_SKIP() << "this build keeps nothing";
  Pair pair;
  pair.Run(300);
  ASSERT_EQ(pair.replicas(), 200u * 4);
  const std::uint64_t frames = pair.frames();
  // How many messages are on their way at once depends on the threads: now and then there is one more than ever, and it
  // takes memory. If every cycle took some, no stretch would pass.
  std::uint64_t fewest = ~std::uint64_t{0};
  for (int stretch = 0; stretch < 50 && fewest > 0; ++stretch) {
    const std::uint64_t before = allocations;
    pair.Run(100);
    fewest = std::min(fewest, allocations - before);
  }
  EXPECT_EQ(fewest, 0u);
  EXPECT_GT(pair.frames(), frames + Pair::kShards) << "they spoke to each other meanwhile";
}

struct Counted {
  std::shared_ptr<int> what;
};

// A message's memory is used again, and what was in it is let go.
TEST(Allocation, Arch7WhatIsReadIsLetGoAndItsMemoryIsUsedAgain) {
  if (kKept == 0) GTEST_SKIP() << "this build keeps nothing";
  const auto what = std::make_shared<int>(1);
  Counted* first = nullptr;
  {
    const std::shared_ptr<Counted> payload = Recycled<Counted>();
    first = payload.get();
    payload->what = what;
    EXPECT_EQ(what.use_count(), 2);
    EXPECT_NE(Recycled<Counted>().get(), first) << "somebody reads it";
  }
  EXPECT_EQ(what.use_count(), 1);
  std::array<std::shared_ptr<Counted>, 2> again = {Recycled<Counted>(), Recycled<Counted>()};
  EXPECT_TRUE(again[0].get() == first || again[1].get() == first);
  EXPECT_EQ(again[0]->what, nullptr);
  EXPECT_EQ(again[1]->what, nullptr);
  again = {};
  const std::uint64_t before = allocations;
  for (int n = 0; n < 100; ++n) again = {Recycled<Counted>(), nullptr};
  EXPECT_EQ(allocations, before);
}

TEST(Allocation, Arch7WhatIsKeptIsBounded) {
  struct Big {
    std::array<char, 1000> bytes;
  };
  std::vector<std::shared_ptr<Big>> many;
  for (std::size_t n = 0; n < kKept + 500; ++n) many.push_back(Recycled<Big>());
  many.clear();
  many.reserve(kKept + 500);
  const std::uint64_t before = allocations;
  for (std::size_t n = 0; n < kKept + 500; ++n) many.push_back(Recycled<Big>());
  EXPECT_GE(allocations - before, 500u);
  EXPECT_LE(allocations - before, 1000u) << "the payloads and the counts of their pointers";
}

struct Wide {
  std::vector<char> column;
  static constexpr auto kColumns = std::tuple(&Wide::column);
};

// A payload keeps its columns: few large ones are as much as many small ones.
TEST(Allocation, Arch7WhatIsKeptIsBoundedInBytes) {
  if (kKept == 0) GTEST_SKIP() << "this build keeps nothing";
  const auto kept_bytes = [](std::size_t each) {
    std::vector<std::shared_ptr<Wide>> many(10);
    for (auto& wide : many) {
      wide = Recycled<Wide>();
      wide->column.reserve(each);
    }
    many.clear();
    std::size_t bytes = 0;
    for (int n = 0; n < 10; ++n) {
      many.push_back(Recycled<Wide>());
      EXPECT_TRUE(many.back()->column.empty());
      bytes += many.back()->column.capacity();
    }
    return bytes;
  };
  EXPECT_EQ(kept_bytes(1000), 10'000u);
  const std::size_t most = kept_bytes(5 << 20);
  EXPECT_GT(most, kKeptBytes / 2);
  EXPECT_LE(most, kKeptBytes);
}

}  // namespace
}  // namespace lvs::actors
