// Cases of whole server nodes (shard/hosting) that exchange frames over virtual links. Every frame is encoded, sometimes
// garbled, and decoded again before the receiver sees it.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "shard/frame_codec.h"
#include "shard/hosting/monitor.h"
#include "shard/hosting/node_host.h"
#include "shard/hosting/shard_host.h"
#include "shard/hosting/shard_layout.h"
#include "shard/hosting/swarm.h"
#include "shard/hosting/virtual_link.h"
#include "tests/wasm/case.h"
#include "vaultguard/limits.h"

namespace lvs::wasm {

namespace {

using hosting::Attack;
using shard::Below;
using shard::Draw;
using shard::Mix;
using shard::Stream;
using shard::Unit;

struct Settings {
  const char* name;
  std::uint32_t nodes;
  std::uint32_t shards;
  std::uint32_t micro_nodes;  // of each server node
  shard::Shape shape;
  hosting::LinkQuality quality;
  double churn_share = 0.01;  // of the micro-nodes, a cycle
  double corrupt = 0;         // share of frames that a nonsense frame follows
  double garbled = 0;         // share of frames with another byte, or a piece missing
  bool outages = false;       // two server nodes die and start again
  bool links_change = false;  // server nodes come and go at the far ends of the links
  bool few_stay = false;      // most micro-nodes leave for a while
};

constexpr Settings kSettings[] = {
    {"three server nodes", 3, 4, 60, {2, 2, 8}, {30, 0, 0.01, 0, 0}},
    {"bad links", 4, 2, 50, {1, 0, 2}, {120, 100, 0.2, 0.1, 0.1}, 0.02, 0.2, 0.1},
    {"outages", 3, 2, 60, {8, 4, 16}, {40, 20, 0.02, 0, 0}, 0.01, 0, 0, true},
    {"outages and bad links", 5, 3, 40, {3, 1, 5}, {90, 60, 0.1, 0.05, 0.05}, 0.01, 0.1, 0.05, true},
    {"server nodes come and go", 3, 2, 80, {2, 1, 8}, {20, 0, 0, 0, 0}, 0.005, 0, 0, false, true},
    {"few stay", 2, 2, 90, {4, 2, 7}, {50, 10, 0.05, 0, 0}, 0.03, 0, 0, false, false, true},
};

constexpr std::uint32_t kShardsPerNode = 2;
constexpr std::uint32_t kAmbassadors = 16;
constexpr double kPeriodMs = 100;

// Nine of the attacks of shard/hosting/attack.h, other ones in each case, one after the other; between two of them everybody is honest.
constexpr std::uint64_t kAttackKinds = kAttacks - 1;
constexpr std::uint64_t kAttacksFrom = 20;
constexpr std::uint64_t kAttackPeriod = 30;
constexpr std::uint64_t kAttackCycles = 25;
constexpr double kLiars = 0.15;

constexpr std::uint64_t kLowPowerFrom = 60;
constexpr std::uint64_t kLowPowerUntil = 180;
constexpr double kLowPower = 0.3;
constexpr std::uint64_t kScatters = 150;
constexpr std::uint64_t kFewFrom = 230;
constexpr std::uint64_t kFewUntil = 260;

// From, until, and whether the server node finds its cache when it starts again.
struct Outage {
  std::uint32_t node;
  std::uint64_t from;
  std::uint64_t until;
  bool cached;
};
constexpr Outage kOutages[] = {{1, 70, 100, false}, {2, 160, 175, true}, {1, 240, 246, false}};

// One server node with its links, as the actors wire it.
struct ServerNode {
  ServerNode(hosting::NodeHostConfig config, hosting::Swarm swarm, std::uint32_t shard_count, std::size_t link_count)
      : host(config, std::move(swarm), shard_count, link_count), monitor(shard_count) {}

  hosting::NodeHost host;
  hosting::Monitor monitor;
  std::vector<std::unique_ptr<hosting::ShardHost>> shards;
  std::vector<hosting::VirtualLink> links;  // by server node; the own one is unused
  std::vector<hosting::Payload<std::vector<shard::LedgerEntry>>>
      cache;  // ledger entries by shard, from before an outage
};

class NetworkCase final : public Case {
 public:
  NetworkCase(const Settings& settings, std::uint64_t seed) : settings_(settings), seed_(seed) {
    facts_.name = settings.name;
    facts_.value_slots = settings.shape.value_slots;
    facts_.free_coordinates = settings.shape.free_coordinates;
    facts_.peers = settings.shape.peers;
    facts_.server_nodes = settings.nodes;
    facts_.shards = settings.shards;
    for (std::uint32_t node = 0; node < settings_.nodes; ++node) Start(node);
  }

  void Step(std::uint64_t cycle) override {
    seen_ = {};
    ChangeLinks(cycle);
    for (std::uint32_t node = 0; node < settings_.nodes; ++node) StepNode(node, cycle);
    CountLiars(cycle);
  }

  Shown Show() const override {
    Hasher state;
    Hasher rest;
    rest.Add(seen_.hash());
    for (const std::unique_ptr<ServerNode>& node : nodes_) {
      for (const std::unique_ptr<hosting::ShardHost>& shard : node->shards) {
        state.Add(shard->state().StateHash());
        AddRest(shard->state(), &rest);
      }
    }
    return {state.hash(), rest.hash()};
  }

  void PlantDifference() override {
    // A host shows its shard to readers only; the object itself is not constant.
    FlipOneBit(const_cast<shard::StateShard*>(&nodes_.back()->shards.back()->state()));
  }

 private:
  void Start(std::uint32_t node) {
    const std::uint64_t node_seed = Draw(seed_, Stream::kRegion, node, 0);
    hosting::Swarm swarm({.shards = settings_.shards,
                          .shards_per_node = std::min(kShardsPerNode, settings_.shards),
                          .replicas_min = 3,
                          .seed = node_seed});
    const std::vector<std::uint32_t> replicas = swarm.Populate(settings_.micro_nodes);
    const hosting::ShardLayout layout = hosting::LayOut(node, std::vector(settings_.nodes, kAmbassadors));
    swarm.SetFirstRows(std::vector(settings_.shards, layout.first_local));
    nodes_.push_back(std::make_unique<ServerNode>(hosting::NodeHostConfig{.node = node, .seed = node_seed},
                                                  std::move(swarm), settings_.shards, settings_.nodes - 1));
    ServerNode& server = *nodes_.back();
    for (std::uint32_t s = 0; s < settings_.shards; ++s) {
      hosting::ShardHostConfig config;
      config.node = node;
      config.nodes = settings_.nodes;
      config.layout = layout;
      config.shard.shard = s;
      config.shard.shape = settings_.shape;
      config.shard.seed = Draw(seed_, Stream::kInitialState, (std::uint64_t{node} << 32) | s, 0);
      config.shard.remote_share = settings_.links_change ? 0 : 1 - 1.0 / settings_.nodes;
      config.replicas = replicas[s];
      config.opening_balance_uvu = 100 * vaultguard::kMicroPerVu;
      config.seed = seed_;
      config.ambassadors = kAmbassadors;
      config.resend_cycles.assign(settings_.nodes, 20);
      config.links_change = settings_.links_change;
      config.tell_changes = settings_.links_change;
      server.shards.push_back(std::make_unique<hosting::ShardHost>(std::move(config)));
    }
    for (std::uint32_t to = 0; to < settings_.nodes; ++to) {
      server.links.emplace_back(hosting::VirtualLinkConfig{
          .from = node, .to = to, .seed = seed_, .period_ms = kPeriodMs, .quality = settings_.quality});
    }
  }

  const Outage* OutageOf(std::uint32_t node, std::uint64_t cycle) const {
    if (!settings_.outages) return nullptr;
    const auto found = std::find_if(std::begin(kOutages), std::end(kOutages), [&](const Outage& outage) {
      return outage.node == node && outage.from <= cycle && cycle <= outage.until;
    });
    return found == std::end(kOutages) ? nullptr : found;
  }
  bool IsOut(std::uint32_t node, std::uint64_t cycle) const {
    const Outage* outage = OutageOf(node, cycle);
    return outage != nullptr && cycle < outage->until;
  }

  // With links that change, the far ends are there from a cycle of their own on, and two links break for a while.
  bool IsUp(std::uint32_t a, std::uint32_t b, std::uint64_t cycle) const {
    if (!settings_.links_change) return true;
    if (cycle < 1 + 4 * (a + b)) return false;
    if (a + b == 1 && cycle >= 60 && cycle < 80) return false;
    return !(a + b == 3 && cycle >= 160 && cycle < 240);
  }

  void ChangeLinks(std::uint64_t cycle) {
    for (std::uint32_t node = 0; settings_.links_change && node < settings_.nodes; ++node) {
      for (std::uint32_t to = 0; to < settings_.nodes; ++to) {
        const bool up = IsUp(node, to, cycle);
        if (to == node || up == (cycle > 1 && IsUp(node, to, cycle - 1))) continue;
        for (const std::unique_ptr<hosting::ShardHost>& shard : nodes_[node]->shards) shard->Change({to, up});
      }
    }
  }

  // The attack of a cycle; kNone between two attacks.
  Attack AttackAt(std::uint64_t cycle) const {
    if (cycle < kAttacksFrom) return Attack::kNone;
    const std::uint64_t number = (cycle - kAttacksFrom) / kAttackPeriod;
    if (number >= kAttackKinds || (cycle - kAttacksFrom) % kAttackPeriod >= kAttackCycles) return Attack::kNone;
    // Each case begins with another attack.
    return static_cast<Attack>(1 + (number + seed_) % kAttackKinds);
  }

  hosting::NodeTick TickFor(std::uint32_t node, std::uint64_t cycle) {
    hosting::NodeTick tick;
    tick.cycle = cycle;
    tick.alive = !IsOut(node, cycle);
    tick.loss = 0.01;
    tick.churn_share = settings_.churn_share;
    tick.measure = true;
    tick.scatter = cycle == kScatters;
    const Attack attack = AttackAt(cycle);
    if (attack != Attack::kNone) tick.attacks_active.push_back({attack, kLiars, 0});
    if (attack != Attack::kNone && AttackAt(cycle - 1) != attack) tick.attacks_begin = tick.attacks_active;
    tick.attacks_end = attack == Attack::kNone && AttackAt(cycle - 1) != Attack::kNone;
    tick.low_power_level = cycle >= kLowPowerFrom && cycle < kLowPowerUntil ? kLowPower : 0;
    if (cycle == kLowPowerFrom || cycle == kLowPowerUntil) tick.low_power = tick.low_power_level;
    if (settings_.few_stay && cycle == kFewFrom) tick.leave = {{.keep = 4}};
    if (settings_.few_stay && cycle == kFewUntil) tick.enter = settings_.micro_nodes - 4;
    AddContributions(node, cycle, &tick);
    const Outage* outage = OutageOf(node, cycle);
    if (outage != nullptr && outage->from == cycle && outage->cached) FillCache(node);
    if (outage != nullptr && outage->until == cycle) {
      if (outage->cached) tick.restored = std::exchange(nodes_[node]->cache, {});
      facts_.restarts += settings_.shards;
    }
    for (std::uint32_t to = 0; to < settings_.nodes; ++to) {
      tick.links.push_back(
          {.cycle = cycle, .severed = IsOut(to, cycle) || !IsUp(node, to, cycle), .corrupt = settings_.corrupt});
    }
    return tick;
  }

  void AddContributions(std::uint32_t node, std::uint64_t cycle, hosting::NodeTick* tick) {
    const std::uint64_t draw = Draw(seed_, Stream::kWorkload, node, cycle);
    hosting::Contribution contribution;
    contribution.id = cycle * settings_.nodes + node;
    contribution.shard = Below(draw, settings_.shards);
    contribution.needed_nodes = std::min<std::uint32_t>(settings_.nodes, 1 + (draw & 1));
    contribution.expires_cycle = cycle + 30;
    // A session lives for eight cycles and may tell several shards.
    contribution.entry.session = {Mix(seed_ + cycle / 8), Mix(seed_ ^ (node + 1)) | 1};
    contribution.entry.opened_cycle = hosting::kOpensNow;
    for (int slot = 0; slot < settings_.shape.value_slots; ++slot) {
      contribution.entry.amount_uvu[static_cast<std::size_t>(slot)] =
          static_cast<std::int64_t>(1'000'000 * (cycle % 8 + 1) + (draw >> (slot + 8)) % 1'000'000);
    }
    tick->contributions.push_back(contribution);
    if (AttackAt(cycle) != Attack::kForgedLedger) return;
    contribution.id = ~contribution.id;
    contribution.entry.session.low ^= 2;
    contribution.entry.amount_uvu[0] = std::int64_t{1} << 50;
    tick->contributions.push_back(contribution);
  }

  void FillCache(std::uint32_t node) {
    ServerNode& server = *nodes_[node];
    for (const std::unique_ptr<hosting::ShardHost>& shard : server.shards) {
      const shard::Ledger& ledger = shard->state().ledger();
      auto entries = std::make_shared<std::vector<shard::LedgerEntry>>();
      ledger.Changes(0, ledger.size(), entries.get());
      server.cache.push_back(std::move(entries));
    }
  }

  void StepNode(std::uint32_t node, std::uint64_t cycle) {
    ServerNode& server = *nodes_[node];
    auto tick = std::make_shared<hosting::NodeTick>(TickFor(node, cycle));
    if (server.host.Begin(std::move(tick))) {
      bool all_reported = false;
      for (std::uint32_t s = 0; s < settings_.shards; ++s) all_reported = StepShard(&server, s);
      auto verdict = std::make_shared<hosting::Verdict>();
      if (all_reported) server.monitor.Judge(verdict.get());
      for (const hosting::Anomaly& anomaly : verdict->anomalies) {
        seen_.Add(std::uint64_t{anomaly.shard});
        for (const char letter : anomaly.kind) seen_.Add(static_cast<std::uint64_t>(letter));
      }
      for (const auto& [shard, action] : verdict->orders) {
        seen_.Add(std::uint64_t{shard});
        seen_.Add(static_cast<std::uint64_t>(action));
      }
      if (server.host.Take(std::move(verdict))) Flush(node);
    }
    hosting::NodeReport report;
    server.host.FillReport(&report);
    facts_.entered += report.online;
    facts_.left += report.offline;
    for (const std::uint64_t count :
         {report.alive, report.adversaries, report.replicas, report.online, report.offline, report.repaired}) {
      seen_.Add(count);
    }
  }

  // True once every shard of the server node has reported.
  bool StepShard(ServerNode* server, std::uint32_t s) {
    hosting::ShardTick tick;
    server->host.FillTick(s, &tick);
    auto report = std::make_shared<hosting::ShardReport>();
    hosting::ShardHost& shard = *server->shards[s];
    shard.Tick(tick, report.get());
    for (hosting::ShardHost::Said& said : shard.said()) server->links[said.to].Take(std::move(said.frame));

    facts_.replica_cycles += report->counts.step.updated;
    facts_.refusals += report->counts.step.refused.Total();
    facts_.low_power += shard.state().low_power();
    AddCounts(report->counts, &seen_);
    for (const hosting::Answer& answer : report->answers) {
      facts_.contributions += answer.accepted && answer.final ? 1 : 0;
      for (const std::uint64_t word :
           {answer.id, std::uint64_t{answer.accepted}, std::uint64_t{answer.final}, std::uint64_t{answer.nodes}}) {
        seen_.Add(word);
      }
    }
    seen_.Add(std::uint64_t{report->changes.size()});
    seen_.Add(static_cast<std::uint64_t>(report->effective_uvu));
    seen_.Add(std::uint64_t{report->synced});
    return server->monitor.Take(std::move(report));
  }

  void Flush(std::uint32_t node) {
    ServerNode& server = *nodes_[node];
    for (std::uint32_t to = 0; to < settings_.nodes; ++to) {
      if (to == node) continue;
      hosting::LinkFlush flush;
      server.host.FillFlush(to, &flush);
      const hosting::LinkReport report = server.links[to].Flush(flush);
      for (const std::uint64_t count : {report.frames, report.lost, report.bytes, report.delivered}) seen_.Add(count);
      seen_.Add(report.latency_ms_sum);
      for (hosting::VirtualLink::Delivery& delivery : server.links[to].delivered()) {
        Carry(delivery.frame, flush.cycle, nodes_[to].get());
      }
      server.host.Take(report);
    }
  }

  // Sends a frame over the wire.
  void Carry(const hosting::IncomingFrame& incoming, std::uint64_t cycle, ServerNode* receiver) {
    wire_.resize(shard::EncodedSize(*incoming.frame));
    shard::Encode(*incoming.frame, wire_.data());
    Garble(Draw(seed_, Stream::kCorrupt, ++carried_, cycle));
    facts_.frame_bytes += wire_.size();
    for (const std::uint8_t byte : wire_) seen_.Add(std::uint64_t{byte});
    auto frame = std::make_shared<shard::Frame>();
    const std::string_view bytes(reinterpret_cast<const char*>(wire_.data()), wire_.size());
    if (const auto why = shard::Decode(bytes, frame.get())) {
      seen_.Add(static_cast<std::uint64_t>(*why));
      ++facts_.frames_refused;
      return;
    }
    ++facts_.frames;
    // A shard that nobody holds: the first shard refuses it.
    const std::uint32_t to = frame->shard < settings_.shards ? frame->shard : 0;
    receiver->shards[to]->Receive({incoming.from, incoming.due_cycle, std::move(frame)});
  }

  void Garble(std::uint64_t draw) {
    if (wire_.empty() || Unit(draw) >= settings_.garbled) return;
    const std::uint32_t at = Below(Mix(draw), static_cast<std::uint32_t>(wire_.size()));
    if ((draw & 1) != 0) {
      wire_.resize(at);
    } else {
      wire_[at] = static_cast<std::uint8_t>(wire_[at] ^ (1 + Below(Mix(draw + 1), 255)));
    }
  }

  void CountLiars(std::uint64_t cycle) {
    std::uint64_t liars = 0;
    for (std::uint32_t node = 0; node < settings_.nodes; ++node) {
      if (IsOut(node, cycle)) continue;
      for (const std::unique_ptr<hosting::ShardHost>& host : nodes_[node]->shards) {
        const shard::StateShard& shard = host->state();
        const shard::Columns& columns = shard.columns();
        for (std::size_t row = columns.first_local; row < columns.end; ++row) {
          if (!columns.Alive(row) || (columns.flags[row] & shard::kAdversary) == 0) continue;
          ++liars;
          for (int c = 0; c < shard.config().shape.dimensions(); ++c) {
            facts_.not_finite += std::isfinite(columns.Said(row)[c]) ? 0 : 1;
          }
        }
      }
    }
    facts_.lies[static_cast<std::size_t>(AttackAt(cycle))] += liars;
    if (liars == 0) facts_.liars_stopped += std::exchange(liars_, 0);
    liars_ = liars;
  }

  const Settings& settings_;
  const std::uint64_t seed_;
  std::vector<std::unique_ptr<ServerNode>> nodes_;
  std::vector<std::uint8_t> wire_;  // one encoded frame
  std::uint64_t carried_ = 0;       // frames so far
  std::uint64_t liars_ = 0;         // after the last step
  Hasher seen_;                     // reports, verdicts and frames of the last step
};

}  // namespace

std::size_t NetworkCaseCount() { return std::size(kSettings); }

std::unique_ptr<Case> StartNetworkCase(std::size_t index) {
  if (index >= NetworkCaseCount()) return nullptr;
  return std::make_unique<NetworkCase>(kSettings[index], index + 1);
}

}  // namespace lvs::wasm
