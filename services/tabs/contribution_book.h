// The contributions of a load: where they began, who is still without them, and how long each took to be everywhere.
//
//   const std::uint64_t id = book.Begin();                    // before the tab is asked
//   book.Made(id, {shard, session, amount_uvu, cycle});       // the tab took it
//   book.Refused(id, why);
//   book.Fetch(&seen, &fresh);                                // each worker: what it has to look for among its tabs
//   book.Everywhere(id, cycle);                               // once from each worker: all its tabs have it
//
// Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "services/base/latency_histogram.h"
#include "services/base/mutex.h"
#include "shard/session_id.h"

namespace lvs::services {

struct MadeContribution {
  std::uint64_t id = 0;
  std::uint32_t shard = 0;
  shard::SessionId session;
  std::int64_t amount_uvu = 0;  // of the session, in slot 0
  std::uint64_t cycle = 0;
};

struct ContributionFigures {
  std::uint64_t offered = 0;
  std::uint64_t taken = 0;
  std::uint64_t everywhere = 0;  // all tabs that held the shard, and are still there, have it
  std::uint64_t open = 0;        // not, although there was time
  std::uint64_t young = 0;       // not, and there was no time yet
  std::uint64_t lost = 0;        // a second holder had it, and no tab has it now
  std::uint64_t lost_alone = 0;  // only the tab that made it had it, and left
  std::map<std::string, std::uint64_t> refused;
  double p50_cycles = 0, p99_cycles = 0, max_cycles = 0;  // until everywhere; only where there is one
};

class ContributionBook {
 public:
  explicit ContributionBook(std::size_t workers) : workers_(workers) {}

  std::uint64_t Begin() ABSL_LOCKS_EXCLUDED(mu_);
  void Made(const MadeContribution& made) ABSL_LOCKS_EXCLUDED(mu_);
  void Refused(std::uint64_t id, std::string why) ABSL_LOCKS_EXCLUDED(mu_);
  void HeldBy(std::uint64_t id, std::uint32_t holders) ABSL_LOCKS_EXCLUDED(mu_);
  void Fetch(std::size_t* seen, std::vector<MadeContribution>* fresh) const ABSL_LOCKS_EXCLUDED(mu_);
  void Everywhere(std::uint64_t id, std::uint64_t cycle) ABSL_LOCKS_EXCLUDED(mu_);
  // At the end: some tab of a worker has it.
  void Found(std::uint64_t id) ABSL_LOCKS_EXCLUDED(mu_);
  std::vector<MadeContribution> All() const ABSL_LOCKS_EXCLUDED(mu_);

  // `cycle`: now. Contributions that are no older than `grace_cycles` are young. With `final` those that no tab was
  // found to have are lost.
  ContributionFigures Figures(std::uint64_t cycle, std::uint64_t grace_cycles, bool final) const
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Entry {
    MadeContribution made;
    std::size_t done = 0;  // workers
    std::uint64_t last_cycle = 0;
    std::uint32_t holders = 1;
    bool refused = false;
    bool found = false;
  };

  const std::size_t workers_;
  mutable Mutex mu_;
  std::uint64_t offered_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mu_);                  // in the order in which they were made
  std::map<std::uint64_t, std::size_t> index_ ABSL_GUARDED_BY(mu_);  // of entries_, by id
  std::map<std::string, std::uint64_t> refused_ ABSL_GUARDED_BY(mu_);
};

}  // namespace lvs::services
