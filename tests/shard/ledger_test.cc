// The VU ledger (SPEC-5.1, drift.md rule 2): a join-semilattice, exact, bounded by the contribution policy, and sent to
// peers in pages.
#include "shard/ledger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "tests/shard/generator.h"

namespace lvs::shard {

void PrintTo(const SessionId& id, std::ostream* out) { *out << id.high << ":" << id.low; }

namespace {

using vaultguard::kMicroPerVu;
using vaultguard::Refusal;

constexpr std::uint64_t kNow = 1'000'000;  // old enough for any amount that the policy ever allows
constexpr int kSlots = 3;

SessionId Session(std::uint64_t n) { return {Mix(n), Mix(~n)}; }

LedgerEntry Entry(std::uint64_t session, std::uint64_t opened, std::int64_t a, std::int64_t b = 0, std::int64_t c = 0) {
  LedgerEntry entry;
  entry.session = Session(session);
  entry.opened_cycle = opened;
  entry.amount_uvu = {a, b, c};
  return entry;
}

LedgerEntry RandomEntry(Generator* g, std::uint32_t sessions) {
  const auto amount = [g] { return g->Chance(0.3) ? 0 : static_cast<std::int64_t>(g->Below(100'000'000)); };
  return Entry(g->Below(sessions), g->Below(100), amount(), amount(), amount() + 1);  // never nothing at all
}

std::vector<LedgerEntry> RandomEntries(Generator* g, std::size_t n, std::uint32_t sessions) {
  std::vector<LedgerEntry> entries;
  while (entries.size() < n) entries.push_back(RandomEntry(g, sessions));
  return entries;
}

void Shuffle(Generator* g, std::vector<LedgerEntry>* entries) {
  for (std::size_t n = entries->size(); n > 1; --n)
    std::swap((*entries)[n - 1], (*entries)[g->Below(static_cast<std::uint32_t>(n))]);
}

void MergeAll(const std::vector<LedgerEntry>& entries, Ledger* ledger) {
  for (const LedgerEntry& entry : entries) ASSERT_FALSE(ledger->Merge(entry, kNow).refused.has_value());
}

std::vector<LedgerEntry> Contents(const Ledger& ledger) {
  std::vector<LedgerEntry> all;
  ledger.Changes(0, ledger.size() + 1, &all);
  return all;
}

// The join, computed from its definition.
std::map<SessionId, LedgerEntry> Join(const std::vector<LedgerEntry>& entries) {
  std::map<SessionId, LedgerEntry> joined;
  for (const LedgerEntry& entry : entries) {
    if (entry.amount_uvu == SlotAmounts{}) continue;  // nothing: the bottom of the lattice
    const auto [at, first] = joined.try_emplace(entry.session, entry);
    at->second.opened_cycle = std::min(at->second.opened_cycle, entry.opened_cycle);
    for (std::size_t s = 0; s < entry.amount_uvu.size(); ++s) {
      at->second.amount_uvu[s] = std::max(at->second.amount_uvu[s], entry.amount_uvu[s]);
    }
  }
  return joined;
}

void ExpectEqual(const Ledger& a, const Ledger& b) {
  EXPECT_EQ(a.digest(), b.digest());
  EXPECT_EQ(a.totals_uvu(), b.totals_uvu());
  EXPECT_EQ(a.size(), b.size());
  for (int bucket = 0; bucket < Ledger::kBuckets; ++bucket) EXPECT_EQ(a.bucket_digest(bucket), b.bucket_digest(bucket));
  for (const LedgerEntry& entry : Contents(a)) {
    const auto other = b.Find(entry.session);
    ASSERT_TRUE(other.has_value());
    EXPECT_EQ(other->opened_cycle, entry.opened_cycle);
    EXPECT_EQ(other->amount_uvu, entry.amount_uvu);
  }
}

TEST(Ledger, Spec6_3JoinIsWhatItsDefinitionSaysInAnyOrderAndNumber) {
  Generator g(1);
  for (int round = 0; round < 60; ++round) {
    std::vector<LedgerEntry> entries = RandomEntries(&g, 1 + g.Below(200), 1 + g.Below(40));
    Ledger first(kSlots, {});
    MergeAll(entries, &first);
    const std::map<SessionId, LedgerEntry> joined = Join(entries);
    ASSERT_EQ(first.size(), joined.size());
    SlotAmounts total{};
    for (const auto& [session, entry] : joined) {
      EXPECT_EQ(first.Find(session)->amount_uvu, entry.amount_uvu);
      EXPECT_EQ(first.Find(session)->opened_cycle, entry.opened_cycle);
      for (std::size_t s = 0; s < kSlots; ++s) total[s] += entry.amount_uvu[s];
    }
    EXPECT_EQ(first.totals_uvu(), total);
    // Commutative and idempotent: shuffled, and some of them many times.
    for (int again = 0; again < 3; ++again) {
      std::vector<LedgerEntry> other = entries;
      for (std::uint32_t n = 0; n < 50; ++n)
        other.push_back(entries[g.Below(static_cast<std::uint32_t>(entries.size()))]);
      Shuffle(&g, &other);
      Ledger second(kSlots, {});
      MergeAll(other, &second);
      ExpectEqual(first, second);
      const std::uint64_t version = second.version();
      MergeAll(entries, &second);
      ExpectEqual(first, second);
      EXPECT_EQ(second.version(), version) << "what is known is no news";
    }
  }
}

TEST(Ledger, Spec6_3JoinIsAssociative) {
  Generator g(2);
  for (int round = 0; round < 60; ++round) {
    Ledger part[3] = {{kSlots, {}}, {kSlots, {}}, {kSlots, {}}};
    for (Ledger& ledger : part) MergeAll(RandomEntries(&g, g.Below(60), 25), &ledger);
    const auto join = [](const Ledger& a, const Ledger& b) {
      Ledger c(kSlots, {});
      MergeAll(Contents(a), &c);
      MergeAll(Contents(b), &c);
      return c;
    };
    ExpectEqual(join(join(part[0], part[1]), part[2]), join(part[0], join(part[1], part[2])));
    ExpectEqual(join(part[0], part[1]), join(part[1], part[0]));
    ExpectEqual(join(part[0], part[0]), part[0]);
  }
}

// Valid claims of a session must be closed under the join. Otherwise a client that sends different claims to two server
// nodes makes their ledgers differ for ever: each would refuse the other's entry.
TEST(Ledger, Spec6_3JoinOfWhatWasAcceptedIsAccepted) {
  const ContributionPolicy policy;
  for (const std::uint64_t age : {0u, 50u, 36'000u}) {
    const std::int64_t all = policy.Allowed(age);
    const LedgerEntry one = Entry(1, kNow - age, all, 0);
    const LedgerEntry other = Entry(1, kNow - age, 0, all);
    Ledger a(kSlots, policy), b(kSlots, policy);
    // Each server node hears the claims in another order; one may take what the other refuses.
    a.Merge(one, kNow);
    a.Merge(other, kNow);
    b.Merge(other, kNow);
    b.Merge(one, kNow);
    for (const LedgerEntry& entry : Contents(a)) EXPECT_FALSE(b.Merge(entry, kNow).refused.has_value()) << age;
    for (const LedgerEntry& entry : Contents(b)) EXPECT_FALSE(a.Merge(entry, kNow).refused.has_value()) << age;
    EXPECT_EQ(a.digest(), b.digest()) << age;
    // A third server node that starts empty can take what they hold.
    Ledger empty(kSlots, policy);
    for (const LedgerEntry& entry : Contents(a)) EXPECT_FALSE(empty.Merge(entry, kNow).refused.has_value()) << age;
  }
}

TEST(Ledger, Spec5_1PolicyHoldsSlotBySlot) {
  Ledger ledger(2, {});
  const std::int64_t burst = ContributionPolicy{}.burst_uvu;
  EXPECT_TRUE(ledger.Merge(Entry(1, 100, burst, burst), 100).grew);
  EXPECT_EQ(ledger.Merge(Entry(2, 100, 1, burst + 1), 100).refused, Refusal::kRateExceeded);
  EXPECT_EQ(ledger.Merge(Entry(2, 100, burst + 1, 0), 100).refused, Refusal::kRateExceeded);
  EXPECT_EQ(ledger.size(), 1u);
}

TEST(Ledger, Spec8_3NothingContributedTakesNoSession) {
  Ledger ledger(2, {});
  const Ledger::Outcome outcome = ledger.Merge(Entry(1, 100, 0, 0), 100);
  EXPECT_FALSE(outcome.grew);
  EXPECT_FALSE(outcome.refused.has_value());
  EXPECT_EQ(ledger.size(), 0u);
  EXPECT_EQ(ledger.version(), 0u);
  ledger.Merge(Entry(1, 100, 7, 0), 100);
  const std::uint64_t digest = ledger.digest();
  ledger.Merge(Entry(1, 3, 0, 0), 100);  // nor does it move the opening of one that is there
  EXPECT_EQ(ledger.digest(), digest);
}

TEST(Ledger, Spec5_1EntriesNeverShrink) {
  Generator g(3);
  Ledger ledger(kSlots, {});
  std::map<SessionId, SlotAmounts> most;
  SlotAmounts total{};
  for (int n = 0; n < 5000; ++n) {
    LedgerEntry entry = RandomEntry(&g, 30);
    if (g.Chance(0.1)) entry.amount_uvu[g.Below(kSlots)] = -5;
    const Ledger::Outcome outcome = ledger.Merge(entry, g.Chance(0.5) ? kNow : 0);
    const SlotAmounts now = ledger.totals_uvu();
    for (std::size_t s = 0; s < now.size(); ++s) {
      EXPECT_EQ(now[s], total[s] + outcome.gained_uvu[s]);
      EXPECT_GE(outcome.gained_uvu[s], 0);
    }
    EXPECT_EQ(outcome.grew, now != total);
    total = now;
    if (const auto held = ledger.Find(entry.session)) {
      SlotAmounts& before = most[entry.session];
      for (std::size_t s = 0; s < before.size(); ++s) EXPECT_GE(held->amount_uvu[s], before[s]);
      before = held->amount_uvu;
    }
  }
}

TEST(Ledger, Spec5_1TotalsAreExactToTheMicroVuNearTheLimits) {
  // 120 sessions at the most that an entry can hold: the sum is beyond what a double counts exactly.
  const ContributionPolicy generous{.burst_uvu = vaultguard::kMaxEntryUvu, .earn_uvu_per_cycle = 0};
  Ledger ledger(2, generous);
  std::int64_t total = 0;
  for (std::int64_t n = 0; n < 120; ++n) {
    const LedgerEntry entry = Entry(static_cast<std::uint64_t>(n), 0, vaultguard::kMaxEntryUvu - n, n);
    ASSERT_FALSE(ledger.Merge(entry, 0).refused.has_value());
    total += vaultguard::kMaxEntryUvu - n;
  }
  EXPECT_EQ(ledger.total_uvu(0), total);
  EXPECT_EQ(ledger.total_uvu(1), 119 * 120 / 2);
  EXPECT_TRUE(ledger.Merge(Entry(0, 0, vaultguard::kMaxEntryUvu + 1, 1), 0).refused.has_value());
  EXPECT_EQ(ledger.total_uvu(0), total);
}

TEST(Ledger, Spec5_1PolicyBoundsWhatASessionMayClaim) {
  const std::int64_t burst = 1000 * kMicroPerVu;
  const std::int64_t rate = 10 * kMicroPerVu;
  const auto refused = [](std::int64_t a, std::int64_t b, std::uint64_t opened, std::uint64_t cycle) {
    Ledger ledger(kSlots, {});
    const auto why = ledger.Merge(Entry(1, opened, a, b), cycle).refused;
    EXPECT_EQ(ledger.size(), why ? 0u : 1u);
    EXPECT_EQ(ledger.total_uvu(0), why ? 0 : a);
    return why;
  };
  EXPECT_EQ(refused(burst, 0, 500, 500), std::nullopt);
  EXPECT_EQ(refused(burst + 1, 0, 500, 500), Refusal::kRateExceeded);
  EXPECT_EQ(refused(burst + 7 * rate, 0, 500, 507), std::nullopt);
  EXPECT_EQ(refused(burst + 7 * rate + 1, 0, 500, 507), Refusal::kRateExceeded);
  // A session lives 36,000 cycles, whatever age it claims.
  const std::int64_t life = burst + 36'000 * rate;
  EXPECT_EQ(refused(life, 0, 0, 36'000), std::nullopt);
  EXPECT_EQ(refused(life, 0, 0, 10'000'000), std::nullopt);
  EXPECT_EQ(refused(life + 1, 0, 0, 10'000'000), Refusal::kRateExceeded);
  // Opened a little ahead of here: the other clock is ahead. Age 0 then; further ahead is nonsense.
  EXPECT_EQ(refused(burst, 0, 550, 500), std::nullopt);
  EXPECT_EQ(refused(burst + 1, 0, 550, 500), Refusal::kRateExceeded);
  EXPECT_EQ(refused(1, 0, 551, 500), Refusal::kBadEntry);
}

// What a node acknowledged under a clock that was ahead is valid everywhere after a restart under a right one.
TEST(Ledger, Spec5_1ARestoredEntryIsOpenedAsEarlyAsItNeedsToBe) {
  const ContributionPolicy policy;
  const std::int64_t hour_uvu = policy.Allowed(vaultguard::kMaxSessionCycles);
  struct Restored {
    LedgerEntry entry;
    std::uint64_t opened;  // after the restore
  };
  const std::vector<Restored> cases = {
      {Entry(1, kNow - 10, policy.burst_uvu), kNow - 10},  // valid as it is
      {Entry(2, kNow + vaultguard::kMaxCyclesAhead, 5), kNow + vaultguard::kMaxCyclesAhead},
      {Entry(3, kNow + vaultguard::kMaxCyclesAhead + 1, 5), kNow},
      {Entry(4, ~std::uint64_t{0} - 1, policy.burst_uvu), kNow},  // whatever the clock was
      {Entry(5, kNow + 600, 1, policy.burst_uvu + 1), kNow - 1},
      {Entry(6, kNow - 10, hour_uvu), kNow - vaultguard::kMaxSessionCycles},  // the clock went ahead in between
      {Entry(7, kNow + 20, policy.burst_uvu + 10 * policy.earn_uvu_per_cycle), kNow - 10},
  };
  Ledger ledger(kSlots, policy);
  Ledger peer(kSlots, policy);
  for (const Restored& c : cases) {
    const Ledger::Outcome outcome = ledger.Restore(c.entry, kNow);
    EXPECT_FALSE(outcome.refused) << c.entry.session.high;
    EXPECT_TRUE(outcome.grew);
    EXPECT_EQ(outcome.reopened, c.opened != c.entry.opened_cycle);
    const auto found = ledger.Find(c.entry.session);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->opened_cycle, c.opened);
    EXPECT_EQ(found->amount_uvu, c.entry.amount_uvu);
    EXPECT_FALSE(peer.Merge(*found, kNow, 0).refused);
  }
  EXPECT_EQ(peer.digest(), ledger.digest());
  for (const Restored& c : cases) EXPECT_FALSE(ledger.Restore(c.entry, kNow).grew) << "restored twice, it counts once";
}

TEST(Ledger, Spec8_1WhatNobodyCanHaveEarnedIsNotRestoredEither) {
  const ContributionPolicy policy;
  Ledger ledger(kSlots, policy);
  const auto refused = [&](const LedgerEntry& entry) { return ledger.Restore(entry, kNow).refused; };
  EXPECT_EQ(refused(Entry(1, 0, policy.Allowed(vaultguard::kMaxSessionCycles) + 1)), Refusal::kRateExceeded);
  EXPECT_EQ(refused(Entry(2, kNow + 600, -1, 5)), Refusal::kBadEntry);
  EXPECT_EQ(refused(Entry(3, kNow, vaultguard::kMaxEntryUvu + 1)), Refusal::kBadEntry);
  EXPECT_EQ(ledger.size(), 0u);
}

// A machine without a clock of its own starts before the epoch until NTP sets it. Its cache is right meanwhile.
TEST(Ledger, Spec5_1ANodeWhoseClockIsBeforeTheEpochRestoresEntriesAsTheyAre) {
  const ContributionPolicy policy;
  Ledger ledger(kSlots, policy);
  const LedgerEntry entry = Entry(1, kNow, policy.burst_uvu + 10 * policy.earn_uvu_per_cycle);
  const Ledger::Outcome outcome = ledger.Restore(entry, 9);
  EXPECT_FALSE(outcome.refused);
  EXPECT_FALSE(outcome.reopened);
  EXPECT_EQ(ledger.Find(entry.session), entry);
}

TEST(Ledger, Test7BadEntriesAreRefusedAndChangeNothing) {
  Ledger ledger(2, {});
  ASSERT_TRUE(ledger.Merge(Entry(1, 100, 5, 6), 200).grew);
  const Ledger before = ledger;
  const auto expect_refused = [&](LedgerEntry entry, std::uint64_t cycle, Refusal why) {
    for (const std::uint64_t session : {1u, 2u}) {  // one that is known and one that is not
      entry.session = Session(session);
      const Ledger::Outcome outcome = ledger.Merge(entry, cycle);
      EXPECT_EQ(outcome.refused, why);
      EXPECT_FALSE(outcome.grew);
      EXPECT_EQ(outcome.gained_uvu, SlotAmounts{});
      ExpectEqual(ledger, before);
      EXPECT_EQ(ledger.version(), before.version());
    }
  };
  expect_refused(Entry(0, 100, -1, 0), 200, Refusal::kBadEntry);
  expect_refused(Entry(0, 100, 10, -1), 200, Refusal::kBadEntry);
  expect_refused(Entry(0, 100, std::numeric_limits<std::int64_t>::min()), 200, Refusal::kBadEntry);
  expect_refused(Entry(0, 100, vaultguard::kMaxEntryUvu + 1), 200, Refusal::kBadEntry);
  expect_refused(Entry(0, 100, std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::max()), 200,
                 Refusal::kBadEntry);
  expect_refused(Entry(0, 100, 10, 10, 1), 200, Refusal::kBadEntry);  // a slot that the shard does not have
  expect_refused(Entry(0, 251, 10, 10), 200, Refusal::kBadEntry);
  expect_refused(Entry(0, ~std::uint64_t{0}, 10, 10), 200, Refusal::kBadEntry);
  expect_refused(Entry(0, 200, 1001 * kMicroPerVu), 200, Refusal::kRateExceeded);
  expect_refused(Entry(0, 200, vaultguard::kMaxEntryUvu), 200, Refusal::kRateExceeded);
}

TEST(Ledger, Spec8_3SessionsAreLimited) {
  Ledger ledger(1, {});
  for (std::uint64_t n = 0; n < vaultguard::kMaxSessionsPerShard; ++n) {
    LedgerEntry entry;
    entry.session = {n, n * 7};
    entry.amount_uvu[0] = 1;
    ASSERT_TRUE(ledger.Merge(entry, 0).grew);
  }
  LedgerEntry more;
  more.session = {1, 0};
  more.amount_uvu[0] = 1;
  const std::uint64_t digest = ledger.digest();
  EXPECT_EQ(ledger.Merge(more, 0).refused, Refusal::kSessionsFull);
  EXPECT_EQ(ledger.digest(), digest);
  EXPECT_FALSE(ledger.Find(more.session).has_value());
  EXPECT_EQ(ledger.total_uvu(0), static_cast<std::int64_t>(vaultguard::kMaxSessionsPerShard));
  // Sessions in the table go on earning.
  more.session = {5, 35};
  more.amount_uvu[0] = 10;
  EXPECT_TRUE(ledger.Merge(more, 0).grew);
  EXPECT_EQ(ledger.total_uvu(0), static_cast<std::int64_t>(vaultguard::kMaxSessionsPerShard) + 9);
}

// Clients of this server node find room whatever peers send, and all sessions in the table go on earning.
TEST(Ledger, Spec8_3PeersLeaveRoomForTheClientsHere) {
  Ledger ledger(1, {});
  std::uint64_t next = 0;
  const auto open = [&](std::uint8_t source) {
    LedgerEntry entry;
    entry.session = {++next, next * 7};
    entry.amount_uvu[0] = 1;
    return ledger.Merge(entry, 0, source).refused;
  };
  for (int n = 0; n < 1000; ++n) ASSERT_EQ(open(Ledger::kHere), std::nullopt);
  while (ledger.size() < vaultguard::kMaxSessionsPerShard - vaultguard::kSessionsForClients) {
    ASSERT_EQ(open(static_cast<std::uint8_t>(next % 10)), std::nullopt);
  }
  EXPECT_EQ(open(3), Refusal::kSessionsReserved);
  for (std::size_t n = 0; n < vaultguard::kSessionsForClients; ++n) {
    ASSERT_EQ(open(Ledger::kHere), std::nullopt);
    if (n % 1000 == 0) {
      ASSERT_EQ(open(3), Refusal::kSessionsReserved);
    }
  }
  EXPECT_EQ(open(Ledger::kHere), Refusal::kSessionsFull);
  EXPECT_EQ(open(3), Refusal::kSessionsFull);
  LedgerEntry known;
  known.session = {5, 35};
  known.amount_uvu[0] = 10;
  EXPECT_TRUE(ledger.Merge(known, 0, 3).grew);
}

TEST(Ledger, Spec8_3WhatMayNotOpenASessionMayStillRaiseOne) {
  Ledger ledger(1, {});
  LedgerEntry entry;
  entry.session = {1, 2};
  entry.amount_uvu[0] = 5;
  EXPECT_EQ(ledger.Merge(entry, 0, 1, false).refused, Refusal::kSessionsTooFast);
  EXPECT_EQ(ledger.size(), 0u);
  EXPECT_TRUE(ledger.Merge(entry, 0, 1).opened);
  entry.amount_uvu[0] = 6;
  const Ledger::Outcome more = ledger.Merge(entry, 0, 1, false);
  EXPECT_TRUE(more.grew);
  EXPECT_FALSE(more.opened);
  EXPECT_EQ(ledger.total_uvu(0), 6);
}

// Two ledgers that tell each other their changes in pages, some of which are lost, while both grow: they end equal. No
// entry is sent back to its source.
TEST(Ledger, Spec10PagesFromAnyAcknowledgedVersionMakeEqual) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Generator g(seed);
    Ledger ledger[2] = {{kSlots, {}}, {kSlots, {}}};
    std::uint64_t acknowledged[2] = {0, 0};  // of this side's changes, by the other
    const std::uint32_t sessions = 1 + g.Below(60);
    std::size_t told = 0;
    const auto tell = [&](int from, double loss) {
      std::vector<LedgerEntry> page;
      const std::uint64_t reached =
          ledger[from].Changes(acknowledged[from], 1 + g.Below(9), &page, static_cast<std::uint8_t>(1 - from));
      EXPECT_GE(reached, acknowledged[from]);
      EXPECT_LE(reached, ledger[from].version());
      if (g.Chance(loss)) return;
      told += page.size();
      for (const LedgerEntry& entry : page) {
        ASSERT_FALSE(ledger[1 - from].Merge(entry, kNow, static_cast<std::uint8_t>(from)).refused.has_value());
      }
      acknowledged[from] = reached;
    };
    for (int n = 0; n < 400; ++n) {
      for (int side = 0; side < 2; ++side) {
        if (g.Chance(0.7)) ledger[side].Merge(RandomEntry(&g, sessions), kNow);
        tell(side, 0.4);
      }
    }
    for (int n = 0; n < 2000; ++n) {
      tell(0, 0.0);
      tell(1, 0.0);
    }
    ExpectEqual(ledger[0], ledger[1]);
    // At the end nothing is left to send.
    told = 0;
    tell(0, 0.0);
    tell(1, 0.0);
    EXPECT_EQ(told, 0u) << seed;
    ASSERT_FALSE(testing::Test::HasFailure()) << seed;
  }
}

TEST(Ledger, ChangesLeavesOutTheListenersOwnNewsAndSaysEachEntryOnce) {
  Ledger ledger(kSlots, {});
  ledger.Merge(Entry(1, 0, 10), kNow, 7);
  ledger.Merge(Entry(2, 0, 10), kNow, 8);
  ledger.Merge(Entry(3, 0, 10), kNow);
  ledger.Merge(Entry(2, 0, 20), kNow, 8);
  std::vector<LedgerEntry> said;
  EXPECT_EQ(ledger.Changes(0, 100, &said, 8), 4u);
  ASSERT_EQ(said.size(), 2u);
  EXPECT_EQ(said[0].session, Session(1));
  EXPECT_EQ(said[1].session, Session(3));
  said.clear();
  EXPECT_EQ(ledger.Changes(0, 100, &said), 4u);
  ASSERT_EQ(said.size(), 3u);  // oldest first, each once, at its newest
  EXPECT_EQ(said[2].session, Session(2));
  EXPECT_EQ(said[2].amount_uvu[0], 20);
  said.clear();
  EXPECT_EQ(ledger.Changes(4, 100, &said), 4u);
  EXPECT_TRUE(said.empty());
  EXPECT_EQ(ledger.Changes(0, 1, &said), 2u);  // change 2 was overtaken: nothing is missed by going on from it
  EXPECT_EQ(said.size(), 1u);
}

// An entry that grew beyond what a peer sent is news for that peer, too.
TEST(Ledger, Spec10AJoinThatIsMoreThanThePeerToldIsNewsForIt) {
  Ledger ledger(kSlots, {});
  ledger.Merge(Entry(1, 5, 0, 100), kNow);
  ledger.Merge(Entry(1, 9, 50, 0), kNow, 7);  // before change 1 was sent to peer 7
  std::vector<LedgerEntry> said;
  EXPECT_EQ(ledger.Changes(0, 100, &said, 7), 2u);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].amount_uvu, (SlotAmounts{50, 100}));
  EXPECT_EQ(said[0].opened_cycle, 5u);
}

TEST(Ledger, LogIsCompactedAndNothingIsMissed) {
  Ledger ledger(1, {});
  Ledger listener(1, {});
  std::uint64_t heard = 0;
  std::size_t bytes = 0;
  for (std::int64_t n = 1; n <= 20'000; ++n) {
    ledger.Merge(Entry(static_cast<std::uint64_t>(n) % 5, 0, n), kNow);
    if (n % 37 == 0) {
      std::vector<LedgerEntry> page;
      heard = ledger.Changes(heard, 3, &page);
      MergeAll(page, &listener);
    }
    if (n == 200) bytes = ledger.resident_bytes();
  }
  EXPECT_EQ(ledger.resident_bytes(), bytes) << "20,000 changes of 5 entries take no more room than 200";
  while (heard < ledger.version()) {
    std::vector<LedgerEntry> page;
    heard = ledger.Changes(heard, 2, &page);
    MergeAll(page, &listener);
  }
  ExpectEqual(ledger, listener);
}

TEST(Ledger, Spec14BucketsMakeDifferingLedgersEqual) {
  Generator g(5);
  for (int round = 0; round < 20; ++round) {
    Ledger a(kSlots, {}), b(kSlots, {});
    const std::vector<LedgerEntry> shared = RandomEntries(&g, 200, 300);
    MergeAll(shared, &a);
    MergeAll(shared, &b);
    MergeAll(RandomEntries(&g, 1 + g.Below(5), 300), &a);
    MergeAll(RandomEntries(&g, g.Below(5), 300), &b);
    std::uint32_t mask = 0;
    for (int bucket = 0; bucket < Ledger::kBuckets; ++bucket) {
      if (a.bucket_digest(bucket) != b.bucket_digest(bucket)) mask |= 1u << bucket;
    }
    std::size_t cursor_a = 0, cursor_b = 0, said = 0;
    for (int turn = 0; turn < 60 && a.digest() != b.digest(); ++turn) {
      std::vector<LedgerEntry> from_a, from_b;
      a.Bucket(mask, 10, &cursor_a, &from_a);
      b.Bucket(mask, 10, &cursor_b, &from_b);
      for (const LedgerEntry& entry : from_a) EXPECT_NE(mask >> (entry.session.low & 15) & 1, 0u);
      said += from_a.size() + from_b.size();
      MergeAll(from_b, &a);
      MergeAll(from_a, &b);
    }
    ExpectEqual(a, b);
    EXPECT_LT(said, 800u);
  }
  // The buckets of an empty ledger give no entries, and the search for some ends.
  std::vector<LedgerEntry> none;
  std::size_t cursor = 0;
  Ledger(kSlots, {}).Bucket(0xffff, 10, &cursor, &none);
  EXPECT_TRUE(none.empty());
}

TEST(Ledger, Spec10AfterClearEverythingCanBeLearntAgain) {
  Generator g(6);
  const std::vector<LedgerEntry> entries = RandomEntries(&g, 300, 100);
  Ledger a(kSlots, {}), b(kSlots, {});
  MergeAll(entries, &a);
  MergeAll(entries, &b);
  const std::uint64_t version = a.version();
  a.Clear();
  ExpectEqual(a, Ledger(kSlots, {}));
  EXPECT_GE(a.version(), version) << "change numbers are never used twice";
  std::vector<LedgerEntry> page;
  EXPECT_EQ(a.Changes(0, 100, &page), a.version());
  EXPECT_TRUE(page.empty());
  std::uint64_t heard = 0;
  while (heard < b.version()) {
    page.clear();
    heard = b.Changes(heard, 7, &page);
    MergeAll(page, &a);
  }
  ExpectEqual(a, b);
  // A peer that had acknowledged the earlier entries hears of all new ones.
  page.clear();
  a.Changes(version, 1000, &page);
  EXPECT_EQ(page.size(), a.size());
}

}  // namespace
}  // namespace lvs::shard
