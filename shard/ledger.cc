#include "shard/ledger.h"

#include <algorithm>

namespace lvs::shard {

using vaultguard::Refusal;

namespace {

// Peers may open sessions up to this size of the table.
constexpr std::size_t kSessionsOfPeers = vaultguard::kMaxSessionsPerShard - vaultguard::kSessionsForClients;
static_assert(vaultguard::kMaxSessionsPerShard <= SessionIndex::kMaxSessions);

}  // namespace

Ledger::Outcome Ledger::Merge(const LedgerEntry& entry, std::uint64_t cycle, std::uint8_t source, bool may_open) {
  Outcome outcome;
  const std::optional<std::int64_t> largest = LargestAmount(entry);
  if (!largest || entry.opened_cycle > cycle + vaultguard::kMaxCyclesAhead) {
    outcome.refused = Refusal::kBadEntry;
    return outcome;
  }
  const std::uint64_t age = cycle > entry.opened_cycle ? cycle - entry.opened_cycle : 0;
  // The policy holds slot by slot, so that the join of two valid entries is valid too.
  if (*largest > policy_.Allowed(std::min(age, vaultguard::kMaxSessionCycles))) {
    outcome.refused = Refusal::kRateExceeded;
    return outcome;
  }
  return JoinValid(entry, *largest, source, may_open);
}

Ledger::Outcome Ledger::Restore(const LedgerEntry& entry, std::uint64_t cycle) {
  Outcome outcome;
  const std::optional<std::int64_t> largest = LargestAmount(entry);
  if (!largest) {
    outcome.refused = Refusal::kBadEntry;
    return outcome;
  }
  if (*largest > policy_.Allowed(vaultguard::kMaxSessionCycles)) {
    outcome.refused = Refusal::kRateExceeded;
    return outcome;
  }
  LedgerEntry valid = entry;
  // So few cycles are counted only while the clock shows a time before the epoch. Then it is wrong, not the entries.
  if (cycle >= vaultguard::kMaxSessionCycles) {
    const std::uint64_t needs = policy_.CyclesFor(*largest);
    const std::uint64_t latest = needs == 0 ? cycle + vaultguard::kMaxCyclesAhead : cycle - needs;
    if (entry.opened_cycle > latest) valid.opened_cycle = cycle - needs;
  }
  outcome = JoinValid(valid, *largest, kHere, /*may_open=*/true);
  outcome.reopened = !outcome.refused && valid.opened_cycle != entry.opened_cycle;
  return outcome;
}

std::optional<std::int64_t> Ledger::LargestAmount(const LedgerEntry& entry) const {
  std::int64_t largest = 0;
  for (int s = 0; s < vaultguard::kMaxValueSlots; ++s) {
    const std::int64_t amount = entry.amount_uvu[static_cast<std::size_t>(s)];
    if (amount < 0 || amount > vaultguard::kMaxEntryUvu || (s >= slots_ && amount != 0)) return std::nullopt;
    largest = std::max(largest, amount);
  }
  return largest;
}

Ledger::Outcome Ledger::JoinValid(const LedgerEntry& entry, std::int64_t largest, std::uint8_t source, bool may_open) {
  Outcome outcome;
  const auto refuse = [&outcome](Refusal why) {
    outcome.refused = why;
    return outcome;
  };
  if (largest == 0) return outcome;  // the bottom of the lattice: nothing was contributed, so no session is opened
  std::uint32_t at = index_.Find(entry.session, session_);
  const bool inserted = at == SessionIndex::kNone;
  if (inserted) {
    if (!may_open) return refuse(Refusal::kSessionsTooFast);
    if (size() >= vaultguard::kMaxSessionsPerShard) return refuse(Refusal::kSessionsFull);
    if (source != kHere && size() >= kSessionsOfPeers) return refuse(Refusal::kSessionsReserved);
    at = static_cast<std::uint32_t>(size());
    session_.push_back(entry.session);
    index_.AddLast(session_);
    opened_cycle_.push_back(entry.opened_cycle);
    amount_uvu_.resize(amount_uvu_.size() + static_cast<std::size_t>(slots_));
    changed_at_.push_back(0);
  }
  outcome.opened = inserted;
  const LedgerEntry mine = Entry(at);
  LedgerEntry joined = mine;
  if (!Join(entry, &joined) && !inserted) return outcome;
  for (std::size_t s = 0; s < static_cast<std::size_t>(slots_); ++s) {
    outcome.gained_uvu[s] = joined.amount_uvu[s] - mine.amount_uvu[s];
    outcome.grew |= outcome.gained_uvu[s] > 0;
  }

  std::uint64_t& bucket = bucket_digest_[static_cast<std::size_t>(BucketOf(entry.session))];
  if (!inserted) bucket -= DigestOf(mine);
  bucket += DigestOf(joined);
  for (std::size_t s = 0; s < static_cast<std::size_t>(slots_); ++s) total_[s] += outcome.gained_uvu[s];
  opened_cycle_[at] = joined.opened_cycle;
  std::copy_n(joined.amount_uvu.begin(), slots_, amount_uvu_.begin() + static_cast<std::ptrdiff_t>(at) * slots_);
  // The join is news for the source, too, where it is more than the source sent.
  Record(at, joined == entry ? source : kHere);
  return outcome;
}

LedgerEntry Ledger::Entry(std::size_t index) const {
  LedgerEntry entry;
  entry.session = session_[index];
  entry.opened_cycle = opened_cycle_[index];
  std::copy_n(amount_uvu_.begin() + static_cast<std::ptrdiff_t>(index) * slots_, slots_, entry.amount_uvu.begin());
  return entry;
}

void Ledger::Record(std::uint32_t entry, std::uint8_t source) {
  changed_at_[entry] = ++version_;
  if (log_.size() >= 64 && log_.size() >= 2 * size()) {
    std::erase_if(log_, [this](const Change& c) { return changed_at_[c.entry] != c.version; });
  }
  log_.push_back({version_, entry, source});
}

std::uint64_t Ledger::Changes(std::uint64_t from, std::size_t max, std::vector<LedgerEntry>* out,
                              std::uint8_t listener) const {
  auto change = std::upper_bound(log_.begin(), log_.end(), from,
                                 [](std::uint64_t version, const Change& c) { return version < c.version; });
  for (; change != log_.end(); ++change) {
    if (changed_at_[change->entry] != change->version) continue;
    if (listener != kHere && change->source == listener) continue;
    if (max-- == 0) return change->version - 1;
    out->push_back(Entry(change->entry));
  }
  return version_;
}

void Ledger::Bucket(std::uint32_t mask, std::size_t max, std::size_t* cursor, std::vector<LedgerEntry>* out) const {
  for (std::size_t seen = 0; seen < size() && max > 0; ++seen) {
    const std::size_t index = *cursor % size();
    *cursor = (index + 1) % size();
    if ((mask >> BucketOf(session_[index]) & 1) == 0) continue;
    out->push_back(Entry(index));
    --max;
  }
}

std::optional<LedgerEntry> Ledger::Find(SessionId session) const {
  const std::uint32_t at = index_.Find(session, session_);
  if (at == SessionIndex::kNone) return std::nullopt;
  return Entry(at);
}

std::uint64_t Ledger::digest() const {
  std::uint64_t digest = 0;
  for (const std::uint64_t bucket : bucket_digest_) digest = Mix(digest ^ bucket);
  return digest;
}

std::uint64_t Ledger::DigestOf(const LedgerEntry& entry) const {
  std::uint64_t h = Mix(entry.session.low ^ Mix(entry.session.high)) ^ Mix(entry.opened_cycle + 0x9e3779b97f4a7c15ull);
  for (std::size_t s = 0; s < static_cast<std::size_t>(slots_); ++s) {
    h = Mix(h + static_cast<std::uint64_t>(entry.amount_uvu[s]));
  }
  return h;
}

std::size_t Ledger::resident_bytes() const {
  return session_.capacity() * sizeof(SessionId) + opened_cycle_.capacity() * 8 + amount_uvu_.capacity() * 8 +
         changed_at_.capacity() * 8 + log_.capacity() * sizeof(Change) + index_.resident_bytes();
}

void Ledger::Clear() {
  session_.clear();
  opened_cycle_.clear();
  amount_uvu_.clear();
  changed_at_.clear();
  log_.clear();
  index_.Clear();
  total_ = {};
  bucket_digest_ = {};
}

}  // namespace lvs::shard
