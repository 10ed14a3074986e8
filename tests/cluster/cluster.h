// A cluster of real processes for a test: starts them, asks them, injects faults, and ends them whatever happens.
//
//   Cluster cluster({.nodes = 3, .cache = true});
//   ASSERT_TRUE(cluster.Up());
//   LoadThread load(cluster, {.rate = 200, .durability = v1::DISK});
//   cluster.Kill(1);
//   ASSERT_TRUE(cluster.StartNode(1));
//   const LoadReport report = load.Finish();
//   EXPECT_TRUE(cluster.HoldsExactly(Acknowledged(report)));
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "services/client/control_client.h"
#include "services/client/load.h"
#include "services/cluster/testnet.h"
#include "services/cluster/testnet_control.h"

namespace lvs::services {

// Polls until `holds` returns true. Deadlines are long, so that only a condition that never holds fails.
bool Eventually(const std::function<bool()>& holds, std::chrono::seconds deadline = std::chrono::seconds(60));

// The amounts that were acknowledged to the clients and that they sent, summed over all slots.
std::uint64_t Acknowledged(const LoadReport& report);
std::uint64_t Sent(const LoadReport& report);

class Cluster {
 public:
  // `binary` runs the nodes; it ends up as `lvs` with the same arguments.
  explicit Cluster(TestnetPlan plan, std::string binary = LVS_BINARY);
  ~Cluster();

  const Testnet& net() const { return *net_; }
  std::size_t size() const { return net_->nodes().size(); }
  ControlClient Client(std::size_t node) const;
  std::vector<ControlClient> Clients() const;
  std::optional<v1::NodeStatus> Status(std::size_t node) const;

  // Starts all nodes and waits until they serve and have their peers.
  testing::AssertionResult Up();
  testing::AssertionResult StartNode(std::size_t node);
  // Restarts all nodes, one after the other (services::Roll).
  testing::AssertionResult Roll();
  testing::AssertionResult Serves(std::size_t node, std::uint32_t peers = 0) const;
  void Kill(std::size_t node);   // SIGKILL
  void Drain(std::size_t node);  // SIGTERM
  // Makes every node lose this share of its frames and delay all of them. Partitions are unchanged.
  void Faults(double loss, std::uint32_t delay_ms);
  // Severs nodes of different groups from each other. Loss and delay are unchanged.
  void Partition(const std::vector<std::size_t>& group_of);
  void Heal();

  // Succeeds once every running node has this total over all slots and shards, and the same ledger.
  testing::AssertionResult HoldsExactly(std::uint64_t uvu,
                                        std::chrono::seconds deadline = std::chrono::seconds(60)) const;

 private:
  testing::AssertionResult Started(const StartResult& result) const;

  std::string binary_;
  std::filesystem::path directory_;
  std::optional<Testnet> net_;
};

// A load that runs beside the test.
class LoadThread {
 public:
  LoadThread(const Cluster& cluster, LoadOptions options);
  ~LoadThread();
  // Stop ends the load early; Finish waits for its end.
  LoadReport Stop();
  LoadReport Finish();

 private:
  std::vector<ControlClient> clients_;
  std::atomic<bool> stop_{false};
  LoadReport report_;
  std::thread thread_;
};

}  // namespace lvs::services
