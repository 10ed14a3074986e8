#include "services/node/problems.h"

#include "absl/strings/str_cat.h"
#include "vaultguard/limits.h"

namespace lvs::services {

namespace {

constexpr double kSkippedShareMax = 0.05;

}  // namespace

std::vector<std::string> Problems(const v1::NodeStatus& status, const ProblemFacts& facts) {
  std::vector<std::string> problems;
  if (status.state() == v1::SYNCING) {
    problems.emplace_back("the node is fetching the ledger from its peers; wait, or look at `lvs peers`");
  }
  if (status.state() == v1::DRAINING) {
    problems.push_back("the node is draining and will end: " + facts.drain_reason);
  }
  if (status.peers_connected() == 0 && facts.has_boot) {
    problems.emplace_back(
        "no peer is connected although there are boot addresses; `lvs peers` says why they cannot be reached");
  }
  if (facts.skipped_share > kSkippedShareMax) {
    problems.push_back(absl::StrCat("the node skips ", static_cast<int>(facts.skipped_share * 100),
                                    " % of its cycles; give it more cores, fewer micro-nodes or a longer period"));
  }
  for (std::size_t n = 0; n < facts.sessions_by_shard.size(); ++n) {
    const std::uint64_t sessions = facts.sessions_by_shard[n];
    if (sessions < vaultguard::kMaxSessionsPerShard - vaultguard::kSessionsForClients) continue;
    problems.push_back(absl::StrCat("shard ", n, " has ", sessions, " sessions and takes new ones only from its own ",
                                    "clients, no longer from peers; see `sessions_reserved` in docs/operations.md"));
  }
  if (!status.cache().last_error().empty()) problems.push_back(status.cache().last_error());
  if (status.cache().refused() > 0) {
    problems.push_back(absl::StrCat("entries of the cache that the ledger refused: ", status.cache().refused(),
                                    "; they stay on disk. See `cache.restored` in docs/operations.md"));
  }
  // A single peer may be wrong, or lie. Where most of them are ahead, this node is behind.
  if (2 * facts.peers_ahead > facts.peers_connected) {
    problems.emplace_back("peers send frames of cycles that have not been; compare the clocks of the nodes (NTP)");
  }
  return problems;
}

}  // namespace lvs::services
