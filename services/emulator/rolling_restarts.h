// The rolling restarts of a scenario: server nodes end with everything in their memory and start anew, one after the
// other. The next one goes only once every server node is up and holds all that its peers hold.
//
//   RollingRestarts restarts(scenario, /*nodes=*/3);
//   restarts.Ask(cycle, holds_all, &ticks);      // before Timeline::Ask, which severs the links of who is out
//   timeline.Ask(cycle, &ticks);
//
// Pure: the same scenario and the same answers give the same ticks. One owner.
#pragma once

#include <cstdint>
#include <vector>

#include "lvs/v1/scenario.pb.h"
#include "shard/hosting/messages.h"

namespace lvs::services {

class RollingRestarts {
 public:
  RollingRestarts(const v1::Scenario& scenario, std::uint32_t nodes);

  bool any() const { return !rolls_.empty(); }
  // Takes out the server nodes that are restarted in this cycle. `holds_all` by server node, as of the cycle before:
  // up, and holding all.
  void Ask(std::uint64_t cycle, const std::vector<bool>& holds_all, std::vector<hosting::NodeTick>* ticks);
  // Server nodes that are back and hold all.
  std::uint64_t restarted() const { return restarted_; }

 private:
  struct Roll {
    std::uint64_t from = 0;  // first cycle
    std::uint64_t to = 0;    // first cycle after it
    std::uint64_t down_cycles = 1;
    std::uint32_t next = 0;      // server node
    std::uint64_t up_cycle = 0;  // when that one comes back; 0: it has not gone yet
  };

  std::uint32_t nodes_;
  std::vector<Roll> rolls_;
  std::uint64_t restarted_ = 0;
};

}  // namespace lvs::services
