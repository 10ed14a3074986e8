// Places for tabs at a server node: who is spoken to in which cycle and about which shards (TEST-3.1).
#include "actors/tab_places.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "actors/server_node.h"

namespace lvs::actors {
namespace {

TEST(TabPlaces, Test3_1_ATabIsSpokenToAtItsCadenceAndServerNodesInEveryCycle) {
  TabPlaces places(/*first_link=*/2, /*first_node=*/3, /*count=*/2);
  const TabLink tab{.shard_mask = 1, .cadence_cycles = 5, .refresh_cycles = 20};
  EXPECT_FALSE(places.Set(3, &tab).has_value());
  int spoken = 0, refreshed = 0;
  for (std::uint64_t cycle = 100; cycle < 140; ++cycle) {
    const auto turns = places.TurnsAt(cycle);
    EXPECT_TRUE(turns->Speaks(1)) << "a server node";
    EXPECT_FALSE(turns->Speaks(3)) << "nobody has this place";
    spoken += turns->Speaks(4) ? 1 : 0;
    refreshed += turns->Refreshes(4) ? 1 : 0;
  }
  EXPECT_NEAR(spoken, 8, 1);
  EXPECT_EQ(refreshed, 2);
  EXPECT_EQ(places.Set(3, nullptr)->shard_mask, 1u);
  EXPECT_FALSE(places.TurnsAt(200)->Speaks(4));
  EXPECT_EQ(TabPlaces(2, 3, 0).TurnsAt(1), nullptr) << "this node is no hub";
}

// A server node with one link to a peer and one place for a tab.
class ServerNodeWithATab : public ::testing::Test {
 protected:
  struct Sink final : FrameSink {
    void Offer(const hosting::Payload<shard::Frame>& frame) override {
      const std::lock_guard lock(mu);
      ++frames[frame->shard];
    }
    void Flush() override {}
    std::mutex mu;
    std::map<std::uint32_t, int> frames;  // by shard
  };

  ServerNodeWithATab() {
    ServerNodeConfig config;
    config.shards = 4;
    config.micro_nodes = 50;
    config.alone_cycles = 2;
    config.tab_places = 1;
    node_ = std::make_unique<ServerNode>(config, std::vector<std::shared_ptr<FrameSink>>{peer_, tab_},
                                         [this](const hosting::Payload<hosting::NodeReport>&) {
                                           const std::lock_guard lock(mu_);
                                           ++reports_;
                                           changed_.notify_all();
                                         });
  }

  void Run(int cycles) {
    for (int n = 0; n < cycles; ++n) {
      hosting::NodeTick tick;
      tick.cycle = ++cycle_;
      node_->Tick(std::move(tick));
      std::unique_lock lock(mu_);
      changed_.wait(lock, [this] { return reports_ == cycle_; });
    }
  }
  std::map<std::uint32_t, int> Said() {
    const std::lock_guard lock(tab_->mu);
    return std::exchange(tab_->frames, {});
  }

  const std::shared_ptr<Sink> peer_ = std::make_shared<Sink>();
  const std::shared_ptr<Sink> tab_ = std::make_shared<Sink>();
  std::unique_ptr<ServerNode> node_;
  std::uint64_t cycle_ = 0;
  std::mutex mu_;
  std::condition_variable changed_;
  std::uint64_t reports_ = 0;
};

TEST_F(ServerNodeWithATab, Test3_1_ATabHearsOfTheShardsOfItsMaskOnly) {
  Run(5);
  EXPECT_TRUE(Said().empty()) << "nobody has the place";
  TabLink tab{.shard_mask = 0b0101, .cadence_cycles = 5, .refresh_cycles = 120};
  node_->SetTab(1, &tab);
  Run(50);
  const auto said = Said();
  EXPECT_EQ(said.size(), 2u);
  EXPECT_TRUE(said.contains(0) && said.contains(2));
  for (const auto& [shard, frames] : said) EXPECT_LE(frames, 11) << "at most one a cadence";
  tab.shard_mask = 0b1000;
  node_->SetTab(1, &tab);
  Run(50);
  EXPECT_EQ(Said().begin()->first, 3u) << "and nothing of the shards that it no longer holds";
  node_->SetTab(1, nullptr);
  Run(20);
  EXPECT_TRUE(Said().empty());
  node_->Stop();
}

}  // namespace
}  // namespace lvs::actors
