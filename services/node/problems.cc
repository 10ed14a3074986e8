#include "services/node/problems.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "vaultguard/limits.h"

namespace lvs::services {

namespace {

constexpr double kSkippedShareMax = 0.05;
// Cycles are ahead of a clock that was set back by less than this for a moment only.
constexpr double kAheadSeconds = 1;
// A step of the clock is a problem for so long, for somebody has to look at it.
constexpr double kSetSeconds = 60;

std::string Tenths(double seconds) { return absl::StrFormat("%.1f s", seconds); }

// What is wrong with the clock of this machine; empty: nothing.
std::string ClockProblem(const v1::ClockStatus& clock) {
  if (clock.before_epoch()) {
    return "the clock shows a time before 2026, from where cycles are counted: set it (NTP); until then cycles go on "
           "at half their pace, with numbers that no other node shares";
  }
  if (clock.ahead_s() >= kAheadSeconds) {
    return absl::StrCat("the clock was set back, and cycles are ", Tenths(clock.ahead_s()),
                        " ahead of it: they go on at half their pace until it has caught up, in ",
                        Tenths(2 * clock.ahead_s()),
                        clock.cut_off() ? ", and until peers are at its cycles this node is not ready"
                                        : ", and peers whose clocks are right may refuse this node's frames until then",
                        "; check the clock (NTP). A restarted node takes the clock as it is");
  }
  if (clock.set_back() + clock.set_forward() > 0 && clock.set_ago_s() < kSetSeconds) {
    return absl::StrCat("the clock was set ", clock.set_by_s() < 0 ? "back" : "forward", " by ",
                        Tenths(std::abs(clock.set_by_s())), ", ", Tenths(clock.set_ago_s()), " ago; check it (NTP)");
  }
  return "";
}

// Certificates are renewed well before they expire: this long before, or a fifth of their lifetime if that is shorter.
constexpr std::int64_t kRenewedBeforeSeconds = 14 * 86'400;

std::string DateOf(std::int64_t unix_s) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixSeconds(unix_s), absl::UTCTimeZone());
}

void AddTlsProblems(const v1::TlsStatus& tls, std::int64_t now_unix_s, std::vector<std::string>* problems) {
  if (!tls.last_error().empty()) {
    problems->push_back(
        absl::StrCat("the TLS files cannot be used, and the node goes on with those of before: ", tls.last_error()));
  }
  const std::int64_t left = tls.expires_unix_s() - now_unix_s;
  const std::int64_t lifetime = tls.expires_unix_s() - tls.begins_unix_s();
  if (left <= 0) {
    problems->push_back(absl::StrCat("the TLS certificate, or one of its chain, expired at ",
                                     DateOf(tls.expires_unix_s()),
                                     "; no peer connects any more until tls.cert_file is replaced"));
  } else if (left < std::min(kRenewedBeforeSeconds, lifetime / 5)) {
    problems->push_back(absl::StrCat("the TLS certificate, or one of its chain, expires at ",
                                     DateOf(tls.expires_unix_s()), "; replace tls.cert_file and tls.key_file"));
  }
}

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
  if (std::string problem = ClockProblem(status.clock()); !problem.empty()) problems.push_back(std::move(problem));
  if (status.has_tls()) AddTlsProblems(status.tls(), facts.now_unix_s, &problems);
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
  if (2 * facts.peers_behind > facts.peers_connected && status.clock().ahead_s() < kAheadSeconds) {
    problems.emplace_back(
        "peers send frames of cycles long past, and refuse this node's; compare the clocks of the nodes (NTP)");
  }
  if (status.state() == v1::SERVING && status.has_sync() && !status.sync().holds_all() &&
      status.peers_connected() > 0) {
    problems.push_back(absl::StrCat(status.sync().shards_missing(), " of ", status.shards(),
                                    " shards have not fetched all that peers hold; wait before another node is ",
                                    "stopped, or look at `lvs shards` and `lvs peers`"));
  }
  if (status.state() == v1::SERVING && status.has_web() && status.peers_connected() == 0 &&
      status.sync().incomplete_shards_size() > 0) {
    problems.push_back(
        absl::StrCat(status.sync().incomplete_shards_size(), " of ", status.shards(),
                     " shards are incomplete: tabs may hold more of them than this node has taken; wait ",
                     "for the tabs, or look at `lvs shards`"));
  }
  return problems;
}

}  // namespace lvs::services
