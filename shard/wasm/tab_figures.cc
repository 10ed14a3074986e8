#include "shard/wasm/tab_figures.h"

#include <cstddef>
#include <string_view>

#include "vaultguard/refusals.h"

namespace lvs::wasm {
namespace {

constexpr double kUvu = 1e6;

// Writes a name or a number, so that the two cannot come apart.
class FigureWriter {
 public:
  FigureWriter(std::string* names, std::vector<double>* values) : names_(names), values_(values) {}
  template <class Value>
  void operator()(std::string_view name, Value value) const {
    if (values_ != nullptr) values_->push_back(static_cast<double>(value));
    if (names_ == nullptr) return;
    if (!names_->empty() && names_->back() != '\n') *names_ += ' ';
    *names_ += name;
  }

 private:
  std::string* names_;
  std::vector<double>* values_;
};

// A mask or a hash does not fit a double.
void Halves(const FigureWriter& put, const std::string& name, std::uint64_t value) {
  put(name + "_low", static_cast<std::uint32_t>(value));
  put(name + "_high", static_cast<std::uint32_t>(value >> 32));
}

void PutTraffic(const FigureWriter& put, const tab::TabTraffic& traffic) {
  put("hub_messages_sent", traffic.hub_messages_sent);
  put("hub_bytes_sent", traffic.hub_bytes_sent);
  put("hub_messages_received", traffic.hub_messages_received);
  put("hub_bytes_received", traffic.hub_bytes_received);
  put("link_messages_sent", traffic.link_messages_sent);
  put("link_bytes_sent", traffic.link_bytes_sent);
  put("link_messages_received", traffic.link_messages_received);
  put("link_bytes_received", traffic.link_bytes_received);
  put("relayed_sent", traffic.relayed_sent);
  put("relayed_received", traffic.relayed_received);
  put("links_opened", traffic.links_opened);
  put("links_relayed", traffic.links_relayed);
  put("hub_dials", traffic.hub_dials);
  put("late_reports", traffic.late_reports);
  put("forged", traffic.forged);
  put("stray_relays", traffic.stray_relays);
  put("crowded_out", traffic.crowded_out);
}

void PutTab(const FigureWriter& put, const tab::Tab& tab) {
  const tab::TabNode& node = tab.node();
  const tab::TabCounts& counts = node.counts();
  put("cycle", node.cycle());
  put("micro_nodes", node.micro_nodes());
  Halves(put, "mask", node.mask());
  Halves(put, "adopted", node.adopted());
  Halves(put, "hash", node.StateHash());
  put("ready", tab.ready());
  put("served", tab.served());
  put("cadence", tab.cadence());
  put("cycles", counts.cycles);
  put("skipped", counts.skipped);
  put("late", counts.late);
  put("frames_sent", counts.frames_sent);
  put("messages_sent", counts.messages_sent);
  put("bytes_sent", counts.bytes_sent);
  put("unexpected", counts.unexpected);
  put("node_crowded_out", counts.crowded_out);
  const tab::LinkFigures server = node.FiguresOfLink(node.links() - 1);
  put("server_slot", node.links() - 1);
  put("server_heard_cycle", server.heard_cycle);
  put("server_bytes_sent", server.bytes_sent);
  put("server_bytes_received", server.bytes_received);
  const vaultguard::RefusalCounts refused = node.refused();
  for (std::size_t n = 0; n < vaultguard::kRefusals; ++n) {
    const auto refusal = static_cast<vaultguard::Refusal>(n);
    put("refused_" + std::string(vaultguard::Name(refusal)), refused.Of(refusal));
  }
  for (std::size_t n = 1; n < static_cast<std::size_t>(tab::Reason::kCount); ++n) {
    const auto reason = static_cast<tab::Reason>(n);
    put("hub_refused_" + std::string(tab::Name(reason)), tab.refused_by_hub(reason));
  }
  PutTraffic(put, tab.traffic());
}

void PutShard(const FigureWriter& put, const tab::Tab& tab, std::uint32_t number) {
  const tab::ShardFigures figures = tab.node().FiguresOf(number);
  put("shard", number);
  put("replicas", figures.replicas);
  put("waiting", figures.waiting);
  put("is_adopted", figures.adopted);
  put("synced", figures.synced);
  put("compared", figures.compared);
  put("holders", figures.holders);
  put("sessions", figures.sessions);
  Halves(put, "digest", figures.ledger_digest);
  put("spread", figures.spread);
  put("worst_value_vu", figures.worst_value_vu);
  for (std::size_t s = 0; s < figures.total_uvu.size(); ++s) {
    put("total_vu_" + std::to_string(s), static_cast<double>(figures.total_uvu[s]) / kUvu);
  }
}

void PutLink(const FigureWriter& put, const tab::Tab& tab, const tab::LinkView& view) {
  const tab::LinkFigures figures = tab.node().FiguresOfLink(view.slot);
  put("link", view.link);
  put("slot", view.slot);
  put("relayed", view.relayed);
  put("is_ready", view.ready);
  put("since_s", view.since_s);
  Halves(put, "mask", figures.mask);
  put("heard_cycle", figures.heard_cycle);
  put("rows_cycle", figures.rows_cycle);
  put("frames_taken", figures.frames_taken);
  put("frames_refused", figures.frames_refused);
  put("bytes_received", figures.bytes_received);
  put("bytes_sent", figures.bytes_sent);
}

std::vector<std::uint32_t> HeldShards(const tab::Tab& tab) {
  std::vector<std::uint32_t> held;
  for (std::uint32_t number = 0; number < tab::kShardsMax; ++number) {
    if (tab.node().shard(number) != nullptr) held.push_back(number);
  }
  return held;
}

}  // namespace

std::string FigureNames(const tab::Tab& tab) {
  std::string names;
  const FigureWriter put(&names, nullptr);
  PutTab(put, tab);
  names += '\n';
  PutShard(put, tab, 0);
  names += '\n';
  PutLink(put, tab, {});
  return names;
}

void PutFigures(const tab::Tab& tab, std::vector<double>* out) {
  const std::vector<std::uint32_t> shards = HeldShards(tab);
  const std::vector<tab::LinkView> links = tab.Links();
  out->push_back(static_cast<double>(shards.size()));
  out->push_back(static_cast<double>(links.size()));
  const FigureWriter put(nullptr, out);
  PutTab(put, tab);
  for (const std::uint32_t shard : shards) PutShard(put, tab, shard);
  for (const tab::LinkView& link : links) PutLink(put, tab, link);
}

}  // namespace lvs::wasm
