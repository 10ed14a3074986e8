// Checks of what the events of a scenario come to together.
#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "services/scenario/checker.h"
#include "services/scenario/scenario.h"

namespace lvs::services {
namespace {

bool IsOn(const v1::Event& event, std::int64_t at_us) {
  return event.at_us() <= at_us && at_us < event.at_us() + event.for_us();
}

// Each leave takes somebody, and the population stays within its limit.
void CheckPopulationOverTime(Checker& check) {
  const v1::Scenario& scenario = check.scenario();
  std::vector<int> order;
  for (int i = 0; i < scenario.events_size(); ++i) order.push_back(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return scenario.events(a).at_us() < scenario.events(b).at_us(); });
  std::uint64_t micro_nodes = scenario.population().micro_nodes();
  for (const int i : order) {
    const v1::Event& event = scenario.events(i);
    const std::string path = Indexed("events", i) + "." + EventKind(event);
    if (event.has_join()) {
      micro_nodes += event.join().micro_nodes();
      check.Require(micro_nodes <= kScenarioLimits.micro_nodes_max, path + ".micro_nodes",
                    "would make " + std::to_string(micro_nodes) + " micro-nodes; there may be at most " +
                        std::to_string(kScenarioLimits.micro_nodes_max));
    }
    if (event.has_leave()) {
      const bool first = micro_nodes == scenario.population().micro_nodes();
      check.Require(event.leave().keep() < micro_nodes, path + ".keep",
                    "is not fewer than the " + std::to_string(micro_nodes) + " micro-nodes there are" +
                        (first ? "" : " by then"));
      micro_nodes = event.leave().keep();
    }
  }
}

// Somebody is honest at all times.
void CheckLiars(Checker& check) {
  const v1::Scenario& scenario = check.scenario();
  const auto share_of = [&](const v1::Adversaries& liars) {
    return liars.share() + liars.count() / std::max(1.0, 1.0 * scenario.population().micro_nodes());
  };
  for (int i = 0; i < scenario.events_size(); ++i) {
    if (!scenario.events(i).has_adversaries()) continue;
    double share = 0;
    for (const v1::Event& event : scenario.events()) {
      if (event.has_adversaries() && IsOn(event, scenario.events(i).at_us())) share += share_of(event.adversaries());
    }
    check.Require(share < 1 - 1e-9, Indexed("events", i) + ".adversaries",
                  "with the other events of that time " + PercentText(share) +
                      " lie, which leaves no honest micro-node to judge; write less, or let them follow each other");
  }
}

// A server node is up at all times.
void CheckOutages(Checker& check) {
  const v1::Scenario& scenario = check.scenario();
  for (int i = 0; i < scenario.events_size(); ++i) {
    if (!scenario.events(i).has_outage()) continue;
    std::set<std::string> out;
    for (const v1::Event& event : scenario.events()) {
      if (event.has_outage() && IsOn(event, scenario.events(i).at_us())) out.insert(event.outage().region());
    }
    check.Require(out.size() < check.regions().size(), Indexed("events", i) + ".outage",
                  "every region would be out at " + FormatDurationUs(scenario.events(i).at_us()) +
                      ", and everything would be lost; let the outages follow each other");
  }
}

}  // namespace

void CheckEventsTogether(Checker& check) {
  if (!check.status().ok()) return;
  CheckPopulationOverTime(check);
  CheckLiars(check);
  CheckOutages(check);
}

}  // namespace lvs::services
