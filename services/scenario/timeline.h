// The events of a scenario on the clock of its cycles: what is asked of each server node in a cycle, which faults are
// active, and how long the network took to recover from those that ended.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shard/hosting/messages.h"

namespace lvs::services {

class Timeline {
 public:
  Timeline(const v1::Scenario& scenario, std::vector<std::string> regions, std::vector<std::uint32_t> population);

  // Fills in everything of the ticks that the events decide; `ticks` has one element a server node.
  void Ask(std::uint64_t cycle, std::vector<hosting::NodeTick>* ticks) const;

  struct Ended {
    std::string kind;
    std::uint64_t cycle = 0;
  };
  // Events that end exactly at this cycle.
  std::vector<Ended> EndingAt(std::uint64_t cycle) const;
  std::string ActiveFaults(std::uint64_t cycle) const;
  std::vector<v1::FaultBand> Bands() const;
  // Adversaries that forge contributions in this cycle, of `adversaries` in all.
  bool ForgingAt(std::uint64_t cycle) const;

  std::uint64_t CycleOf(std::int64_t at_us) const { return static_cast<std::uint64_t>(at_us / period_us_); }

 private:
  struct Span {
    std::uint64_t from = 0;  // first cycle of the event
    std::uint64_t to = 0;    // first cycle after it
  };
  Span SpanOf(const v1::Event& event) const;
  bool Severed(std::uint64_t cycle, std::uint32_t a, std::uint32_t b) const;
  std::uint32_t RegionIndex(const std::string& name) const;

  v1::Scenario scenario_;
  std::vector<std::string> regions_;
  std::vector<std::uint32_t> population_;
  std::int64_t period_us_;
};

// "partition", "churn", ... as in the file.
}  // namespace lvs::services
