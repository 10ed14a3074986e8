// The ledger's index of sessions (ARCH-7, SPEC-10): it finds what was added and nothing else, and sessions chosen to
// collide do not collide under another key.
#include "shard/session_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "shard/ledger.h"
#include "tests/shard/generator.h"

namespace lvs::shard {

class SessionIndexPeer {
 public:
  // Counts the places that a search for the session visits.
  static std::size_t Probes(const SessionIndex& index, const SessionId& session,
                            const std::vector<SessionId>& sessions) {
    const std::uint64_t hash = HashOf(session, index.key_);
    return ((index.PlaceOf(session, hash, sessions) - static_cast<std::size_t>(hash)) & (index.places_.size() - 1)) + 1;
  }
};

namespace {

// The vector of SipHash-1-3 with the key 00 01 .. 0f that Rust's and Python's implementations are tested with: of the
// 16 bytes 00 01 .. 0f.
TEST(SessionIndex, HashIsSipHash13) {
  const HashKey key{0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull};
  EXPECT_EQ(HashOf({0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull}, key), 0xcc4fdd1a7d908b66ull);
}

TEST(SessionIndex, FindsWhatWasAddedAndNothingElse) {
  for (const HashKey key : {HashKey{}, HashKey{1, 2}, HashKey{~0ull, ~0ull}}) {
    Generator g(key.low + 3);
    SessionIndex index(key);
    std::vector<SessionId> sessions;
    for (std::uint32_t n = 0; n < 20'000; ++n) {
      // Dense ones, ones that differ in one half only, and random ones.
      const SessionId id = n % 3 == 0 ? SessionId{0, n} : n % 3 == 1 ? SessionId{n, 7} : SessionId{g.Next(), g.Next()};
      ASSERT_EQ(index.Find(id, sessions), SessionIndex::kNone) << n;
      sessions.push_back(id);
      index.AddLast(sessions);
      ASSERT_EQ(index.Find(id, sessions), n);
      const std::uint32_t any = g.Below(n + 1);
      ASSERT_EQ(index.Find(sessions[any], sessions), any);
      ASSERT_EQ(index.Find({sessions[any].high, ~sessions[any].low}, sessions), SessionIndex::kNone);
    }
    EXPECT_LE(index.resident_bytes(), 16 * sessions.size());
    index.Clear();
    for (const SessionId& id : sessions) ASSERT_EQ(index.Find(id, {}), SessionIndex::kNone);
  }
}

// An attacker who knows the key can choose sessions that all belong in one place. The same sessions are spread under
// any other key.
TEST(SessionIndex, Spec10ChosenSessionsDoNotMeetUnderAnotherKey) {
  constexpr std::size_t kChosen = 500;
  constexpr std::uint64_t kPlaces = 1024;  // of an index of that many
  const auto probes = [](const HashKey& key, const std::vector<SessionId>& sessions) {
    SessionIndex index(key);
    std::vector<SessionId> added;
    for (const SessionId& id : sessions) {
      added.push_back(id);
      index.AddLast(added);
    }
    std::size_t sum = 0;
    std::size_t most = 0;
    for (const SessionId& id : sessions) {
      const std::size_t n = SessionIndexPeer::Probes(index, id, added);
      sum += n;
      most = std::max(most, n);
    }
    return std::pair(static_cast<double>(sum) / static_cast<double>(sessions.size()), most);
  };
  for (const HashKey known : {HashKey{}, HashKey{5, 6}}) {
    std::vector<SessionId> chosen;
    for (std::uint64_t n = 0; chosen.size() < kChosen; ++n) {
      if (HashOf({1, n}, known) % kPlaces == 0) chosen.push_back({1, n});
    }
    EXPECT_GT(probes(known, chosen).first, kChosen / 3.0) << "they do not meet under the key they were chosen for";
    Generator g(9);
    for (int n = 0; n < 50; ++n) {
      const auto [mean, most] = probes({g.Next(), g.Next()}, chosen);
      EXPECT_LT(mean, 2.5) << "as random sessions do: 1.5 places where half are occupied";
      EXPECT_LT(most, 60u);
    }
  }
}

// Visible results do not depend on the key: entries, their order, digests and refusals.
TEST(SessionIndex, LedgersOfDifferentKeysAreTheSame) {
  Ledger a(2, {}, HashKey{});
  Ledger b(2, {}, HashKey{0x1234567890abcdefull, 42});
  Generator g(4);
  for (int n = 0; n < 5000; ++n) {
    LedgerEntry entry;
    entry.session = {g.Below(30), g.Below(40)};
    entry.opened_cycle = g.Below(20);
    entry.amount_uvu = {g.Below(2000) * vaultguard::kMicroPerVu, g.Below(100)};
    const bool may_open = g.Chance(0.7);
    const Ledger::Outcome at_a = a.Merge(entry, 10, 3, may_open);
    const Ledger::Outcome at_b = b.Merge(entry, 10, 3, may_open);
    ASSERT_EQ(at_a.grew, at_b.grew);
    ASSERT_EQ(at_a.opened, at_b.opened);
    ASSERT_EQ(at_a.gained_uvu, at_b.gained_uvu);
    ASSERT_EQ(at_a.refused, at_b.refused);
    ASSERT_EQ(a.Find(entry.session), b.Find(entry.session));
  }
  EXPECT_EQ(a.digest(), b.digest());
  EXPECT_EQ(a.totals_uvu(), b.totals_uvu());
  std::vector<LedgerEntry> of_a, of_b;
  a.Changes(0, a.size(), &of_a);
  b.Changes(0, b.size(), &of_b);
  EXPECT_EQ(of_a, of_b);
  EXPECT_GT(of_a.size(), 100u);
}

}  // namespace
}  // namespace lvs::shard
