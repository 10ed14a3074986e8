#include "shard/hosting/pending_answers.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace lvs::hosting {
namespace {

Contribution Asks(std::uint64_t id, std::uint32_t needed, std::uint64_t expires = ~std::uint64_t{0}) {
  Contribution contribution;
  contribution.id = id;
  contribution.needed_nodes = needed;
  contribution.expires_cycle = expires;
  return contribution;
}

class PendingAnswersTest : public ::testing::Test {
 protected:
  std::vector<Answer> Tell(PendingAnswers* pending, std::uint64_t cycle) {
    std::vector<Answer> answers;
    pending->Tell(
        cycle, [this](std::uint64_t version) { return holders_[version]; }, &answers);
    return answers;
  }

  std::map<std::uint64_t, std::uint32_t> holders_;  // by version
};

TEST_F(PendingAnswersTest, AnswersOnceEnoughServerNodesHoldIt) {
  PendingAnswers pending(/*tell_progress=*/false);
  holders_ = {{7, 1}, {8, 1}};
  ASSERT_TRUE(pending.Add(Asks(1, 2), 7));
  ASSERT_TRUE(pending.Add(Asks(2, 1), 8));
  std::vector<Answer> answers = Tell(&pending, 1);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].id, 2u);
  EXPECT_TRUE(answers[0].accepted);
  EXPECT_TRUE(answers[0].final);
  EXPECT_EQ(answers[0].nodes, 1u);
  EXPECT_TRUE(Tell(&pending, 2).empty());
  holders_[7] = 3;
  answers = Tell(&pending, 3);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].id, 1u);
  EXPECT_EQ(answers[0].nodes, 3u);
  EXPECT_EQ(pending.size(), 0u);
}

TEST_F(PendingAnswersTest, ProgressIsToldForEachFurtherServerNode) {
  PendingAnswers pending(/*tell_progress=*/true);
  holders_ = {{7, 1}};
  pending.Add(Asks(1, 3), 7);
  const auto told = [&](std::uint64_t cycle) {
    const std::vector<Answer> answers = Tell(&pending, cycle);
    return answers.empty() ? 0 : (answers[0].final ? 100 : 0) + static_cast<int>(answers[0].nodes);
  };
  EXPECT_EQ(told(1), 1);
  EXPECT_EQ(told(2), 0) << "nobody new";
  holders_[7] = 2;
  EXPECT_EQ(told(3), 2);
  holders_[7] = 1;
  EXPECT_EQ(told(4), 0) << "a holder left: what was told stands";
  holders_[7] = 3;
  EXPECT_EQ(told(5), 103);
}

TEST_F(PendingAnswersTest, ExpiresWithoutAnAnswer) {
  PendingAnswers pending(/*tell_progress=*/false);
  holders_ = {{7, 1}};
  pending.Add(Asks(1, 2, /*expires=*/10), 7);
  EXPECT_TRUE(Tell(&pending, 9).empty());
  EXPECT_EQ(pending.size(), 1u);
  EXPECT_TRUE(Tell(&pending, 10).empty());
  EXPECT_EQ(pending.size(), 0u);
}

TEST_F(PendingAnswersTest, AnswersInTheCycleInWhichItWouldExpire) {
  PendingAnswers pending(/*tell_progress=*/false);
  holders_ = {{7, 2}};
  pending.Add(Asks(1, 2, /*expires=*/10), 7);
  EXPECT_EQ(Tell(&pending, 10).size(), 1u);
}

TEST_F(PendingAnswersTest, AskingAgainChangesOnlyHowManyAreNeeded) {
  PendingAnswers pending(/*tell_progress=*/false);
  holders_ = {{7, 2}, {9, 1}};
  pending.Add(Asks(1, 3), 7);
  pending.Add(Asks(1, 2), 9);
  EXPECT_EQ(pending.size(), 1u);
  const std::vector<Answer> answers = Tell(&pending, 1);
  ASSERT_EQ(answers.size(), 1u) << "by the change of the first attempt";
  EXPECT_EQ(answers[0].nodes, 2u);
}

TEST_F(PendingAnswersTest, IsBounded) {
  PendingAnswers pending(/*tell_progress=*/false);
  for (std::uint64_t id = 0; id < PendingAnswers::kMax; ++id) ASSERT_TRUE(pending.Add(Asks(id, 2), 7));
  EXPECT_FALSE(pending.Add(Asks(PendingAnswers::kMax, 2), 7));
  EXPECT_TRUE(pending.Add(Asks(5, 1), 7)) << "waits already";
  pending.Clear();
  EXPECT_TRUE(pending.Add(Asks(PendingAnswers::kMax, 2), 7));
}

}  // namespace
}  // namespace lvs::hosting
