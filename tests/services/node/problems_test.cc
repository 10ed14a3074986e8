#include "services/node/problems.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vaultguard/limits.h"

namespace lvs::services {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

v1::NodeStatus Serving() {
  v1::NodeStatus status;
  status.set_state(v1::SERVING);
  status.set_peers_connected(2);
  return status;
}

ProblemFacts Sound() {
  ProblemFacts facts;
  facts.has_boot = true;
  facts.skipped_share = 0.05;
  facts.sessions_by_shard = {0, vaultguard::kMaxSessionsPerShard - vaultguard::kSessionsForClients - 1};
  facts.peers_connected = 2;
  facts.peers_ahead = 1;
  return facts;
}

TEST(Problems, ASoundNodeHasNone) { EXPECT_THAT(Problems(Serving(), Sound()), IsEmpty()); }

TEST(Problems, CertificatesAreSaidBeforeTheyExpire) {
  constexpr std::int64_t kDay = 86'400;
  v1::NodeStatus status = Serving();
  status.mutable_tls()->set_begins_unix_s(0);
  const auto problems = [&](std::int64_t lifetime_s, std::int64_t now_s) {
    status.mutable_tls()->set_expires_unix_s(lifetime_s);
    ProblemFacts facts = Sound();
    facts.now_unix_s = now_s;
    return Problems(status, facts);
  };
  EXPECT_THAT(problems(365 * kDay, 350 * kDay), IsEmpty());
  EXPECT_THAT(problems(365 * kDay, 352 * kDay), ElementsAre(HasSubstr("expires at 1971-01-01T00:00:00Z")));
  EXPECT_THAT(problems(365 * kDay, 365 * kDay), ElementsAre(HasSubstr("expired at 1971-01-01T00:00:00Z")));
  EXPECT_THAT(problems(kDay, kDay / 2), IsEmpty()) << "short-lived ones are renewed later";
  EXPECT_THAT(problems(kDay, kDay * 9 / 10), ElementsAre(HasSubstr("expires at")));
  status.mutable_tls()->set_last_error("tls.key_file: x is not the key of y; replace both");
  EXPECT_THAT(problems(365 * kDay, 0), ElementsAre(HasSubstr("x is not the key of y")));
}

TEST(Problems, ANodeAloneWithoutBootAddressesHasNone) {
  v1::NodeStatus status = Serving();
  status.set_peers_connected(0);
  EXPECT_THAT(Problems(status, {}), IsEmpty());
}

TEST(Problems, StatesThatDoNotServeAreSaid) {
  v1::NodeStatus status = Serving();
  status.set_state(v1::SYNCING);
  EXPECT_THAT(Problems(status, Sound()), ElementsAre(HasSubstr("fetching the ledger")));
  status.set_state(v1::DRAINING);
  ProblemFacts facts = Sound();
  facts.drain_reason = "SIGTERM";
  EXPECT_THAT(Problems(status, facts), ElementsAre(HasSubstr("draining and will end: SIGTERM")));
}

TEST(Problems, Arch2_1_ANodeThatServesBeforeItHoldsAllSaysSo) {
  v1::NodeStatus status = Serving();
  status.set_shards(16);
  status.mutable_sync()->set_shards_missing(3);
  EXPECT_THAT(Problems(status, Sound()), ElementsAre(HasSubstr("3 of 16 shards have not fetched all")));
  status.mutable_sync()->set_holds_all(true);
  EXPECT_THAT(Problems(status, Sound()), IsEmpty());
}

TEST(Problems, NoPeerAlthoughThereAreBootAddresses) {
  v1::NodeStatus status = Serving();
  status.set_peers_connected(0);
  EXPECT_THAT(Problems(status, Sound()),
              ElementsAre(HasSubstr("no peer is connected although there are boot addresses")));
}

TEST(Problems, SkippedCycles) {
  ProblemFacts facts = Sound();
  facts.skipped_share = 0.257;
  EXPECT_THAT(Problems(Serving(), facts), ElementsAre(HasSubstr("skips 25 % of its cycles")));
}

TEST(Problems, OnlyMostPeersTogetherMakeAClockThatIsAhead) {
  ProblemFacts facts = Sound();
  facts.peers_behind = 1;
  EXPECT_THAT(Problems(Serving(), facts), IsEmpty());
  facts.peers_behind = 2;
  EXPECT_THAT(Problems(Serving(), facts), ElementsAre(HasSubstr("cycles long past")));
  v1::NodeStatus status = Serving();
  status.mutable_clock()->set_ahead_s(60);
  EXPECT_THAT(Problems(status, facts), ElementsAre(HasSubstr("set back")))
      << "the same problem, and its cause is known";
}

TEST(Problems, AClockThatWasSet) {
  v1::NodeStatus status = Serving();
  v1::ClockStatus& clock = *status.mutable_clock();
  clock.set_set_back(1);
  clock.set_set_by_s(-60);
  clock.set_set_ago_s(20);
  clock.set_ahead_s(49.95);
  EXPECT_THAT(Problems(status, Sound()),
              ElementsAre(AllOf(HasSubstr("cycles are 50.0 s ahead of it"), HasSubstr("caught up, in 99.9 s"))));
  clock.set_cut_off(true);
  EXPECT_THAT(Problems(status, Sound()), ElementsAre(HasSubstr("not ready")));
  clock.set_cut_off(false);
  clock.set_ahead_s(0.9);
  EXPECT_THAT(Problems(status, Sound()), ElementsAre(HasSubstr("set back by 60.0 s, 20.0 s ago; check it")));
  clock.set_set_ago_s(60);
  EXPECT_THAT(Problems(status, Sound()), IsEmpty()) << "the step is over";
  clock.set_set_forward(1);
  clock.set_set_by_s(3600);
  clock.set_set_ago_s(0);
  EXPECT_THAT(Problems(status, Sound()), ElementsAre(HasSubstr("set forward by 3600.0 s, 0.0 s ago")));
  clock.set_before_epoch(true);
  clock.set_ahead_s(1e9);
  EXPECT_THAT(Problems(status, Sound()), ElementsAre(HasSubstr("before 2026")));
}

TEST(Problems, EveryShardThatIsFullForPeers) {
  ProblemFacts facts = Sound();
  ++facts.sessions_by_shard[1];
  facts.sessions_by_shard.push_back(vaultguard::kMaxSessionsPerShard);
  EXPECT_THAT(Problems(Serving(), facts),
              ElementsAre(HasSubstr("shard 1 has 786432 sessions"), HasSubstr("shard 2 has 1048576 sessions")));
}

TEST(Problems, TheCacheInItsOwnWords) {
  v1::NodeStatus status = Serving();
  status.mutable_cache()->set_last_error("the cache could not be written: disk full");
  EXPECT_THAT(Problems(status, Sound()), ElementsAre("the cache could not be written: disk full"));
  status.mutable_cache()->clear_last_error();
  status.mutable_cache()->set_refused(3);
  EXPECT_THAT(Problems(status, Sound()), ElementsAre(HasSubstr("entries of the cache that the ledger refused: 3")));
}

TEST(Problems, OnlyMostPeersTogetherMakeAWrongClock) {
  ProblemFacts facts = Sound();
  facts.peers_ahead = 2;
  EXPECT_THAT(Problems(Serving(), facts), ElementsAre(HasSubstr("compare the clocks")));
  facts.peers_connected = 4;
  EXPECT_THAT(Problems(Serving(), facts), IsEmpty());
}

}  // namespace
}  // namespace lvs::services
