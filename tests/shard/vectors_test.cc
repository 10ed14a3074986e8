// The test vectors of docs/protocol.md (SPEC-14) that concern a shard: ledgers, links, placement, entropy. Those of a
// drift cycle are in drift_core_test.cc, those of frames and hellos in tests/services/peering.
#include "tests/vectors/vectors.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "shard/entropy_engine.h"
#include "shard/ledger.h"
#include "shard/ledger_sync.h"
#include "shard/placement.h"
#include "shard/random.h"

namespace lvs::shard {
namespace {

using nlohmann::json;
using vaultguard::Refusal;
using vaultguard::RefusalCounts;
using vectors::Cases;
using vectors::Number;
using vectors::Word;

SessionId SessionIn(const json& pair) { return {Number(pair.at(0)), Number(pair.at(1))}; }

LedgerEntry EntryIn(const json& c) {
  LedgerEntry entry;
  entry.session = {Number(c.at("session_high")), Number(c.at("session_low"))};
  entry.opened_cycle = Number(c.at("opened_cycle"));
  std::size_t slot = 0;
  for (const json& amount : c.at("amount_uvu")) {
    entry.amount_uvu.at(slot++) = static_cast<std::int64_t>(Number(amount));
  }
  return entry;
}

TEST(Vectors, Spec14_Mix) {
  const json file = vectors::Read("ledger");
  for (const json& c : Cases(file, "mix")) EXPECT_EQ(Mix(Number(c.at("in"))), Number(c.at("out")));
}

TEST(Vectors, Spec14_Digests) {
  const json file = vectors::Read("ledger");
  for (const json& c : Cases(file, "digests")) {
    const vectors::Named named(c);
    const int slots = c.at("value_slots").get<int>();
    const std::uint64_t cycle = Number(c.at("cycle"));
    Ledger ledger(slots, {});
    for (const json& entry : c.at("entries")) {
      EXPECT_TRUE(ledger.Merge(EntryIn(entry), cycle).opened);
      // Alone in a ledger, an entry's hash is the digest of its bucket.
      Ledger alone(slots, {});
      alone.Merge(EntryIn(entry), cycle);
      EXPECT_EQ(alone.bucket_digest(entry.at("bucket").get<int>()), Number(entry.at("hash")));
    }
    ASSERT_EQ(c.at("bucket_digest").size(), std::size_t{Ledger::kBuckets});
    for (int b = 0; b < Ledger::kBuckets; ++b) {
      EXPECT_EQ(ledger.bucket_digest(b), Number(c.at("bucket_digest").at(static_cast<std::size_t>(b)))) << b;
    }
    EXPECT_EQ(ledger.digest(), Number(c.at("ledger_digest")));
    for (int s = 0; s < slots; ++s) {
      EXPECT_EQ(ledger.total_uvu(s),
                static_cast<std::int64_t>(Number(c.at("total_uvu").at(static_cast<std::size_t>(s)))));
    }
  }
}

TEST(Vectors, Spec14_Joins) {
  const json file = vectors::Read("ledger");
  for (const json& c : Cases(file, "joins")) {
    const vectors::Named named(c);
    Ledger ledger(c.at("value_slots").get<int>(), {});
    for (const json& join : c.at("joins")) {
      const std::uint64_t before = ledger.version();
      const Ledger::Outcome outcome = ledger.Merge(EntryIn(join.at("entry")), Number(join.at("cycle")));
      const std::string becomes = outcome.refused              ? std::string(Name(*outcome.refused))
                                  : outcome.opened             ? "opened"
                                  : ledger.version() != before ? "grew"
                                                               : "nothing";
      EXPECT_EQ(becomes, join.at("becomes").get<std::string>()) << join;
    }
    EXPECT_EQ(ledger.size(), c.at("entries").size());
    for (const json& entry : c.at("entries")) EXPECT_EQ(ledger.Find(EntryIn(entry).session), EntryIn(entry));
    EXPECT_EQ(ledger.digest(), Number(c.at("ledger_digest")));
  }
}

// The receiver of link.json: one link, one value slot, a session whose low half is 77.
class Receiver final : public LedgerSync::Owner {
 public:
  Receiver() : sync({.links = 1, .resend_cycles = {20}}, this) {}
  const Ledger& ledger() const override { return ledger_; }
  Ledger::Outcome Join(const LedgerEntry& entry, std::uint64_t cycle, std::uint8_t link, bool may_open) override {
    return ledger_.Merge(entry, cycle, link, may_open);
  }
  void Forget() override { ledger_.Clear(); }
  SessionId NewSession(std::uint64_t) override { return {1, 77}; }

 private:
  Ledger ledger_{1, {}};

 public:
  LedgerSync sync;  // reads the ledger when it is made
};

TEST(Vectors, Spec14_SessionsAndRanges) {
  const json file = vectors::Read("link");
  const std::uint64_t cycle = Number(file.at("cycle"));
  for (const json& c : Cases(file, "frames_heard")) {
    const vectors::Named named(c);
    Receiver receiver;
    receiver.sync.Begin(cycle);
    for (const json& heard : c.at("frames")) {
      Frame frame;
      frame.value_slots = 1;
      frame.sender = SessionIn(heard.at("session"));
      frame.cycle = Number(heard.at("cycle"));
      frame.ledger_digest = 1;  // never the receiver's
      frame.news_from = Number(heard.at("news").at(0));
      frame.news_to = Number(heard.at("news").at(1));
      const auto to = heard.at("addressed_to").get<std::string>();
      frame.acknowledged_of = to == "receiver" ? 77 : to == "other" ? 78 : 0;
      for (const json& entry : heard.at("entries")) frame.entries.push_back(EntryIn(entry));
      RefusalCounts refused;
      const LedgerSync::Taken taken = receiver.sync.Take(0, frame, cycle, &refused);
      const std::string is = !taken.read         ? "replayed"
                             : !taken.newest     ? "late"
                             : taken.new_session ? "new_session"
                                                 : "newest";
      EXPECT_EQ(is, heard.at("is").get<std::string>()) << heard;
      EXPECT_EQ(refused.Of(Refusal::kReplayed), taken.newest ? 0u : 1u) << heard;
      Frame answer;
      receiver.sync.Fill(0, cycle, &answer);
      EXPECT_EQ(answer.acknowledged, Number(heard.at("then_acknowledged"))) << heard;
      EXPECT_EQ(receiver.ledger().size(), Number(heard.at("then_sessions"))) << heard;
    }
  }
}

TEST(Vectors, Spec14_Placement) {
  const json file = vectors::Read("placement");
  for (const json& c : Cases(file, "weights")) {
    EXPECT_EQ(RendezvousWeight(Number(c.at("session")), Word(c.at("shard"))), Number(c.at("weight"))) << c;
  }
  for (const json& c : Cases(file, "holds")) {
    std::vector<std::uint32_t> held;
    PlaceMicroNode(Number(c.at("session")), Word(c.at("shards")), Word(c.at("held")), &held);
    EXPECT_TRUE(json(held) == c.at("shards_held")) << c;
  }
  for (const json& c : Cases(file, "repairs")) {
    std::vector<std::uint64_t> candidates;
    for (const json& session : c.at("candidates")) candidates.push_back(Number(session));
    EXPECT_EQ(ChooseRepairers(Word(c.at("shard")), candidates, 1), std::vector<std::size_t>{Number(c.at("chosen"))})
        << c;
  }
}

TEST(Vectors, Spec14_EntropyWords) {
  const json file = vectors::Read("entropy");
  for (const json& c : Cases(file, "words")) {
    EXPECT_EQ(EntropyWord(Number(c.at("seed")), Word(c.at("row")), Number(c.at("cycle"))), Word(c.at("word"))) << c;
  }
  for (const json& c : Cases(file, "components")) {
    ASSERT_EQ(c.at("steps").size(), std::size_t{vaultguard::kMaxDimensions});
    for (int n = 0; n < vaultguard::kMaxDimensions; ++n) {
      const float steps = kEntropySteps * EntropyComponent(Word(c.at("word")), n);
      EXPECT_EQ(steps, c.at("steps").at(static_cast<std::size_t>(n)).get<float>()) << c << n;
    }
  }
}

TEST(Vectors, Spec14_EntropyOfALink) {
  const json file = vectors::Read("entropy");
  for (const json& c : Cases(file, "links")) {
    const vectors::Named named(c);
    EntropyLink link;
    for (const json& run : c.at("runs")) {
      std::uint32_t taken = 0;
      std::uint32_t word = Word(run.at("first"));
      for (std::uint32_t n = 0; n < Word(run.at("times")); ++n, word += Word(run.at("step"))) {
        taken += link.Take(word) ? 1u : 0u;
      }
      EXPECT_EQ(taken, Word(run.at("taken"))) << run;
    }
  }
}

}  // namespace
}  // namespace lvs::shard
