// The redundancy sync between server nodes (SPEC-14, ARCH-2.1), over links that lose, repeat, delay, reorder and cut,
// among nodes that start again empty, and beside one that lies.
#include "shard/ledger_sync.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "shard/frame_codec.h"
#include "tests/shard/generator.h"

namespace lvs::shard {
namespace {

using vaultguard::Refusal;
using vaultguard::RefusalCounts;

constexpr Shape kSyncShape{.value_slots = 2, .free_coordinates = 2};
// All ledgers are equal within this many cycles of the last fault: lost news is sent again after 20, differences that
// only buckets find last 50 before buckets are compared, and there are 50 between repairs.
constexpr int kHealCycles = 1200;

// ---- The truth ----

using Amounts = std::map<SessionId, SlotAmounts>;

void Add(const LedgerEntry& entry, Amounts* amounts) {
  SlotAmounts& mine = (*amounts)[entry.session];
  for (std::size_t s = 0; s < mine.size(); ++s) mine[s] = std::max(mine[s], entry.amount_uvu[s]);
}

bool Contains(const Ledger& ledger, const Amounts& amounts) {
  return std::all_of(amounts.begin(), amounts.end(), [&](const auto& expected) {
    const auto entry = ledger.Find(expected.first);
    if (!entry) return false;
    for (std::size_t s = 0; s < expected.second.size(); ++s) {
      if (entry->amount_uvu[s] < expected.second[s]) return false;
    }
    return true;
  });
}

// ---- A network ----

class Node : public LedgerSync::Owner {
 public:
  Node(std::uint32_t number, LedgerSyncConfig config) : number_(number), sync(std::move(config), this) {}

  const Ledger& ledger() const override { return ledger_; }
  Ledger::Outcome Join(const LedgerEntry& entry, std::uint64_t cycle, std::uint8_t link, bool may_open) override {
    if (full_for != 0 && entry.session.high == full_for) return {.refused = Refusal::kSessionsReserved};
    return ledger_.Merge(entry, cycle, link, may_open && !(refuses != nullptr && refuses->Chance(0.3)));
  }
  void Forget() override { ledger_.Clear(); }
  SessionId NewSession(std::uint64_t) override { return {number_ + 1, ++lives_}; }

  void Contribute(const LedgerEntry& entry, std::uint64_t cycle) {
    ASSERT_FALSE(ledger_.Merge(entry, cycle).refused.has_value());
  }
  void Restart(std::uint64_t cycle) {
    ledger_ = Ledger(kSyncShape.value_slots, {});
    sync.Restart(cycle);
  }

  std::uint32_t replicas = 10;
  bool leaving = false;
  std::uint64_t full_for = 0;    // refuses sessions with this upper half, for good; unless it is 0
  Generator* refuses = nullptr;  // now and then, a session that it does not know; unless it is null

 private:
  std::uint32_t number_;
  std::uint64_t lives_ = 0;
  Ledger ledger_{kSyncShape.value_slots, {}};

 public:
  LedgerSync sync;
};

struct Faults {
  double loss = 0;
  double duplicate = 0;
  std::uint32_t delay_max = 1;  // cycles; each frame its own, so they overtake each other
};

class Network {
 public:
  Network(std::uint64_t seed, std::uint32_t nodes) : g(seed), cut(nodes, std::vector<bool>(nodes)) {
    for (std::uint32_t n = 0; n < nodes; ++n) {
      node.push_back(std::make_unique<Node>(
          n, LedgerSyncConfig{.links = nodes, .resend_cycles = std::vector<std::uint32_t>(nodes, 20)}));
    }
  }

  std::uint32_t size() const { return static_cast<std::uint32_t>(node.size()); }

  // Contributes at a random node to a random session, whose amounts only grow.
  void ContributeSomewhere(std::uint32_t sessions) {
    const std::uint64_t n = 1 + g.Below(sessions);
    LedgerEntry entry;
    entry.session = {Mix(n), Mix(~n)};
    entry.opened_cycle = 0;
    entry.amount_uvu[g.Below(2)] = 1 + static_cast<std::int64_t>(cycle * 1000 + g.Below(1000));
    Node& at = *node[g.Below(size())];
    if (at.replicas == 0) return;
    at.Contribute(entry, cycle);
    last = {entry, &at, at.ledger().version()};
  }

  // Sends the frame of the node at `from` to `to`, over a link with these faults.
  void Send(std::uint32_t from, std::uint32_t to, const Frame& frame, const Faults& faults) {
    if (cut[from][to]) return;
    auto sent = std::make_shared<Frame>(frame);
    if (from == old || to == old) {  // one of the two does not know these fields
      sent->held.clear();
      sent->news_all = 0;
      if (sent->correction == Correction::kSyncAll) sent->correction_buckets = 0;
    }
    for (int copy = 0; copy < (g.Chance(faults.duplicate) ? 2 : 1); ++copy) {
      if (g.Chance(faults.loss)) continue;
      node[to]->sync.Receive(from, cycle + 1 + g.Below(faults.delay_max), sent);
    }
  }

  void Listen(Node* at) {
    at->sync.Hold(at->replicas, cycle);
    at->sync.Begin(cycle);
    for (const LedgerSync::Arrival& arrival : at->sync.Due(cycle)) {
      if (const auto why = CheckFrame(*arrival.frame, kSyncShape, 0, 0, cycle)) {
        refused.Add(*why);
      } else {
        at->sync.Take(arrival.link, *arrival.frame, cycle, &refused);
      }
    }
  }

  // One cycle of all nodes but `silent`.
  void Cycle(const Faults& faults, std::uint32_t silent = ~0u) {
    ++cycle;
    entries = frames = bytes = asked = 0;
    for (std::uint32_t from = 0; from < size(); ++from) {
      if (from == silent) continue;
      Node& at = *node[from];
      Listen(&at);
      for (std::uint32_t to = 0; to < size(); ++to) {
        if (to == from) continue;
        draft.shard = 0;
        draft.beacon.replicas = at.replicas;
        draft.beacon.leaving = at.leaving;
        at.sync.Fill(to, cycle, &draft);
        if (!at.sync.Speaks(to, cycle, draft, false)) continue;
        // Every frame is valid and bounded, whatever happened.
        ASSERT_EQ(CheckFrame(draft, kSyncShape, 0, 0, cycle), std::nullopt);
        ASSERT_LE(EncodedSize(draft), 700 + draft.entries.size() * 60);
        ++frames;
        entries += draft.entries.size();
        bytes += EncodedSize(draft);
        asked += !draft.bucket_digest.empty() || draft.correction != Correction::kNone;
        if (to == silent) told_to_silent += EntriesSize(draft);
        Send(from, to, draft, faults);
      }
    }
  }

  bool Equal(std::uint32_t except = ~0u) const {
    const Node* first = nullptr;
    for (std::uint32_t n = 0; n < size(); ++n) {
      if (n == except) continue;
      if (first == nullptr) first = node[n].get();
      if (node[n]->ledger().digest() != first->ledger().digest()) return false;
    }
    return true;
  }

  // Runs cycles without a fault until all are equal, and returns how many; kHealCycles where they never are.
  int Heal() {
    for (auto& row : cut) std::fill(row.begin(), row.end(), false);
    int cycles = 0;
    for (; cycles < kHealCycles && !Equal(); ++cycles) Cycle({});
    return cycles;
  }

  Generator g;
  std::vector<std::unique_ptr<Node>> node;
  std::vector<std::vector<bool>> cut;  // from, to
  std::uint64_t cycle = 0;
  RefusalCounts refused;
  Frame draft;
  struct Contribution {
    LedgerEntry entry;
    const Node* at = nullptr;
    std::uint64_t version = 0;
  } last;
  // Frames of the last cycle.
  std::uint64_t frames = 0;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t asked = 0;           // frames with bucket digests or a correction
  std::uint64_t told_to_silent = 0;  // bytes of entries
  std::uint32_t old = ~0u;           // a node of an earlier version
};

Faults SomeFaults(Generator* g) { return {0.6 * g->Unit(), 0.4 * g->Unit(), 1 + g->Below(25)}; }

// Equal ledgers exchange nothing but digests, and those rarely.
void ExpectQuiet(Network* network) {
  // The last acknowledgements: what a peer heard of and did not acknowledge is sent again after 75 cycles at most, where
  // 1200 changes wait.
  for (int n = 0; n < 120; ++n) network->Cycle({});
  std::uint64_t frames = 0, bytes = 0;
  for (int n = 0; n < 200; ++n) {
    network->Cycle({});
    ASSERT_EQ(network->entries, 0u);
    ASSERT_EQ(network->asked, 0u);
    frames += network->frames;
    bytes += network->bytes;
  }
  const std::uint64_t links = network->size() * (network->size() - 1);
  EXPECT_LE(frames, links * (200 / 20 + 1));
  EXPECT_LE(bytes, frames * 100);
}

// ---- Faults of links ----

TEST(LedgerSync, Spec14LedgersBecomeEqualWhateverTheLinksDid) {
  int worst = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Network network(seed, 2 + static_cast<std::uint32_t>(seed % 5));
    Generator& g = network.g;
    const Faults faults = SomeFaults(&g);
    const std::uint32_t sessions = 1 + g.Below(400);
    Amounts truth;
    for (int n = 0; n < 400; ++n) {
      for (int m = 0; m < 3; ++m) {
        network.ContributeSomewhere(sessions);
        Add(network.last.entry, &truth);
      }
      if (g.Chance(0.02)) {  // a partition, one direction at a time
        for (auto& row : network.cut) row[g.Below(network.size())] = g.Chance(0.5);
      }
      network.Cycle(faults);
    }
    const int cycles = network.Heal();
    worst = std::max(worst, cycles);
    ASSERT_LT(cycles, kHealCycles);
    for (const auto& node : network.node) {
      EXPECT_TRUE(Contains(node->ledger(), truth));
      EXPECT_EQ(node->ledger().size(), truth.size());
    }
    ExpectQuiet(&network);
    ASSERT_FALSE(HasFailure());
  }
  RecordProperty("worst_heal_cycles", worst);
}

TEST(LedgerSync, Spec14WithoutFaultsEachChangeIsToldOncePerLinkAtMost) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Network network(seed, 3);
    std::uint64_t told = 0;
    constexpr int kChanges = 300;
    for (int n = 0; n < 25; ++n) network.Cycle({});  // the nodes learn each other's sessions
    for (int n = 0; n < kChanges; ++n) {
      network.ContributeSomewhere(1'000'000);  // each a session of its own
      network.Cycle({});
      told += network.entries;
    }
    for (int n = 0; n < 40; ++n) {
      network.Cycle({});
      told += network.entries;
    }
    ASSERT_TRUE(network.Equal());
    // From where it was contributed to both others, and between those two.
    EXPECT_LE(told, kChanges * 4u);
    EXPECT_EQ(network.refused.Total(), 0u);
  }
}

TEST(LedgerSync, Spec14HoldersHaveWhatTheySaidThatTheyHave) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Network network(seed, 4);
    const Faults faults = SomeFaults(&network.g);
    for (const auto& node : network.node) node->refuses = seed % 2 == 0 ? &network.g : nullptr;
    std::vector<Network::Contribution> made;
    std::uint32_t most = 0;
    for (int n = 0; n < 300; ++n) {
      network.ContributeSomewhere(2000);
      made.push_back(network.last);
      network.Cycle(faults);
      for (const auto& contribution : made) {
        Amounts amounts;
        Add(contribution.entry, &amounts);
        const auto holders = std::count_if(network.node.begin(), network.node.end(),
                                           [&](const auto& node) { return Contains(node->ledger(), amounts); });
        const std::uint32_t said = contribution.at->sync.Holders(contribution.version);
        most = std::max(most, said);
        ASSERT_LE(said, static_cast<std::uint32_t>(holders)) << seed;
      }
      if (made.size() > 40) made.erase(made.begin());
    }
    if (faults.loss < 0.4 && seed % 2 != 0) {
      EXPECT_EQ(most, 4u) << seed << ": no acknowledgement ever came";
    }
  }
}

// The other side refuses 30,000 sessions for good. All other news reaches it as if they did not exist, and they are
// sent again ever more rarely.
TEST(LedgerSync, Spec8_3WhatIsRefusedForGoodKeepsNothingElseBack) {
  Network network(1, 2);
  for (int n = 0; n < 30; ++n) network.Cycle({});
  network.node[1]->full_for = 66;
  LedgerEntry entry;
  entry.amount_uvu[0] = 1;
  for (std::uint64_t n = 1; n <= 30'000; ++n) {
    entry.session = {66, n};
    network.node[0]->Contribute(entry, network.cycle);
  }
  const auto contribute = [&](std::int64_t amount) {  // cycles until it is there
    entry.session = {1, 1};
    entry.amount_uvu[0] = amount;
    network.node[0]->Contribute(entry, network.cycle);
    int cycles = 0;
    while (network.node[1]->ledger().total_uvu(0) != amount && ++cycles < 2000) network.Cycle({});
    return cycles;
  };
  EXPECT_LT(contribute(1), 30'000 / 512 * 6 + 300) << "one pass over all";
  for (int n = 0; n < 10'000; ++n) network.Cycle({});
  int prompt = 0;
  std::uint64_t told = 0;
  for (std::int64_t n = 2; n < 200; ++n) {
    prompt += contribute(n) <= 10;
    for (int m = 0; m < 100; ++m) {
      network.Cycle({});
      told += network.entries;
    }
  }
  EXPECT_GT(prompt, 120);
  EXPECT_LT(told, 30'000 * (198 * 100 / 1600 + 1));
  EXPECT_EQ(network.node[0]->sync.Holders(network.node[0]->ledger().version()), 1u);
}

// Entries that one side wrongly attributes to the other are never news. Only the digests reveal that they are missing.
TEST(LedgerSync, Spec14BucketsFindWhatWasNeverNews) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Network network(seed, 2);
    for (int n = 0; n < 3000; ++n) network.ContributeSomewhere(1'000'000'000);
    ASSERT_LT(network.Heal(), kHealCycles);
    const std::size_t before = network.node[0]->ledger().size();
    for (std::uint32_t n = 0; n < 2; ++n) {
      for (std::uint64_t m = 0; m < 3; ++m) {
        LedgerEntry entry;
        entry.session = {77 + n, network.g.Next()};
        entry.amount_uvu[0] = 5;
        network.node[n]->Join(entry, network.cycle, static_cast<std::uint8_t>(1 - n), true);
      }
    }
    std::uint64_t told = 0;
    int cycles = 0;
    for (; cycles < kHealCycles && !network.Equal(); ++cycles) {
      network.Cycle({});
      told += network.entries;
    }
    ASSERT_LT(cycles, kHealCycles) << seed;
    for (const auto& node : network.node) EXPECT_EQ(node->ledger().size(), before + 6);
    EXPECT_LT(told, 4 * before);  // each side, at most two passes
    ExpectQuiet(&network);
  }
}

// ---- Nodes that start again ----

// A value that two nodes hold outlives either: the next node may fall once the one before is whole again.
TEST(LedgerSync, Arch2_1WhatTwoHoldOutlivesEveryRestartOneAfterTheOther) {
  int restarts = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    Network network(seed, 2 + static_cast<std::uint32_t>(seed % 4));
    Generator& g = network.g;
    const Faults faults{0.4 * g.Unit(), 0.3 * g.Unit(), 1 + g.Below(10)};
    std::vector<Network::Contribution> made;
    Amounts safe;  // that two nodes claimed to hold
    Amounts owed;  // what was safe when a node fell
    Node* fallen = nullptr;
    Node* empty = nullptr;  // its replicas left
    for (int n = 0; n < 1500; ++n) {
      network.ContributeSomewhere(60);
      if (fallen == nullptr) made.push_back(network.last);
      network.Cycle(faults);
      std::erase_if(made, [&](const Network::Contribution& contribution) {
        if (contribution.at->sync.Holders(contribution.version) < 2) return false;
        Add(contribution.entry, &safe);
        return true;
      });
      if (fallen != nullptr) {
        if (empty != nullptr && g.Chance(0.05)) {
          empty->replicas = 10;  // they come back
          empty = nullptr;
        }
        if (empty == nullptr && Contains(fallen->ledger(), owed)) fallen = nullptr;
        continue;
      }
      if (!g.Chance(0.03)) continue;
      ++restarts;
      fallen = network.node[g.Below(network.size())].get();
      owed = safe;
      made.clear();  // acknowledgements of an earlier life may still arrive
      if (g.Chance(0.5)) {
        fallen->Restart(network.cycle + 1);
      } else {
        empty = fallen;
        empty->replicas = 0;
      }
    }
    if (empty != nullptr) empty->replicas = 10;
    ASSERT_LT(network.Heal(), kHealCycles);
    for (const auto& node : network.node) EXPECT_TRUE(Contains(node->ledger(), safe));
    EXPECT_GT(safe.size(), 10u);
    ExpectQuiet(&network);
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(restarts, 200);
}

TEST(LedgerSync, Arch2_1WhoStartsAgainIsSyncedOnceItHasAllOfItsPeer) {
  Network network(1, 2);
  for (int n = 0; n < 5000; ++n) network.ContributeSomewhere(1'000'000);
  ASSERT_LT(network.Heal(), kHealCycles);
  for (int n = 0; n < 50; ++n) network.Cycle({});
  EXPECT_TRUE(network.node[0]->sync.HandedOver(network.cycle));
  const std::uint64_t held = network.node[0]->ledger().digest();
  network.node[1]->Restart(network.cycle);
  EXPECT_FALSE(network.node[1]->sync.Synced(network.cycle));
  int cycles = 0;
  while (!network.node[1]->sync.Synced(network.cycle) && ++cycles < 200) network.Cycle({});
  EXPECT_LT(cycles, 5000 / 1024 + 10) << "a frame a cycle";
  EXPECT_EQ(network.node[1]->ledger().digest(), held);
  EXPECT_FALSE(network.node[0]->sync.HandedOver(network.cycle)) << "it has not acknowledged yet";
  for (int n = 0; n < 30; ++n) network.Cycle({});
  EXPECT_TRUE(network.node[0]->sync.HandedOver(network.cycle));
}

// ---- Handing over ----

TEST(LedgerSync, Spec9_4_NothingIsHandedOverToWhoLeaves) {
  Network network(1, 3);
  for (int n = 0; n < 100; ++n) network.ContributeSomewhere(1'000'000);
  ASSERT_LT(network.Heal(), kHealCycles);
  const auto cycles = [&](int count) {
    for (int n = 0; n < count; ++n) network.Cycle({});
  };
  cycles(50);
  const LedgerSync& sync = network.node[0]->sync;
  const std::uint64_t version = network.node[0]->ledger().version();
  EXPECT_TRUE(sync.HandedOver(network.cycle));
  EXPECT_EQ(sync.Holders(version), 3u);
  network.node[1]->leaving = true;
  cycles(30);
  EXPECT_TRUE(sync.HandedOver(network.cycle)) << "the third one stays and holds all";
  EXPECT_EQ(sync.Holders(version), 2u);
  network.node[2]->leaving = true;
  cycles(30);
  EXPECT_FALSE(sync.HandedOver(network.cycle)) << "nobody stays";
  EXPECT_EQ(sync.Holders(version), 1u);
  network.node[2]->leaving = false;
  network.node[2]->Restart(network.cycle);
  cycles(60);
  EXPECT_TRUE(sync.HandedOver(network.cycle)) << "a new process is there, and has fetched all";
}

// Two that begin to leave in the same cycle hear of each other a round trip later. Neither counts the other before.
TEST(LedgerSync, Spec9_4_WhoLeavesAtTheSameMomentDoesNotCountEither) {
  Network network(1, 2);
  for (int n = 0; n < 100; ++n) network.ContributeSomewhere(1'000'000);
  ASSERT_LT(network.Heal(), kHealCycles);
  for (int n = 0; n < 50; ++n) network.Cycle({});
  EXPECT_TRUE(network.node[0]->sync.HandedOver(network.cycle));
  for (const auto& node : network.node) {
    node->leaving = true;
    node->sync.Leave(network.cycle);
    node->sync.HandOver();
  }
  for (int n = 0; n < 100; ++n) {
    for (const auto& node : network.node) EXPECT_FALSE(node->sync.HandedOver(network.cycle));
    network.Cycle({});
  }
}

// The other server nodes go on taking contributions, and never stop.
TEST(LedgerSync, Spec9_4_WhatIsHandedOverHasAnEndUnderLoad) {
  Network network(1, 3);
  std::uint64_t sessions = 0;
  const auto contribute = [&](std::uint32_t at, std::int64_t uvu, std::uint64_t session) {
    LedgerEntry entry;
    entry.session = {7, session};
    entry.opened_cycle = network.cycle;
    entry.amount_uvu[0] = uvu;
    network.node[at]->Contribute(entry, network.cycle);
    return entry;
  };
  const auto load = [&] {
    for (const std::uint32_t at : {1u, 2u}) contribute(at, 1000, ++sessions);
    network.Cycle({});
  };
  for (int n = 0; n < 50; ++n) load();
  std::vector<LedgerEntry> own;
  for (std::uint64_t n = 0; n < 500; ++n) own.push_back(contribute(0, 2000, 1'000'000 + n));
  Node& leaver = *network.node[0];
  leaver.leaving = true;
  leaver.sync.Leave(network.cycle);
  leaver.sync.HandOver();
  const std::size_t held = leaver.ledger().size();
  int cycles = 0;
  while (!leaver.sync.HandedOver(network.cycle) && ++cycles < 200) load();
  EXPECT_LT(cycles, 50);
  for (const std::uint32_t at : {1u, 2u}) {
    for (const LedgerEntry& entry : own) EXPECT_TRUE(network.node[at]->ledger().Find(entry.session).has_value());
  }
  EXPECT_EQ(leaver.ledger().size(), held) << "it takes nothing in that it could not hand over";
  for (int n = 0; n < 50; ++n) load();
  EXPECT_TRUE(leaver.sync.HandedOver(network.cycle));
}

// ---- Everything ----

// Cycles until node 1, which starts again, has what the others had; 1000 where it never has.
int FetchCycles(Network* network, const Faults& faults) {
  const std::uint64_t held = network->node[0]->ledger().digest();
  network->node[1]->Restart(network->cycle);
  int cycles = 0;
  while (network->node[1]->ledger().digest() != held && ++cycles < 1000) network->Cycle(faults);
  return cycles;
}

// All that a small ledger needs is one frame: it is sent once a round trip until it arrives.
TEST(LedgerSync, Spec14EverythingIsFetchedInSecondsThoughHalfOfAllIsLost) {
  std::vector<int> cycles;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Network network(seed, 2);
    for (int n = 0; n < 100; ++n) network.ContributeSomewhere(50);
    ASSERT_LT(network.Heal(), kHealCycles);
    cycles.push_back(FetchCycles(&network, {.loss = 0.5}));
  }
  std::sort(cycles.begin(), cycles.end());
  EXPECT_LE(cycles[100], 8);
  EXPECT_LE(cycles.back(), 40) << "the next server node may fall after 4 s";
}

// What was lost of a long ledger is told again, and nothing else.
TEST(LedgerSync, Spec14ALongLedgerIsFetchedInPartsThroughLoss) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Network network(seed, 2);
    for (int n = 0; n < 20'000; ++n) network.ContributeSomewhere(1'000'000'000);
    ASSERT_LT(network.Heal(), kHealCycles);
    EXPECT_LE(FetchCycles(&network, {.loss = 0.3, .delay_max = 2}), 60) << "20 frames, of which 6 are lost";
  }
}

TEST(LedgerSync, Spec14SeveralPeersTellDifferentParts) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Network network(seed, 5);
    for (int n = 0; n < 20'000; ++n) network.ContributeSomewhere(1'000'000'000);
    ASSERT_LT(network.Heal(), kHealCycles);
    EXPECT_LE(FetchCycles(&network, {}), 16) << "one peer alone needs more than 20";
  }
}

// ... and frames of the two versions mean the same to both.
TEST(LedgerSync, Spec14AnEarlierVersionFetchesAndTellsEverything) {
  for (const std::uint32_t old : {0u, 1u}) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      Network network(seed, 2);
      network.old = old;
      for (int n = 0; n < 3000; ++n) network.ContributeSomewhere(1'000'000'000);
      ASSERT_LT(network.Heal(), kHealCycles);
      ASSERT_LT(FetchCycles(&network, {.loss = 0.2}), 200) << seed;
      for (int n = 0; n < 100; ++n) network.Cycle({});
      EXPECT_TRUE(network.node[1]->sync.compared());
      EXPECT_TRUE(network.node[0]->sync.HandedOver(network.cycle));
      ExpectQuiet(&network);
    }
  }
}

TEST(LedgerSync, Arch2_1WhoStartsAgainHoldsAllOnceEveryPeerHasToldAll) {
  Network network(1, 3);
  for (int n = 0; n < 5000; ++n) network.ContributeSomewhere(1'000'000);
  ASSERT_LT(network.Heal(), kHealCycles);
  for (int n = 0; n < 100; ++n) network.Cycle({});
  LedgerSync& sync = network.node[1]->sync;
  EXPECT_TRUE(sync.HoldsAll(network.cycle));
  // An entry that only node 2 holds, which is not heard yet.
  LedgerEntry entry;
  entry.session = {5, 5};
  entry.amount_uvu[0] = 1;
  network.cut[2][0] = network.cut[2][1] = true;
  network.node[2]->Contribute(entry, network.cycle);
  network.node[1]->Restart(network.cycle);
  for (int n = 0; n < 40; ++n) {
    EXPECT_FALSE(sync.HoldsAll(network.cycle));
    network.Cycle({});
  }
  EXPECT_EQ(network.node[1]->ledger().digest(), network.node[0]->ledger().digest());
  network.cut[2][1] = false;
  int cycles = 0;
  while (!sync.HoldsAll(network.cycle) && ++cycles < 100) network.Cycle({});
  EXPECT_LT(cycles, 40);
  EXPECT_TRUE(network.node[1]->ledger().Find(entry.session).has_value());
  for (auto& row : network.cut) std::fill(row.begin(), row.end(), true);
  for (int n = 0; n < 200; ++n) network.Cycle({});
  EXPECT_TRUE(sync.HoldsAll(network.cycle)) << "it has lost nothing since";
}

TEST(LedgerSync, Arch2_1WhoHearsAPeerAndLacksItsLedgerIsNotAlone) {
  Network network(1, 2);
  for (int n = 0; n < 100; ++n) network.ContributeSomewhere(1'000);
  ASSERT_LT(network.Heal(), kHealCycles);
  for (int n = 0; n < 50; ++n) network.Cycle({});
  LedgerSync& sync = network.node[1]->sync;
  network.node[1]->Restart(network.cycle);
  network.cut[1][0] = true;  // it is not heard to ask
  for (std::uint32_t n = 0; n < vaultguard::kSilenceCycles + 50; ++n) network.Cycle({});
  EXPECT_FALSE(sync.HoldsAll(network.cycle));
  network.cut[1][0] = false;
  for (int n = 0; n < 30; ++n) network.Cycle({});
  EXPECT_TRUE(sync.HoldsAll(network.cycle));
  // Nobody is there: after a while there is nobody to wait for.
  network.cut[0][1] = true;
  network.node[1]->Restart(network.cycle);
  network.Cycle({});
  EXPECT_FALSE(sync.HoldsAll(network.cycle));
  for (std::uint32_t n = 0; n < vaultguard::kSilenceCycles; ++n) network.Cycle({});
  EXPECT_TRUE(sync.HoldsAll(network.cycle));
  EXPECT_FALSE(sync.compared());
}

// What is refused for good keeps nobody waiting: neither the asker, nor its peer, which tells ever less of it.
TEST(LedgerSync, Arch2_1WhatIsRefusedForGoodIsNotAskedForForEver) {
  Network network(1, 2);
  LedgerEntry entry;
  entry.amount_uvu[0] = 1;
  for (std::uint64_t n = 1; n <= 3000; ++n) {
    entry.session = {n % 2 == 0 ? 66u : 1u, n};
    network.node[0]->Contribute(entry, network.cycle);
  }
  ASSERT_LT(network.Heal(), kHealCycles);
  for (int n = 0; n < 50; ++n) network.Cycle({});
  network.node[1]->full_for = 66;
  network.node[1]->Restart(network.cycle);
  for (int n = 0; n < 400; ++n) network.Cycle({});
  EXPECT_TRUE(network.node[1]->sync.compared());
  EXPECT_EQ(network.node[1]->ledger().size(), 1500u);
  std::uint64_t told = 0;
  for (int n = 0; n < 1000; ++n) {
    network.Cycle({});
    told += network.entries;
  }
  EXPECT_LT(told, 60'000u) << "20 passes of what differs";
}

// Two server nodes hold a change until one of them is gone.
TEST(LedgerSync, Chain5WhoIsGoneDoesNotCountAsAHolder) {
  Network network(1, 2);
  for (int n = 0; n < 30; ++n) network.Cycle({});
  network.ContributeSomewhere(1);
  for (int n = 0; n < 50; ++n) network.Cycle({});
  const LedgerSync& sync = network.last.at->sync;
  EXPECT_EQ(sync.Holders(network.last.version), 2u);
  for (auto& row : network.cut) std::fill(row.begin(), row.end(), true);
  for (std::uint32_t n = 0; n <= vaultguard::kSilenceCycles; ++n) network.Cycle({});
  EXPECT_EQ(sync.Holders(network.last.version), 1u);
}

// SPEC-8.2: VaultGuard found the ledger damaged, and the session lives on.
TEST(LedgerSync, Spec14WhoAsksIsToldEverythingAgain) {
  Network network(1, 3);
  for (int n = 0; n < 2000; ++n) network.ContributeSomewhere(1'000'000);
  ASSERT_LT(network.Heal(), kHealCycles);
  for (int n = 0; n < 50; ++n) network.Cycle({});
  const std::uint64_t held = network.node[0]->ledger().digest();
  network.node[0]->Forget();
  network.node[0]->sync.AskAll();
  int cycles = 0;
  for (; network.node[0]->ledger().digest() != held && cycles < 200; ++cycles) network.Cycle({});
  EXPECT_LT(cycles, 45) << "buckets would have found it, later";
  EXPECT_EQ(network.node[0]->sync.session().low, 1u);
  ExpectQuiet(&network);
}

// ---- A peer that lies ----

// Sends any valid frame: any acknowledgement, range, digest, request, session and age. A greedy liar keeps its session
// and sends no entries.
Frame FrameOfLies(Generator* g, std::uint64_t cycle, const Ledger& heard, bool greedy) {
  const auto any = [g](std::uint64_t near) { return g->Chance(0.5) ? near + g->Below(3) - 1 : g->Next(); };
  Frame frame;
  frame.cycle = cycle - std::min<std::uint64_t>(cycle - 1, g->Chance(0.2) ? g->Below(20) : 0);
  frame.sender = {666, 1 + (greedy || g->Chance(0.9) ? 0 : g->Below(5))};
  frame.value_slots = kSyncShape.value_slots;
  frame.ledger_digest = g->Chance(0.3) ? heard.digest() : g->Next();
  frame.news_from = any(0);
  frame.news_to = any(heard.version());
  frame.acknowledged = any(heard.version());
  frame.acknowledged_of = g->Chance(0.9) ? 1 : g->Next();
  frame.correction = static_cast<Correction>(g->Below(3));
  frame.correction_buckets = static_cast<std::uint32_t>(g->Next());
  if (g->Chance(0.5)) {
    for (int b = 0; b < Ledger::kBuckets; ++b) frame.bucket_digest.push_back(g->Next());
  }
  for (std::uint32_t n = greedy ? 0 : g->Below(20); n > 0; --n) {
    LedgerEntry entry;
    const std::uint64_t session = 1 + g->Below(300);  // honest ones among them
    entry.session = {Mix(session), Mix(~session)};
    entry.opened_cycle = g->Chance(0.8) ? g->Below(100) : g->Next();
    entry.amount_uvu[g->Below(3)] = static_cast<std::int64_t>(g->Chance(0.8) ? g->Below(1000) : g->Next());
    frame.entries.push_back(entry);
  }
  return frame;
}

TEST(LedgerSync, Test7ALiarNeitherPartsTheOthersNorTakesValue) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    Network network(seed, 3 + static_cast<std::uint32_t>(seed % 3));
    Generator& g = network.g;
    const std::uint32_t liar = network.size() - 1;
    network.node[liar]->replicas = 0;  // nothing is contributed there
    const Faults faults = SomeFaults(&g);
    Amounts truth;
    std::uint64_t frames = 0;
    const auto lie = [&](bool greedy) {
      for (std::uint32_t to = 0; to < liar; ++to) {
        for (std::uint32_t n = g.Below(4); n > 0; --n) {
          const Frame frame = FrameOfLies(&g, network.cycle + 1, network.node[to]->ledger(), greedy);
          if (CheckFrame(frame, kSyncShape, 0, 0, network.cycle + 1)) continue;
          ++frames;
          network.Send(liar, to, frame, {});
        }
      }
    };
    for (int n = 0; n < 400; ++n) {
      network.last = {};
      network.ContributeSomewhere(200);
      if (network.last.at != nullptr) Add(network.last.entry, &truth);
      lie(false);
      network.Cycle(faults, liar);
    }
    EXPECT_GT(frames, 500u);
    int cycles = 0;
    for (; cycles < kHealCycles && !network.Equal(liar); ++cycles) {
      lie(true);  // it goes on about all but entries
      network.Cycle({}, liar);
    }
    ASSERT_LT(cycles, kHealCycles);
    for (std::uint32_t n = 0; n < liar; ++n) EXPECT_TRUE(Contains(network.node[n]->ledger(), truth));
    // The liar's requests for everything and for buckets cost no more than the budget.
    network.told_to_silent = 0;
    for (int n = 0; n < 4000; ++n) {
      lie(true);
      network.Cycle({}, liar);
    }
    EXPECT_LT(network.told_to_silent,
              liar * (vaultguard::kRepeatBytesAtOnce + 4000 * vaultguard::kRepeatBytesPerCycle));
    ASSERT_FALSE(HasFailure());
  }
}

// Ten links send new sessions as fast as they may, until their part of the table is full. Local contributions are
// accepted before, during and after, for as long as the table lasts.
TEST(LedgerSync, Spec8_3TenHostileLinksLeaveRoomForTheClientsHere) {
  constexpr std::uint32_t kHostile = 10;
  Node node(0, {.links = kHostile + 1, .resend_cycles = std::vector<std::uint32_t>(kHostile + 1, 20)});
  RefusalCounts refused;
  std::uint64_t forged = 0;
  std::uint64_t own = 0;
  const auto contribute = [&](std::uint64_t cycle) {
    LedgerEntry entry;
    entry.session = {1, ++own};
    entry.amount_uvu[0] = 1;
    node.Contribute(entry, cycle);
  };
  std::uint64_t cycle = 1;
  for (; refused.Of(Refusal::kSessionsReserved) == 0 && cycle < 5000; ++cycle) {
    node.sync.Begin(cycle);
    for (std::uint32_t link = 1; link <= kHostile; ++link) {
      Frame frame;
      frame.cycle = cycle;
      frame.sender = {666, link};
      frame.value_slots = kSyncShape.value_slots;
      for (int n = 0; n < 200; ++n) {
        LedgerEntry entry;
        entry.session = {2, ++forged};
        entry.amount_uvu[0] = 1;
        frame.entries.push_back(entry);
      }
      ASSERT_EQ(CheckFrame(frame, kSyncShape, 0, 0, cycle), std::nullopt);
      node.sync.Take(link, frame, cycle, &refused);
    }
    contribute(cycle);
  }
  EXPECT_NEAR(static_cast<double>(cycle), 1023, 5) << "docs/protocol.md says so";
  EXPECT_EQ(refused.Of(Refusal::kSessionsFull), 0u);
  for (std::size_t n = 0; n < vaultguard::kSessionsForClients - 1; ++n) contribute(cycle);
  EXPECT_EQ(node.ledger().size(), vaultguard::kMaxSessionsPerShard);
}

// ---- The inbox ----

TEST(LedgerSync, Spec8_3AFloodFillsItsOwnPartOfTheInboxOnly) {
  Network network(1, 4);
  LedgerSync& sync = network.node[0]->sync;
  constexpr std::size_t kPart = vaultguard::kMaxPendingFrames / 4;
  const auto frame = std::make_shared<Frame>();
  std::size_t kept = 0;
  for (std::size_t n = 0; n < 10 * kPart; ++n) kept += sync.Receive(2, 5, frame);
  EXPECT_EQ(kept, kPart);
  EXPECT_TRUE(sync.Receive(1, 5, frame));
  EXPECT_TRUE(sync.Receive(3, 4, frame));
  EXPECT_EQ(sync.Due(4).size(), 1u);
  EXPECT_EQ(sync.Due(5).size(), kPart + 1);
  EXPECT_TRUE(sync.Receive(2, 7, frame)) << "room again";
  // A restart recounts the frames that are left.
  sync.Restart(6);
  for (std::size_t n = 1; n < kPart; ++n) ASSERT_TRUE(sync.Receive(2, 7, frame));
  EXPECT_FALSE(sync.Receive(2, 7, frame));
}

TEST(LedgerSync, Deterministic_FramesAreReadByLinkAndCycleInWhateverOrderTheyCame) {
  Generator g(9);
  std::vector<std::pair<std::uint32_t, std::uint64_t>> first;
  for (int round = 0; round < 20; ++round) {
    Network network(1, 3);
    LedgerSync& sync = network.node[0]->sync;
    std::vector<std::pair<std::uint32_t, std::uint64_t>> frames;
    for (std::uint64_t n = 0; n < 30; ++n) frames.emplace_back(1 + n % 2, 1 + n / 3);
    for (std::size_t n = frames.size(); n > 1; --n) {
      std::swap(frames[n - 1], frames[g.Below(static_cast<std::uint32_t>(n))]);
    }
    for (const auto& [link, cycle] : frames) {
      auto frame = std::make_shared<Frame>();
      frame->cycle = cycle;
      sync.Receive(link, 20, std::move(frame));
    }
    std::vector<std::pair<std::uint32_t, std::uint64_t>> read;
    for (const LedgerSync::Arrival& arrival : sync.Due(20)) read.emplace_back(arrival.link, arrival.frame->cycle);
    EXPECT_TRUE(std::is_sorted(read.begin(), read.end()));
    if (round == 0) first = read;
    EXPECT_EQ(read, first);
  }
}

}  // namespace
}  // namespace lvs::shard
