#include "services/node/node_drain.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace lvs::services {
namespace {

using namespace std::chrono_literals;
using Action = NodeDrain::Action;
using State = NodeDrain::State;

constexpr NodeDrain::Facts kHandedOver{.handed_over = true, .alone = false, .idle = true};
constexpr NodeDrain::Facts kAlone{.handed_over = false, .alone = true, .idle = true};
constexpr NodeDrain::Facts kHolds{.handed_over = false, .alone = false, .idle = true};
constexpr NodeDrain::Facts kBusy{.handed_over = true, .alone = false, .idle = false};
constexpr NodeDrain::Facts kBusyAlone{.handed_over = false, .alone = true, .idle = false};

// The tests' drain begins at kStart, with 1 s of grace and a deadline after 10 s.
const NodeDrain::Time kStart{100s};

NodeDrain Begun(bool serving = true) {
  NodeDrain drain(1s, 10s);
  EXPECT_TRUE(drain.Begin("test", serving, kStart));
  return drain;
}

// One look: facts, time since the beginning, the action and the state after it.
struct Row {
  NodeDrain::Facts facts;
  std::chrono::milliseconds at;
  Action action;
  State state;
};

struct Course {
  const char* name;
  std::vector<Row> rows;
};

void PrintTo(const Course& course, std::ostream* out) { *out << course.name; }

class NodeDrainTable : public ::testing::TestWithParam<Course> {};

TEST_P(NodeDrainTable, Spec9_4_Transitions) {
  NodeDrain drain = Begun();
  int n = 0;
  bool whole = false;
  for (const Row& row : GetParam().rows) {
    SCOPED_TRACE("row " + std::to_string(n++));
    EXPECT_EQ(drain.Look(row.facts, kStart + row.at), row.action);
    EXPECT_EQ(drain.state(), row.state);
    EXPECT_EQ(drain.ended(), row.state == State::kEnded);
    if (row.action == Action::kSayGoodbye) whole = row.facts.handed_over;
    EXPECT_EQ(drain.complete(), whole);
    EXPECT_TRUE(drain.draining());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Courses, NodeDrainTable,
    ::testing::Values(Course{"HandedOverAtOnceStillWaitsForTheGrace",
                             {{kHandedOver, 0ms, Action::kNone, State::kGrace},
                              {kHandedOver, 999ms, Action::kNone, State::kGrace},
                              {kHandedOver, 1000ms, Action::kSayGoodbye, State::kSaidGoodbye},
                              {kHandedOver, 1100ms, Action::kEnd, State::kEnded},
                              {kHandedOver, 1200ms, Action::kNone, State::kEnded}}},
                      Course{"WaitsUntilPeersHoldAll",
                             {{kHolds, 1000ms, Action::kNone, State::kHandingOver},
                              {kHolds, 9000ms, Action::kNone, State::kHandingOver},
                              {kHandedOver, 9100ms, Action::kSayGoodbye, State::kSaidGoodbye},
                              {kHandedOver, 9200ms, Action::kEnd, State::kEnded}}},
                      Course{"WaitsUntilEveryContributionIsAnswered",
                             {{kBusy, 1000ms, Action::kNone, State::kHandingOver},
                              {kBusy, 5000ms, Action::kNone, State::kHandingOver},
                              {kHandedOver, 5100ms, Action::kSayGoodbye, State::kSaidGoodbye}}},
                      Course{"AloneWaitsForNobodyButItsClients",
                             {{kBusyAlone, 1000ms, Action::kNone, State::kHandingOver},
                              {kAlone, 1100ms, Action::kSayGoodbye, State::kSaidGoodbye}}},
                      Course{"TheDeadlineEndsTheWait",
                             {{kHolds, 9999ms, Action::kNone, State::kHandingOver},
                              {kHolds, 10000ms, Action::kSayGoodbye, State::kSaidGoodbye},
                              {kHolds, 10100ms, Action::kEnd, State::kEnded}}},
                      Course{"TheDeadlineEndsTheWaitForClients",
                             {{kBusy, 9999ms, Action::kNone, State::kHandingOver},
                              {kBusy, 10000ms, Action::kSayGoodbye, State::kSaidGoodbye}}},
                      // Peers leave once they have heard the goodbye, so nothing counts as handed over any more.
                      Course{"TheGoodbyeCannotBeTakenBack",
                             {{kHandedOver, 1000ms, Action::kSayGoodbye, State::kSaidGoodbye},
                              {kHolds, 1100ms, Action::kEnd, State::kEnded}}},
                      Course{"AClockThatJumpsOverEverythingStillSaysGoodbye",
                             {{kHolds, 60'000ms, Action::kSayGoodbye, State::kSaidGoodbye},
                              {kHolds, 60'099ms, Action::kNone, State::kSaidGoodbye},
                              {kHolds, 60'100ms, Action::kEnd, State::kEnded}}}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(NodeDrain, NothingHappensBeforeItBegins) {
  NodeDrain drain(1s, 10s);
  EXPECT_FALSE(drain.draining());
  EXPECT_EQ(drain.Look(kHandedOver, kStart + 1h), Action::kNone);
  EXPECT_EQ(drain.state(), State::kNotDraining);
  EXPECT_FALSE(drain.TakesWork(kStart));
}

TEST(NodeDrain, ASecondBeginChangesNothing) {
  NodeDrain drain = Begun();
  EXPECT_FALSE(drain.Begin("again", true, kStart + 5s));
  EXPECT_EQ(drain.reason(), "test");
  EXPECT_EQ(drain.Look(kHandedOver, kStart + 1s), Action::kSayGoodbye) << "the first beginning counts";
}

TEST(NodeDrain, Spec9_4_WorkIsTakenDuringTheGrace) {
  NodeDrain drain = Begun();
  EXPECT_TRUE(drain.TakesWork(kStart));
  EXPECT_TRUE(drain.TakesWork(kStart + 999ms));
  EXPECT_FALSE(drain.TakesWork(kStart + 1s)) << "before any look";
  drain.Look(kHolds, kStart + 1s);
  EXPECT_FALSE(drain.TakesWork(kStart)) << "once over, the grace is over";
}

TEST(NodeDrain, ANodeThatDidNotServeTakesNoWorkEither) { EXPECT_FALSE(Begun(false).TakesWork(kStart)); }

TEST(NodeDrain, WithoutAGraceTheFirstLookMayEndIt) {
  NodeDrain drain(0s, 10s);
  drain.Begin("test", true, kStart);
  EXPECT_FALSE(drain.TakesWork(kStart));
  EXPECT_EQ(drain.Look(kHandedOver, kStart), Action::kSayGoodbye);
  EXPECT_EQ(drain.Look(kHandedOver, kStart + NodeDrain::kGoodbye), Action::kEnd);
}

// Whoever sleeps until next_look() and looks then comes to the end by the deadline, without any cycle.
TEST(NodeDrain, Spec9_4_TheLooksThatAreDueLeadToTheEnd) {
  NodeDrain drain = Begun();
  std::vector<NodeDrain::Time> looks;
  while (!drain.ended()) {
    looks.push_back(drain.next_look());
    ASSERT_LE(looks.size(), 4u);
    drain.Look(kBusy, looks.back());
  }
  EXPECT_EQ(looks, (std::vector<NodeDrain::Time>{kStart + 1s, kStart + 10s, kStart + 10s + NodeDrain::kGoodbye}));
  EXPECT_EQ(drain.next_look(), NodeDrain::Time::max());
  EXPECT_EQ(NodeDrain(1s, 10s).next_look(), NodeDrain::Time::max()) << "before it begins";
}

}  // namespace
}  // namespace lvs::services
