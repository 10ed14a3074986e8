// One shard host: what it makes of frames and ticks in every order that may occur.
#include "shard/hosting/shard_host.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "shard/entropy_engine.h"
#include "shard/frame_codec.h"

namespace lvs::hosting {
namespace {

using vaultguard::kMicroPerVu;

class ShardHostTest : public ::testing::Test {
 protected:
  static ShardHostConfig ConfigOf(std::uint32_t replicas, std::uint64_t last_cycle) {
    ShardHostConfig config;
    config.node = 0;
    config.nodes = 2;
    config.shard.seed = 5;
    config.shard.remote_share = 0.5;
    config.layout = LayOut(0, std::vector<std::uint32_t>{16, 16});
    config.replicas = replicas;
    config.opening_balance_uvu = 1000 * kMicroPerVu;
    config.seed = 5;
    config.last_cycle = last_cycle;
    config.ambassadors = 16;
    config.resend_cycles = {20, 20};
    return config;
  }

  static std::unique_ptr<ShardHost> Make(std::uint32_t replicas, std::uint64_t last_cycle) {
    return std::make_unique<ShardHost>(ConfigOf(replicas, last_cycle));
  }

  // A shard that tells the changes of its ledger, of which it holds nothing.
  static std::unique_ptr<ShardHost> MakeTelling(std::uint32_t replicas) {
    ShardHostConfig config = ConfigOf(replicas, 0);
    config.opening_balance_uvu = 0;
    config.tell_changes = true;
    return std::make_unique<ShardHost>(config);
  }

  static shard::LedgerEntry EntryOf(std::uint64_t session, std::uint64_t opened, std::int64_t vu) {
    shard::LedgerEntry entry;
    entry.session = {8, session};
    entry.opened_cycle = opened;
    entry.amount_uvu[0] = vu * kMicroPerVu;
    return entry;
  }

  static Payload<std::vector<shard::LedgerEntry>> Cached(std::vector<shard::LedgerEntry> entries) {
    return std::make_shared<const std::vector<shard::LedgerEntry>>(std::move(entries));
  }

  ShardReport Tick(ShardHost* shard, const ShardTick& tick) {
    ShardReport report;
    shard->Tick(tick, &report);
    frames_.clear();
    for (ShardHost::Said& said : shard->said()) {
      EXPECT_EQ(said.to, 1u);
      frames_.push_back(std::move(said.frame));
    }
    return report;
  }

  // What the other server node says in `cycle`: `entries` sessions of 5 VU each.
  static IncomingFrame FrameOf(std::uint64_t cycle, std::uint64_t entries) {
    auto frame = std::make_shared<shard::Frame>();
    frame->cycle = cycle;
    frame->sender = {1, 77};
    frame->value_slots = 2;
    frame->news_to = entries;
    for (std::uint64_t n = 1; n <= entries; ++n) {
      shard::LedgerEntry entry;
      entry.session = {9, n};
      entry.opened_cycle = 1;
      entry.amount_uvu[0] = 5 * kMicroPerVu;
      frame->entries.push_back(entry);
    }
    return {1, cycle + 1, std::move(frame)};
  }

  std::vector<Payload<shard::Frame>> frames_;  // said in the last tick
};

TEST_F(ShardHostTest, AFrameIsReadWhenItIsDueAndOnce) {
  const auto shard = Make(50, 100);
  Tick(shard.get(), {});
  IncomingFrame frame = FrameOf(1, 2);
  frame.due_cycle = 3;
  shard->Receive(frame);
  shard->Receive(frame);  // a duplicate
  const auto total = [&](std::uint64_t cycle) {
    ShardTick tick;
    tick.cycle = cycle;
    return Tick(shard.get(), tick);
  };
  EXPECT_EQ(total(1).total_uvu[0], 1000 * kMicroPerVu);
  EXPECT_EQ(total(2).total_uvu[0], 1000 * kMicroPerVu);
  const ShardReport due = total(3);
  EXPECT_EQ(due.total_uvu[0], 1010 * kMicroPerVu);
  EXPECT_EQ(due.counts.step.refused.Of(vaultguard::Refusal::kReplayed), 1u);
  EXPECT_EQ(total(4).total_uvu[0], 1010 * kMicroPerVu);
}

TEST_F(ShardHostTest, AContributionIsAcceptedWhenEnoughServerNodesHoldIt) {
  const auto shard = Make(50, 100);
  ShardTick tick;
  tick.cycle = 1;
  shard::LedgerEntry entry;
  entry.session = {4, 4};
  entry.opened_cycle = 1;
  entry.amount_uvu[1] = kMicroPerVu;
  tick.contributions = {{11, 0, 1, entry}};
  EXPECT_EQ(Tick(shard.get(), tick).answers.size(), 1u) << "here is enough";
  tick.cycle = 2;
  entry.session = {5, 5};
  tick.contributions = {{12, 0, 2, entry}};
  EXPECT_TRUE(Tick(shard.get(), tick).answers.empty());
  tick.contributions.clear();
  // The other server node speaks, and acknowledges what it was told.
  std::uint64_t told = 0;
  shard::SessionId session;
  for (tick.cycle = 3; tick.cycle < 40; ++tick.cycle) {
    EXPECT_TRUE(Tick(shard.get(), tick).answers.empty());
    for (const Payload<shard::Frame>& frame : frames_) {
      told = frame->news_to;
      session = frame->sender;
    }
  }
  ASSERT_GT(told, 0u);
  auto acknowledgement = std::make_shared<shard::Frame>(*FrameOf(40, 0).frame);
  acknowledgement->acknowledged = told;
  acknowledgement->acknowledged_of = session.low;
  shard->Receive(IncomingFrame{1, 41, std::move(acknowledgement)});
  tick.cycle = 41;
  const ShardReport report = Tick(shard.get(), tick);
  ASSERT_EQ(report.answers.size(), 1u);
  EXPECT_EQ(report.answers[0].id, 12u);
  EXPECT_TRUE(report.answers[0].accepted);
}

TEST_F(ShardHostTest, Spec9_4_WhoLeavesSaysSoInEveryFrameAndHandsOver) {
  ShardHostConfig config = ConfigOf(50, 100);
  config.tell_changes = true;
  const auto shard = std::make_unique<ShardHost>(config);
  ShardTick tick;
  for (tick.cycle = 1; tick.cycle < 60; ++tick.cycle) Tick(shard.get(), tick);
  for (tick.leaving = true; tick.cycle < 65; ++tick.cycle) {
    EXPECT_FALSE(Tick(shard.get(), tick).handed_over);
    ASSERT_EQ(frames_.size(), 1u) << "whether there is news or not";
    EXPECT_TRUE(frames_[0]->beacon.leaving);
  }
  // The peer holds all, and says nothing new any more.
  const auto acknowledge = [&](bool leaving) {
    auto frame = std::make_shared<shard::Frame>(*FrameOf(tick.cycle - 1, 2).frame);  // with entries of its own
    frame->acknowledged = shard->state().ledger().version();
    frame->acknowledged_of = frames_[0]->sender.low;
    frame->beacon.leaving = leaving;
    shard->Receive({1, tick.cycle, std::move(frame)});
    const ShardReport report = Tick(shard.get(), tick);
    ++tick.cycle;
    return report;
  };
  tick.hand_over = true;
  tick.contributions = {{11, 0, 1, {{4, 4}, 1, {kMicroPerVu}}}};
  const std::uint64_t before = shard->state().ledger().size();
  EXPECT_FALSE(acknowledge(false).handed_over) << "this cycle's contribution is new";
  tick.contributions.clear();
  EXPECT_EQ(shard->state().ledger().size(), before + 1) << "the peer's entries did not join";
  EXPECT_TRUE(acknowledge(false).handed_over);
  EXPECT_FALSE(acknowledge(true).handed_over) << "the peer leaves too";
}

TEST_F(ShardHostTest, Spec9_4_WhoLeavesIsAnsweredInEveryCycle) {
  const auto shard = Make(50, 100);
  ShardTick tick;
  for (tick.cycle = 1; tick.cycle < 60; ++tick.cycle) Tick(shard.get(), tick);
  IncomingFrame leaves = FrameOf(58, 0);
  auto frame = std::make_shared<shard::Frame>(*leaves.frame);
  frame->beacon.leaving = true;
  shard->Receive({1, 60, std::move(frame)});
  for (; tick.cycle < 70; ++tick.cycle) {
    Tick(shard.get(), tick);
    EXPECT_EQ(frames_.size(), 1u);
  }
}

TEST_F(ShardHostTest, WithoutReplicasItTakesNoContribution) {
  const auto shard = Make(0, 100);
  ShardTick tick;
  tick.cycle = 1;
  tick.contributions = {{11, 0, 1, {{4, 4}, 1, {kMicroPerVu}}}};
  const ShardReport report = Tick(shard.get(), tick);
  ASSERT_EQ(report.answers.size(), 1u);
  EXPECT_FALSE(report.answers[0].accepted);
  EXPECT_EQ(report.counts.step.refused.Of(vaultguard::Refusal::kUnknownShard), 1u);
}

TEST_F(ShardHostTest, WhatTheCacheHeldIsNotToldToItAgain) {
  const auto shard = MakeTelling(50);
  ShardTick tick;
  tick.cycle = 100;
  tick.restored = Cached({EntryOf(1, 40, 3), EntryOf(2, 50, 4)});
  tick.contributions = {{11, 0, 1, EntryOf(3, 100, 1)}};
  const ShardReport report = Tick(shard.get(), tick);
  EXPECT_EQ(report.sessions, 3u);
  ASSERT_EQ(report.changes.size(), 1u);
  EXPECT_EQ(report.changes[0].session, (shard::SessionId{8, 3}));
}

// The clock was ahead when these were accepted. One of them no clock explains.
TEST_F(ShardHostTest, Spec5_1WhatTheCacheHeldIsRestoredOrRefusedAndCounted) {
  const auto shard = MakeTelling(50);
  ShardTick tick;
  tick.cycle = 100'000;
  tick.restored = Cached({EntryOf(1, 100'700, 3), EntryOf(2, 50, 4), EntryOf(3, 50, 1'000'000)});
  const ShardReport report = Tick(shard.get(), tick);
  EXPECT_EQ(report.total_uvu[0], 7 * kMicroPerVu);
  EXPECT_EQ(report.restored.entries, 3u);
  EXPECT_EQ(report.restored.reopened, 1u);
  EXPECT_EQ(report.restored.refused, 1u);
  EXPECT_EQ(report.counts.step.refused.Of(vaultguard::Refusal::kRateExceeded), 1u);
  EXPECT_EQ(std::count(report.changes.begin(), report.changes.end(), EntryOf(1, 100'000, 3)), 1)
      << "the cache has another opening";
}

// A cache that was opened late, or anew, lacks what changed before.
TEST_F(ShardHostTest, Arch3_ACacheThatIsOpenedLaterIsJoinedAndToldAll) {
  const auto shard = MakeTelling(50);
  ShardTick tick;
  tick.cycle = 100;
  tick.contributions = {{11, 0, 1, EntryOf(1, 100, 3)}};
  EXPECT_EQ(Tick(shard.get(), tick).changes.size(), 1u);
  tick.contributions = {{12, 0, 1, EntryOf(2, 101, 4)}};
  tick.cycle = 101;
  tick.restored = Cached({EntryOf(1, 40, 2), EntryOf(3, 50, 5)});
  tick.tell_all = true;
  const ShardReport report = Tick(shard.get(), tick);
  EXPECT_EQ(report.total_uvu[0], 12 * kMicroPerVu);
  ASSERT_EQ(report.changes.size(), 3u);
  for (const shard::LedgerEntry& entry : report.changes) {
    if (entry.session.low != 1) continue;
    EXPECT_EQ(entry, EntryOf(1, 40, 3)) << "the join, which the cache does not hold";
  }
  tick = {};
  tick.cycle = 102;
  EXPECT_TRUE(Tick(shard.get(), tick).changes.empty()) << "told once";
}

// The ledger of a shard without replicas is forgotten; what a cache restores has to wait for a replica.
TEST_F(ShardHostTest, Arch3_AShardWithoutReplicasKeepsWhatIsRestoredUntilOneEnters) {
  const auto shard = MakeTelling(1);
  ShardTick tick;
  tick.cycle = 100;
  tick.rows = {{RowCommand::Kind::kLeave, shard->state().first_row()}};
  EXPECT_EQ(Tick(shard.get(), tick).sessions, 0u);
  tick.rows.clear();
  tick.cycle = 101;
  tick.restored = Cached({EntryOf(1, 40, 2)});
  Tick(shard.get(), tick);
  tick.restored = nullptr;
  for (tick.cycle = 102; tick.cycle < 110; ++tick.cycle) EXPECT_EQ(Tick(shard.get(), tick).sessions, 1u);
  tick.rows = {{RowCommand::Kind::kEnter, shard->state().first_row()}};
  EXPECT_EQ(Tick(shard.get(), tick).total_uvu[0], 2 * kMicroPerVu);
}

// The server nodes of one cycle run side by side, so a peer's frame of the cycle in which this one starts again may
// reach the mailbox before the tick that restarts it, or after.
TEST_F(ShardHostTest, Deterministic_ARestartKeepsWhatItsOwnCycleBrought) {
  std::vector<std::uint64_t> hashes;
  std::vector<std::int64_t> totals;
  for (const bool frame_first : {false, true}) {
    const auto shard = Make(50, 20);
    ShardTick tick;
    for (tick.cycle = 0; tick.cycle < 5; ++tick.cycle) Tick(shard.get(), tick);
    // Out from 5 to 9.
    tick.cycle = 10;
    tick.restart = true;
    if (frame_first) shard->Receive(FrameOf(10, 3));
    Tick(shard.get(), tick);
    if (!frame_first) shard->Receive(FrameOf(10, 3));
    tick.restart = false;
    ShardReport last;
    for (tick.cycle = 11; tick.cycle <= 20; ++tick.cycle) {
      tick.measure = true;
      last = Tick(shard.get(), tick);
    }
    hashes.push_back(last.state_hash);
    totals.push_back(last.total_uvu[0]);
  }
  EXPECT_EQ(totals[1], totals[0]) << "the frame was thrown away with the memory of the life before";
  EXPECT_EQ(hashes[1], hashes[0]);
}

TEST_F(ShardHostTest, Arch2_1_ARestartedShardAsksForEverything) {
  const auto shard = Make(50, 100);
  ShardTick tick;
  Tick(shard.get(), tick);
  tick.cycle = 10;
  tick.restart = true;
  const ShardReport report = Tick(shard.get(), tick);
  EXPECT_EQ(report.total_uvu[0], 0);
  EXPECT_FALSE(report.synced);
  ASSERT_EQ(frames_.size(), 1u);
  EXPECT_EQ(frames_[0]->correction, shard::Correction::kSyncAll);
  // News for the life before: it is taken, but it leaves out what that one knew.
  const shard::SessionId session = frames_[0]->sender;
  shard->Receive(FrameOf(10, 3));
  tick.restart = false;
  tick.cycle = 11;
  ShardReport after = Tick(shard.get(), tick);
  EXPECT_EQ(after.total_uvu[0], 15 * kMicroPerVu);
  EXPECT_FALSE(after.synced);
  auto answer = std::make_shared<shard::Frame>(*FrameOf(11, 4).frame);
  answer->acknowledged_of = session.low;
  shard->Receive(IncomingFrame{1, 12, std::move(answer)});
  tick.cycle = 12;
  after = Tick(shard.get(), tick);
  EXPECT_EQ(after.total_uvu[0], 20 * kMicroPerVu);
  EXPECT_TRUE(after.synced);
}

// ---- What one peer may ask for and tell ----

class GreedyPeerTest : public ShardHostTest {
 protected:
  static constexpr std::int64_t kFrameBytes = 64 * 1024;  // more than the entries of any frame here

  // One cycle in which the other server node says `frame`, in its session unless it has another one; what this one says
  // to it.
  Payload<shard::Frame> Exchange(ShardHost* shard, std::uint64_t cycle, shard::Frame frame) {
    frame.cycle = cycle;
    if (frame.sender == shard::SessionId{}) frame.sender = {1, 77};
    frame.value_slots = 2;
    shard->Receive(IncomingFrame{1, cycle, std::make_shared<const shard::Frame>(std::move(frame))});
    ShardTick tick;
    tick.cycle = cycle;
    report_ = Tick(shard, tick);
    return frames_.empty() ? nullptr : frames_.front();
  }
  // Sessions first, first + 1, ... with so much each.
  static shard::Frame Sessions(std::uint64_t first, std::uint64_t count, std::int64_t amount_uvu = 1) {
    shard::Frame frame;
    for (std::uint64_t n = first; n < first + count; ++n) {
      shard::LedgerEntry entry;
      entry.session = {9, n};
      entry.amount_uvu[0] = amount_uvu;
      frame.entries.push_back(entry);
    }
    return frame;
  }
  // It tells 20,000 sessions of 1000 VU. Returns the cycle after it.
  std::uint64_t TellMany(ShardHost* shard) {
    std::uint64_t cycle = 1;
    for (std::uint64_t told = 0; told < 20'000; told += 1000)
      Exchange(shard, cycle++, Sessions(told, 1000, 1000 * kMicroPerVu));
    return cycle;
  }
  std::int64_t sessions() const { return report_.total_uvu[0] - 1000 * kMicroPerVu; }

  ShardReport report_;
};

TEST_F(GreedyPeerTest, Spec8_3_NewSessionsOfALinkAreLimitedAndToldAgain) {
  const auto shard = Make(50, 10'000);
  constexpr std::uint64_t kFrame = vaultguard::kMaxFrameEntries;
  constexpr std::uint64_t kPerCycle = vaultguard::kNewSessionsPerCycle;
  std::uint64_t cycle = 1;
  for (std::uint64_t told = 0; told < 100 * kFrame; told += kFrame)
    Exchange(shard.get(), cycle++, Sessions(told, kFrame));
  EXPECT_GE(sessions(), vaultguard::kNewSessionsAtOnce);
  EXPECT_LE(sessions(), vaultguard::kNewSessionsAtOnce + 2 * cycle * kPerCycle);
  EXPECT_GT(report_.counts.step.refused.Of(vaultguard::Refusal::kSessionsTooFast), 0u);
  // The allowance comes back: what was refused goes in when it is told again, and what is known costs nothing.
  for (std::uint64_t told = 0; told < 100 * kFrame; told += kFrame) {
    for (int again = 0; again < 20; ++again) {
      Exchange(shard.get(), cycle++, Sessions(told, kFrame));
      if (report_.counts.step.refused.Total() == 0) break;
    }
  }
  EXPECT_EQ(sessions(), 100 * kFrame);
  EXPECT_LT(cycle, 1000u);
}

TEST_F(GreedyPeerTest, Spec8_3_DiffsThatPullDownAreNoticedInWhicheverSlot) {
  struct Case {
    float first;
    float second;
    bool drains;
  };
  constexpr float kFar = 10'000;
  // What lies farthest says which way, and what pulls down where that is undecided.
  for (const auto& [first, second, drains] :
       {Case{-kFar, 1, true}, Case{1, -kFar, true}, Case{-kFar, kFar, true}, Case{kFar, -kFar, true},
        Case{kFar, 1, false}, Case{1, kFar, false}, Case{2 * kFar, -kFar, false}, Case{-1, 1, false}}) {
    const auto shard = Make(50, 10'000);
    std::uint64_t raised = 0;
    for (std::uint64_t cycle = 1; cycle <= 60; ++cycle) {
      shard::Frame frame;
      frame.halo_row = {3};
      frame.published_cycle = {static_cast<std::uint32_t>(cycle)};
      frame.drift_weight = {255};
      frame.entropy = {shard::EntropyWord(1, 3, cycle)};
      frame.diff = {first, second, 0, 0};
      Exchange(shard.get(), cycle, frame);
      raised += report_.drains_on_links;
    }
    EXPECT_EQ(raised > 0, drains) << first << ", " << second;
  }
}

TEST_F(GreedyPeerTest, Spec14_WhoAsksForEverythingAgainAndAgainIsToldWithinABudgetOfBytes) {
  const auto shard = Make(50, 10'000);
  std::uint64_t cycle = TellMany(shard.get());
  // Then it asks for them, now and then as if it had started anew.
  std::uint64_t refused = 0;
  const auto bytes_told = [&](std::uint64_t cycles) {
    std::int64_t bytes = 0;
    for (const std::uint64_t end = cycle + cycles; cycle < end; ++cycle) {
      shard::Frame ask;
      ask.correction = shard::Correction::kSyncAll;
      ask.correction_buckets = cycle % 3 == 0 ? shard::Ledger::kAllBuckets : 0;
      const Payload<shard::Frame> said = Exchange(shard.get(), cycle, ask);
      if (said != nullptr) bytes += static_cast<std::int64_t>(shard::EntriesSize(*said));
      refused += report_.counts.step.refused.Of(vaultguard::Refusal::kRepeatsTooFast);
    }
    return bytes;
  };
  EXPECT_GT(bytes_told(500), 500 * 8'000) << "whoever asks is told at full speed";
  bytes_told(3500);
  EXPECT_GT(refused, 0u);
  EXPECT_LE(bytes_told(1000), 1000 * vaultguard::kRepeatBytesPerCycle + kFrameBytes);
}

TEST_F(GreedyPeerTest, Spec14_ANewSessionDoesNotRefillTheBudget) {
  const auto shard = Make(50, 10'000);
  std::uint64_t cycle = TellMany(shard.get());
  std::int64_t bytes = 0;
  constexpr std::int64_t kCycles = 4000;
  for (const std::uint64_t end = cycle + kCycles; cycle < end; ++cycle) {
    shard::Frame frame;
    frame.correction = shard::Correction::kSyncAll;
    frame.sender = {2, cycle};
    Exchange(shard.get(), cycle, frame);
    for (const auto& said : frames_) bytes += static_cast<std::int64_t>(shard::EntriesSize(*said));
  }
  EXPECT_LE(bytes, vaultguard::kRepeatBytesAtOnce + kCycles * vaultguard::kRepeatBytesPerCycle + kFrameBytes);
}

TEST_F(GreedyPeerTest, Spec14_BucketsThatDifferForEverAreToldInPasses) {
  const auto shard = Make(50, 10'000);
  std::uint64_t told = 0;
  std::uint64_t first = 0;
  std::uint64_t version = 0;
  std::uint64_t session = 0;
  for (std::uint64_t cycle = 1; cycle < 1000; ++cycle) {
    shard::Frame lie;
    lie.ledger_digest = 1;
    lie.bucket_digest.assign(shard::Ledger::kBuckets, 1);
    lie.acknowledged = version;
    lie.acknowledged_of = session;
    const Payload<shard::Frame> said = Exchange(shard.get(), cycle, lie);
    if (said == nullptr) continue;
    version = said->news_to;
    session = said->sender.low;
    if (said->entries.empty()) continue;
    ++told;
    if (first == 0) first = cycle;
  }
  EXPECT_GT(told, 10u) << "nothing is repaired";
  EXPECT_LT(told, 1000u / 50 + 1) << "from cycle " << first << " on";
}

}  // namespace
}  // namespace lvs::hosting
