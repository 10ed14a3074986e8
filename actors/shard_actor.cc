#include "actors/shard_actor.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "actors/recycled.h"
#include "shard/entropy_engine.h"
#include "shard/halo_link.h"
#include "shard/hosting/adversary.h"
#include "shard/ledger_sync.h"
#include "shard/random.h"
#include "shard/stages.h"

namespace lvs::actors {

namespace {

using hosting::AdversaryRow;
using hosting::Attack;
using shard::Draw;
using shard::Frame;
using shard::Stage;
using shard::Stream;
using vaultguard::Refusal;

// Contributions of a shard that wait for other server nodes; above it clients are turned away and try again.
constexpr std::size_t kMaxWaiting = 4096;
// A peer counts for as many replicas as are here, or this many where they are few.
constexpr std::uint32_t kCrowd = 64;
// No row: the halo comes first, so row 0 is never a local one when there is anybody to speak to.
constexpr std::uint32_t kNobody = 0;
// Up to so many ambassadors, the rows that do not speak yet are searched one by one.
constexpr std::size_t kFewAmbassadors = 64;
// A halo row is told again at least this often, so that a peer that lost a frame hears of everybody.
constexpr std::uint32_t kHaloRefreshCycles = 50;

// What this shard knows of the far end of a link beside the ledger.
struct Peer {
  std::uint32_t replicas = 0;  // by its last beacon
  bool refresh = false;        // tell it every halo row
  shard::HaloLink halo;
};

struct PendingAnswer {
  std::uint64_t id;
  std::uint64_t version;
  std::uint32_t needed;
  std::uint64_t expires_cycle;
  std::uint32_t told = 0;  // server nodes that hold it, when last said
};

// The worker's time, stage by stage.
class Stopwatch final : public shard::StageWatch {
 public:
  void Enter(Stage stage) override { Switch(stage); }
  // Ends the last stage; the next one begins a cycle.
  shard::StageTimes Take() {
    Switch(std::nullopt);
    return std::exchange(times_ns_, {});
  }

 private:
  void Switch(std::optional<Stage> stage) {
    const auto now = std::chrono::steady_clock::now();
    if (stage_) {
      times_ns_[static_cast<std::size_t>(*stage_)] +=
          static_cast<std::uint64_t>(std::chrono::nanoseconds(now - since_).count());
    }
    stage_ = stage;
    since_ = now;
  }

  std::optional<Stage> stage_;
  std::chrono::steady_clock::time_point since_;
  shard::StageTimes times_ns_{};
};

class ShardHost : private shard::LedgerSync::Owner {
 public:
  static inline const char* name = "lvs.shard";

  void Configure(ShardActorConfig config) {
    config_ = std::move(config);
    peers_.resize(config_.nodes);
    shard_ = std::make_unique<shard::StateShard>(config_.shard);
    if (config_.replicas > 0) shard_->Start(config_.replicas, config_.opening_balance_uvu);
    sync_.emplace(shard::LedgerSyncConfig{.links = config_.nodes,
                                          .up = !config_.links_change,
                                          .holds = config_.replicas > 0,
                                          .resend_cycles = config_.resend_cycles,
                                          .news_cycles = config_.news_cycles,
                                          .acknowledge_cycles = config_.acknowledge_cycles,
                                          .alone_cycles = config_.alone_cycles},
                  static_cast<shard::LedgerSync::Owner*>(this));
    ambassadors_.assign(std::min(config_.ambassadors, config_.replicas), kNobody);
    for (std::uint32_t a = 0; a < ambassadors_.size(); ++a) ambassadors_[a] = PickAmbassador(a, 0);
  }

  void Wire(const Wiring& wiring) { wiring_ = wiring; }
  void Receive(const IncomingFrame& frame) {
    if (!sync_->Receive(frame.from, frame.due_cycle, frame.frame)) refused_.Add(Refusal::kTooLarge);
  }
  void Change(const LinkChange& change) {
    sync_->SetUp(change.link, change.up);
    if (change.up) peers_[change.link].refresh = true;
  }

  Payload<ShardReport> Tick(const ShardTick& tick) {
    said_.clear();
    auto report = Recycled<ShardReport>();
    report->shard = config_.shard.shard;
    report->cycle = tick.cycle;
    Enter(Stage::kPopulation);
    if (tick.restart) Restart(tick.cycle);
    if (tick.restored != nullptr) {
      for (const shard::LedgerEntry& entry : *tick.restored) shard_->Contribute(entry, tick.cycle);
      told_version_ = shard_->ledger().version();
    }
    if (tick.recovery != vaultguard::RecoveryAction::kNone && !config_.shard.drift.plain) {
      if (tick.recovery == vaultguard::RecoveryAction::kRepinDrift) shard_->Repin();
      sync_->AskAll();
    }
    if (!tick.rows.empty()) {
      // It is the kernel's, but joiners come before.
      Enter(Stage::kDrift);
      shard_->FetchSaid();
      Enter(Stage::kPopulation);
      for (const RowCommand& command : tick.rows) Apply(command, tick.cycle);
    }
    if (tick.scatter) shard_->Scatter(tick.cycle);
    Enter(Stage::kFrames);
    if (sync_->Hold(shard_->replicas(), tick.cycle)) waiting_.clear();  // unanswered, so the clients try elsewhere
    sync_->Begin(tick.cycle);
    const shard::SlotAmounts before = shard_->ledger().totals_uvu();
    TakeFrames(tick.cycle);
    for (const Contribution& contribution : tick.contributions) Accept(contribution, tick.cycle, report.get());
    if (config_.shard.drift.plain) AddPlainIncrement(before);

    if (config_.links_change) WeighRemote(tick.cycle);
    const std::vector<Dot> dots = PickDots(tick.snapshot_dots);
    // Cycle 0 is the state that was drawn, before the first step.
    if (tick.cycle > 0) {
      shard_->Advance(tick.cycle, tick.loss, &report->counts, config_.profile ? &watch_ : nullptr);
      Enter(Stage::kSpeak);
      Attack(config_.seed, tick.cycle, &adversaries_, shard_.get());
      Speak(tick.cycle);
    }
    Answers(tick.cycle, report.get());
    if (config_.tell_changes) {
      told_version_ = shard_->ledger().Changes(told_version_, shard_->ledger().size(), &report->changes);
      report->ledger_digest = shard_->ledger().digest();
      report->sessions = shard_->ledger().size();
      report->handed_over = sync_->HandedOver(tick.cycle);
    }

    Enter(Stage::kMeasure);
    report->counts.step.refused += refused_;
    refused_ = {};
    report->drains_on_links = std::exchange(drains_on_links_, 0);
    report->entropy_on_links = std::exchange(entropy_on_links_, 0);
    report->total_uvu = shard_->ledger().totals_uvu();
    const auto mean_drift_vu = shard_->MeanDriftVu();
    for (std::size_t s = 0; s < static_cast<std::size_t>(config_.shard.shape.value_slots); ++s) {
      const double drift_vu = std::clamp(mean_drift_vu[s], -1e12, 1e12);
      report->effective_uvu += report->total_uvu[s] + static_cast<std::int64_t>(drift_vu * 1e6);
    }
    report->synced = sync_->Synced(tick.cycle);
    report->measured = tick.measure;
    if (tick.measure) {
      shard_->MeasureHonest(&report->measure);
      report->resident_bytes = shard_->resident_bytes();
      if (tick.cycle == config_.last_cycle) report->state_hash = shard_->StateHash();
    }
    report->measure.replicas = shard_->replicas();
    DrawDots(dots, report.get());
    if (config_.profile) report->stage_ns = watch_.Take();
    return report;
  }

  const Wiring& wiring() const { return wiring_; }
  // In the last tick, and to which server node.
  std::vector<std::pair<std::uint32_t, Payload<Frame>>>& said() { return said_; }

 private:
  void Enter(Stage stage) {
    if (config_.profile) watch_.Enter(stage);
  }

  // ---- The ledger's owner, for the redundancy sync ----

  const shard::Ledger& ledger() const override { return shard_->ledger(); }
  shard::Ledger::Outcome Join(const shard::LedgerEntry& entry, std::uint64_t cycle, std::uint8_t link,
                              bool may_open) override {
    return shard_->Contribute(entry, cycle, link, may_open);
  }
  void Forget() override { shard_->ForgetLedger(); }
  shard::SessionId NewSession(std::uint64_t cycle) override {
    const std::uint64_t id = (std::uint64_t{config_.node} << 32) | config_.shard.shard;
    return {Draw(config_.seed, Stream::kSession, id, cycle), Draw(config_.seed, Stream::kSession, ~id, cycle) | 1};
  }

  // As many of the neighbours are remote as of all replicas, by what was last heard of them.
  void WeighRemote(std::uint64_t cycle) {
    std::uint32_t rows = 0;
    double remote = 0;
    for (std::uint32_t n = 0; n < config_.nodes; ++n) {
      if (!sync_->IsHeard(n, cycle)) continue;
      rows = std::max(rows, config_.halo_first[n] + config_.halo_count[n]);
      // A claim that nobody can check must not turn every neighbour into one of the claimant's.
      remote += std::min(peers_[n].replicas, std::max(shard_->replicas(), kCrowd));
    }
    shard_->SetRemote(rows, remote / std::max(1.0, remote + shard_->replicas()));
  }

  // The process died and a new one runs: nothing is left but the configuration.
  void Restart(std::uint64_t cycle) {
    shard_ = std::make_unique<shard::StateShard>(config_.shard);
    adversaries_.clear();
    waiting_.clear();
    ambassadors_.clear();
    peers_.assign(config_.nodes, Peer{});
    sync_->Restart(cycle);
  }

  void Apply(const RowCommand& command, std::uint64_t cycle) {
    using Kind = RowCommand::Kind;
    switch (command.kind) {
      case Kind::kJoin: shard_->Join(command.row, cycle); break;
      case Kind::kLeave:
        shard_->Leave(command.row);
        std::erase_if(adversaries_, [&](const AdversaryRow& a) { return a.row == command.row; });
        break;
      case Kind::kLowPowerOn: shard_->SetFlag(command.row, shard::kLowPower, true); break;
      case Kind::kLowPowerOff: shard_->SetFlag(command.row, shard::kLowPower, false); break;
      case Kind::kAttackOn:
        shard_->SetFlag(command.row, shard::kAdversary, true);
        adversaries_.push_back({command.row, command.attack, {}, 0});
        break;
      case Kind::kAttackOff:
        shard_->SetFlag(command.row, shard::kAdversary, false);
        std::erase_if(adversaries_, [&](const AdversaryRow& a) { return a.row == command.row; });
        break;
    }
  }

  void TakeFrames(std::uint64_t cycle) {
    const std::vector<shard::LedgerSync::Arrival>& due = sync_->Due(cycle);
    load_ = static_cast<float>(due.size()) / static_cast<float>(vaultguard::kMaxPendingFrames);
    for (const auto& arrival : due) TakeFrame(arrival.link, *arrival.frame, cycle);
  }

  void TakeFrame(std::uint32_t from, const Frame& frame, std::uint64_t cycle) {
    if (const auto why = CheckFrame(frame, config_.shard.shape, config_.shard.shard, config_.halo_count[from], cycle)) {
      refused_.Add(*why);
      return;
    }
    const bool plain = config_.shard.drift.plain;
    const shard::LedgerSync::Taken taken =
        plain ? sync_->TakeWithoutLedger(from, frame, &refused_) : sync_->Take(from, frame, cycle, &refused_);
    Peer& peer = peers_[from];
    if (taken.new_session) {
      // The link's own record, in its halo, outlives the session: a sender cannot shed it by taking a new one.
      peer.replicas = 0;
      peer.refresh = false;
    }
    if (plain) {
      if (!taken.read) return;
      if (taken.newest) shard_->AddToAll(frame.plain_increment_uvu);
    } else {
      if (!taken.newest) return;
      if (taken.tell_all) peer.refresh = true;
      peer.replicas = frame.beacon.replicas;
    }
    const shard::HaloLink::Raised raised =
        peer.halo.Hear(frame, config_.halo_first[from], cycle, TypicalBound(), shard_.get(), &refused_);
    drains_on_links_ += raised.drains;
    entropy_on_links_ += raised.entropy;
  }

  // Beyond what a diff of this shard may lie from the ledger without looking odd: twice the widest band seen in a
  // sample.
  float TypicalBound() const {
    const shard::Columns& columns = shard_->columns();
    float widest = 1.0f;
    std::size_t seen = 0;
    for (std::size_t row = columns.first_local; row < columns.end && seen < 64; ++row) {
      if (!columns.Alive(row)) continue;
      widest = std::max(widest, 2 * std::max(columns.band[row], columns.bound_value[row]));
      ++seen;
    }
    return widest;
  }

  void Accept(const Contribution& contribution, std::uint64_t cycle, ShardReport* report) {
    const auto refuse = [&](Refusal why) {
      refused_.Add(why);
      report->answers.push_back({.id = contribution.id, .refused = why});
    };
    if (!sync_->holds() || shard_->replicas() == 0) return refuse(Refusal::kUnknownShard);
    shard::LedgerEntry entry = contribution.entry;
    if (entry.opened_cycle == kOpensNow) {
      const auto known = shard_->ledger().Find(entry.session);
      entry.opened_cycle = known ? known->opened_cycle : cycle;
    }
    if (const auto why = shard_->Contribute(entry, cycle).refused) return refuse(*why);
    const auto again =
        std::find_if(waiting_.begin(), waiting_.end(), [&](const PendingAnswer& a) { return a.id == contribution.id; });
    if (again != waiting_.end()) {  // the client asks once more for what is already on its way
      again->needed = contribution.needed_nodes;
      return;
    }
    if (waiting_.size() >= kMaxWaiting) return refuse(Refusal::kTooLarge);
    waiting_.push_back(
        {contribution.id, shard_->ledger().version(), contribution.needed_nodes, contribution.expires_cycle});
  }

  // Acknowledges what enough server nodes hold by now.
  void Answers(std::uint64_t cycle, ShardReport* report) {
    std::erase_if(waiting_, [&](PendingAnswer& answer) {
      const std::uint32_t holders = sync_->Holders(answer.version);
      const bool done = holders >= answer.needed || config_.shard.drift.plain;
      if (done || (config_.tell_changes && holders > answer.told)) {
        report->answers.push_back({.id = answer.id, .accepted = true, .final = done, .nodes = holders});
        answer.told = holders;
      }
      return done || cycle >= answer.expires_cycle;
    });
  }

  void AddPlainIncrement(const shard::SlotAmounts& before) {
    for (std::size_t s = 0; s < before.size(); ++s) plain_increment_[s] = shard_->ledger().totals_uvu()[s] - before[s];
    shard_->AddToAll(plain_increment_);
  }

  std::uint32_t PickAmbassador(std::uint32_t index, std::uint64_t cycle) const {
    const auto first = static_cast<std::uint32_t>(shard_->columns().first_local);
    const auto locals = static_cast<std::uint32_t>(shard_->columns().end) - first;
    for (std::uint64_t attempt = 0; locals > 0 && attempt < 16; ++attempt) {
      const std::uint64_t draw = Draw(config_.shard.seed, Stream::kAmbassador, index * 16ull + attempt, cycle);
      const std::uint32_t row = first + shard::Below(draw, locals);
      if (!IsLive(row) || std::find(ambassadors_.begin(), ambassadors_.end(), row) != ambassadors_.end()) continue;
      return row;
    }
    // Nearly all of a small shard speak already: take the next one that does not.
    for (std::uint32_t row = first; row < first + locals && ambassadors_.size() <= kFewAmbassadors; ++row) {
      if (IsLive(row) && std::find(ambassadors_.begin(), ambassadors_.end(), row) == ambassadors_.end()) return row;
    }
    return kNobody;
  }

  bool IsLive(std::uint32_t row) const {
    const shard::Columns& columns = shard_->columns();
    return row >= columns.first_local && row < columns.end && columns.Alive(row);
  }

  void Speak(std::uint64_t cycle) {
    if (config_.nodes < 2) return;
    if (ambassadors_.size() < config_.ambassadors) {
      ambassadors_.resize(std::min<std::size_t>(config_.ambassadors, shard_->replicas()), kNobody);
    }
    for (std::uint32_t a = 0; a < ambassadors_.size(); ++a) {
      if (!IsLive(ambassadors_[a])) ambassadors_[a] = PickAmbassador(a, cycle);
    }
    for (std::uint32_t node = 0; node < config_.nodes; ++node) {
      if (node == config_.node || !sync_->IsUp(node)) continue;
      FillFrame(cycle, node);
      // While the shard is on the move every cycle counts; a few rows or entries wait for more.
      const bool moving = draft_->halo_row.size() * 2 > ambassadors_.size();
      const bool urgent = moving || draft_->plain_increment_uvu != shard::SlotAmounts{};
      if (sync_->Speaks(node, cycle, *draft_, urgent)) said_.emplace_back(node, std::move(draft_));
    }
  }

  // Drafts what is to be said to a server node. A draft is written over by the next one: most are never said.
  void FillFrame(std::uint64_t cycle, std::uint32_t node) {
    if (draft_ == nullptr) draft_ = Recycled<Frame>();
    Frame* frame = draft_.get();
    Peer* peer = &peers_[node];
    if (config_.shard.drift.plain) {
      sync_->FillWithoutLedger(node, cycle, frame);
      frame->plain_increment_uvu = plain_increment_;
    } else {
      sync_->Fill(node, cycle, frame);
    }
    frame->shard = config_.shard.shard;
    frame->beacon.replicas = shard_->replicas();
    frame->beacon.load = load_;
    frame->beacon.low_power_share =
        shard_->replicas() == 0 ? 0.0f
                                : static_cast<float>(shard_->low_power()) / static_cast<float>(shard_->replicas());
    shard::RowWriter rows(frame, ambassadors_.size(), config_.shard.shape.dimensions());
    for (std::uint32_t a = 0; a < ambassadors_.size(); ++a) {
      const std::uint32_t row = ambassadors_[a];
      if (!IsLive(row)) continue;
      const std::uint32_t meta = shard_->said_meta(row);
      const std::uint32_t age = shard::Age(meta, cycle);
      if ((meta & shard::kMetaValid) == 0 || age > cycle) continue;
      // What was said since the last frame to this peer.
      const bool refresh = peer->refresh || cycle % kHaloRefreshCycles == config_.shard.shard % kHaloRefreshCycles;
      if (age >= cycle - sync_->spoke_cycle(node) && !refresh) continue;
      // What no frame can carry is not said: an adversary's nonsense costs it its voice.
      const float* said = shard_->said(row);
      const auto carried = [](float number) { return std::abs(number) <= vaultguard::kMaxDistance; };
      if (!std::all_of(said, said + config_.shard.shape.dimensions(), carried)) continue;
      rows.Add(a, static_cast<std::uint32_t>(cycle - age), static_cast<std::uint8_t>(meta >> 24),
               shard_->said_entropy(row), said);
    }
    peer->refresh = false;
  }

  // Of a picture: one row, and what it said before this cycle.
  struct Dot {
    std::uint32_t row;
    bool spoke;
    float x;
    float y;
  };

  // Free coordinates are the picture; a shard without them shows its first values.
  std::pair<int, int> Axes() const {
    const shard::Shape& shape = config_.shard.shape;
    const int x = shape.free_coordinates >= 1 ? shape.value_slots : 0;
    const int y = shape.free_coordinates >= 2 ? shape.value_slots + 1 : std::min(x + 1, shape.dimensions() - 1);
    return {x, y};
  }

  std::vector<Dot> PickDots(std::uint32_t wanted) const {
    std::vector<Dot> dots;
    if (wanted == 0) return dots;
    const shard::Columns& columns = shard_->columns();
    const auto [x, y] = Axes();
    const std::size_t step = std::max<std::size_t>(1, shard_->replicas() / wanted);
    std::size_t alive = 0;
    for (std::size_t row = columns.first_local; row < columns.end && dots.size() < wanted; ++row) {
      if (!columns.Alive(row) || alive++ % step != 0) continue;
      const float* said = columns.Said(row);
      dots.push_back({static_cast<std::uint32_t>(row), (columns.Meta(row) & shard::kMetaValid) != 0, said[x], said[y]});
    }
    return dots;
  }

  void DrawDots(const std::vector<Dot>& dots, ShardReport* report) const {
    const shard::Columns& columns = shard_->columns();
    const int dims = config_.shard.shape.dimensions();
    const auto [x, y] = Axes();
    std::unordered_map<std::uint32_t, std::uint32_t> index;
    for (const Dot& dot : dots) index.emplace(dot.row, static_cast<std::uint32_t>(index.size()));
    for (const auto& [row, spoke_before, x_before, y_before] : dots) {
      v1::Dot dot;
      const bool liar = (columns.flags[row] & shard::kAdversary) != 0;
      const float* now = shard_->said(row);
      const auto place = [&, at_row = row](int c) {
        const float at = liar ? now[c] : columns.state[static_cast<std::size_t>(c) * columns.stride + at_row];
        return std::abs(at) <= vaultguard::kMaxDistance ? at : 0.0f;
      };
      dot.set_x(place(x));
      dot.set_y(place(y));
      if (spoke_before && !liar) {
        dot.set_dx(dot.x() - x_before);
        dot.set_dy(dot.y() - y_before);
      }
      dot.set_region(config_.node);
      dot.set_adversary(liar);
      float energy = 0;
      for (int c = 0; c < dims; ++c) energy += std::abs(shard::EntropyComponent(shard_->said_entropy(row), c));
      dot.set_entropy(energy / static_cast<float>(dims));
      for (int s = 0; s < config_.shard.shape.peers; ++s) {
        const auto at =
            index.find(shard::NeighbourOf(columns.link[static_cast<std::size_t>(s) * columns.stride + row]));
        if (at != index.end() && at->first != row) dot.add_peer(at->second);
      }
      report->dots.push_back(std::move(dot));
    }
  }

  ShardActorConfig config_;
  Wiring wiring_;
  std::unique_ptr<shard::StateShard> shard_;
  std::optional<shard::LedgerSync> sync_;
  std::vector<Peer> peers_;  // by server node
  std::shared_ptr<Frame> draft_;
  std::vector<std::pair<std::uint32_t, Payload<Frame>>> said_;
  float load_ = 0;  // how full the inbox is, 0..1
  std::vector<std::uint32_t> ambassadors_;
  std::vector<AdversaryRow> adversaries_;
  Stopwatch watch_;
  std::deque<PendingAnswer> waiting_;
  vaultguard::RefusalCounts refused_;
  std::uint64_t told_version_ = 0;  // change up to which the reports have told
  std::uint64_t drains_on_links_ = 0;
  std::uint64_t entropy_on_links_ = 0;
  shard::SlotAmounts plain_increment_{};
};

}  // namespace

ShardActor SpawnShardActor(caf::actor_system& system, ShardActorConfig config) {
  const auto behaviour = [](ShardActor::stateful_pointer<ShardHost> self,
                            std::shared_ptr<ShardActorConfig> start) -> ShardActor::behavior_type {
    self->state.Configure(std::move(*start));
    return {
        [self](const Payload<Wiring>& wiring) { self->state.Wire(*wiring); },
        [self](const Payload<ShardTick>& tick) {
          ShardHost& host = self->state;
          Payload<ShardReport> report = host.Tick(*tick);
          for (auto& [node, frame] : host.said()) {
            PostFrom(self, host.wiring().links[node], OutgoingFrame{std::move(frame)});
          }
          PostFrom(self, host.wiring().monitor, std::move(report));
        },
        [self](const IncomingFrame& frame) { self->state.Receive(frame); },
        [self](const LinkChange& change) { self->state.Change(change); },
    };
  };
  return system.spawn(behaviour, std::make_shared<ShardActorConfig>(std::move(config)));
}

}  // namespace lvs::actors
