#include "shard/tab/tab_node.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

#include "shard/entropy_engine.h"
#include "shard/frame.h"
#include "shard/frame_codec.h"
#include "shard/random.h"

namespace lvs::tab {

using shard::Mix;
using vaultguard::Refusal;

std::string_view WhyInvalid(const TabNodeConfig& config) {
  if (config.shards == 0 || config.shards > kShardsMax || config.shards % kGroupShards != 0) {
    return "shards must be a multiple of 4, from 4 to 64";
  }
  if (config.tab_links + config.server_links == 0 || config.tab_links + config.server_links > kLinksOfTabMax) {
    return "there must be 1 to 64 links";
  }
  if (config.cadence_cycles == 0 || config.cadence_cycles > kCadenceMax) return "the cadence must be 1 to 100 cycles";
  if (config.session == TabId{}) return "session id 0 is reserved; draw 128 random bits";
  if (config.period_us == 0) return "the cycle period must not be 0";
  if (std::max(config.build.size(), config.region.size()) > kNameBytesMax) return "a name of more than 256 bytes";
  return "";
}

namespace {

constexpr int kEntropyComponents = 4;  // of a word

float MeanEntropy(std::uint32_t word) {
  float sum = 0;
  for (int c = 0; c < kEntropyComponents; ++c) sum += std::abs(shard::EntropyComponent(word, c));
  return sum / kEntropyComponents;
}

TabShardConfig ShardConfig(const TabNodeConfig& config, std::uint32_t shard) {
  TabShardConfig out = {
      .shard = config.shard, .tab_links = config.tab_links, .server_links = config.server_links, .seed = config.seed};
  out.shard.shard = shard;
  return out;
}

}  // namespace

TabNode::TabNode(TabNodeConfig config)
    : config_(std::move(config)),
      layout_(LayoutOf(ShardConfig(config_, 0))),
      links_(config_.tab_links + config_.server_links) {
  assert(WhyInvalid(config_).empty());
}

// ---- What the tab holds ----

// A shard that is new here starts empty, and asks those that hold it.
TabShard& TabNode::Held(std::uint32_t shard) {
  std::unique_ptr<TabShard>& held = shards_[shard];
  if (held != nullptr) return *held;
  held = std::make_unique<TabShard>(ShardConfig(config_, shard));
  if (low_power_) held->SetLowPower(true);
  for (std::uint32_t link = 0; link < links_.size(); ++link) {
    if ((links_[link].shared & MaskOfShard(shard)) != 0) held->Change(ChangeOf(link, true));
  }
  return *held;
}

void TabNode::MoveIn(const MicroNode& micro_node) {
  for (std::uint32_t n = 0; n < kGroupShards; ++n) {
    const std::uint32_t shard = micro_node.group * kGroupShards + n;
    TabShard& held = Held(shard);
    // The replica of an adopted shard is this micro-node's from now on.
    if ((adopted_ & MaskOfShard(shard)) != 0) held.Leave(kAdopted, cycle_);
    adopted_ &= ~MaskOfShard(shard);
    held.Enter(micro_node.number);
  }
}

void TabNode::MoveOut(const MicroNode& micro_node) {
  for (std::uint32_t n = 0; n < kGroupShards; ++n) {
    const auto held = shards_.find(micro_node.group * kGroupShards + n);
    held->second->Leave(micro_node.number, cycle_);
    if (!held->second->occupied()) shards_.erase(held);
  }
}

bool TabNode::AddMicroNode(std::uint64_t session) {
  if (micro_nodes_.size() >= kHostedMicroNodesMax) return false;
  MoveIn(micro_nodes_.emplace_back(MicroNode{micro_nodes_begun_++, GroupOf(session, config_.shards)}));
  MaskMayHaveChanged();
  return true;
}

bool TabNode::MoveMicroNode(std::size_t n, std::uint64_t session) {
  if (n >= micro_nodes_.size()) return false;
  const MicroNode before = std::exchange(micro_nodes_[n], {micro_nodes_begun_++, GroupOf(session, config_.shards)});
  MoveIn(micro_nodes_[n]);
  MoveOut(before);
  MaskMayHaveChanged();
  return true;
}

bool TabNode::RemoveMicroNode() {
  if (micro_nodes_.size() < 2) return false;
  const MicroNode last = micro_nodes_.back();
  micro_nodes_.pop_back();
  MoveOut(last);
  MaskMayHaveChanged();
  return true;
}

bool TabNode::Adopt(std::uint32_t shard) {
  if (shard >= config_.shards || shards_.contains(shard) || ShardCount(adopted_) >= config_.adopted_max) return false;
  adopted_ |= MaskOfShard(shard);
  Held(shard).Enter(kAdopted);
  MaskMayHaveChanged();
  return true;
}

void TabNode::MaskMayHaveChanged() {
  ShardMask mask = 0;
  for (const auto& [shard, held] : shards_) mask |= MaskOfShard(shard);
  if (mask == mask_) return;
  mask_ = mask;
  for (std::uint32_t link = 0; link < links_.size(); ++link) Share(link);
  // Those at the far ends exchange frames of what both hold: they must know.
  Ping standing;
  standing.card = card();
  for (const Link& link : links_) {
    if (link.state == State::kReady) standing.cover.Add(link.mask);
  }
  for (std::uint32_t link = 0; link < links_.size(); ++link) {
    if (links_[link].state != State::kReady) continue;
    standing.served = standing.served || (leads_to_server(link) && links_[link].placed);
    if (!leads_to_server(link)) Say(link, standing);
  }
  Tell(MaskChanged{mask_});
}

Card TabNode::card() const {
  Card card{.tab = config_.session, .mask = mask_, .micro_nodes = std::max(1u, micro_nodes()), .links = 0};
  for (const Link& link : links_) card.links += link.state != State::kDown ? 1 : 0;
  return card;
}

// ---- What the visitor does ----

std::optional<Refusal> TabNode::Contribute(std::uint64_t id, std::uint32_t shard,
                                           const shard::SlotAmounts& amount_uvu) {
  const auto held = shards_.find(shard);
  if (held != shards_.end()) return held->second->Contribute(id, amount_uvu, cycle_ + 1);
  refused_.Add(Refusal::kUnknownShard);
  return Refusal::kUnknownShard;
}

void TabNode::Scatter() {
  for (const auto& [shard, held] : shards_) held->Scatter();
}

void TabNode::SetLowPower(bool on) {
  low_power_ = on;
  for (const auto& [shard, held] : shards_) held->SetLowPower(on);
}

void TabNode::SetCadence(std::uint32_t cycles) {
  config_.cadence_cycles = std::clamp(cycles, 1u, kCadenceMax);
  // Turns are counted in cadences: the next one comes at once.
  for (std::uint32_t link = 0; link < links_.size(); ++link) {
    links_[link].cadence.TurnNow();
    for (const auto& [shard, held] : shards_) {
      if ((links_[link].shared & MaskOfShard(shard)) != 0) held->Change(ChangeOf(link, true));
    }
  }
}

void TabNode::Restore(std::uint32_t shard, std::vector<shard::LedgerEntry> entries) {
  const auto held = shards_.find(shard);
  if (held != shards_.end()) held->second->Restore(std::move(entries));
}

// ---- A cycle ----

bool TabNode::Tick(std::uint64_t cycle) {
  if (cycle <= cycle_) {
    ++counts_.late;
    return false;
  }
  counts_.skipped += cycle_ == 0 ? 0 : cycle - cycle_ - 1;
  ++counts_.cycles;
  cycle_ = cycle;
  for (std::uint32_t link = 0; link < links_.size(); ++link) {
    links_[link].waiting_bytes = 0;
    if (links_[link].state != State::kGreeting) continue;
    if (cycle > links_[link].up_cycle + kHelloCycles) {
      Close(link, LinkEnd::kNoHello, "");
    } else if (!leads_to_server(link) && cycle >= links_[link].hello_cycle + kHelloAgainCycles) {
      SayHello(link, cycle);
    }
  }
  auto turns = std::make_shared<hosting::LinkTurns>();
  FillTurns(cycle, turns.get());
  for (const auto& [number, held] : shards_) {
    held->Tick(cycle, turns);
    Collect(held.get());
  }
  for (std::uint32_t link = 0; link < links_.size(); ++link) SendFrames(link);
  return true;
}

void TabNode::FillTurns(std::uint64_t cycle, hosting::LinkTurns* turns) {
  turns->speaks.assign(links_.size() + 1, false);
  turns->refreshes.assign(links_.size() + 1, false);
  for (std::uint32_t n = 0; n < links_.size(); ++n) {
    Link& link = links_[n];
    if (link.state != State::kReady || link.shared == 0 || link.blocked) continue;
    const std::uint64_t phase = shard::Draw(config_.seed, shard::Stream::kLink, n, 0);
    if (!link.cadence.TakeTurn(cycle, phase, config_.cadence_cycles)) continue;
    turns->speaks[n] = true;
    turns->refreshes[n] = link.cadence.TakeRefresh(cycle, kTabRefreshCycles);
  }
}

void TabNode::Collect(TabShard* shard) {
  const hosting::ShardReport& report = shard->report();
  for (const TabShard::Told& told : shard->told()) Tell(Contributed{report.shard, told});
  if (!report.changes.empty()) Tell(Changed{report.shard, report.changes});
  for (hosting::ShardHost::Said& said : shard->host().said()) {
    Link& link = links_[said.to];
    // Shards that the far end does not hold, and rows that it has no place for, would be refused.
    if ((link.shared & MaskOfShard(report.shard)) == 0) continue;
    link.frames.push_back(shard::WithRowsBelow(std::move(said.frame), link.halo_rows));
  }
}

void TabNode::SendFrames(std::uint32_t n) {
  Link& link = links_[n];
  std::vector<const shard::Frame*> batch;
  std::size_t bytes = kBatchHeaderBytes;
  const auto send = [&] {
    if (batch.empty()) return;
    counts_.frames_sent += batch.size();
    Send(n, EncodeFrames(batch));
    batch.clear();
    bytes = kBatchHeaderBytes;
  };
  for (const hosting::Payload<shard::Frame>& frame : link.frames) {
    const std::size_t size = BatchedSize(shard::EncodedSize(*frame));
    if (bytes + size > kChannelBytesMax) send();
    batch.push_back(frame.get());
    bytes += size;
  }
  send();
  link.frames.clear();
}

std::vector<Outgoing> TabNode::TakeOutgoing() {
  outgoing_bytes_ = 0;
  return std::exchange(outgoing_, {});
}

std::vector<Event> TabNode::TakeEvents() { return std::exchange(events_, {}); }

// ---- What the page shows ----

const TabShard* TabNode::shard(std::uint32_t number) const {
  const auto held = shards_.find(number);
  return held == shards_.end() ? nullptr : held->second.get();
}

vaultguard::RefusalCounts TabNode::refused() const {
  vaultguard::RefusalCounts all = refused_;
  for (const auto& [shard, held] : shards_) all += held->refused();
  return all;
}

LinkFigures TabNode::FiguresOfLink(std::uint32_t link) const {
  LinkFigures figures = links_[link].figures;
  figures.ready = links_[link].state == State::kReady;
  figures.mask = links_[link].mask;
  if (links_[link].intake) {
    figures.frames_taken = links_[link].intake->taken();
    figures.frames_refused = links_[link].intake->refused();
  }
  return figures;
}

ShardFigures TabNode::FiguresOf(std::uint32_t number) const {
  ShardFigures figures;
  const TabShard* const held = shard(number);
  if (held == nullptr) return figures;
  const shard::StateShard& state = held->host().state();
  const hosting::ShardReport& report = held->report();
  figures.replicas = state.replicas();
  figures.waiting = static_cast<std::uint32_t>(held->waiting());
  figures.adopted = (adopted_ & MaskOfShard(number)) != 0;
  figures.synced = report.synced;
  figures.compared = report.compared;
  figures.holders = held->host().sync().Holders(0);
  figures.total_uvu = state.ledger().totals_uvu();
  figures.sessions = state.ledger().size();
  figures.ledger_digest = state.ledger().digest();
  const shard::Columns& columns = state.columns();
  const auto slots = static_cast<std::size_t>(config_.shard.shape.value_slots);
  for (std::size_t c = slots; c < static_cast<std::size_t>(config_.shard.shape.dimensions()); ++c) {
    shard::Moments moments;
    const auto add = [&](float at) { moments.Merge({.count = 1, .mean = at, .m2 = 0}); };
    for (const TabShard::Replica& replica : held->replicas()) add(columns.state[c * columns.stride + replica.row]);
    for (std::uint32_t row = 0; row < layout_.halo_rows; ++row) {
      if (columns.Heard(row, cycle_)) add(columns.Said(row)[c]);
    }
    if (moments.count > 1) figures.spread = std::max(figures.spread, std::sqrt(moments.m2 / moments.count));
  }
  shard::Measure measure;
  state.MeasureHonest(&measure);
  figures.worst_value_vu = measure.worst_value_vu;
  return figures;
}

void TabNode::Draw(std::size_t max, std::vector<Point>* points) const {
  const auto slots = static_cast<std::size_t>(config_.shard.shape.value_slots);
  const auto free = static_cast<std::size_t>(config_.shard.shape.free_coordinates);
  const std::size_t full = points->size() + max;
  const auto add = [&](std::uint32_t shard, const shard::Columns& columns, std::uint32_t row) -> Point& {
    Point& point = points->emplace_back();
    point.shard = shard;
    for (std::size_t c = 0; c < free; ++c) point.at[c] = columns.Said(row)[slots + c];
    point.age_cycles = shard::Age(columns.Meta(row), cycle_);
    point.entropy = MeanEntropy(columns.Entropy(row));
    return point;
  };
  for (const auto& [number, held] : shards_) {
    const shard::Columns& columns = held->host().state().columns();
    for (const TabShard::Replica& replica : held->replicas()) {
      if (points->size() == full) return;
      if (!columns.Alive(replica.row)) continue;  // it enters with the next tick
      Point& point = add(number, columns, replica.row);
      point.micro_node = replica.micro_node;
      for (std::size_t c = 0; c < free; ++c) {
        const float now = columns.state[(slots + c) * columns.stride + replica.row];
        point.drift[c] = now - point.at[c];
        point.at[c] = now;
      }
    }
  }
  for (const auto& [number, held] : shards_) {
    const shard::Columns& columns = held->host().state().columns();
    for (std::uint32_t link = 0; link < links_.size(); ++link) {
      for (std::uint32_t n = 0; n < layout_.halo_count[link]; ++n) {
        const std::uint32_t row = layout_.halo_first[link] + n;
        if (!columns.Heard(row, cycle_)) continue;
        if (points->size() == full) return;
        Point& point = add(number, columns, row);
        point.link = static_cast<std::int32_t>(link);
        point.micro_node = n;
      }
    }
  }
}

std::uint64_t TabNode::StateHash() const {
  std::uint64_t hash = Mix(cycle_ ^ Mix(mask_));
  for (const auto& [shard, held] : shards_) hash = Mix(hash ^ held->host().state().StateHash());
  return hash;
}

}  // namespace lvs::tab
