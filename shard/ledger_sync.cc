#include "shard/ledger_sync.h"

#include <tuple>
#include <utility>

namespace lvs::shard {

using vaultguard::Refusal;
using vaultguard::RefusalCounts;

namespace {

// Ledgers that differ for this many cycles although all news was acknowledged exchange bucket digests.
constexpr std::uint64_t kDisagreeCycles = 50;
// Cycles for which a link may save up its allowance of new sessions.
constexpr std::uint64_t kSavedCycles = 10;
constexpr std::uint64_t kPauseCyclesMax = 1600;
// News is sent again kFruitless times at the same pace; loss alone hardly ever takes more. After that the pauses grow,
// until only kResendsPerCycle changes a cycle are sent again, which costs next to nothing.
constexpr std::uint32_t kFruitless = 4;
constexpr std::uint64_t kResendsPerCycle = 16;
// Entries of ledger news in one frame; as many again are left for buckets that differ.
constexpr std::size_t kFrameNews = vaultguard::kMaxFrameEntries / 2;

}  // namespace

void LedgerSync::Pause::Begin(std::uint64_t cycle) {
  const bool again = since_ != 0 && cycle < since_ + 8 * cycles_;
  cycles_ = again ? std::min(2 * cycles_, kPauseCyclesMax) : first_;
  since_ = cycle;
}

LedgerSync::LedgerSync(LedgerSyncConfig config, Owner* owner)
    : config_(std::move(config)), owner_(owner), session_(owner->NewSession(0)), holds_(config_.holds) {
  NewPeers();
  if (!holds_) owner_->Forget();
  for (Peer& peer : peers_) {
    peer.up = config_.up;
    peer.acknowledged = peer.sent = owner_->ledger().version();
    peer.merged = holds_ ? owner_->ledger().version() : 0;
  }
}

// ---- Life ----

void LedgerSync::NewPeers() { peers_.assign(config_.links, Peer{}); }

void LedgerSync::Restart(std::uint64_t cycle) {
  session_ = owner_->NewSession(cycle);
  // Frames of this very cycle may or may not have arrived already, so none of them counts.
  std::erase_if(inbox_, [cycle](const Arrival& arrival) { return arrival.due_cycle <= cycle; });
  new_sessions_ = vaultguard::kNewSessionsAtOnce;
  hands_over_ = false;
  leaves_since_.reset();
  holds_ = true;  // a server node that starts fetches what its peers hold before its micro-nodes join
  populated_ = false;
  started_cycle_ = cycle;
  const std::vector<Peer> before = std::exchange(peers_, {});
  NewPeers();
  for (std::size_t n = 0; n < peers_.size(); ++n) peers_[n].up = before[n].up;
  for (const Arrival& arrival : inbox_) ++peers_[arrival.link].in_inbox;
  AskAll();
}

bool LedgerSync::Hold(std::uint32_t replicas, std::uint64_t cycle) {
  if (replicas > 0) {
    if (!holds_) {
      // Acknowledgements to and from the forgotten ledger count no more: to the peers a new session starts from 0.
      session_ = owner_->NewSession(cycle);
      AskAll();
      for (Peer& peer : peers_) peer.acknowledged = peer.sent = 0;
    }
    holds_ = populated_ = true;
    return false;
  }
  if (!holds_ || !populated_) return false;
  holds_ = populated_ = false;
  owner_->Forget();
  for (Peer& peer : peers_) peer.merged = 0;
  return true;
}

void LedgerSync::BeginToHold(std::uint64_t cycle) {
  if (holds_) return;
  Hold(1, cycle);
  populated_ = false;
}

void LedgerSync::AskAll() {
  for (Peer& peer : peers_) {
    peer.ask_all = true;
    peer.synced = false;
    peer.merged = 0;
  }
}

void LedgerSync::Leave(std::uint64_t cycle) {
  if (!leaves_since_) leaves_since_ = cycle;
}

void LedgerSync::SetUp(std::uint32_t link, bool up) {
  Peer& peer = peers_[link];
  peer.up = up;
  if (!up) return;
  peer.spoke_cycle = 0;  // a new peer has heard nothing yet
  peer.fruitless = 0;
}

// ---- A cycle: what is heard ----

void LedgerSync::Begin(std::uint64_t cycle) {
  const std::uint64_t earned = vaultguard::kNewSessionsPerCycle * std::min(cycle - allowed_cycle_, kSavedCycles);
  allowed_cycle_ = cycle;
  new_sessions_ =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(vaultguard::kNewSessionsAtOnce, new_sessions_ + earned));
  for (Peer& peer : peers_) {
    peer.new_sessions = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(vaultguard::kNewSessionsPerCycle * kSavedCycles, peer.new_sessions + earned));
  }
}

bool LedgerSync::Receive(std::uint32_t link, std::uint64_t due_cycle, std::shared_ptr<const Frame> frame) {
  // Each link has an equal part, so one that floods does not crowd out the others.
  if (peers_[link].in_inbox >= vaultguard::kMaxPendingFrames / config_.links) return false;
  ++peers_[link].in_inbox;
  inbox_.push_back({link, due_cycle, std::move(frame), received_++});
  return true;
}

const std::vector<LedgerSync::Arrival>& LedgerSync::Due(std::uint64_t cycle) {
  due_.clear();
  std::erase_if(inbox_, [&](Arrival& arrival) {
    if (arrival.due_cycle > cycle) return false;
    --peers_[arrival.link].in_inbox;
    due_.push_back(std::move(arrival));
    return true;
  });
  std::sort(due_.begin(), due_.end(), [](const Arrival& a, const Arrival& b) {
    return std::tuple(a.link, a.frame->cycle, a.order) < std::tuple(b.link, b.frame->cycle, b.order);
  });
  return due_;
}

bool LedgerSync::Recognise(const Frame& frame, Peer* peer, Taken* taken, RefusalCounts* refused) {
  if (frame.sender == peer->session) return taken->read = true;
  if (frame.cycle <= peer->newest_cycle) {
    refused->Add(Refusal::kReplayed);
    return false;
  }
  Peer fresh;
  fresh.session = frame.sender;
  fresh.up = peer->up;
  fresh.in_inbox = peer->in_inbox;
  fresh.ask_all = peer->ask_all;
  // Limits belong to the link and outlive the session: a sender cannot reset them by taking a new one.
  fresh.new_sessions = peer->new_sessions;
  fresh.tell_all = peer->tell_all;
  fresh.repair = peer->repair;
  // At the start both sides hold the same opening balance; a later session has everything to learn.
  if (peer->session == SessionId{} && started_cycle_ == 0) {
    fresh.merged = peer->merged;
    fresh.acknowledged = peer->acknowledged;
    fresh.sent = peer->sent;
  }
  fresh.tell_all_until = fresh.acknowledged == 0 ? owner_->ledger().version() : 0;
  *peer = fresh;
  taken->new_session = true;
  return taken->read = true;
}

LedgerSync::Taken LedgerSync::Take(std::uint32_t link, const Frame& frame, std::uint64_t cycle,
                                   RefusalCounts* refused) {
  Taken taken;
  Peer& peer = peers_[link];
  if (!Recognise(frame, &peer, &taken, refused)) return taken;
  // Entries join whatever the frame's age: joins commute.
  if (holds_ && !hands_over_) JoinEntries(link, frame, cycle, refused);
  if (frame.cycle <= peer.newest_cycle) {  // late: it neither acknowledges nor asks
    refused->Add(Refusal::kReplayed);
    return taken;
  }
  peer.newest_cycle = frame.cycle;
  taken.newest = true;
  peer.heard_cycle = cycle;
  peer.leaving = frame.beacon.leaving;
  TakeAcknowledgement(frame, cycle, &peer);
  taken.tell_all = TakeCorrection(frame, cycle, &peer);
  CompareLedgers(frame, cycle, &peer);
  return taken;
}

LedgerSync::Taken LedgerSync::TakeWithoutLedger(std::uint32_t link, const Frame& frame, RefusalCounts* refused) {
  Taken taken;
  Peer& peer = peers_[link];
  if (!Recognise(frame, &peer, &taken, refused)) return taken;
  peer.synced = true;
  taken.newest = frame.cycle > peer.newest_cycle;
  peer.newest_cycle = std::max(peer.newest_cycle, frame.cycle);
  return taken;
}

void LedgerSync::JoinEntries(std::uint32_t link, const Frame& frame, std::uint64_t cycle, RefusalCounts* refused) {
  Peer& peer = peers_[link];
  bool all = true;
  for (const LedgerEntry& entry : frame.entries) {
    std::uint32_t& allowance = peer.new_sessions > 0 ? peer.new_sessions : new_sessions_;
    const Ledger::Outcome outcome = owner_->Join(entry, cycle, static_cast<std::uint8_t>(link), allowance > 0);
    if (outcome.opened) --allowance;
    if (outcome.refused) {
      refused->Add(*outcome.refused);
      all = false;
    }
  }
  // Refused entries are not held here, so the range must not be acknowledged. The same holds for news addressed to an
  // earlier life of this server node, which leaves out what that life knew.
  if (!all || frame.acknowledged_of != session_.low) return;
  if (frame.news_from <= peer.merged) peer.merged = std::max(peer.merged, frame.news_to);
  if (frame.news_from == 0) peer.ask_all = false;
  if (!peer.ask_all && frame.news_from <= peer.merged && frame.entries.size() < kFrameNews) peer.synced = true;
}

void LedgerSync::TakeAcknowledgement(const Frame& frame, std::uint64_t cycle, Peer* peer) {
  if (frame.acknowledged_of != session_.low || frame.acknowledged <= peer->acknowledged) return;
  if (frame.acknowledged > owner_->ledger().version()) return;
  peer->acknowledged = frame.acknowledged;
  peer->sent = std::max(peer->sent, peer->acknowledged);
  peer->sent_cycle = cycle;
  peer->fruitless = 0;
}

// Returns whether everything must be sent from the start.
bool LedgerSync::TakeCorrection(const Frame& frame, std::uint64_t cycle, Peer* peer) {
  if (frame.correction == Correction::kSyncAll && peer->tell_all.Over(cycle)) {
    peer->tell_all.Begin(cycle);
    peer->acknowledged = peer->sent = 0;
    peer->tell_all_until = owner_->ledger().version();
    return true;
  }
  if (frame.correction == Correction::kSyncBuckets) peer->buckets_wanted = frame.correction_buckets;
  return false;
}

void LedgerSync::CompareLedgers(const Frame& frame, std::uint64_t cycle, Peer* peer) {
  const Ledger& ledger = owner_->ledger();
  if (!holds_ || frame.ledger_digest == ledger.digest()) {
    peer->disagrees_since = 0;
    peer->buckets_wanted = 0;
    return;
  }
  // Entries in flight do not count as disagreement.
  if (peer->acknowledged < ledger.version() || peer->merged < frame.news_to) {
    peer->disagrees_since = 0;
    return;
  }
  if (peer->disagrees_since == 0) peer->disagrees_since = cycle;
  if (frame.bucket_digest.empty()) return;
  peer->buckets_wanted = 0;
  for (int b = 0; b < Ledger::kBuckets; ++b) {
    if (frame.bucket_digest[static_cast<std::size_t>(b)] != ledger.bucket_digest(b)) peer->buckets_wanted |= 1u << b;
  }
}

// ---- A cycle: what is said ----

void LedgerSync::FillWithoutLedger(std::uint32_t link, std::uint64_t cycle, Frame* frame) {
  const Peer& peer = peers_[link];
  const Ledger& ledger = owner_->ledger();
  frame->cycle = cycle;
  frame->sender = session_;
  frame->total_uvu = ledger.totals_uvu();
  frame->value_slots = ledger.value_slots();
  frame->ledger_digest = ledger.digest();
  frame->acknowledged = peer.merged;
  frame->acknowledged_of = peer.session.low;
  frame->news_from = frame->news_to = 0;
  frame->entries.clear();
  frame->correction = Correction::kNone;
  frame->correction_buckets = 0;
  frame->bucket_digest.clear();
}

std::uint64_t LedgerSync::ResendPause(std::uint32_t link) const {
  const Peer& peer = peers_[link];
  const std::uint64_t first = config_.resend_cycles[link];
  if (peer.fruitless <= kFruitless) return first;
  const std::uint64_t most = std::min(kPauseCyclesMax, (peer.sent - peer.acknowledged) / kResendsPerCycle);
  return std::max(first, std::min(first << std::min(peer.fruitless - kFruitless, 16u), most));
}

void LedgerSync::Fill(std::uint32_t link, std::uint64_t cycle, Frame* frame) {
  FillWithoutLedger(link, cycle, frame);
  if (!holds_) return;
  Peer& peer = peers_[link];
  const Ledger& ledger = owner_->ledger();
  // Resend from the last acknowledged change. A peer that is heard and still acknowledges nothing refuses something for
  // good. New changes must not wait behind that, so all news is sent before going back, ever more rarely.
  const bool stuck = peer.fruitless > kFruitless;
  if (peer.sent > peer.acknowledged && (peer.told_all || !stuck) && cycle > peer.sent_cycle + ResendPause(link)) {
    if (peer.newest_cycle > peer.sent_cycle) ++peer.fruitless;
    peer.sent = peer.acknowledged;
    peer.sent_cycle = cycle;
  }
  frame->news_from = peer.sent;
  const std::uint8_t listener = peer.sent < peer.tell_all_until ? Ledger::kHere : static_cast<std::uint8_t>(link);
  frame->news_to = ledger.Changes(peer.sent, kFrameNews, &frame->entries, listener);
  if (frame->news_to > peer.sent) {
    if (peer.sent == peer.acknowledged) peer.sent_cycle = cycle;
    peer.sent = frame->news_to;
  }
  const bool told_all = frame->news_to == ledger.version();
  if (stuck && told_all && !peer.told_all) peer.sent_cycle = cycle;
  peer.told_all = told_all;
  if (peer.disagrees_since != 0 && cycle > peer.disagrees_since + kDisagreeCycles) {
    for (int b = 0; b < Ledger::kBuckets; ++b) frame->bucket_digest.push_back(ledger.bucket_digest(b));
    if (peer.buckets_wanted != 0 && peer.repair.Over(cycle)) {
      const std::size_t before = peer.bucket_cursor;
      ledger.Bucket(peer.buckets_wanted, kFrameNews, &peer.bucket_cursor, &frame->entries);
      if (peer.bucket_cursor <= before) peer.repair.Begin(cycle);  // all entries of these buckets were sent
    }
  }
  if (peer.ask_all) frame->correction = Correction::kSyncAll;
}

bool LedgerSync::Speaks(std::uint32_t link, std::uint64_t cycle, const Frame& frame, bool urgent) {
  Peer& peer = peers_[link];
  const std::uint64_t quiet = cycle - peer.spoke_cycle;
  const bool acknowledges = frame.acknowledged != peer.spoke_acknowledged;
  const bool some = !frame.halo_row.empty() || !frame.entries.empty();
  const bool news = urgent || (some && quiet >= config_.news_cycles) || frame.correction != Correction::kNone ||
                    !frame.bucket_digest.empty();
  if (!news && quiet < (acknowledges ? config_.acknowledge_cycles : kSignOfLifeCycles)) {
    peer.sent = frame.news_from;  // the frame is not sent after all
    return false;
  }
  peer.spoke_cycle = cycle;
  peer.spoke_acknowledged = frame.acknowledged;
  return true;
}

// ---- What is known ----

bool LedgerSync::IsHeard(std::uint32_t link, std::uint64_t cycle) const {
  const Peer& peer = peers_[link];
  return peer.up && peer.newest_cycle + vaultguard::kSilenceCycles >= cycle;
}

bool LedgerSync::IsThere(const Peer& peer, std::uint64_t cycle) const {
  return peer.up && peer.session != SessionId{} && peer.newest_cycle + vaultguard::kSilenceCycles >= cycle;
}

std::uint32_t LedgerSync::Holders(std::uint64_t version) const {
  std::uint32_t holders = 1;
  for (auto peer = peers_.begin(); peer != peers_.end(); ++peer) {
    if (peer->session == SessionId{} || peer->leaving || peer->acknowledged < version) continue;
    holders += std::none_of(peers_.begin(), peer, [&](const Peer& other) {
      return other.session == peer->session && other.acknowledged >= version;
    });
  }
  return holders;
}

bool LedgerSync::HandedOver(std::uint64_t cycle) const {
  std::size_t there = 0;
  std::size_t hold = 0;
  for (const Peer& peer : peers_) {
    if (!IsThere(peer, cycle) || peer.leaving) continue;
    ++there;
    if (leaves_since_ && peer.heard_cycle < *leaves_since_ + kNoticeCycles) continue;
    if (peer.acknowledged >= owner_->ledger().version()) ++hold;
  }
  return 2 * hold > there;
}

bool LedgerSync::Synced(std::uint64_t cycle) const {
  bool any = false;
  bool all = true;
  for (const Peer& peer : peers_) {
    if (!IsThere(peer, cycle)) continue;
    any = any || peer.synced;
    all = all && peer.synced;
  }
  // After a while one synced peer suffices. With none, this server node counts as alone after alone_cycles.
  if (any) return all || cycle > started_cycle_ + kDisagreeCycles;
  return cycle > started_cycle_ + config_.alone_cycles;
}

}  // namespace lvs::shard
