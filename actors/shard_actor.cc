#include "actors/shard_actor.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>
#include <unordered_map>
#include <utility>

#include "actors/adversary.h"
#include "shard/entropy_engine.h"
#include "shard/random.h"
#include "vaultguard/drain_detector.h"

namespace lvs::actors {

namespace {

using shard::Correction;
using shard::Draw;
using shard::Frame;
using shard::Stream;
using vaultguard::Refusal;

// Ledgers that differ for this many cycles although all news was acknowledged exchange bucket digests.
constexpr std::uint64_t kDisagreeCycles = 50;
// A frame with nothing new in it is said this often.
constexpr std::uint64_t kSignOfLifeCycles = 20;
// Cycles' worth of new sessions that a link may save up.
constexpr std::uint64_t kSavedCycles = 10;
// Asking is cheap and answering is not: a peer that asks for everything again is heard after a pause, and buckets that
// differ are told again after a pause, once all that is in them has been said. Each pause is twice the one before, up
// to kPauseCyclesMax, until nothing was asked for eight times as long.
constexpr std::uint64_t kTellAllCycles = 10;
constexpr std::uint64_t kRepairCycles = 50;
constexpr std::uint64_t kPauseCyclesMax = 1600;
// Ledger news in one frame; as much again is left for buckets that differ.
constexpr std::size_t kFrameNews = vaultguard::kMaxFrameEntries / 2;
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

// Keeps apart what a peer may ask for, however often it asks.
class Pause {
 public:
  explicit Pause(std::uint64_t cycles) : first_(cycles), cycles_(cycles) {}
  bool Over(std::uint64_t cycle) const { return cycle >= since_ + cycles_; }
  void Begin(std::uint64_t cycle) {
    const bool again = since_ != 0 && cycle < since_ + 8 * cycles_;
    cycles_ = again ? std::min(2 * cycles_, kPauseCyclesMax) : first_;
    since_ = cycle;
  }

 private:
  std::uint64_t first_;
  std::uint64_t cycles_;
  std::uint64_t since_ = 0;
};

// What this shard knows of the same shard on another server node.
struct Peer {
  bool up = true;              // somebody is at the far end of the link
  std::size_t in_inbox = 0;    // frames that wait for their cycle
  std::uint32_t replicas = 0;  // by its last beacon
  shard::SessionId session;
  std::uint64_t newest_cycle = 0;  // of a frame; older ones have no voice
  std::uint64_t merged = 0;        // newest change of its ledger that is merged here
  std::uint64_t acknowledged = 0;  // newest change of this ledger that it has merged
  std::uint64_t sent = 0;          // newest change that was sent to it
  std::uint64_t sent_cycle = 0;    // when something new was sent, or acknowledged
  std::uint64_t disagrees_since = 0;
  std::uint32_t buckets_wanted = 0;  // that it lacks
  std::size_t bucket_cursor = 0;
  Pause tell_all{kTellAllCycles};    // since it last asked for everything and was heard
  Pause repair{kRepairCycles};       // since it was last told all of the buckets that differ
  std::uint64_t tell_all_until = 0;  // up to this change it is told even what came from itself: it forgot
  bool ask_all = false;              // this side is empty: ask for everything
  std::uint32_t new_sessions = 0;    // that the link may still tell
  std::uint64_t spoke_cycle = 0;     // of the last frame to it, and what that acknowledged
  std::uint64_t spoke_acknowledged = 0;
  bool synced = false;   // everything that it had to tell has been merged once
  bool refresh = false;  // the other side is: tell it every halo row
  vaultguard::DrainDetector drain{vaultguard::DrainOptions{}};
  shard::EntropyLink entropy;
};

struct PendingAnswer {
  std::uint64_t id;
  std::uint64_t version;
  std::uint32_t needed;
  std::uint64_t expires_cycle;
  std::uint32_t told = 0;  // server nodes that hold it, when last said
};

class ShardHost {
 public:
  static inline const char* name = "lvs.shard";

  void Configure(ShardActorConfig config) {
    config_ = std::move(config);
    NewPeers();
    session_ = NewSession(0);
    shard_ = std::make_unique<shard::StateShard>(config_.shard);
    if (config_.replicas > 0) shard_->Start(config_.replicas, config_.opening_balance_uvu);
    holding_ = config_.replicas > 0;
    if (!holding_) ForgetLedger();
    ambassadors_.assign(std::min(config_.ambassadors, config_.replicas), kNobody);
    for (std::uint32_t a = 0; a < ambassadors_.size(); ++a) ambassadors_[a] = PickAmbassador(a, 0);
    // Everybody starts with the opening balance: no news about it.
    for (Peer& peer : peers_) {
      peer.acknowledged = peer.sent = shard_->ledger().version();
      peer.merged = holding_ ? shard_->ledger().version() : 0;
    }
  }

  void Wire(const Wiring& wiring) { wiring_ = wiring; }
  void Receive(const IncomingFrame& frame) {
    // An equal part for each peer: one that floods turns nobody else away.
    Peer& peer = peers_[frame.from];
    if (peer.in_inbox >= vaultguard::kMaxPendingFrames / config_.nodes) {
      refused_.Add(Refusal::kTooLarge);
      return;
    }
    ++peer.in_inbox;
    inbox_.push_back(frame);
  }
  void Change(const LinkChange& change) {
    Peer& peer = peers_[change.link];
    peer.up = change.up;
    if (!change.up) return;
    // Whoever it is has heard nothing lately.
    peer.refresh = true;
    peer.spoke_cycle = 0;
  }

  Payload<ShardReport> Tick(const ShardTick& tick, std::vector<std::pair<std::uint32_t, Payload<Frame>>>* out) {
    auto report = std::make_shared<ShardReport>();
    report->shard = config_.shard.shard;
    report->cycle = tick.cycle;
    if (tick.restart) Restart(tick.cycle);
    if (tick.restored != nullptr) {
      for (const shard::LedgerEntry& entry : *tick.restored) shard_->Contribute(entry, tick.cycle);
      told_version_ = shard_->ledger().version();
    }
    if (tick.recovery != vaultguard::RecoveryAction::kNone && !config_.shard.drift.plain) {
      if (tick.recovery == vaultguard::RecoveryAction::kRepinDrift) shard_->Repin();
      AskAll();
    }
    for (const RowCommand& command : tick.rows) Apply(command, tick.cycle);
    Hold(tick.cycle);
    AllowSessions(tick.cycle);
    const shard::SlotAmounts before = shard_->ledger().totals_uvu();
    TakeFrames(tick.cycle, report.get());
    for (const Contribution& contribution : tick.contributions) Accept(contribution, tick.cycle, report.get());
    if (config_.shard.drift.plain) AddPlainIncrement(before);

    if (config_.links_change) WeighRemote(tick.cycle);
    const std::vector<Dot> dots = PickDots(tick.snapshot_dots);
    // Cycle 0 is the state that was drawn, before the first step.
    if (tick.cycle > 0) {
      shard_->Advance(tick.cycle, tick.loss, &report->counts);
      Attack(config_.seed, tick.cycle, &adversaries_, shard_.get());
      Speak(tick.cycle, out);
    }
    Answers(tick.cycle, report.get());
    if (config_.tell_changes) {
      told_version_ = shard_->ledger().Changes(told_version_, shard_->ledger().size(), &report->changes);
      report->ledger_digest = shard_->ledger().digest();
      report->sessions = shard_->ledger().size();
      report->handed_over = HandedOver(tick.cycle);
    }

    report->counts.step.refused += refused_;
    refused_ = {};
    report->drains_on_links = std::exchange(drains_on_links_, 0);
    report->entropy_on_links = std::exchange(entropy_on_links_, 0);
    report->total_uvu = shard_->ledger().totals_uvu();
    for (int s = 0; s < config_.shard.shape.value_slots; ++s) {
      const double drift_vu = std::clamp(shard_->MeanDriftVu(s), -1e12, 1e12);
      report->effective_uvu +=
          report->total_uvu[static_cast<std::size_t>(s)] + static_cast<std::int64_t>(drift_vu * 1e6);
    }
    report->synced = Synced(tick.cycle);
    report->measured = tick.measure;
    if (tick.measure) {
      shard_->MeasureHonest(&report->measure);
      report->resident_bytes = shard_->resident_bytes();
      if (tick.cycle == config_.last_cycle) report->state_hash = shard_->StateHash();
    }
    report->measure.replicas = shard_->replicas();
    DrawDots(dots, report.get());
    return report;
  }

  const Wiring& wiring() const { return wiring_; }

 private:
  shard::SessionId NewSession(std::uint64_t cycle) const {
    const std::uint64_t id = (std::uint64_t{config_.node} << 32) | config_.shard.shard;
    return {Draw(config_.seed, Stream::kSession, id, cycle), Draw(config_.seed, Stream::kSession, ~id, cycle) | 1};
  }

  void NewPeers() {
    peers_.resize(config_.nodes);
    for (Peer& peer : peers_) peer.up = !config_.links_change;
  }

  // As many of the neighbours are remote as of all replicas, by what was last heard of them.
  void WeighRemote(std::uint64_t cycle) {
    std::uint32_t rows = 0;
    double remote = 0;
    for (std::uint32_t n = 0; n < config_.nodes; ++n) {
      const Peer& peer = peers_[n];
      if (!peer.up || peer.newest_cycle + vaultguard::kSilenceCycles < cycle) continue;
      rows = std::max(rows, config_.halo_first[n] + config_.halo_count[n]);
      // A claim that nobody can check must not turn every neighbour into one of the claimant's.
      remote += std::min(peer.replicas, std::max(shard_->replicas(), kCrowd));
    }
    shard_->SetRemote(rows, remote / std::max(1.0, remote + shard_->replicas()));
  }

  // The process died and a new one runs: nothing is left but the configuration.
  void Restart(std::uint64_t cycle) {
    shard_ = std::make_unique<shard::StateShard>(config_.shard);
    session_ = NewSession(cycle);
    adversaries_.clear();
    waiting_.clear();
    // What is still on its way arrives at the new process; frames of this very cycle may be here already or not yet.
    std::erase_if(inbox_, [cycle](const IncomingFrame& frame) { return frame.due_cycle <= cycle; });
    ambassadors_.clear();
    new_sessions_ = vaultguard::kNewSessionsAtOnce;
    holding_ = true;  // a server node that starts fetches what its peers hold before its micro-nodes join
    populated_ = false;
    started_cycle_ = cycle;
    std::vector<Peer> before = std::exchange(peers_, {});
    NewPeers();
    for (std::size_t n = 0; n < peers_.size(); ++n) peers_[n].up = before[n].up;
    for (const IncomingFrame& frame : inbox_) ++peers_[frame.from].in_inbox;
    AskAll();
  }

  void AskAll() {
    for (Peer& peer : peers_) {
      peer.ask_all = true;
      peer.synced = false;
      peer.merged = 0;
    }
  }

  void ForgetLedger() {
    shard_->ForgetLedger();
    waiting_.clear();  // unanswered, so the clients try elsewhere
    for (Peer& peer : peers_) peer.merged = 0;
  }

  // The ledger lives with the replicas: the last one takes it along, the first one fetches it again.
  void Hold(std::uint64_t cycle) {
    if (shard_->replicas() > 0) {
      if (!holding_) {
        session_ = NewSession(cycle);  // what was acknowledged to the one that forgot counts no more
        AskAll();
      }
      holding_ = true;
      populated_ = true;
    } else if (holding_ && populated_) {
      holding_ = populated_ = false;
      ForgetLedger();
    }
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

  void TakeFrames(std::uint64_t cycle, ShardReport* report) {
    due_.clear();
    std::erase_if(inbox_, [&](const IncomingFrame& frame) {
      if (frame.due_cycle > cycle) return false;
      --peers_[frame.from].in_inbox;
      due_.push_back(frame);
      return true;
    });
    std::stable_sort(due_.begin(), due_.end(), [](const IncomingFrame& a, const IncomingFrame& b) {
      return std::pair(a.from, a.frame->cycle) < std::pair(b.from, b.frame->cycle);
    });
    for (const IncomingFrame& incoming : due_) TakeFrame(incoming.from, *incoming.frame, cycle);
  }

  void TakeFrame(std::uint32_t from, const Frame& frame, std::uint64_t cycle) {
    const std::uint32_t halo = config_.halo_count[from];
    if (const auto why = CheckFrame(frame, config_.shard.shape, config_.shard.shard, halo, cycle)) {
      refused_.Add(*why);
      return;
    }
    Peer& peer = peers_[from];
    if (frame.sender != peer.session) {
      if (frame.cycle <= peer.newest_cycle) {
        refused_.Add(Refusal::kReplayed);  // an earlier life of that server node
        return;
      }
      const bool ask_all = peer.ask_all;
      // The link's own record outlives the session: a sender cannot shed it by taking a new one.
      const vaultguard::DrainDetector drain = peer.drain;
      const shard::EntropyLink entropy = peer.entropy;
      const bool first = peer.session == shard::SessionId{};
      Peer fresh;
      fresh.up = peer.up;
      fresh.in_inbox = peer.in_inbox;
      fresh.ask_all = ask_all;
      fresh.new_sessions = peer.new_sessions;
      fresh.tell_all = peer.tell_all;
      fresh.repair = peer.repair;
      // At the start both sides hold the same opening balance; a later session has everything to learn.
      if (first && started_cycle_ == 0) {
        fresh.merged = peer.merged;
        fresh.acknowledged = peer.acknowledged;
        fresh.sent = peer.sent;
      }
      fresh.tell_all_until = fresh.acknowledged == 0 ? shard_->ledger().version() : 0;
      peer = fresh;
      peer.drain = drain;
      peer.entropy = entropy;
      peer.session = frame.sender;
    }
    if (config_.shard.drift.plain) {
      peer.synced = true;
      if (frame.cycle > peer.newest_cycle) {
        peer.newest_cycle = frame.cycle;
        shard_->AddToAll(frame.plain_increment_uvu);
      }
    } else {
      JoinNews(frame, from, &peer, cycle);
      if (frame.cycle <= peer.newest_cycle) {
        refused_.Add(Refusal::kReplayed);
        return;
      }
      peer.newest_cycle = frame.cycle;
      peer.replicas = frame.beacon.replicas;
      CompareLedgers(frame, &peer, cycle);
    }
    RefreshHalo(frame, config_.halo_first[from], cycle, &peer);
  }

  // What each link may tell of new sessions, and all of them together beside that, grows with time.
  void AllowSessions(std::uint64_t cycle) {
    const std::uint64_t earned = vaultguard::kNewSessionsPerCycle * std::min(cycle - allowed_cycle_, kSavedCycles);
    allowed_cycle_ = cycle;
    new_sessions_ =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(vaultguard::kNewSessionsAtOnce, new_sessions_ + earned));
    for (Peer& peer : peers_) {
      peer.new_sessions = static_cast<std::uint32_t>(
          std::min<std::uint64_t>(vaultguard::kNewSessionsPerCycle * kSavedCycles, peer.new_sessions + earned));
    }
  }

  // Entries join whatever the frame's age: the ledger does not care about order.
  void JoinNews(const Frame& frame, std::uint32_t from, Peer* peer, std::uint64_t cycle) {
    if (holding_) {
      bool all = true;
      for (const shard::LedgerEntry& entry : frame.entries) {
        std::uint32_t& allowance = peer->new_sessions > 0 ? peer->new_sessions : new_sessions_;
        const auto outcome = shard_->Contribute(entry, cycle, static_cast<std::uint8_t>(from), allowance > 0);
        if (outcome.opened) --allowance;
        if (outcome.refused) {
          refused_.Add(*outcome.refused);
          all = false;
        }
      }
      // What was refused is not held here and must not count as acknowledged; nor may news for an earlier life of this
      // server node, which leaves out what that one knew.
      if (all && frame.acknowledged_of == session_.low) {
        if (frame.news_from <= peer->merged) peer->merged = std::max(peer->merged, frame.news_to);
        if (peer->ask_all && frame.news_from == 0) peer->ask_all = false;
        if (!peer->ask_all && frame.news_from <= peer->merged && frame.entries.size() < kFrameNews) peer->synced = true;
      }
    }
    if (frame.cycle <= peer->newest_cycle) return;  // late: it neither acknowledges nor asks
    if (frame.acknowledged_of == session_.low && frame.acknowledged > peer->acknowledged &&
        frame.acknowledged <= shard_->ledger().version()) {
      peer->acknowledged = frame.acknowledged;
      peer->sent = std::max(peer->sent, peer->acknowledged);
      peer->sent_cycle = cycle;
    }
    if (frame.correction == Correction::kSyncAll && peer->tell_all.Over(cycle)) {
      peer->tell_all.Begin(cycle);
      peer->acknowledged = peer->sent = 0;
      peer->tell_all_until = shard_->ledger().version();
      peer->refresh = true;
    } else if (frame.correction == Correction::kSyncBuckets) {
      peer->buckets_wanted = frame.correction_buckets;
    }
  }

  void CompareLedgers(const Frame& frame, Peer* peer, std::uint64_t cycle) {
    if (!holding_ || frame.ledger_digest == shard_->ledger().digest()) {
      peer->disagrees_since = 0;
      peer->buckets_wanted = 0;
      return;
    }
    // Entries on their way are no disagreement.
    if (peer->acknowledged < shard_->ledger().version() || peer->merged < frame.news_to) {
      peer->disagrees_since = 0;
      return;
    }
    if (peer->disagrees_since == 0) peer->disagrees_since = cycle;
    if (frame.bucket_digest.empty()) return;
    peer->buckets_wanted = 0;
    for (int b = 0; b < shard::Ledger::kBuckets; ++b) {
      if (frame.bucket_digest[static_cast<std::size_t>(b)] != shard_->ledger().bucket_digest(b))
        peer->buckets_wanted |= 1u << b;
    }
  }

  // Remote neighbours' newest states. A link whose diffs look like a drain weighs less (SPEC-8.3).
  void RefreshHalo(const Frame& frame, std::uint32_t first, std::uint64_t cycle, Peer* peer) {
    const int dims = config_.shard.shape.dimensions();
    const int slots = config_.shard.shape.value_slots;
    const float bound = TypicalBound();
    vaultguard::DrainSample sample;
    const double weight = peer->drain.verdict().weight;
    for (std::size_t n = 0; n < frame.halo_row.size(); ++n) {
      if (frame.published_cycle[n] + std::uint64_t{vaultguard::kSilenceCycles} < cycle) {
        refused_.Add(Refusal::kStale);
        continue;
      }
      const float* diff = frame.diff.data() + n * static_cast<std::size_t>(dims);
      float worst = 0;
      for (int c = 0; c < slots; ++c) {
        if (std::abs(diff[c]) > std::abs(worst)) worst = diff[c];
      }
      ++sample.diffs;
      if (std::abs(worst) > bound) {
        if (worst < 0) {
          ++sample.out_of_bound_downward;
          sample.downward_pull_uvu += static_cast<std::uint64_t>(std::min(1e15f, -worst * 1e6f));
        } else {
          ++sample.out_of_bound_upward;
        }
      }
      const auto drift_weight = static_cast<std::uint8_t>(frame.drift_weight[n] * weight);
      shard_->SetHalo(first + frame.halo_row[n], frame.published_cycle[n], drift_weight, diff,
                      Heard(first + frame.halo_row[n], frame.entropy[n], peer));
    }
    const vaultguard::DrainVerdict& verdict = peer->drain.Observe(sample);
    if (verdict.raised_bits != 0) ++drains_on_links_;
  }

  // The entropy word to keep for a halo row: the new one, or the old one where the link's packets are not fit to use.
  std::uint32_t Heard(std::uint32_t halo_row, std::uint32_t word, Peer* peer) {
    const std::uint32_t before = shard_->said_entropy(halo_row);
    if (word == before) return before;
    const std::uint64_t faults = peer->entropy.faults();
    if (peer->entropy.Take(word)) return word;
    refused_.Add(Refusal::kEntropyRepeated);
    entropy_on_links_ += peer->entropy.faults() - faults;
    return before;
  }

  // Beyond what a diff of this shard may lie from the ledger without looking odd: twice the widest band seen in a
  // sample.
  float TypicalBound() const {
    const shard::Columns& columns = shard_->columns();
    float widest = 1.0f;
    std::size_t seen = 0;
    for (std::size_t row = columns.first_local; row < columns.end && seen < 64; ++row) {
      if ((columns.flags[row] & shard::kAlive) == 0) continue;
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
    if (!holding_ || shard_->replicas() == 0) return refuse(Refusal::kUnknownShard);
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
      const std::uint32_t holders = Holders(answer.version);
      const bool done = holders >= answer.needed || config_.shard.drift.plain;
      if (done || (config_.tell_changes && holders > answer.told)) {
        report->answers.push_back({.id = answer.id, .accepted = true, .final = done, .nodes = holders});
        answer.told = holders;
      }
      return done || cycle >= answer.expires_cycle;
    });
  }

  // Server nodes that hold this change, each counted once however many links lead to it.
  std::uint32_t Holders(std::uint64_t version) const {
    std::uint32_t holders = 1;
    for (auto peer = peers_.begin(); peer != peers_.end(); ++peer) {
      if (peer->session == shard::SessionId{} || peer->acknowledged < version) continue;
      holders += std::none_of(peers_.begin(), peer, [&](const Peer& other) {
        return other.session == peer->session && other.acknowledged >= version;
      });
    }
    return holders;
  }

  // More than half of the peers that are there have merged all of the ledger: one that only says so is not enough.
  bool HandedOver(std::uint64_t cycle) const {
    std::size_t there = 0;
    std::size_t hold = 0;
    for (const Peer& peer : peers_) {
      if (!peer.up || peer.session == shard::SessionId{}) continue;
      if (peer.newest_cycle + vaultguard::kSilenceCycles < cycle) continue;
      ++there;
      if (peer.acknowledged >= shard_->ledger().version()) ++hold;
    }
    return 2 * hold > there;
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
    return row >= columns.first_local && row < columns.end && (columns.flags[row] & shard::kAlive) != 0;
  }

  void Speak(std::uint64_t cycle, std::vector<std::pair<std::uint32_t, Payload<Frame>>>* out) {
    if (config_.nodes < 2) return;
    if (ambassadors_.size() < config_.ambassadors) {
      ambassadors_.resize(std::min<std::size_t>(config_.ambassadors, shard_->replicas()), kNobody);
    }
    for (std::uint32_t a = 0; a < ambassadors_.size(); ++a) {
      if (!IsLive(ambassadors_[a])) ambassadors_[a] = PickAmbassador(a, cycle);
    }
    for (std::uint32_t node = 0; node < config_.nodes; ++node) {
      if (node == config_.node || !peers_[node].up) continue;
      auto frame = std::make_shared<Frame>();
      FillFrame(cycle, node, frame.get());
      if (WorthSaying(cycle, *frame, &peers_[node])) out->emplace_back(node, std::move(frame));
    }
  }

  void FillFrame(std::uint64_t cycle, std::uint32_t node, Frame* frame) {
    Peer* peer = &peers_[node];
    const shard::Ledger& ledger = shard_->ledger();
    frame->shard = config_.shard.shard;
    frame->cycle = cycle;
    frame->sender = session_;
    frame->total_uvu = ledger.totals_uvu();
    frame->value_slots = config_.shard.shape.value_slots;
    frame->ledger_digest = ledger.digest();
    frame->beacon.replicas = shard_->replicas();
    frame->beacon.load = static_cast<float>(due_.size()) / static_cast<float>(vaultguard::kMaxPendingFrames);
    frame->beacon.low_power_share =
        shard_->replicas() == 0 ? 0.0f
                                : static_cast<float>(shard_->low_power()) / static_cast<float>(shard_->replicas());
    frame->acknowledged = peer->merged;
    frame->acknowledged_of = peer->session.low;
    if (config_.shard.drift.plain) {
      frame->plain_increment_uvu = plain_increment_;
    } else if (holding_) {
      if (peer->sent > peer->acknowledged && cycle > peer->sent_cycle + config_.resend_cycles[node]) {
        peer->sent = peer->acknowledged;  // go back to what is known to have arrived
        peer->sent_cycle = cycle;
      }
      frame->news_from = peer->sent;
      const std::uint64_t reached =
          ledger.Changes(peer->sent, kFrameNews, &frame->entries,
                         peer->sent < peer->tell_all_until ? shard::Ledger::kHere : static_cast<std::uint8_t>(node));
      if (reached > peer->sent) {
        if (peer->sent == peer->acknowledged) peer->sent_cycle = cycle;
        peer->sent = reached;
      }
      frame->news_to = reached;
      if (peer->disagrees_since != 0 && cycle > peer->disagrees_since + kDisagreeCycles) {
        for (int b = 0; b < shard::Ledger::kBuckets; ++b) frame->bucket_digest.push_back(ledger.bucket_digest(b));
        if (peer->buckets_wanted != 0 && peer->repair.Over(cycle)) {
          const std::size_t before = peer->bucket_cursor;
          ledger.Bucket(peer->buckets_wanted, kFrameNews, &peer->bucket_cursor, &frame->entries);
          if (peer->bucket_cursor <= before) peer->repair.Begin(cycle);  // once round
        }
      }
      if (peer->ask_all) frame->correction = Correction::kSyncAll;
    }
    for (std::uint32_t a = 0; a < ambassadors_.size(); ++a) {
      const std::uint32_t row = ambassadors_[a];
      if (!IsLive(row)) continue;
      const std::uint32_t meta = shard_->said_meta(row);
      const std::uint32_t age = shard::Age(meta, cycle);
      if ((meta & shard::kMetaValid) == 0 || age > cycle) continue;
      // What was said since the last frame to this peer.
      const bool refresh = peer->refresh || cycle % kHaloRefreshCycles == config_.shard.shard % kHaloRefreshCycles;
      if (age >= cycle - peer->spoke_cycle && !refresh) continue;
      // What no frame can carry is not said: an adversary's nonsense costs it its voice.
      const float* said = shard_->said(row);
      const auto carried = [](float number) { return std::abs(number) <= vaultguard::kMaxDistance; };
      if (!std::all_of(said, said + config_.shard.shape.dimensions(), carried)) continue;
      frame->halo_row.push_back(a);
      frame->published_cycle.push_back(static_cast<std::uint32_t>(cycle - age));
      frame->drift_weight.push_back(static_cast<std::uint8_t>(meta >> 24));
      frame->entropy.push_back(shard_->said_entropy(row));
      frame->diff.insert(frame->diff.end(), said, said + config_.shard.shape.dimensions());
    }
    peer->refresh = false;
  }

  // A frame that only repeats itself waits for the next sign of life; one that only acknowledges waits a little (rule
  // 8).
  bool WorthSaying(std::uint64_t cycle, const Frame& frame, Peer* peer) const {
    const std::uint64_t quiet = cycle - peer->spoke_cycle;
    const bool acknowledges = frame.acknowledged != peer->spoke_acknowledged;
    // While the shard is on the move every cycle counts; a few rows or entries wait for more.
    const bool moving = frame.halo_row.size() * 2 > ambassadors_.size();
    const bool some = !frame.halo_row.empty() || !frame.entries.empty();
    const bool news = moving || (some && quiet >= config_.news_cycles) || frame.correction != Correction::kNone ||
                      !frame.bucket_digest.empty() || frame.plain_increment_uvu != shard::SlotAmounts{};
    if (!news && quiet < (acknowledges ? config_.acknowledge_cycles : kSignOfLifeCycles)) {
      peer->sent = frame.news_from;  // not said after all
      return false;
    }
    peer->spoke_cycle = cycle;
    peer->spoke_acknowledged = frame.acknowledged;
    return true;
  }

  bool Synced(std::uint64_t cycle) const {
    bool any = false;
    bool all = true;
    for (const Peer& peer : peers_) {
      if (!peer.up || peer.session == shard::SessionId{}) continue;
      if (peer.newest_cycle + vaultguard::kSilenceCycles < cycle) continue;
      any = any || peer.synced;
      all = all && peer.synced;
    }
    // One peer is enough after a while; after a longer one, this node is alone.
    if (any) return all || cycle > started_cycle_ + kDisagreeCycles;
    return cycle > started_cycle_ + config_.alone_cycles;
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
      if ((columns.flags[row] & shard::kAlive) == 0 || alive++ % step != 0) continue;
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
  shard::SessionId session_;
  std::uint64_t started_cycle_ = 0;
  bool holding_ = false;   // the ledger is kept here
  bool populated_ = true;  // replicas live, or lived, here since holding began
  std::vector<Peer> peers_;
  std::deque<IncomingFrame> inbox_;
  std::vector<IncomingFrame> due_;
  std::vector<std::uint32_t> ambassadors_;
  std::vector<AdversaryRow> adversaries_;
  std::deque<PendingAnswer> waiting_;
  vaultguard::RefusalCounts refused_;
  std::uint32_t new_sessions_ = vaultguard::kNewSessionsAtOnce;  // that peers may tell beside what each link may
  std::uint64_t allowed_cycle_ = 0;
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
          std::vector<std::pair<std::uint32_t, Payload<Frame>>> frames;
          Payload<ShardReport> report = self->state.Tick(*tick, &frames);
          for (auto& [node, frame] : frames) {
            self->send(self->state.wiring().links[node], OutgoingFrame{std::move(frame)});
          }
          self->send(self->state.wiring().monitor, std::move(report));
        },
        [self](const IncomingFrame& frame) { self->state.Receive(frame); },
        [self](const LinkChange& change) { self->state.Change(change); },
    };
  };
  return system.spawn(behaviour, std::make_shared<ShardActorConfig>(std::move(config)));
}

}  // namespace lvs::actors
