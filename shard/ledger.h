// The VU ledger of one shard: a join-semilattice of what each contributing session has earned (drift.md rule 2,
// SPEC-5.1).
//
//   Ledger ledger(2, policy);
//   Ledger::Outcome o = ledger.Merge(entry, cycle);   // any order, any number of times, from anybody
//   ledger.total_uvu(0);                              // exact, in micro-VU
//
// An entry is (session, cumulative amount a slot). Merging takes the larger amount slot by slot and the earlier opening
// cycle, so it is idempotent, commutative and associative, and no entry ever shrinks. Two ledgers are equal where their
// digests are. An entry is refused whole where an amount exceeds what the policy lets its session have earned in a
// slot.
//
// Entries stay for good: a forgotten one would come back from any peer that still has it. The table is therefore
// limited (kMaxSessionsPerShard), and its last part (kSessionsForClients) is reserved for sessions that are opened
// here, whatever peers send. A session in the table goes on earning, whoever reports it.
//
// Changes are numbered: a peer that has merged change n needs only Changes(n, ...). Not thread-safe: one owner.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "shard/random.h"
#include "shard/session_id.h"
#include "shard/session_index.h"
#include "shard/value_engine.h"
#include "vaultguard/limits.h"
#include "vaultguard/refusals.h"

namespace lvs::shard {

using SlotAmounts = std::array<std::int64_t, vaultguard::kMaxValueSlots>;  // micro-VU a value slot
constexpr double Vu(std::int64_t uvu) {
  return static_cast<double>(uvu) / static_cast<double>(vaultguard::kMicroPerVu);
}

struct LedgerEntry {
  SessionId session;
  std::uint64_t opened_cycle = 0;
  SlotAmounts amount_uvu{};
  bool operator==(const LedgerEntry&) const = default;
};

// Joins `other`, of the same session, into `entry`: slot by slot the larger amount, and the earlier opening. Returns
// whether `entry` changed.
inline bool Join(const LedgerEntry& other, LedgerEntry* entry) {
  bool changed = other.opened_cycle < entry->opened_cycle;
  if (changed) entry->opened_cycle = other.opened_cycle;
  for (std::size_t s = 0; s < entry->amount_uvu.size(); ++s) {
    if (other.amount_uvu[s] <= entry->amount_uvu[s]) continue;
    entry->amount_uvu[s] = other.amount_uvu[s];
    changed = true;
  }
  return changed;
}

class Ledger {
 public:
  static constexpr int kBuckets = 16;
  static constexpr std::uint32_t kAllBuckets = (std::uint32_t{1} << kBuckets) - 1;

  struct Outcome {
    bool grew = false;                             // a slot's amount rose
    bool opened = false;                           // it is the session's first entry here
    bool reopened = false;                         // by Restore: with an earlier opening than the entry has
    SlotAmounts gained_uvu{};                      // by how much
    std::optional<vaultguard::Refusal> refused{};  // nothing was changed
  };

  // The key keeps peers from choosing sessions that collide in the index; nothing else depends on it (SessionIndex).
  Ledger(int value_slots, ContributionPolicy policy, const HashKey& key = {})
      : slots_(value_slots), policy_(policy), index_(key) {}

  // Joins one entry into the ledger as of `cycle`. `source` says where the entry came from: kHere (a client of this
  // server node, or its cache), or a link's number below 255.
  static constexpr std::uint8_t kHere = 255;
  // With `may_open` false, an entry of an unknown session is refused.
  Outcome Merge(const LedgerEntry& entry, std::uint64_t cycle, std::uint8_t source = kHere, bool may_open = true);

  // Joins an entry of this server node's own cache. It was checked when it was accepted, and is trusted for that; but the
  // clock may have been ahead then. So an entry that is opened in the future, or has more than its age allows now, is
  // opened as early as it needs to be valid everywhere. What no session may ever earn is refused.
  Outcome Restore(const LedgerEntry& entry, std::uint64_t cycle);

  // Appends at most `max` entries changed after change `from`, oldest first and each once. Returns the change that they
  // reach up to, to pass as `from` next time. Entries that `listener` itself sent are left out.
  std::uint64_t Changes(std::uint64_t from, std::size_t max, std::vector<LedgerEntry>* out,
                        std::uint8_t listener = kHere) const;
  // Appends at most `max` entries of the buckets in `mask`, beginning at position *cursor, which moves on and wraps.
  void Bucket(std::uint32_t mask, std::size_t max, std::size_t* cursor, std::vector<LedgerEntry>* out) const;

  std::optional<LedgerEntry> Find(SessionId session) const;
  std::int64_t total_uvu(int slot) const { return total_[static_cast<std::size_t>(slot)]; }
  const SlotAmounts& totals_uvu() const { return total_; }
  std::uint64_t version() const { return version_; }  // number of the newest change
  std::uint64_t digest() const;                       // over all entries, in any order
  std::uint64_t bucket_digest(int bucket) const { return bucket_digest_[static_cast<std::size_t>(bucket)]; }
  std::size_t size() const { return session_.size(); }
  int value_slots() const { return slots_; }
  std::size_t resident_bytes() const;

  // Removes all entries, when the server node holds no replica of the shard any more. Change numbers go on.
  void Clear();

 private:
  struct Change {
    std::uint64_t version;
    std::uint32_t entry;
    std::uint8_t source;
  };

  // The largest amount; nullopt where an amount cannot be.
  std::optional<std::int64_t> LargestAmount(const LedgerEntry& entry) const;
  Outcome JoinValid(const LedgerEntry& entry, std::int64_t largest, std::uint8_t source, bool may_open);
  LedgerEntry Entry(std::size_t index) const;
  std::uint64_t DigestOf(const LedgerEntry& entry) const;
  static int BucketOf(const SessionId& id) { return static_cast<int>(id.low & (kBuckets - 1)); }
  void Record(std::uint32_t entry, std::uint8_t source);

  int slots_;
  ContributionPolicy policy_;
  // Entries as columns.
  std::vector<SessionId> session_;
  std::vector<std::uint64_t> opened_cycle_;
  std::vector<std::int64_t> amount_uvu_;  // slots_ an entry
  std::vector<std::uint64_t> changed_at_;
  std::vector<Change> log_;  // ascending; a change is skipped where its entry changed again later
  SessionIndex index_;       // index of session_
  SlotAmounts total_{};
  std::array<std::uint64_t, kBuckets> bucket_digest_{};
  std::uint64_t version_ = 0;
};

}  // namespace lvs::shard
