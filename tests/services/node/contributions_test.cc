#include "services/node/contributions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/services/node/test_time.h"
#include "vaultguard/limits.h"

namespace lvs::services {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using vaultguard::Refusal;

ContributionLimits Limits() {
  ContributionLimits limits;
  limits.shards = 4;
  limits.value_slots = 2;
  limits.nodes_max = 17;
  limits.disk = true;
  limits.period = 50ms;
  limits.per_second_link = 1e6;
  limits.per_second_session = 1e6;
  return limits;
}

v1::ContributeRequest Request(std::uint64_t id, v1::Durability durability = v1::MEMORY, std::uint32_t nodes = 0) {
  v1::ContributeRequest request;
  request.set_id(id);
  request.set_session_high(7);
  request.set_session_low(id);
  request.set_shard(3);
  request.set_slot(1);
  request.set_amount_uvu(1'000 + id);
  request.set_durability(durability);
  request.set_nodes(nodes);
  return request;
}

absl::StatusCode CodeOf(const v1::ContributeReply& reply) { return static_cast<absl::StatusCode>(reply.code()); }

// Contributions with the replies that were sent, by the id of the request.
class ContributionsTest : public ::testing::Test {
 protected:
  // Takes one in that must be taken in; the id that the shards see.
  std::uint64_t Take(const v1::ContributeRequest& request, Contributions::Time deadline = kNow + 10s) {
    EXPECT_EQ(all_.Take(request, "client", kNow, deadline, 500, Reply()), std::nullopt);
    const auto arrived = all_.TakeArrived();
    EXPECT_EQ(arrived.size(), 1u);
    return arrived.empty() ? 0 : arrived.back().id;
  }

  ControlBackend::OnReply Reply() {
    return [this](const v1::ContributeReply& reply) {
      EXPECT_FALSE(replies_.contains(reply.id())) << "answered twice";
      replies_[reply.id()] = reply;
    };
  }

  void Answer(const hosting::Answer& answer) {
    std::vector<DueReply> due;
    all_.Answered(answer, &due, &for_disk_);
    for (const DueReply& reply : due) reply.Send();
  }

  void OnDisk(const std::vector<std::uint64_t>& ids) {
    std::vector<DueReply> due;
    all_.OnDisk(ids, &due);
    for (const DueReply& reply : due) reply.Send();
  }

  void Expire(Contributions::Time now) {
    for (DueReply& late : all_.Expire(now)) {
      SetLate(Limits().period, &late.reply);
      late.Send();
    }
  }

  Contributions all_{Limits()};
  std::vector<std::uint64_t> for_disk_;
  std::map<std::uint64_t, v1::ContributeReply> replies_;
};

// ---- What goes to the shards ----

TEST_F(ContributionsTest, GoToTheShardsOnceAndWhole) {
  ASSERT_EQ(all_.Take(Request(1, v1::NODES, 3), "client", kNow, kNow + 1s, 500, Reply()), std::nullopt);
  EXPECT_FALSE(all_.idle());
  const std::vector<hosting::Contribution> arrived = all_.TakeArrived();
  ASSERT_EQ(arrived.size(), 1u);
  EXPECT_EQ(arrived[0].shard, 3u);
  EXPECT_EQ(arrived[0].needed_nodes, 3u);
  EXPECT_EQ(arrived[0].entry.session, (shard::SessionId{7, 1}));
  EXPECT_EQ(arrived[0].entry.opened_cycle, hosting::kOpensNow);
  EXPECT_EQ(arrived[0].entry.amount_uvu[1], 1'001);
  EXPECT_EQ(arrived[0].entry.amount_uvu[0], 0);
  EXPECT_EQ(arrived[0].expires_cycle, 500 + 2 + 20u) << "1 s of 50 ms cycles, and two for the way";
  EXPECT_THAT(all_.TakeArrived(), IsEmpty());
  EXPECT_FALSE(all_.idle()) << "it waits for its answer";
  EXPECT_EQ(all_.waiting(), 1u);
}

TEST_F(ContributionsTest, OnlyDurabilityNodesWaitsForNodes) {
  ASSERT_EQ(all_.Take(Request(1, v1::MEMORY, 9), "client", kNow, kNow + 1s, 500, Reply()), std::nullopt);
  EXPECT_EQ(all_.TakeArrived().at(0).needed_nodes, 1u);
}

TEST_F(ContributionsTest, ADeadlineThatIsOverLeavesNoTimeForNodes) {
  ASSERT_EQ(all_.Take(Request(1), "client", kNow, kNow - 5s, 500, Reply()), std::nullopt);
  EXPECT_EQ(all_.TakeArrived().at(0).expires_cycle, 502u);
}

// ---- Answers ----

TEST_F(ContributionsTest, MemoryIsAnsweredWhenAShardHoldsIt) {
  const std::uint64_t id = Take(Request(1));
  Answer({.id = id, .accepted = true, .final = true, .nodes = 1});
  ASSERT_TRUE(replies_.contains(1));
  EXPECT_EQ(replies_[1].code(), 0);
  EXPECT_TRUE(replies_[1].held());
  EXPECT_FALSE(replies_[1].disk());
  EXPECT_EQ(replies_[1].nodes(), 1u);
  EXPECT_TRUE(all_.idle());
  EXPECT_EQ(all_.accepted(), 1u);
  EXPECT_EQ(all_.refused(), 0u);
  EXPECT_EQ(all_.next_deadline(), Contributions::Time::max()) << "its deadline went with it";
}

TEST_F(ContributionsTest, Spec14_NodesIsAnsweredWhenEnoughHoldIt) {
  const std::uint64_t id = Take(Request(1, v1::NODES, 2));
  Answer({.id = id, .accepted = true, .final = false, .nodes = 1});
  EXPECT_THAT(replies_, IsEmpty());
  EXPECT_EQ(all_.waiting(), 1u);
  Answer({.id = id, .accepted = true, .final = true, .nodes = 2});
  EXPECT_EQ(replies_.at(1).nodes(), 2u);
  EXPECT_EQ(all_.accepted(), 1u) << "counted once";
}

TEST_F(ContributionsTest, DiskIsAnsweredWhenItIsWritten) {
  const std::uint64_t id = Take(Request(1, v1::DISK));
  Answer({.id = id, .accepted = true, .final = true, .nodes = 1});
  EXPECT_THAT(for_disk_, ElementsAre(id));
  EXPECT_THAT(replies_, IsEmpty());
  EXPECT_FALSE(all_.idle());
  OnDisk({id});
  EXPECT_TRUE(replies_.at(1).held());
  EXPECT_TRUE(replies_.at(1).disk());
  EXPECT_TRUE(all_.idle());
}

TEST_F(ContributionsTest, ARefusalSaysWhatToDo) {
  const struct {
    std::optional<Refusal> why;
    absl::StatusCode code;
    const char* text;
    std::uint32_t retry_ms;
  } rows[] = {
      {Refusal::kRateExceeded, absl::StatusCode::kResourceExhausted, "has earned all", 500},
      {Refusal::kSessionsFull, absl::StatusCode::kResourceExhausted, "older session", 60'000},
      {Refusal::kTooLarge, absl::StatusCode::kResourceExhausted, "wait for other nodes", 100},
      {Refusal::kUnknownShard, absl::StatusCode::kUnavailable, "another node", 250},
      {Refusal::kBadEntry, absl::StatusCode::kInvalidArgument, "the amount", 0},
      {std::nullopt, absl::StatusCode::kInvalidArgument, "the amount", 0},
  };
  std::uint64_t n = 0;
  for (const auto& row : rows) {
    SCOPED_TRACE(row.text);
    ++n;
    const std::uint64_t id = Take(Request(n));
    Answer({.id = id, .accepted = false, .refused = row.why});
    ASSERT_TRUE(replies_.contains(n));
    EXPECT_EQ(CodeOf(replies_[n]), row.code);
    EXPECT_THAT(replies_[n].message(), HasSubstr(row.text));
    EXPECT_EQ(replies_[n].retry_delay_ms(), row.retry_ms);
    EXPECT_FALSE(replies_[n].held());
    EXPECT_EQ(all_.refused(), n);
  }
  EXPECT_EQ(all_.accepted(), 0u);
  EXPECT_TRUE(all_.idle());
}

TEST_F(ContributionsTest, AnswersThatNobodyWaitsForAreIgnored) {
  const std::uint64_t id = Take(Request(1, v1::DISK), kNow + 1s);
  Answer({.id = id + 1, .accepted = true, .final = true, .nodes = 1});
  Expire(kNow + 1s);
  ASSERT_EQ(replies_.size(), 1u);
  Answer({.id = id, .accepted = true, .final = true, .nodes = 1});
  OnDisk({id});
  EXPECT_EQ(replies_.size(), 1u);
  EXPECT_EQ(all_.accepted(), 0u);
  EXPECT_THAT(for_disk_, IsEmpty());
}

// ---- Deadlines ----

TEST_F(ContributionsTest, ADeadlineAnswersWithWhatWasReached) {
  Take(Request(1), kNow + 1s);
  const std::uint64_t nodes = Take(Request(2, v1::NODES, 3), kNow + 1s);
  const std::uint64_t disk = Take(Request(3, v1::DISK), kNow + 1s);
  Answer({.id = nodes, .accepted = true, .final = false, .nodes = 2});
  Answer({.id = disk, .accepted = true, .final = true, .nodes = 1});
  Expire(kNow + 999ms);
  EXPECT_THAT(replies_, IsEmpty());
  Expire(kNow + 1s);
  ASSERT_EQ(replies_.size(), 3u);
  for (const auto& [id, reply] : replies_) {
    EXPECT_EQ(CodeOf(reply), absl::StatusCode::kDeadlineExceeded) << id;
    EXPECT_EQ(reply.retry_delay_ms(), 100u) << id;
    EXPECT_EQ(reply.held(), id != 1) << id;
    EXPECT_THAT(reply.message(), HasSubstr("the same again, anywhere, counts once"));
  }
  EXPECT_THAT(replies_[1].message(), HasSubstr("not held yet: 0 server nodes, disk no"));
  EXPECT_THAT(replies_[2].message(), HasSubstr("held here, but not yet as durably as asked: 2 server nodes, disk no"));
  EXPECT_TRUE(all_.idle());
}

TEST_F(ContributionsTest, DeadlinesExpireOneByOne) {
  Take(Request(1), kNow + 3s);
  Take(Request(2), kNow + 1s);
  Take(Request(3), kNow + 2s);
  const std::uint64_t same = Take(Request(4), kNow + 1s);
  EXPECT_EQ(all_.next_deadline(), kNow + 1s);
  Answer({.id = same, .accepted = true, .final = true, .nodes = 1});
  EXPECT_EQ(all_.next_deadline(), kNow + 1s) << "another one has the same";
  Expire(kNow + 1s);
  EXPECT_EQ(replies_.size(), 2u);
  EXPECT_EQ(all_.next_deadline(), kNow + 2s);
  Expire(kNow + 2s);
  EXPECT_TRUE(replies_.contains(3));
  EXPECT_FALSE(replies_.contains(1));
  EXPECT_EQ(all_.next_deadline(), kNow + 3s);
}

TEST_F(ContributionsTest, TheEndTakesAllThatWait) {
  Take(Request(1), kNow + 1s);
  Take(Request(2, v1::DISK), kNow + 2s);
  const std::vector<DueReply> left = all_.TakeAll();
  EXPECT_EQ(left.size(), 2u);
  EXPECT_TRUE(all_.idle());
  EXPECT_THAT(all_.Expire(kNow + 1h), IsEmpty());
}

// ---- Limits ----

TEST(ContributionLimitsTest, Arch4_EachSessionAndEachLinkHasItsRate) {
  ContributionLimits limits = Limits();
  limits.per_second_session = 5;
  limits.per_second_link = 20;
  Contributions all(limits);
  const auto take = [&](std::uint64_t session, const char* link, Contributions::Time now) {
    return all.Take(Request(session), link, now, now + 1s, 1, [](const v1::ContributeReply&) {});
  };
  for (int n = 0; n < 5; ++n) EXPECT_EQ(take(1, "a", kNow), std::nullopt) << n;
  const std::optional<double> wait_s = take(1, "a", kNow);
  ASSERT_TRUE(wait_s.has_value());
  EXPECT_NEAR(*wait_s, 0.2, 1e-6);
  EXPECT_EQ(all.refused(), 1u);
  EXPECT_EQ(take(1, "a", kNow + 201ms), std::nullopt) << "after the wait that it was told";
  int taken = 0;
  for (std::uint64_t session = 2; session < 40; ++session) taken += take(session, "a", kNow + 201ms) ? 0 : 1;
  EXPECT_GE(taken, 13) << "20 at once on a link, of which 7 were asked for, and 4 came back";
  EXPECT_LE(taken, 17);
  EXPECT_EQ(take(50, "b", kNow + 201ms), std::nullopt) << "another link is not held to it";
}

TEST(ContributionLimitsTest, ARefusedRequestKeepsItsReply) {
  ContributionLimits limits = Limits();
  limits.per_second_session = 1;
  Contributions all(limits);
  int replies = 0;
  ControlBackend::OnReply done = [&](const v1::ContributeReply&) { ++replies; };
  all.Take(Request(1), "a", kNow, kNow + 1s, 1, [](const v1::ContributeReply&) {});
  ASSERT_TRUE(all.Take(Request(1), "a", kNow, kNow + 1s, 1, std::move(done)).has_value());
  ASSERT_TRUE(done);  // the caller answers with it
  v1::ContributeReply reply;
  SetTooMany(0.0301, &reply);
  EXPECT_EQ(CodeOf(reply), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(reply.retry_delay_ms(), 31u);
  SetTooMany(0, &reply);
  EXPECT_EQ(reply.retry_delay_ms(), 1u) << "never at once";
}

TEST(ContributionLimitsTest, TheNumberThatWaitIsBounded) {
  ContributionLimits limits = Limits();
  Contributions all(limits);
  const auto take = [&](std::uint64_t session) {
    return all.Take(Request(session), std::to_string(session), kNow, kNow + 1s, 1, [](const v1::ContributeReply&) {});
  };
  for (std::uint64_t n = 0; n < Contributions::kPendingMax; ++n) ASSERT_EQ(take(n + 1), std::nullopt) << n;
  EXPECT_TRUE(take(0).has_value());
  EXPECT_EQ(all.waiting(), Contributions::kPendingMax);
  EXPECT_EQ(all.Expire(kNow + 1s).size(), Contributions::kPendingMax);
  EXPECT_EQ(take(0), std::nullopt) << "there is room again";
}

// ---- Checks ----

TEST(CheckContributionTest, Spec5_1_WhatIsRefusedIsRefusedWithTheMend) {
  const ContributionLimits limits = Limits();
  EXPECT_TRUE(CheckContribution(Request(1), limits).ok());
  EXPECT_TRUE(CheckContribution(Request(1, v1::DISK), limits).ok());
  EXPECT_TRUE(CheckContribution(Request(1, v1::NODES, 17), limits).ok());

  const auto refused = [](const v1::ContributeRequest& request, const ContributionLimits& with, absl::StatusCode code,
                          const char* text) {
    const absl::Status status = CheckContribution(request, with);
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  };
  using Code = absl::StatusCode;
  v1::ContributeRequest request = Request(1);
  request.set_session_high(0);
  request.set_session_low(0);
  refused(request, limits, Code::kInvalidArgument, "session id 0 is reserved; draw 128 random bits");
  request = Request(1);
  request.set_shard(4);
  refused(request, limits, Code::kInvalidArgument, "shard 4 does not exist; there are 4");
  request = Request(1);
  request.set_slot(2);
  refused(request, limits, Code::kInvalidArgument, "slot 2 does not exist; there are 2");
  for (const std::uint64_t amount :
       {std::uint64_t{0}, static_cast<std::uint64_t>(vaultguard::kMaxEntryUvu) + 1, ~std::uint64_t{0}}) {
    request = Request(1);
    request.set_amount_uvu(amount);
    refused(request, limits, Code::kInvalidArgument, "cumulative");
  }
  for (const std::uint32_t nodes : {0u, 18u}) {
    refused(Request(1, v1::NODES, nodes), limits, Code::kInvalidArgument, "between 1 and 17");
  }
  request = Request(1);
  request.set_durability(static_cast<v1::Durability>(99));
  refused(request, limits, Code::kInvalidArgument, "no such durability");
  ContributionLimits without_cache = limits;
  without_cache.disk = false;
  refused(Request(1, v1::DISK), without_cache, Code::kFailedPrecondition, "cache_dir");
}

}  // namespace
}  // namespace lvs::services
