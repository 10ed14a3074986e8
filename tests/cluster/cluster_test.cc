// Tests of clusters of real processes on this machine: acknowledged contributions survive every fault.
#include "tests/cluster/cluster.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "services/cluster/recorder.h"

namespace lvs::services {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
namespace fs = std::filesystem;

void Pause(double at_most_s, std::mt19937* random) {
  std::this_thread::sleep_for(
      milliseconds(static_cast<int>(std::uniform_real_distribution<>(0, at_most_s * 1000)(*random))));
}

LoadOptions Load(double rate, seconds run, v1::Durability durability, std::uint32_t nodes = 0) {
  LoadOptions options;
  options.rate = rate;
  options.run = run;
  options.durability = durability;
  options.nodes = nodes;
  return options;
}

TEST(Cluster, Chain1_ThreeNodesFindEachOtherAndEachListsTwoPeers) {
  Cluster cluster({.nodes = 3, .regions = {"eu", "us", "asia"}});
  ASSERT_TRUE(cluster.Up());
  for (std::size_t n = 0; n < 3; ++n) {
    const auto peers = cluster.Client(n).ListPeers();
    ASSERT_TRUE(peers.ok()) << peers.status();
    EXPECT_EQ(peers->peers_size(), 2);
    for (const v1::Peer& peer : peers->peers()) {
      EXPECT_NE(peer.region(), cluster.Status(n)->region());
      EXPECT_EQ(peer.protocol(), 2u);
    }
  }
}

TEST(Cluster, Paper6_ReplicasOfAllProcessesAgree) {
  Cluster cluster({.nodes = 3});
  ASSERT_TRUE(cluster.Up());
  LoadThread load(cluster, Load(200, seconds(2), v1::MEMORY));
  const LoadReport report = load.Finish();
  EXPECT_EQ(report.Failed(), 0u);
  EXPECT_TRUE(cluster.HoldsExactly(Sent(report)));
  EXPECT_TRUE(Eventually([&] {
    for (std::size_t n = 0; n < 3; ++n) {
      const auto status = cluster.Status(n);
      if (!status || status->ledger().behind_uvu() > 0 || status->drift().worst_value_vu() > 1e-3 ||
          status->drift().relative_spread() > 1e-6) {
        return false;
      }
    }
    return true;
  })) << "every replica's value follows the ledger, on every node";
}

// ---- The report ----

// The report shows all that is done to a testnet: replicas of three processes that are scattered and converge again, a
// node that is killed under load, a partition, and what clients were told.
TEST(Cluster, Test6_AReportTellsWhatHappenedToRealProcesses) {
  Cluster cluster({.nodes = 3, .regions = {"eu", "us", "asia"}});
  ASSERT_TRUE(cluster.Up());
  TestnetRecorder recorder(cluster.net().nodes(), {});
  const auto spread = [&] {
    return std::max(recorder.Now().value_spread_relative(), recorder.Now().free_spread_relative());
  };
  ASSERT_TRUE(Eventually([&] { return recorder.Now().nodes_serving() == 3 && spread() < 1e-6; }));

  for (std::size_t n = 0; n < 3; ++n) ASSERT_TRUE(cluster.Client(n).Scatter().ok());
  ASSERT_TRUE(Eventually([&] { return spread() > 0.01; })) << "they are apart";
  ASSERT_TRUE(Eventually([&] { return spread() < 1e-6; })) << "and find back";

  LoadThread load(cluster, Load(100, seconds(3), v1::NODES, 2));
  ASSERT_TRUE(Eventually([&] { return recorder.Now().accepted_uvu() > 0; }));
  cluster.Kill(1);
  ASSERT_TRUE(Eventually([&] { return recorder.Now().nodes_serving() == 2; }));
  ASSERT_TRUE(cluster.StartNode(1));
  const LoadReport loaded = load.Finish();
  ASSERT_EQ(loaded.Failed(), 0u);

  const v1::RunReport report = recorder.Finish(seconds(60), true);
  const v1::Summary& summary = report.summary();
  EXPECT_TRUE(summary.passed()) << summary.DebugString();
  EXPECT_EQ(summary.ledger().missing_uvu(), 0u);
  EXPECT_EQ(summary.ledger().accepted_uvu(), Sent(loaded)) << "to the micro-VU";
  EXPECT_GE(summary.ledger().contributions(), loaded.acknowledged * 9 / 10)
      << "some were counted by the node that died";
  EXPECT_LT(summary.drift().relative_spread(), 1e-6);
  EXPECT_GT(summary.bandwidth().bytes_per_node_minute(), 0);
  EXPECT_GT(summary.bandwidth().frames(), 0);
  EXPECT_EQ(summary.nodes(1).starts(), 2u);
  EXPECT_EQ(summary.latency_size(), 6) << "each way between three nodes";
  std::set<std::string> bands, recovered;
  for (const v1::FaultBand& band : report.faults()) bands.insert(band.label());
  for (const v1::RecoveryTime& time : summary.recoveries()) {
    recovered.insert(time.after());
    EXPECT_GE(time.seconds(), 0) << time.after();
  }
  EXPECT_EQ(bands, (std::set<std::string>{"scattered", "node 1 killed"}));
  EXPECT_EQ(recovered, (std::set<std::string>{"outage", "scatter"}));

  // The positions of the processes differ at first and agree at the end.
  double most = 0;
  for (const v1::NodeSeries& node : report.nodes()) {
    ASSERT_EQ(node.distance_relative_size(), report.samples_size());
    for (const double distance : node.distance_relative())
      most = std::isnan(distance) ? most : std::max(most, distance);
    EXPECT_LT(node.distance_relative().rbegin()[0], 1e-6);
  }
  EXPECT_GT(most, 1e-4);
}

// ---- Killed nodes ----

// Kills a node at a random moment under load, restarts it, and checks all ledgers against what was acknowledged.
void KilledUnderLoad(std::uint32_t seed, int rounds, v1::Durability durability, std::uint32_t nodes) {
  std::mt19937 random(seed);
  Cluster cluster({.nodes = 3, .cache = durability == v1::DISK});
  ASSERT_TRUE(cluster.Up());
  std::uint64_t sent = 0;
  for (int round = 0; round < rounds; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
    LoadThread load(cluster, Load(200, seconds(2), durability, nodes));
    Pause(1.5, &random);
    const std::size_t victim = random() % 3;
    cluster.Kill(victim);
    Pause(0.5, &random);
    ASSERT_TRUE(cluster.StartNode(victim));
    const LoadReport report = load.Finish();
    EXPECT_EQ(report.Failed(), 0u) << "each was repeated until it was acknowledged";
    EXPECT_EQ(Acknowledged(report), Sent(report));
    sent += Sent(report);
    ASSERT_TRUE(cluster.HoldsExactly(sent)) << "to the micro-VU, and once";
  }
}

TEST(Cluster, Chain5_KilledUnderLoadLosesNothingHeldByTwoNodes) { KilledUnderLoad(1, 2, v1::NODES, 2); }
TEST(Cluster, Chain5_KilledUnderLoadLosesNothingOnDisk) { KilledUnderLoad(2, 2, v1::DISK, 0); }
TEST(ClusterFull, Chain5_FiftyKillsLoseNothing) {
  KilledUnderLoad(100, 25, v1::NODES, 2);
  KilledUnderLoad(101, 25, v1::DISK, 0);
}

TEST(Cluster, Paper8_OneOfThreeContinuesAndTheOthersComeBackToIt) {
  Cluster cluster({.nodes = 3});
  ASSERT_TRUE(cluster.Up());
  LoadThread before(cluster, Load(100, seconds(1), v1::NODES, 3));
  std::uint64_t sent = Sent(before.Finish());
  cluster.Kill(1);
  cluster.Kill(2);
  LoadThread alone(cluster, Load(100, seconds(1), v1::MEMORY));
  const LoadReport report = alone.Finish();
  EXPECT_EQ(report.Failed(), 0u) << "the last one accepts";
  sent += Sent(report);
  ASSERT_TRUE(cluster.HoldsExactly(sent));
  ASSERT_TRUE(cluster.StartNode(1));
  ASSERT_TRUE(cluster.StartNode(2));
  EXPECT_TRUE(cluster.HoldsExactly(sent)) << "it had no cache: all came from the one that was left";
}

TEST(Cluster, Arch2_1_AllKilledAtOnceComeBackFromTheirCaches) {
  Cluster cluster({.nodes = 3, .cache = true});
  ASSERT_TRUE(cluster.Up());
  LoadThread load(cluster, Load(300, seconds(10), v1::DISK));
  std::this_thread::sleep_for(milliseconds(900));
  for (std::size_t n = 0; n < 3; ++n) cluster.Kill(n);
  const LoadReport report = load.Stop();
  const std::uint64_t safe = Acknowledged(report);
  EXPECT_GT(safe, 0u);
  for (std::size_t n = 0; n < 3; ++n) ASSERT_TRUE(cluster.StartNode(n));
  for (std::size_t n = 0; n < 3; ++n) {
    EXPECT_TRUE(Eventually([&] {
      const auto status = cluster.Status(n);
      if (!status) return false;
      std::uint64_t total = 0;
      for (const std::uint64_t slot : status->ledger().total_uvu()) total += slot;
      return total >= safe && total <= Sent(report);
    })) << "node "
        << n << " lacks what was acknowledged as on disk";
    EXPECT_GT(cluster.Status(n)->cache().restored(), 0u);
  }
}

TEST(Cluster, Arch2_1_DamagedCacheIsQuarantinedAndRebuiltFromPeers) {
  Cluster cluster({.nodes = 2, .cache = true});
  ASSERT_TRUE(cluster.Up());
  LoadThread load(cluster, Load(200, seconds(1), v1::DISK));
  const std::uint64_t sent = Sent(load.Finish());
  ASSERT_TRUE(cluster.HoldsExactly(sent));
  cluster.Kill(1);
  // The test damages every byte of the newest log.
  int damaged = 0;
  for (const auto& file : fs::recursive_directory_iterator(cluster.net().nodes()[1].folder / "cache")) {
    if (file.path().extension() != ".log" && file.path().extension() != ".ldb") continue;
    std::fstream bytes(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    std::string all(static_cast<std::size_t>(fs::file_size(file.path())), '\0');
    bytes.read(all.data(), static_cast<std::streamsize>(all.size()));
    for (char& byte : all) byte = static_cast<char>(byte ^ 0x55);
    bytes.seekp(0);
    bytes.write(all.data(), static_cast<std::streamsize>(all.size()));
    damaged += all.empty() ? 0 : 1;
  }
  ASSERT_GT(damaged, 0);
  ASSERT_TRUE(cluster.StartNode(1));
  EXPECT_GT(cluster.Status(1)->cache().quarantined(), 0u);
  EXPECT_TRUE(cluster.HoldsExactly(sent));
}

// ---- Partitions ----

void PartitionedUnderLoad(seconds length, double loss, std::uint32_t delay_ms, seconds heal_deadline) {
  Cluster cluster({.nodes = 4});
  ASSERT_TRUE(cluster.Up());
  cluster.Faults(loss, delay_ms);
  LoadThread load(cluster, Load(200, length, v1::MEMORY));
  std::this_thread::sleep_for(milliseconds(200));
  cluster.Partition({0, 0, 1, 1});
  const LoadReport report = load.Finish();
  EXPECT_EQ(report.Failed(), 0u) << "both sides went on accepting";
  EXPECT_NE(cluster.Status(0)->ledger().digest(), cluster.Status(2)->ledger().digest()) << "they were apart";
  cluster.Heal();
  EXPECT_TRUE(cluster.HoldsExactly(Sent(report), heal_deadline));
}

TEST(Cluster, Paper8_BothSidesOfAPartitionAreWholeAfterIt) { PartitionedUnderLoad(seconds(4), 0, 0, seconds(60)); }
TEST(ClusterFull, Paper8_AMinuteApartIsWholeWithinFiveSeconds) { PartitionedUnderLoad(seconds(60), 0, 0, seconds(5)); }
TEST(ClusterFull, Spec12_AMinuteApartOnABadNetworkIsWholeWithinFiveSeconds) {
  PartitionedUnderLoad(seconds(60), 0.2, 80, seconds(5));
}

// ---- Crowds that meet ----

struct Apart {
  std::vector<std::size_t> group_of;  // by node: groups do not hear each other
  bool from_the_start = false;
  seconds silent{0};     // from the partition on, until the groups have forgotten what the others said last
  seconds settled{0};    // that they stay apart once each node agrees
  seconds deadline{60};  // to agree with each other, once they hear each other
};

// Scatters the free coordinates while the groups do not hear each other: each group agrees on a place of its own.
void AgreeAfterSettlingApart(const Apart& apart) {
  Cluster cluster({.nodes = apart.group_of.size()});
  if (apart.from_the_start) {
    cluster.Partition(apart.group_of);
    for (std::size_t n = 0; n < cluster.size(); ++n) ASSERT_TRUE(cluster.StartNode(n));
  } else {
    ASSERT_TRUE(cluster.Up());
    cluster.Partition(apart.group_of);
  }
  std::this_thread::sleep_for(apart.silent);
  TestnetRecorder recorder(cluster.net().nodes(), {});
  const auto spread = [&] { return recorder.Now().free_spread_relative(); };
  for (std::size_t n = 0; n < cluster.size(); ++n) ASSERT_TRUE(cluster.Client(n).Scatter().ok());
  ASSERT_TRUE(Eventually([&] { return spread() > 0.01; })) << "all are scattered";
  ASSERT_TRUE(Eventually([&] {
    for (std::size_t n = 0; n < cluster.size(); ++n) {
      const auto status = cluster.Status(n);
      if (!status || status->drift().relative_spread() > 1e-6) return false;
    }
    return true;
  })) << "each settles";
  std::this_thread::sleep_for(apart.settled);
  EXPECT_GT(spread(), 1e-4) << "but not in one place";
  cluster.Heal();
  EXPECT_TRUE(Eventually([&] { return spread() < 1e-6; }, apart.deadline)) << "relative spread " << spread();
}

TEST(ClusterFull, Paper6_ProcessesThatStartApartAgreeWithinTenSeconds) {
  AgreeAfterSettlingApart(
      {.group_of = {0, 1, 2}, .from_the_start = true, .settled = seconds(30), .deadline = seconds(10)});
}
TEST(ClusterFull, Paper6_HalvesThatAreScatteredApartAgreeWithinTenSeconds) {
  AgreeAfterSettlingApart(
      {.group_of = {0, 0, 1, 1}, .silent = seconds(15), .settled = seconds(30), .deadline = seconds(10)});
}

TEST(Cluster, Spec6_3_FramesThatAreLostOrLateLoseNothing) {
  Cluster cluster({.nodes = 3});
  ASSERT_TRUE(cluster.Up());
  cluster.Faults(0.3, 150);
  LoadThread load(cluster, Load(200, seconds(2), v1::NODES, 3));
  const LoadReport report = load.Finish();
  EXPECT_EQ(report.Failed(), 0u);
  EXPECT_TRUE(cluster.HoldsExactly(Sent(report)));
}

// ---- Leaving, entering, upgrading ----

TEST(Cluster, Spec9_4_ADrainedNodeHandsOverWhatOnlyItHeld) {
  Cluster cluster({.nodes = 3});
  ASSERT_TRUE(cluster.Up());
  v1::ContributeRequest request;
  request.set_session_high(1);
  request.set_session_low(2);
  request.set_shard(3);
  request.set_amount_uvu(5'000'000);
  const ContributeResult result = cluster.Client(0).Contribute(request);
  ASSERT_TRUE(result.status.ok()) << result.status;
  cluster.Drain(0);  // at once
  EXPECT_TRUE(cluster.HoldsExactly(5'000'000));
}

TEST(Cluster, Spec10_TheBootNodeIsNoMoreThanAnyOther) {
  Cluster cluster({.nodes = 4});
  ASSERT_TRUE(cluster.Up());
  cluster.Kill(0);
  LoadThread load(cluster, Load(100, seconds(1), v1::NODES, 3));
  const LoadReport report = load.Finish();
  EXPECT_EQ(report.Failed(), 0u);
  EXPECT_TRUE(cluster.HoldsExactly(Sent(report)));
}

TEST(ClusterFull, Arch2_2_SixteenFromOneBootAddressStayTogetherWhateverIsKilled) {
  Cluster cluster({.nodes = 16, .micro_nodes = 20});
  ASSERT_TRUE(cluster.Up());
  std::mt19937 random(7);
  std::uint64_t sent = 0;
  for (const std::size_t victim : {std::size_t{0}, std::size_t{1 + random() % 15}, std::size_t{1 + random() % 15}}) {
    if (!cluster.net().Pid(victim)) continue;
    cluster.Kill(victim);
    LoadThread load(cluster, Load(100, seconds(2), v1::NODES, 3));
    const LoadReport report = load.Finish();
    EXPECT_EQ(report.Failed(), 0u);
    sent += Sent(report);
    ASSERT_TRUE(cluster.HoldsExactly(sent)) << "all that are left hear of all, after " << victim << " was killed";
  }
}

// No node has a cache, and nearly half of all frames are lost: what the nodes hold lives only as long as each is whole
// again before the next one goes.
TEST(Cluster, Arch2_1_ARollingRestartOverBadLinksLosesNothing) {
  Cluster cluster({.nodes = 3});
  ASSERT_TRUE(cluster.Up());
  LoadThread load(cluster, Load(500, seconds(2), v1::NODES, 2));
  const LoadReport report = load.Finish();
  EXPECT_EQ(report.Failed(), 0u);
  ASSERT_TRUE(cluster.HoldsExactly(Sent(report)));
  cluster.Faults(0.4, 50);
  ASSERT_TRUE(cluster.Roll());
  EXPECT_TRUE(cluster.HoldsExactly(Sent(report)));
  for (std::size_t n = 0; n < 3; ++n) EXPECT_TRUE(cluster.Status(n)->sync().holds_all());
}

// Under load, nodes that speak only protocol 1 are replaced one by one by nodes that speak protocol 2.
TEST(Cluster, Spec14_RollingUpgradeAcrossTwoProtocolVersionsLosesNothing) {
  Cluster cluster({.nodes = 3, .cache = true});
  const auto set_protocol = [&](std::size_t n, int version) {
    const fs::path file = cluster.net().nodes()[n].ConfigFile();
    std::ifstream in(file);
    std::string text;
    for (std::string line; std::getline(in, line);) {
      if (!line.starts_with("protocol_max:")) text += line + "\n";
    }
    std::ofstream(file) << text << "protocol_max: " << version << "\n";
  };
  for (std::size_t n = 0; n < 3; ++n) set_protocol(n, 1);
  ASSERT_TRUE(cluster.Up());
  EXPECT_EQ(cluster.Client(0).ListPeers()->peers(0).protocol(), 1u);
  LoadThread load(cluster, Load(100, seconds(8), v1::DISK));
  for (std::size_t n = 0; n < 3; ++n) {
    cluster.Drain(n);
    set_protocol(n, 2);
    ASSERT_TRUE(cluster.StartNode(n));
    ASSERT_TRUE(cluster.Serves(n, 2));
    if (n == 0) {
      EXPECT_EQ(cluster.Client(0).ListPeers()->peers(0).protocol(), 1u) << "the newer speaks as the older one can";
    }
  }
  const LoadReport report = load.Finish();
  EXPECT_EQ(report.Failed(), 0u);
  EXPECT_TRUE(cluster.HoldsExactly(Sent(report)));
  EXPECT_EQ(cluster.Client(2).ListPeers()->peers(0).protocol(), 2u);
}

}  // namespace
}  // namespace lvs::services
