#include "services/node/problems.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vaultguard/limits.h"

namespace lvs::services {
namespace {

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
