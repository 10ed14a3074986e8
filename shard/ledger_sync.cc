#include "shard/ledger_sync.h"

#include <tuple>
#include <utility>

#include "shard/frame_codec.h"

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
// Entries of ledger news in one frame of a server node.
constexpr std::size_t kFrameNews = vaultguard::kMaxFrameEntries / 2;
// Once all entries of the differing buckets were sent, they are not sent again for so long.
constexpr std::uint64_t kRepairCycles = 50;
// A peer that asks for everything gets state diffs anew at most this often, each time at this price.
constexpr std::uint64_t kEverybodyCycles = 10;
constexpr std::int64_t kEverybodyBytes = 1 << 15;
constexpr std::uint32_t kRoundTripCycles = 2;
// Ranges that are kept of a ledger that arrives in parts. What does not fit is told again.
constexpr std::size_t kRangesMax = 64;
// After so many frames that brought nothing new a peer is not asked again: the rest is refused here, or never told.
constexpr std::uint32_t kIdleFrames = 200;
// A peer that goes on telling is waited for no longer than this: telling proves nothing.
constexpr std::uint64_t kFetchCyclesMax = 6000;

// The first change at or after `from` that a peer lacks which holds the changes up to `acknowledged` and these ranges.
std::uint64_t SkipHeld(std::uint64_t from, std::uint64_t acknowledged, const std::vector<std::uint64_t>& ranges) {
  from = std::max(from, acknowledged);
  for (std::size_t n = 0; n + 1 < ranges.size(); n += 2) {
    if (ranges[n] <= from) from = std::max(from, ranges[n + 1]);
  }
  return from;
}

}  // namespace

LedgerSync::LedgerSync(LedgerSyncConfig config, Owner* owner)
    : config_(std::move(config)), owner_(owner), session_(owner->NewSession(0)), holds_(config_.holds) {
  NewPeers();
  if (!holds_) owner_->Forget();
  for (Peer& peer : peers_) {
    peer.up = config_.up;
    peer.acknowledged = peer.sent = peer.told = owner_->ledger().version();
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
  for (std::size_t n = 0; n < peers_.size(); ++n) {
    peers_[n].up = before[n].up;
    peers_[n].counts = before[n].counts;
  }
  for (const Arrival& arrival : inbox_) ++peers_[arrival.link].in_inbox;
  Fetch(cycle);
}

bool LedgerSync::Hold(std::uint32_t replicas, std::uint64_t cycle) {
  if (replicas > 0) {
    if (!holds_) {
      // Acknowledgements to and from the forgotten ledger count no more: to the peers a new session starts from 0.
      session_ = owner_->NewSession(cycle);
      Fetch(cycle);
      for (Peer& peer : peers_) peer.acknowledged = peer.sent = 0;
    }
    holds_ = populated_ = true;
    return false;
  }
  if (!holds_ || !populated_) return false;
  holds_ = populated_ = compared_ = false;
  owner_->Forget();
  for (Peer& peer : peers_) peer.merged = 0;
  return true;
}

void LedgerSync::BeginToHold(std::uint64_t cycle) {
  if (holds_) return;
  Hold(1, cycle);
  populated_ = false;
}

void LedgerSync::Fetch(std::uint64_t cycle) {
  fetching_since_ = cycle;
  compared_ = alone_ = false;
  AskAll();
}

void LedgerSync::AskAll() {
  for (Peer& peer : peers_) {
    peer.ask_all = true;
    peer.synced = false;
    peer.merged = 0;
    peer.merged_ranges.clear();
    peer.idle_frames = 0;
  }
}

void LedgerSync::Leave(std::uint64_t cycle) {
  if (!leaves_since_) leaves_since_ = cycle;
}

void LedgerSync::SetUp(std::uint32_t link, bool up, bool counts) {
  Peer& peer = peers_[link];
  peer.up = up;
  peer.counts = counts;
  if (!up) return;
  peer.spoke_cycle = 0;  // a new peer has heard nothing yet
  peer.fruitless = 0;
}

void LedgerSync::SetPace(std::uint32_t link, std::uint32_t resend_cycles, std::uint32_t round_trip_cycles) {
  config_.resend_cycles[link] = resend_cycles;
  config_.round_trip_cycles.resize(config_.links, kRoundTripCycles);
  config_.round_trip_cycles[link] = round_trip_cycles;
}

// ---- A cycle: what is heard ----

void LedgerSync::Begin(std::uint64_t cycle) {
  const std::uint64_t cycles = std::min(cycle - begun_cycle_, kSavedCycles);
  const std::uint64_t earned = vaultguard::kNewSessionsPerCycle * cycles;
  const std::int64_t repeats = vaultguard::kRepeatBytesPerCycle * static_cast<std::int64_t>(cycles);
  begun_cycle_ = cycle;
  new_sessions_ =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(vaultguard::kNewSessionsAtOnce, new_sessions_ + earned));
  for (Peer& peer : peers_) {
    peer.new_sessions = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(vaultguard::kNewSessionsPerCycle * kSavedCycles, peer.new_sessions + earned));
    peer.repeat_bytes = std::min(vaultguard::kRepeatBytesAtOnce, peer.repeat_bytes + repeats);
  }
  if (holds_ && !compared_) {
    compared_ = HasAllOfPeers(cycle);
    alone_ = HoldsAll(cycle);
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
  fresh.counts = peer->counts;
  fresh.in_inbox = peer->in_inbox;
  fresh.ask_all = peer->ask_all;
  // Limits belong to the link and outlive the session: a sender cannot reset them by taking a new one.
  fresh.new_sessions = peer->new_sessions;
  fresh.told = peer->told;
  fresh.repeat_bytes = peer->repeat_bytes;
  fresh.repair_cycle = peer->repair_cycle;
  fresh.everybody_cycle = peer->everybody_cycle;
  fresh.progress_cycle = begun_cycle_;
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
  taken.tell_all = TakeCorrection(frame, cycle, &peer, refused);
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
  const std::uint64_t version = owner_->ledger().version();
  const std::uint64_t merged = peer.merged;
  bool all = true;
  for (const LedgerEntry& entry : frame.entries) {
    std::uint32_t& allowance = peer.new_sessions > 0 ? peer.new_sessions : new_sessions_;
    const Ledger::Outcome outcome = owner_->Join(entry, cycle, static_cast<std::uint8_t>(link), allowance > 0);
    if (outcome.opened) --allowance;
    if (outcome.refused) {
      refused->Add(*outcome.refused);
      all = false;
      peer.refused = peer.refused || *outcome.refused != Refusal::kSessionsTooFast;
    }
  }
  if (!peer.synced && frame.ledger_digest == owner_->ledger().digest()) {
    // Whoever told what, this side has all that the peer has.
    if (peer.ask_all) peer.merged = std::max({peer.merged, frame.news_to, frame.news_all});
    peer.ask_all = false;
    peer.merged_ranges.clear();
    peer.synced = true;
  } else if (all && frame.acknowledged_of == session_.low) {
    // Refused entries are not held here, so the range must not be acknowledged. The same holds for news addressed to an
    // earlier life of this server node, which leaves out what that life knew.
    TakeRange(frame, &peer);
  }
  if (peer.merged > merged || owner_->ledger().version() > version) {
    peer.progress_cycle = cycle;
    peer.idle_frames = 0;
  } else if (peer.ask_all && ++peer.idle_frames > kIdleFrames) {
    peer.ask_all = false;
    peer.merged_ranges.clear();
  }
}

void LedgerSync::TakeRange(const Frame& frame, Peer* peer) {
  std::vector<Range>& ranges = peer->merged_ranges;
  if (frame.news_from <= peer->merged) {
    peer->merged = std::max(peer->merged, frame.news_to);
  } else if (peer->ask_all && frame.news_to > frame.news_from) {
    // Ranges that meet the new one become part of it.
    Range range{frame.news_from, frame.news_to};
    std::erase_if(ranges, [&range](const Range& other) {
      if (other.to < range.from || range.to < other.from) return false;
      range = {std::min(range.from, other.from), std::max(range.to, other.to)};
      return true;
    });
    ranges.insert(std::find_if(ranges.begin(), ranges.end(), [&](const Range& r) { return r.from > range.from; }),
                  range);
    if (ranges.size() > kRangesMax) ranges.pop_back();
  }
  while (!ranges.empty() && ranges.front().from <= peer->merged) {
    peer->merged = std::max(peer->merged, ranges.front().to);
    ranges.erase(ranges.begin());
  }
  // A peer of an earlier version does not say how far its ledger goes. It tells the rest by itself once it was asked.
  const bool whole = frame.news_all != 0 ? peer->merged >= frame.news_all
                                         : frame.news_from <= peer->merged && frame.entries.size() < kFrameNews;
  if (whole || (frame.news_all == 0 && frame.news_from == 0)) {
    peer->ask_all = false;
    ranges.clear();
  }
  if (whole && !peer->ask_all) peer->synced = true;
}

void LedgerSync::TakeAcknowledgement(const Frame& frame, std::uint64_t cycle, Peer* peer) {
  if (frame.acknowledged_of != session_.low || frame.acknowledged <= peer->acknowledged) return;
  if (frame.acknowledged > owner_->ledger().version()) return;
  peer->acknowledged = frame.acknowledged;
  peer->sent = std::max(peer->sent, peer->acknowledged);
  peer->sent_cycle = cycle;
  peer->fruitless = 0;
}

bool LedgerSync::TakeCorrection(const Frame& frame, std::uint64_t cycle, Peer* peer, RefusalCounts* refused) {
  if (frame.correction == Correction::kSyncAll) {
    if (peer->repeat_bytes <= 0) refused->Add(Refusal::kRepeatsTooFast);
    return TakeRequest(frame, cycle, peer);
  }
  if (peer->asked_cycle != 0) {  // it asks no more: from here on it gets news
    peer->asked_cycle = 0;
    if (peer->buckets_first != 0) peer->sent = peer->acknowledged;
    peer->sent_cycle = cycle;
  }
  if (frame.correction == Correction::kSyncBuckets) peer->buckets_wanted = frame.correction_buckets;
  return false;
}

bool LedgerSync::TakeRequest(const Frame& frame, std::uint64_t cycle, Peer* peer) {
  const std::uint64_t version = owner_->ledger().version();
  const bool begins = peer->asked_cycle == 0;
  peer->asked_cycle = cycle;
  peer->buckets_first = frame.correction_buckets;
  if (peer->buckets_first != 0) {  // what it says now counts, whatever it acknowledged before
    const bool of_this_session = frame.acknowledged_of == session_.low && frame.acknowledged <= version;
    peer->acknowledged = of_this_session ? frame.acknowledged : 0;
    peer->it_holds = of_this_session ? frame.held : std::vector<std::uint64_t>{};
  } else if (begins) {
    peer->acknowledged = 0;
    peer->it_holds.clear();
  }
  if (begins) {
    peer->round_cycle = cycle;
    peer->tell_all_until = version;
    peer->sent = peer->acknowledged;
    peer->bucket_cursor = 0;
  }
  const bool due = peer->everybody_cycle == 0 || cycle >= peer->everybody_cycle + kEverybodyCycles;
  if (!due || peer->repeat_bytes < kEverybodyBytes) return false;
  peer->everybody_cycle = cycle;
  peer->repeat_bytes -= kEverybodyBytes;
  return true;
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
  frame->held.clear();
  frame->news_all = 0;
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
  if (Asks(peer, cycle)) {
    FillPart(link, cycle, frame);
  } else {
    FillNews(link, cycle, frame);
    FillBuckets(cycle, &peer, frame);
  }
  if (!peer.ask_all) return;
  frame->correction = Correction::kSyncAll;
  frame->correction_buckets = BucketsFirst(link, cycle);
  for (std::size_t n = 0; n < peer.merged_ranges.size() && n < vaultguard::kMaxHeldRanges; ++n) {
    frame->held.push_back(peer.merged_ranges[n].from);
    frame->held.push_back(peer.merged_ranges[n].to);
  }
}

// Shares the buckets out among the peers that are asked, so that each tells other ones first.
std::uint32_t LedgerSync::BucketsFirst(std::uint32_t link, std::uint64_t cycle) const {
  int rank = 0;
  int asked = 0;
  for (std::uint32_t n = 0; n < peers_.size(); ++n) {
    if (!peers_[n].ask_all || !IsThere(peers_[n], cycle)) continue;
    if (n < link) ++rank;
    ++asked;
  }
  if (asked < 2) return Ledger::kAllBuckets;
  const int parts = std::min(asked, Ledger::kBuckets);
  std::uint32_t buckets = 0;
  for (int b = rank % parts; b < Ledger::kBuckets; b += parts) buckets |= 1u << b;
  return buckets;
}

// Tells a peer that asks for everything the next part of what it lacks.
void LedgerSync::FillPart(std::uint32_t link, std::uint64_t cycle, Frame* frame) {
  Peer& peer = peers_[link];
  const Ledger& ledger = owner_->ledger();
  const std::uint64_t round_trip =
      config_.round_trip_cycles.empty() ? kRoundTripCycles : config_.round_trip_cycles[link];
  std::uint64_t from = SkipHeld(peer.sent, peer.acknowledged, peer.it_holds);
  if (from >= ledger.version() && cycle >= peer.round_cycle + round_trip) {
    peer.round_cycle = cycle;
    from = SkipHeld(peer.acknowledged, peer.acknowledged, peer.it_holds);
  }
  from = std::min(from, ledger.version());
  frame->news_all = ledger.version();
  frame->news_from = frame->news_to = from;
  if (peer.repeat_bytes <= 0) {
    peer.sent = from;
    return;
  }
  const bool shares = peer.buckets_first != 0 && peer.buckets_first != Ledger::kAllBuckets &&
                      ledger.version() - peer.acknowledged > NewsMax();
  const bool alone = peer.buckets_first != 0 && !shares;
  frame->news_to = ledger.Changes(from, alone ? config_.frame_entries : NewsMax(), &frame->entries);
  peer.sent = frame->news_to;
  if (shares) ledger.Bucket(peer.buckets_first, NewsMax(), &peer.bucket_cursor, &frame->entries);
}

void LedgerSync::FillNews(std::uint32_t link, std::uint64_t cycle, Frame* frame) {
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
  frame->news_from = frame->news_to = peer.sent;
  if (peer.sent < peer.told && peer.repeat_bytes <= 0) return;
  const std::uint8_t listener = peer.sent < peer.tell_all_until ? Ledger::kHere : static_cast<std::uint8_t>(link);
  frame->news_to = ledger.Changes(peer.sent, NewsMax(), &frame->entries, listener);
  if (frame->news_to > peer.sent) {
    if (peer.sent == peer.acknowledged) peer.sent_cycle = cycle;
    peer.sent = frame->news_to;
  }
  const bool told_all = frame->news_to == ledger.version();
  if (stuck && told_all && !peer.told_all) peer.sent_cycle = cycle;
  peer.told_all = told_all;
}

void LedgerSync::FillBuckets(std::uint64_t cycle, Peer* peer, Frame* frame) const {
  if (peer->disagrees_since == 0 || cycle <= peer->disagrees_since + kDisagreeCycles) return;
  const Ledger& ledger = owner_->ledger();
  for (int b = 0; b < Ledger::kBuckets; ++b) frame->bucket_digest.push_back(ledger.bucket_digest(b));
  if (peer->buckets_wanted == 0 || cycle < peer->repair_cycle || peer->repeat_bytes <= 0) return;
  const std::size_t before = peer->bucket_cursor;
  ledger.Bucket(peer->buckets_wanted, NewsMax(), &peer->bucket_cursor, &frame->entries);
  // All entries of these buckets were sent.
  if (peer->bucket_cursor <= before) peer->repair_cycle = cycle + kRepairCycles;
}

bool LedgerSync::Speaks(std::uint32_t link, std::uint64_t cycle, const Frame& frame, bool urgent) {
  Peer& peer = peers_[link];
  const std::uint64_t quiet = cycle - peer.spoke_cycle;
  const bool acknowledges = frame.acknowledged != peer.spoke_acknowledged;
  const bool some = !frame.halo_row.empty() || !frame.entries.empty();
  const bool asked = Asks(peer, cycle);
  const bool news = urgent || asked || (some && quiet >= config_.news_cycles) ||
                    frame.correction != Correction::kNone || !frame.bucket_digest.empty();
  if (!news && quiet < (acknowledges ? config_.acknowledge_cycles : config_.sign_of_life_cycles)) {
    peer.sent = frame.news_from;  // the frame is not sent after all
    return false;
  }
  if (asked || frame.news_from < peer.told || !frame.bucket_digest.empty()) {
    peer.repeat_bytes -= static_cast<std::int64_t>(EntriesSize(frame));
  }
  peer.told = std::max(peer.told, frame.news_to);
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
    if (!peer->counts || !IsThere(*peer, begun_cycle_) || peer->leaving || peer->acknowledged < version) continue;
    holders += std::none_of(peers_.begin(), peer, [&](const Peer& other) {
      return other.counts && other.session == peer->session && other.acknowledged >= version &&
             IsThere(other, begun_cycle_);
    });
  }
  return holders;
}

bool LedgerSync::HandedOver(std::uint64_t cycle) const {
  std::size_t there = 0;
  std::size_t hold = 0;
  for (const Peer& peer : peers_) {
    if (!peer.counts || !IsThere(peer, cycle) || peer.leaving) continue;
    ++there;
    if (leaves_since_ && peer.heard_cycle < *leaves_since_ + kNoticeCycles) continue;
    if (peer.acknowledged >= owner_->ledger().version()) ++hold;
  }
  return 2 * hold > there;
}

bool LedgerSync::AnyIsThere(std::uint64_t cycle) const {
  return std::any_of(peers_.begin(), peers_.end(), [&](const Peer& peer) { return IsThere(peer, cycle); });
}

bool LedgerSync::IsAwaited(const Peer& peer, std::uint64_t cycle) const {
  if (peer.synced) return false;
  if (cycle <= fetching_since_ + kDisagreeCycles) return true;
  return cycle <= peer.progress_cycle + kDisagreeCycles && cycle <= fetching_since_ + kFetchCyclesMax;
}

bool LedgerSync::Synced(std::uint64_t cycle) const {
  if (!AnyIsThere(cycle)) return cycle > started_cycle_ + config_.alone_cycles;
  return std::none_of(peers_.begin(), peers_.end(),
                      [&](const Peer& peer) { return IsThere(peer, cycle) && IsAwaited(peer, cycle); });
}

bool LedgerSync::HoldsAll(std::uint64_t cycle) const {
  return compared() || alone_ || (!AnyIsThere(cycle) && cycle > fetching_since_ + vaultguard::kSilenceCycles);
}

bool LedgerSync::HasAllOfPeers(std::uint64_t cycle) const {
  bool told = false;
  for (const Peer& peer : peers_) {
    // A peer with a link will soon be heard.
    const bool unheard = peer.up && peer.session == SessionId{};
    if (unheard && cycle <= fetching_since_ + kDisagreeCycles) return false;
    if (!IsThere(peer, cycle)) continue;
    if (IsAwaited(peer, cycle)) return false;
    told = told || peer.synced || peer.refused;
  }
  return told;
}

}  // namespace lvs::shard
