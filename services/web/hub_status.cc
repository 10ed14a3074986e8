#include "services/web/hub_status.h"

#include <set>
#include <string>

namespace lvs::services {

namespace {

using Counts = google::protobuf::Map<std::string, std::uint64_t>;

void AddIfAny(std::string_view name, std::uint64_t count, Counts* counts) {
  if (count > 0) (*counts)[std::string(name)] += count;
}

void FillSignalling(const Signalling::Counts& counts, v1::WebStatus* status) {
  status->set_announces(counts.announces);
  status->set_samples(counts.samples);
  status->set_offers(counts.offers);
  status->set_answers(counts.answers);
  status->set_relays(counts.relays);
  status->set_relayed_bytes(counts.relayed_bytes);
  status->set_forged(counts.forged);
  AddIfAny("relay_tab", counts.relay_over_tab, status->mutable_over_budget());
  AddIfAny("relay_all", counts.relay_over_all, status->mutable_over_budget());
  AddIfAny("hub", counts.hub_over, status->mutable_over_budget());
}

}  // namespace

void FillWebStatus(const HubFigures& figures, const tab::BuildNews& builds, v1::WebStatus* status) {
  status->set_tabs(static_cast<std::uint32_t>(figures.tabs));
  status->set_placed(static_cast<std::uint32_t>(figures.places_taken));
  status->set_places(static_cast<std::uint32_t>(figures.places));
  status->set_hubs(static_cast<std::uint32_t>(figures.hubs));
  status->set_remote_tabs(static_cast<std::uint32_t>(figures.remote));
  status->set_micro_nodes(figures.micro_nodes);
  status->set_links(figures.links);
  for (const std::uint32_t shards : figures.shards_heard) status->add_shards_heard(shards);
  status->set_shards_held(figures.shards_held);
  status->set_tabs_came(figures.tabs_came);
  for (std::size_t n = 0; n < figures.ended.size(); ++n) {
    AddIfAny(Name(static_cast<TabEnd>(n)), figures.ended[n], status->mutable_ended());
  }
  for (std::size_t n = 0; n < figures.refused.size(); ++n) {
    AddIfAny(Name(static_cast<tab::Reason>(n)), figures.refused[n], status->mutable_refused());
  }
  for (std::size_t n = 0; n < vaultguard::kRefusals; ++n) {
    AddIfAny(Name(static_cast<vaultguard::Refusal>(n)), figures.refused_input.count[n], status->mutable_refused());
  }
  FillSignalling(figures.signalling, status);
  status->set_frames_sent(figures.frames_out);
  status->set_frames_received(figures.frames_in);
  status->set_bytes_sent(figures.bytes_out);
  status->set_bytes_received(figures.bytes_in);
  for (const tab::BuildSeen& seen : builds.builds) {
    v1::BuildCount* const build = status->add_builds();
    build->set_build(seen.build);
    build->set_nodes(seen.nodes);
  }
}

void AddShardsOfTabs(const std::vector<bool>& compared, v1::NodeStatus* status) {
  v1::SyncStatus& sync = *status->mutable_sync();
  if (status->uptime_s() >= kTabsClaimSeconds) return;
  const bool may_come = status->uptime_s() < kTabsReturnSeconds;
  std::set<std::uint32_t> incomplete(sync.incomplete_shards().begin(), sync.incomplete_shards().end());
  for (std::uint32_t s = 0; s < compared.size(); ++s) {
    const bool held = (status->web().shards_held() >> s & 1) != 0;
    if (!compared[s] && (held || may_come)) incomplete.insert(s);
  }
  sync.mutable_incomplete_shards()->Assign(incomplete.begin(), incomplete.end());
  sync.set_shards_missing(static_cast<std::uint32_t>(incomplete.size()));
  sync.set_holds_all(incomplete.empty());
}

}  // namespace lvs::services
