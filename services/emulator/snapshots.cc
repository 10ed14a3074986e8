#include "services/emulator/snapshots.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace lvs::services {

namespace {

using hosting::NodeReport;
using hosting::Payload;

// The dots of one picture, summed over all server nodes, and the pictures of one run.
constexpr std::uint32_t kDots = 240;
constexpr std::size_t kPictures = 7;
// Pictures closer together than this share of the run would look alike.
constexpr std::uint64_t kAlikeShare = 20;

// The cycles that get a picture: the start, the contraction, the middle of the first faults, and the end.
std::set<std::uint64_t> TellingCycles(const v1::Scenario& scenario, const Timeline& timeline) {
  const std::uint64_t last = scenario.cycle().count();
  std::set<std::uint64_t> cycles = {0, std::min<std::uint64_t>(3, last), std::min<std::uint64_t>(10, last), last};
  for (const v1::FaultBand& band : timeline.Bands()) {
    const double middle_s = (band.from_seconds() + band.to_seconds()) / 2;
    const auto middle = static_cast<std::uint64_t>(middle_s * 1e6 / static_cast<double>(scenario.cycle().period_us()));
    const bool alike = std::any_of(cycles.begin(), cycles.end(), [&](std::uint64_t c) {
      return (c > middle ? c - middle : middle - c) < std::max<std::uint64_t>(1, last / kAlikeShare);
    });
    if (!alike && cycles.size() < kPictures) cycles.insert(middle);
  }
  return cycles;
}

// Adds one dot; `first_dot` is the index of the node's first dot in the picture.
void AddDot(const hosting::Dot& from, std::uint32_t node, std::uint32_t first_dot, v1::Snapshot* snapshot) {
  v1::Dot* dot = snapshot->add_dots();
  dot->set_x(from.x);
  dot->set_y(from.y);
  dot->set_dx(from.dx);
  dot->set_dy(from.dy);
  dot->set_region(node);
  dot->set_adversary(from.adversary);
  dot->set_entropy(from.entropy);
  for (const std::uint32_t neighbour : from.neighbours) dot->add_peer(first_dot + neighbour);
}

}  // namespace

Snapshots::Snapshots(const v1::Scenario& scenario, const Timeline& timeline)
    : scenario_(scenario), timeline_(timeline), cycles_(TellingCycles(scenario, timeline)) {}

std::uint32_t Snapshots::DotsOf(std::uint64_t cycle, std::uint32_t nodes) const {
  return cycles_.contains(cycle) ? std::max(1u, kDots / nodes) : 0;
}

void Snapshots::Add(std::uint64_t cycle, const std::vector<Payload<NodeReport>>& reports, v1::RunReport* report) const {
  v1::Snapshot* snapshot = report->add_snapshots();
  snapshot->set_cycle(cycle);
  snapshot->set_seconds(static_cast<double>(cycle) * static_cast<double>(scenario_.cycle().period_us()) * 1e-6);
  const std::string faults = timeline_.ActiveFaults(cycle);
  snapshot->set_label(cycle == 0                           ? "start"
                      : !faults.empty()                    ? faults
                      : cycle == scenario_.cycle().count() ? "end"
                                                           : absl::StrCat("cycle ", cycle));
  for (const Payload<NodeReport>& node : reports) {
    if (!node->verdict) continue;
    const auto first_dot = static_cast<std::uint32_t>(snapshot->dots_size());
    for (const hosting::Dot& dot : node->verdict->shards[0]->dots) AddDot(dot, node->node, first_dot, snapshot);
  }
}

}  // namespace lvs::services
