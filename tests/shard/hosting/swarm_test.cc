// The swarm's bookkeeping, watched through the commands that it gives: a model of the rows obeys them and objects when
// one cannot be obeyed.
#include "shard/hosting/swarm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include "shard/last_words.h"

namespace lvs::hosting {
namespace {

using Kind = RowCommand::Kind;

// What the shards of one server node would make of the commands.
class SwarmRows {
 public:
  SwarmRows(const std::vector<std::uint32_t>& holders, std::uint32_t first_row) : live_(holders.size()) {
    for (std::size_t s = 0; s < holders.size(); ++s) {
      for (std::uint32_t n = 0; n < holders[s]; ++n) live_[s].insert(first_row + n);
    }
  }

  void Obey(const ShardCommands& commands, std::uint64_t cycle) {
    for (std::size_t s = 0; s < commands.size(); ++s) {
      for (const RowCommand& command : commands[s]) {
        const auto key = std::pair(s, command.row);
        switch (command.kind) {
          case Kind::kEnter:
            EXPECT_TRUE(live_[s].insert(command.row).second) << "row " << command.row << " joins twice";
            if (left_.contains(key)) {
              EXPECT_GE(cycle, left_[key] + shard::kRestCycles) << "its last words may lie there still";
              ++reused_;
            }
            break;
          case Kind::kLeave:
            EXPECT_EQ(live_[s].erase(command.row), 1u) << "row " << command.row << " leaves, and was not there";
            left_[key] = cycle;
            hostile_.erase(key);
            low_power_.erase(key);
            break;
          case Kind::kAttackOn:
            EXPECT_TRUE(live_[s].contains(command.row));
            EXPECT_NE(command.attack, Attack::kNone);
            EXPECT_TRUE(hostile_.insert(key).second);
            break;
          case Kind::kAttackOff: EXPECT_EQ(hostile_.erase(key), 1u); break;
          case Kind::kLowPowerOn: EXPECT_TRUE(low_power_.insert(key).second); break;
          case Kind::kLowPowerOff: EXPECT_EQ(low_power_.erase(key), 1u); break;
          case Kind::kScatter: ADD_FAILURE() << "a swarm scatters nobody"; break;
        }
      }
    }
  }

  std::size_t of(std::size_t shard) const { return live_[shard].size(); }
  std::size_t fewest() const {
    std::size_t n = live_[0].size();
    for (const auto& rows : live_) n = std::min(n, rows.size());
    return n;
  }
  std::size_t all() const {
    std::size_t n = 0;
    for (const auto& rows : live_) n += rows.size();
    return n;
  }
  std::uint32_t highest() const {
    std::uint32_t row = 0;
    for (const auto& rows : live_) row = std::max(row, rows.empty() ? 0 : *rows.rbegin());
    return row;
  }
  std::size_t hostile() const { return hostile_.size(); }
  std::size_t low_power() const { return low_power_.size(); }
  std::size_t reused() const { return reused_; }

 private:
  std::vector<std::set<std::uint32_t>> live_;
  std::map<std::pair<std::size_t, std::uint32_t>, std::uint64_t> left_;
  std::set<std::pair<std::size_t, std::uint32_t>> hostile_, low_power_;
  std::size_t reused_ = 0;
};

// A populated swarm and the rows that follow it.
struct Watched {
  explicit Watched(std::uint32_t n, std::uint64_t seed = 7) : swarm(Config(seed)), rows(swarm.Populate(n), kFirstRow) {
    swarm.SetFirstRows(std::vector<std::uint32_t>(kShards, kFirstRow));
  }
  static SwarmConfig Config(std::uint64_t seed) {
    SwarmConfig config;
    config.shards = kShards;
    config.shards_per_node = kHeld;
    config.replicas_min = kReplicasMin;
    config.seed = seed;
    return config;
  }
  // One cycle of whatever `what` asks of the swarm.
  template <class F>
  ShardCommands Do(F what) {
    ++cycle;
    ShardCommands commands(kShards);
    what(&commands);
    rows.Obey(commands, cycle);
    EXPECT_EQ(swarm.replicas(), rows.all());
    return commands;
  }
  void Enter(std::uint32_t n) {
    Do([&](ShardCommands* c) { swarm.Enter(n, cycle, c); });
  }
  void Leave(std::uint32_t n) {
    Do([&](ShardCommands* c) { swarm.Leave(n, cycle, c); });
  }
  std::uint64_t Repair() {
    std::uint64_t repaired = 0;
    Do([&](ShardCommands* c) { repaired = swarm.Repair(cycle, c); });
    return repaired;
  }

  static constexpr std::uint32_t kShards = 16, kHeld = 4, kReplicasMin = 3, kFirstRow = 64;
  Swarm swarm;
  SwarmRows rows;
  std::uint64_t cycle = 0;
};

TEST(Swarm, Spec5_4_EachMicroNodeHoldsItsShards) {
  Watched w(1000);
  EXPECT_EQ(w.swarm.alive(), 1000u);
  EXPECT_EQ(w.swarm.replicas(), 4000u);
  for (std::size_t s = 0; s < Watched::kShards; ++s) {
    // Rendezvous hashing spreads them: 250 each, five standard deviations of the binomial.
    EXPECT_NEAR(static_cast<double>(w.rows.of(s)), 250.0, 5 * 13.7) << s;
  }
}

TEST(Swarm, Spec11_5_RepairHoldsReplicasMinForEverySize) {
  for (const std::uint32_t n : {1u, 2u, 3u, 10u}) {
    const Watched w(n);
    EXPECT_EQ(w.rows.fewest(), std::min(n, Watched::kReplicasMin)) << n;
    EXPECT_EQ(w.swarm.replicas(), w.rows.all()) << n;
  }
  EXPECT_EQ(Watched(1).rows.all(), Watched::kShards) << "the only micro-node holds every shard once";
}

TEST(Swarm, RepairIsQuickWhereEveryMicroNodeMustHoldEveryShard) {
  // With a search of all holders for each replica, this takes minutes.
  SwarmConfig config;
  config.shards = 64;
  config.shards_per_node = 4;
  config.replicas_min = 600;
  config.seed = 3;
  Swarm swarm(config);
  const std::vector<std::uint32_t> holders = swarm.Populate(600);
  EXPECT_EQ(holders, std::vector<std::uint32_t>(64, 600));
  EXPECT_EQ(swarm.replicas(), 64u * 600);
}

TEST(Swarm, Arch4_RepairAfterMassDepartures) {
  Watched w(1000);
  w.Leave(990);
  ASSERT_EQ(w.swarm.alive(), 10u);
  ASSERT_LT(w.rows.fewest(), Watched::kReplicasMin) << "nothing to repair";
  const std::size_t before = w.rows.all();
  const std::uint64_t repaired = w.Repair();
  EXPECT_EQ(w.rows.all(), before + repaired);
  EXPECT_EQ(w.rows.fewest(), Watched::kReplicasMin);
  EXPECT_EQ(w.Repair(), 0u);

  w.Leave(8);
  w.Repair();
  EXPECT_EQ(w.rows.fewest(), 2u);
  w.Leave(1);
  w.Repair();
  EXPECT_EQ(w.rows.fewest(), 1u);
  EXPECT_EQ(w.rows.all(), Watched::kShards);
}

TEST(Swarm, HelpersGoWhenTheyAreNotNeeded) {
  Watched w(1000);
  w.Leave(995);
  w.Repair();
  ASSERT_GT(w.rows.all(), 5u * Watched::kHeld) << "no helpers";
  w.Enter(500);
  w.Repair();
  EXPECT_EQ(w.rows.all(), 505u * Watched::kHeld);
}

TEST(Swarm, AHelperStaysWhileItsShardIsNearTheLimit) {
  Watched w(3);
  const std::size_t all = w.rows.all();
  ASSERT_EQ(all, 3u * Watched::kShards);
  w.Enter(1);  // one more holder in four shards: still at most twice the minimum
  EXPECT_EQ(w.Repair(), 0u);
  EXPECT_EQ(w.rows.all(), all + Watched::kHeld);
}

TEST(Swarm, Spec9_4_RowsRestUntilTheirLastWordsHaveMoved) {
  Watched w(100);
  w.Leave(100);
  EXPECT_EQ(w.swarm.alive(), 0u);
  EXPECT_EQ(w.rows.all(), 0u);
  w.Enter(100);  // at once: other rows
  EXPECT_EQ(w.rows.reused(), 0u);
  const std::uint32_t highest = w.rows.highest();
  w.cycle += shard::kRestCycles;
  w.Leave(100);
  w.Enter(100);  // the first ones' rows have rested
  EXPECT_GT(w.rows.reused(), 300u);
  EXPECT_LE(w.rows.highest(), highest + 40) << "rows are used again instead of growing without end";
}

TEST(Swarm, LeaveTakesAtMostAllAndNobodyCanRepair) {
  Watched w(10);
  w.Leave(1000);
  EXPECT_EQ(w.swarm.alive(), 0u);
  EXPECT_EQ(w.swarm.replicas(), 0u);
  EXPECT_EQ(w.Repair(), 0u);
  w.Enter(2);
  w.Repair();
  EXPECT_EQ(w.rows.fewest(), 2u);
}

TEST(Swarm, Test5_2_ChurnKeepsEverythingConsistent) {
  Watched w(60);
  for (int n = 0; n < 600; ++n) {
    w.Do([&](ShardCommands* c) {
      w.swarm.Leave(1 + n % 3, w.cycle, c);
      w.swarm.Enter(1 + n % 3, w.cycle, c);
      w.swarm.Repair(w.cycle, c);
    });
    ASSERT_EQ(w.swarm.alive(), 60u);
    ASSERT_GE(w.rows.fewest(), Watched::kReplicasMin);
  }
  EXPECT_GT(w.rows.reused(), 1000u);
}

TEST(Swarm, AttacksAreCountedWithTheJoinersShare) {
  Watched w(1000);
  w.Do([&](ShardCommands* c) { w.swarm.BeginAttack(Attack::kDrain, 300, 0.3, w.cycle, c); });
  EXPECT_EQ(w.swarm.adversaries(), 300u);
  EXPECT_EQ(w.rows.hostile(), 300u * Watched::kHeld);
  // Who joins is hostile as often: churn does not thin them out. Five standard deviations.
  w.Enter(2000);
  EXPECT_NEAR(static_cast<double>(w.swarm.adversaries()), 300 + 600, 5 * 20.5);
  EXPECT_EQ(w.rows.hostile(), w.swarm.adversaries() * Watched::kHeld);
  w.Leave(1500);
  EXPECT_EQ(w.rows.hostile(), w.swarm.adversaries() * Watched::kHeld);
  EXPECT_NEAR(static_cast<double>(w.swarm.adversaries()), 450, 120);
  w.Do([&](ShardCommands* c) { w.swarm.EndAttacks(c); });
  EXPECT_EQ(w.swarm.adversaries(), 0u);
  EXPECT_EQ(w.rows.hostile(), 0u);
  w.Enter(500);
  EXPECT_EQ(w.swarm.adversaries(), 0u);
  EXPECT_EQ(w.rows.hostile(), 0u);
}

TEST(Swarm, AttackOfACountTurnsNoJoinerAndAtMostEverybody) {
  Watched w(10);
  w.Do([&](ShardCommands* c) { w.swarm.BeginAttack(Attack::kStubborn, 1, 0, w.cycle, c); });
  w.Enter(100);
  EXPECT_EQ(w.swarm.adversaries(), 1u);
  w.Do([&](ShardCommands* c) { w.swarm.BeginAttack(Attack::kNoise, 1000, 0, w.cycle, c); });
  EXPECT_EQ(w.swarm.adversaries(), 110u);
}

TEST(Swarm, NewcomersTakeThePlacesOfACountThatLeave) {
  Watched w(1000);
  w.Do([&](ShardCommands* c) { w.swarm.BeginAttack(Attack::kDrain, 450, 0, w.cycle, c); });
  w.Do([&](ShardCommands* c) { w.swarm.BeginAttack(Attack::kNoise, 10, 0, w.cycle, c); });
  w.Leave(500);
  const std::uint64_t left = w.swarm.adversaries();
  EXPECT_NEAR(static_cast<double>(left), 230, 60) << "nobody turns because others leave";
  w.Enter(100);
  EXPECT_EQ(w.swarm.adversaries(), left + 100);
  w.Enter(400);
  EXPECT_EQ(w.swarm.adversaries(), 460u);
  EXPECT_EQ(w.rows.hostile(), 460u * Watched::kHeld);
  w.Do([&](ShardCommands* c) { w.swarm.EndAttacks(c); });
  w.Leave(100);
  w.Enter(100);
  EXPECT_EQ(w.swarm.adversaries(), 0u);
}

TEST(Swarm, AHelpersRowsAreHostileToo) {
  Watched w(1);
  w.Do([&](ShardCommands* c) { w.swarm.BeginAttack(Attack::kStubborn, 1, 0, w.cycle, c); });
  EXPECT_EQ(w.rows.hostile(), Watched::kShards);
  // And a replica that a liar takes over later.
  Watched few(4);
  few.Do([&](ShardCommands* c) { few.swarm.BeginAttack(Attack::kStubborn, 4, 0, few.cycle, c); });
  few.Leave(1);
  ASSERT_GT(few.Repair(), 0u);
  EXPECT_EQ(few.rows.hostile(), few.rows.all());
}

TEST(Swarm, Spec9_3_LowPowerShare) {
  Watched w(2000);
  w.Do([&](ShardCommands* c) { w.swarm.SetLowPower(0.25, c); });
  EXPECT_NEAR(static_cast<double>(w.rows.low_power()) / Watched::kHeld, 500, 5 * 19.4);
  w.Enter(2000);
  EXPECT_NEAR(static_cast<double>(w.rows.low_power()) / Watched::kHeld, 1000, 5 * 27.4);
  w.Do([&](ShardCommands* c) { w.swarm.SetLowPower(1, c); });
  EXPECT_EQ(w.rows.low_power(), w.rows.all());
  w.Do([&](ShardCommands* c) { w.swarm.SetLowPower(0, c); });
  EXPECT_EQ(w.rows.low_power(), 0u);
}

TEST(Swarm, ClearIsADeadServerNode) {
  Watched w(50);
  w.Do([&](ShardCommands* c) { w.swarm.BeginAttack(Attack::kDrain, 10, 0, w.cycle, c); });
  w.swarm.Clear();
  EXPECT_EQ(w.swarm.alive(), 0u);
  EXPECT_EQ(w.swarm.replicas(), 0u);
  EXPECT_EQ(w.swarm.adversaries(), 0u);
  // A new process: the rows begin where they began.
  ShardCommands commands(Watched::kShards);
  w.swarm.Enter(50, 10, &commands);
  w.swarm.Repair(10, &commands);
  SwarmRows fresh(std::vector<std::uint32_t>(Watched::kShards, 0), 0);
  fresh.Obey(commands, 10);
  EXPECT_EQ(fresh.all(), w.swarm.replicas());
  for (const auto& shard : commands) {
    ASSERT_FALSE(shard.empty());
    EXPECT_EQ(shard.front().row, Watched::kFirstRow);
  }
}

TEST(Swarm, TheSeedDecidesEverything) {
  const auto commands = [](std::uint64_t seed) {
    Watched w(100, seed);
    return w.Do([&](ShardCommands* c) {
      w.swarm.Leave(20, w.cycle, c);
      w.swarm.Enter(20, w.cycle, c);
      w.swarm.BeginAttack(Attack::kDrain, 30, 0.3, w.cycle, c);
    });
  };
  const auto flat = [](const ShardCommands& all) {
    std::vector<std::tuple<std::size_t, int, std::uint32_t>> list;
    for (std::size_t s = 0; s < all.size(); ++s) {
      for (const RowCommand& command : all[s]) list.emplace_back(s, static_cast<int>(command.kind), command.row);
    }
    return list;
  };
  EXPECT_EQ(flat(commands(7)), flat(commands(7)));
  EXPECT_NE(flat(commands(7)), flat(commands(8)));
}

}  // namespace
}  // namespace lvs::hosting
