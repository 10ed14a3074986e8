// The VaultGuard monitor of one server node: it reads every shard's report of a cycle, raises anomalies (SPEC-8.3), and
// orders recovery where a shard's value fell catastrophically (SPEC-8.2).
//
//   Monitor monitor(shards);
//   for (const Payload<ShardReport>& report : reports) {
//     if (monitor.Take(report)) monitor.Judge(&verdict);
//   }
//
// One owner at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "shard/hosting/messages.h"
#include "vaultguard/drain_detector.h"
#include "vaultguard/recovery.h"

namespace lvs::hosting {

class Monitor {
 public:
  explicit Monitor(std::uint32_t shards) : watched_(shards), reports_(shards) {}

  // One shard's report, once a cycle. True: all shards have reported, and Judge is due.
  bool Take(const Payload<ShardReport>& report);
  // Fills in an empty verdict. Shards are judged in their order, whatever the order of their reports.
  void Judge(Verdict* verdict);

 private:
  struct Watched {
    vaultguard::DrainDetector drain{vaultguard::DrainOptions{}};
    vaultguard::CatastrophicDropDetector drop{vaultguard::RecoveryOptions{}};
  };

  void JudgeShard(const ShardReport& report, Verdict* verdict);

  std::vector<Watched> watched_;               // by shard
  std::vector<Payload<ShardReport>> reports_;  // of the running cycle, by shard
  std::size_t reported_ = 0;
};

}  // namespace lvs::hosting
