#include "services/cluster/testnet_events.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace lvs::services {

TestnetEvents::TestnetEvents(const std::vector<TestnetNode>& nodes) : nodes_(nodes.size()) {
  for (const TestnetNode& node : nodes) addresses_.push_back(node.config.advertise());
}

std::vector<std::string> TestnetEvents::Follow(double seconds, const std::vector<TestnetLook>& looks,
                                               const std::vector<std::uint32_t>& starts, bool scattered) {
  std::vector<std::string> ended;
  for (std::size_t i = 0; i < looks.size(); ++i) {
    if (FollowNode(i, seconds, looks[i], starts[i])) ended.push_back("outage");
  }
  if (scattered) {
    std::optional<std::size_t> band = Open("scatter", "scattered", last_s_);
    Close(&band, seconds);
    ended.push_back("scatter");
  }
  const std::string partition = PartitionText(looks);
  if (partition_band_ && partition != partition_) {
    Close(&partition_band_, seconds);
    ended.push_back("partition");
  }
  if (!partition.empty() && !partition_band_) {
    partition_band_ = Open("partition", absl::StrCat("partition ", partition), seconds);
  }
  partition_ = partition;
  last_s_ = seconds;
  return ended;
}

bool TestnetEvents::FollowNode(std::size_t i, double seconds, const TestnetLook& look, std::uint32_t starts) {
  NodeState& node = nodes_[i];
  if (!look.runs && (node.served || look.ran) && !node.band) {
    const char* what = look.ended ? " ended" : " killed";
    node.band = Open("outage", absl::StrCat("node ", i, what), node.served ? last_s_ : seconds);
  }
  if (!look.serves()) return false;
  // The node went away and came back between two looks.
  if (node.served && !node.band && starts > node.starts_seen) {
    node.band = Open("outage", absl::StrCat("node ", i, " restarted"), last_s_);
  }
  node.served = true;
  node.starts_seen = starts;
  const bool returned = node.band.has_value();
  Close(&node.band, seconds);
  return returned;
}

void TestnetEvents::CloseAll(double seconds) {
  for (NodeState& node : nodes_) Close(&node.band, seconds);
  Close(&partition_band_, seconds);
  Close(&load_, seconds);
}

std::size_t TestnetEvents::Open(const std::string& kind, const std::string& label, double seconds) {
  v1::FaultBand& band = bands_.emplace_back();
  band.set_kind(kind);
  band.set_label(label);
  band.set_from_seconds(seconds);
  return bands_.size() - 1;
}

void TestnetEvents::Close(std::optional<std::size_t>* band, double seconds) {
  if (*band) bands_[**band].set_to_seconds(seconds);
  band->reset();
}

std::string TestnetEvents::PartitionText(const std::vector<TestnetLook>& looks) const {
  std::vector<std::string> groups;
  std::vector<bool> placed(looks.size());
  for (std::size_t i = 0; i < looks.size(); ++i) {
    if (placed[i]) continue;
    const auto& severed = looks[i].faults.severed();
    const std::set<std::string> far(severed.begin(), severed.end());
    std::vector<std::size_t> group;
    for (std::size_t j = i; j < looks.size(); ++j) {
      if (placed[j] || (j != i && far.contains(addresses_[j]))) continue;
      placed[j] = true;
      group.push_back(j);
    }
    groups.push_back(absl::StrJoin(group, ","));
  }
  return groups.size() > 1 ? absl::StrJoin(groups, "/") : "";
}

}  // namespace lvs::services
