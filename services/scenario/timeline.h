// The events of a scenario on the clock of its cycles: what each server node is asked for in a cycle, which faults are
// active, and which have just ended.
//
//   const Timeline timeline(scenario, {"eu", "us"}, {60, 40});
//   std::vector<hosting::NodeTick> ticks(2);
//   timeline.Ask(cycle, &ticks);
//
// Cycle 0 is the state before the first step: an event begins in cycle 1 at the earliest. Immutable, so any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lvs/v1/report.pb.h"
#include "lvs/v1/scenario.pb.h"
#include "shard/hosting/messages.h"

namespace lvs::services {

class Timeline {
 public:
  // `regions` are the server nodes' names, `population` their micro-nodes at the start.
  Timeline(const v1::Scenario& scenario, std::vector<std::string> regions, std::vector<std::uint32_t> population);

  // Fills in everything in empty ticks that the events decide; `ticks` has one element a server node. A tick of a server
  // node that a rolling restart takes out has alive false before.
  void Ask(std::uint64_t cycle, std::vector<hosting::NodeTick>* ticks) const;

  struct Ended {
    std::string kind;  // as in the scenario file: "partition", "churn", ...
    std::uint64_t cycle = 0;
  };
  // Events that end exactly at this cycle.
  std::vector<Ended> EndingAt(std::uint64_t cycle) const;
  // Labels of the active events, such as "churn 2%/s, partition eu | us+asia"; empty when none is active.
  std::string ActiveFaults(std::uint64_t cycle) const;
  std::vector<v1::FaultBand> Bands() const;
  // Whether adversaries forge contributions in this cycle.
  bool ForgingAt(std::uint64_t cycle) const;

  std::uint64_t CycleOf(std::int64_t at_us) const { return static_cast<std::uint64_t>(at_us / period_us_); }

 private:
  struct Span {
    std::uint64_t from = 0;  // first cycle of the event
    std::uint64_t to = 0;    // first cycle after it
    bool Contains(std::uint64_t cycle) const { return cycle >= from && cycle < to; }
  };
  // What events do to all links of a cycle.
  struct LinkFaults {
    double extra_loss = 0;
    double corrupt = 0;
  };

  Span SpanOf(const v1::Event& event) const;
  bool Severed(std::uint64_t cycle, std::uint32_t a, std::uint32_t b) const;
  std::uint32_t RegionIndex(const std::string& name) const;
  void AskFor(const v1::Event& event, std::uint64_t cycle, std::vector<hosting::NodeTick>* ticks,
              LinkFaults* faults) const;
  void AskForLowPower(std::uint64_t cycle, std::vector<hosting::NodeTick>* ticks) const;
  void AskForAttacks(const v1::Event& event, Span span, std::uint64_t cycle,
                     std::vector<hosting::NodeTick>* ticks) const;
  void SetLinks(std::uint64_t cycle, const LinkFaults& faults, std::vector<hosting::NodeTick>* ticks) const;

  v1::Scenario scenario_;
  std::vector<std::string> regions_;
  std::vector<std::uint32_t> population_;
  std::int64_t period_us_;
};

}  // namespace lvs::services
