// Contributions that this server node has taken and that wait until enough server nodes hold them
// (docs/architecture.md, "Value, end to end").
//
//   PendingAnswers pending(/*tell_progress=*/true);
//   pending.Add(contribution, ledger.version());
//   pending.Tell(cycle, [&](std::uint64_t version) { return sync.Holders(version); }, &answers);   // every cycle
//
// Bounded: above kMax a contribution is turned away and its client tries again.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "shard/hosting/messages.h"

namespace lvs::hosting {

class PendingAnswers {
 public:
  static constexpr std::size_t kMax = 4096;

  // `tell_progress`: an answer for each further server node that holds the contribution, not only for the last one.
  explicit PendingAnswers(bool tell_progress) : tell_progress_(tell_progress) {}

  // `version` is the ledger's newest change, which contains the contribution. A contribution whose id waits already
  // only changes how many server nodes it needs: the client asks again for what is on its way. False: the table is
  // full.
  bool Add(const Contribution& contribution, std::uint64_t version);
  // Forgets all without an answer: their clients try elsewhere.
  void Clear() { waiting_.clear(); }
  std::size_t size() const { return waiting_.size(); }

  // Appends an answer for each contribution that enough server nodes hold, which then waits no longer. Those that
  // expire in this cycle are dropped without one. `holders(version)` counts the server nodes that hold a change.
  template <class Holders>
  void Tell(std::uint64_t cycle, Holders holders, std::vector<Answer>* answers) {
    std::erase_if(waiting_, [&](Waiting& waiting) {
      const std::uint32_t nodes = holders(waiting.version);
      const bool done = nodes >= waiting.needed;
      if (done || (tell_progress_ && nodes > waiting.told)) {
        answers->push_back({.id = waiting.id, .accepted = true, .final = done, .nodes = nodes});
        waiting.told = nodes;
      }
      return done || cycle >= waiting.expires_cycle;
    });
  }

 private:
  struct Waiting {
    std::uint64_t id = 0;
    std::uint64_t version = 0;
    std::uint32_t needed = 1;
    std::uint64_t expires_cycle = 0;
    std::uint32_t told = 0;  // server nodes in the last answer
  };

  bool tell_progress_;
  std::vector<Waiting> waiting_;
};

inline bool PendingAnswers::Add(const Contribution& contribution, std::uint64_t version) {
  const auto again =
      std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& w) { return w.id == contribution.id; });
  if (again != waiting_.end()) {
    again->needed = contribution.needed_nodes;
    return true;
  }
  if (waiting_.size() >= kMax) return false;
  waiting_.push_back({contribution.id, version, contribution.needed_nodes, contribution.expires_cycle, 0});
  return true;
}

}  // namespace lvs::hosting
