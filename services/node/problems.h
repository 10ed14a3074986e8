// What a node finds wrong with itself, in words for its operator (NodeStatus.problems, /readyz, lvs_problems).
//
// Pure: the problems follow from the status and a few facts that it does not carry.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lvs/v1/control.pb.h"

namespace lvs::services {

struct ProblemFacts {
  bool has_boot = false;  // the configuration names boot addresses
  std::string drain_reason;
  std::int64_t now_unix_s = 0;                   // by the clock of the machine: certificates expire by it
  double skipped_share = 0;                      // of the recent cycles
  std::vector<std::uint64_t> sessions_by_shard;  // in the ledgers here
  std::vector<bool> compared_by_shard;           // v1::SyncStatus
  std::uint32_t peers_connected = 0;
  std::uint32_t peers_ahead = 0;   // of these, those whose frames are of cycles that have not been
  std::uint32_t peers_behind = 0;  // of these, those whose frames are of cycles long past
};

// `status` is complete but for its problems. The most pressing problem comes first.
std::vector<std::string> Problems(const v1::NodeStatus& status, const ProblemFacts& facts);

}  // namespace lvs::services
