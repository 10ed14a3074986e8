#include "services/node/disk_backlog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace lvs::services {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

Journal::Record Record(std::uint32_t shard, std::uint64_t session, std::int64_t first, std::int64_t second = 0,
                       std::uint64_t opened = 100) {
  Journal::Record record;
  record.shard = shard;
  record.entry.session = {1, session};
  record.entry.opened_cycle = opened;
  record.entry.amount_uvu = {first, second};
  return record;
}

std::map<std::pair<std::uint32_t, std::uint64_t>, shard::LedgerEntry> ByKey(const DiskBacklog::Write& write) {
  std::map<std::pair<std::uint32_t, std::uint64_t>, shard::LedgerEntry> by_key;
  for (const Journal::Record& record : write.records) {
    EXPECT_TRUE(by_key.emplace(std::pair(record.shard, record.entry.session.low), record.entry).second)
        << "a record a session";
  }
  return by_key;
}

TEST(DiskBacklog, WhatIsWrittenIsOnDisk) {
  DiskBacklog backlog;
  const DiskBacklog::Write write = backlog.Next({Record(0, 1, 5), Record(1, 1, 6)}, {11, 12});
  EXPECT_EQ(ByKey(write).size(), 2u);
  const DiskBacklog::Outcome outcome = backlog.Written(write, true);
  EXPECT_THAT(outcome.on_disk, ElementsAre(11, 12));
  EXPECT_FALSE(outcome.began_to_fail);
  EXPECT_FALSE(outcome.recovered);
  EXPECT_TRUE(backlog.settled());
  EXPECT_TRUE(backlog.Next({}, {}).empty()) << "nothing is written twice";
}

TEST(DiskBacklog, AContributionThatChangedNothingWaitsForTheWritesBeforeIt) {
  DiskBacklog backlog;
  const DiskBacklog::Write write = backlog.Next({}, {11});
  EXPECT_FALSE(write.empty());
  EXPECT_THAT(backlog.Written(write, true).on_disk, ElementsAre(11));
}

TEST(DiskBacklog, AFailureIsTriedAgainAndSaidOnce) {
  DiskBacklog backlog;
  DiskBacklog::Write write = backlog.Next({Record(0, 1, 5)}, {11});
  DiskBacklog::Outcome outcome = backlog.Written(write, false);
  EXPECT_TRUE(outcome.began_to_fail);
  EXPECT_THAT(outcome.on_disk, IsEmpty());
  EXPECT_FALSE(backlog.settled());

  write = backlog.Next({}, {});
  EXPECT_EQ(ByKey(write).at({0, 1}).amount_uvu[0], 5) << "again, although nothing changed";
  outcome = backlog.Written(write, false);
  EXPECT_FALSE(outcome.began_to_fail) << "said already";
  EXPECT_THAT(outcome.on_disk, IsEmpty());

  write = backlog.Next({Record(0, 2, 7)}, {12});
  EXPECT_EQ(ByKey(write).size(), 2u);
  outcome = backlog.Written(write, true);
  EXPECT_TRUE(outcome.recovered);
  EXPECT_THAT(outcome.on_disk, ElementsAre(11, 12));
  EXPECT_TRUE(backlog.settled());

  outcome = backlog.Written(backlog.Next({Record(0, 2, 8)}, {13}), true);
  EXPECT_FALSE(outcome.recovered) << "said already";
  EXPECT_THAT(outcome.on_disk, ElementsAre(13));
}

TEST(DiskBacklog, ASecondFailureAfterARecoveryIsSaidAgain) {
  DiskBacklog backlog;
  backlog.Written(backlog.Next({Record(0, 1, 5)}, {}), false);
  EXPECT_TRUE(backlog.Written(backlog.Next({}, {}), true).recovered);
  EXPECT_TRUE(backlog.Written(backlog.Next({Record(0, 1, 6)}, {}), false).began_to_fail);
}

TEST(DiskBacklog, ChangesAreJoinedWithWhatFailed) {
  DiskBacklog backlog;
  backlog.Written(backlog.Next({Record(0, 1, 5, 9, 100)}, {}), false);
  // A smaller amount and an earlier opening: neither takes anything away.
  const auto next = ByKey(backlog.Next({Record(0, 1, 8, 2, 90), Record(1, 1, 3)}, {}));
  ASSERT_EQ(next.size(), 2u);
  EXPECT_EQ(next.at({0, 1}).amount_uvu[0], 8);
  EXPECT_EQ(next.at({0, 1}).amount_uvu[1], 9);
  EXPECT_EQ(next.at({0, 1}).opened_cycle, 90u);
  EXPECT_EQ(next.at({1, 1}).amount_uvu[0], 3) << "the same session in another shard is another entry";
}

// Several writes are under way at a time: what a later one wrote may be less than what an earlier one failed to write.
TEST(DiskBacklog, AnOlderRecordThatIsWrittenLaterDoesNotCountForTheNewerOne) {
  DiskBacklog backlog;
  const DiskBacklog::Write newer = backlog.Next({Record(0, 1, 9)}, {11});
  const DiskBacklog::Write older = backlog.Next({Record(0, 1, 5)}, {12});
  EXPECT_THAT(backlog.Written(newer, false).on_disk, IsEmpty());
  EXPECT_THAT(backlog.Written(older, true).on_disk, IsEmpty()) << "9 is not on disk";
  EXPECT_FALSE(backlog.settled());
  const DiskBacklog::Write again = backlog.Next({}, {});
  EXPECT_EQ(ByKey(again).at({0, 1}).amount_uvu[0], 9);
  EXPECT_THAT(backlog.Written(again, true).on_disk, UnorderedElementsAre(11, 12));
}

TEST(DiskBacklog, WritesUnderWayThatAllFailLeaveTheirJoin) {
  DiskBacklog backlog;
  const DiskBacklog::Write first = backlog.Next({Record(0, 1, 5, 1)}, {});
  const DiskBacklog::Write second = backlog.Next({Record(0, 1, 6, 2)}, {});
  const DiskBacklog::Write third = backlog.Next({Record(0, 2, 1)}, {});
  backlog.Written(first, false);
  backlog.Written(second, false);
  EXPECT_THAT(backlog.Written(third, true).on_disk, IsEmpty());
  const auto left = ByKey(backlog.Next({}, {}));
  ASSERT_EQ(left.size(), 1u) << "session 2 is on disk";
  EXPECT_EQ(left.at({0, 1}).amount_uvu[0], 6);
  EXPECT_EQ(left.at({0, 1}).amount_uvu[1], 2);
}

// While a write of the join is under way, the session grows: that write is not enough.
TEST(DiskBacklog, WhatGrowsWhileItIsWrittenStays) {
  DiskBacklog backlog;
  backlog.Written(backlog.Next({Record(0, 1, 5)}, {11}), false);
  const DiskBacklog::Write under_way = backlog.Next({}, {});
  EXPECT_TRUE(backlog.Next({Record(0, 1, 6)}, {12}).empty()) << "one at a time after a failure";
  EXPECT_THAT(backlog.Written(under_way, true).on_disk, IsEmpty());
  const DiskBacklog::Write grown = backlog.Next({}, {});
  EXPECT_EQ(ByKey(grown).at({0, 1}).amount_uvu[0], 6);
  EXPECT_THAT(backlog.Written(grown, true).on_disk, UnorderedElementsAre(11, 12));
}

// The newer record of a session is under way while the older one's write fails: to write the older one again would
// overwrite the newer one on disk.
TEST(DiskBacklog, WhatFailedIsNotWrittenOverWhatIsNewer) {
  DiskBacklog backlog;
  const DiskBacklog::Write older = backlog.Next({Record(0, 1, 5)}, {11});
  const DiskBacklog::Write newer = backlog.Next({Record(0, 1, 6)}, {12});
  EXPECT_THAT(backlog.Written(older, false).on_disk, IsEmpty());
  EXPECT_TRUE(backlog.Next({}, {}).empty());
  EXPECT_THAT(backlog.Written(newer, true).on_disk, UnorderedElementsAre(11, 12));
  EXPECT_TRUE(backlog.settled());
}

TEST(DiskBacklog, Spec9_4_AWriteUnderWayIsNotOnDisk) {
  DiskBacklog backlog;
  EXPECT_TRUE(backlog.settled());
  const DiskBacklog::Write first = backlog.Next({Record(0, 1, 5)}, {});
  const DiskBacklog::Write second = backlog.Next({Record(0, 2, 5)}, {});
  EXPECT_FALSE(backlog.settled());
  backlog.Written(first, true);
  EXPECT_FALSE(backlog.settled()) << "the second is under way";
  backlog.Written(second, true);
  EXPECT_TRUE(backlog.settled());
}

// The end of a journal refuses what comes late before what is under way has come back.
TEST(DiskBacklog, ARepeatedContributionIsNotOnDiskBeforeTheWriteThatHasItsRecord) {
  DiskBacklog backlog;
  const DiskBacklog::Write first = backlog.Next({Record(0, 1, 5)}, {11});
  const DiskBacklog::Write second = backlog.Next({Record(0, 2, 5)}, {12});
  const DiskBacklog::Write repeated = backlog.Next({}, {13});
  EXPECT_THAT(backlog.Written(repeated, false).on_disk, IsEmpty());
  EXPECT_THAT(backlog.Written(first, true).on_disk, ElementsAre(11));
  EXPECT_THAT(backlog.Written(second, true).on_disk, UnorderedElementsAre(12, 13));
}

// The journal refuses more than kMaxQueued records at a time, so a larger backlog would be refused for ever.
TEST(DiskBacklog, ABacklogOfAnySizeIsWrittenInPartsThatTheJournalTakes) {
  constexpr std::size_t kRecords = Journal::kMaxQueued + 1000;
  std::vector<Journal::Record> changes;
  for (std::size_t n = 0; n < kRecords; ++n) changes.push_back(Record(n % 3, n, 5));
  DiskBacklog backlog;
  DiskBacklog::Write write = backlog.Next(changes, {11});
  std::map<std::pair<std::uint32_t, std::uint64_t>, shard::LedgerEntry> written;
  for (int writes = 0; !write.empty(); ++writes) {
    ASSERT_LT(writes, 10);
    ASSERT_LE(write.records.size(), DiskBacklog::kWriteMax);
    written.merge(ByKey(write));
    const DiskBacklog::Outcome outcome = backlog.Written(write, true);
    EXPECT_EQ(outcome.on_disk.empty(), backlog.unsaved() > 0);
    write = backlog.Next({}, {});
  }
  EXPECT_EQ(written.size(), kRecords);
  EXPECT_TRUE(backlog.settled());
}

TEST(DiskBacklog, SessionsThatChangeInEveryCycleDoNotKeepTheOthersFromDisk) {
  std::vector<Journal::Record> busy, all;
  for (std::size_t n = 0; n < 2 * DiskBacklog::kWriteMax; ++n) all.push_back(Record(0, n, 1));
  DiskBacklog backlog;
  DiskBacklog::Write write = backlog.Next(all, {});
  for (std::int64_t amount = 2; amount < 6; ++amount) {
    busy.clear();
    for (std::size_t n = 0; n < DiskBacklog::kWriteMax; ++n) busy.push_back(Record(0, n, amount));
    EXPECT_TRUE(backlog.Next(busy, {}).empty()) << "a write is under way";
    backlog.Written(write, true);
    write = backlog.Next({}, {});
  }
  EXPECT_LE(backlog.unsaved(), DiskBacklog::kWriteMax) << "only those that are busy are left";
}

TEST(DiskBacklog, AsManyContributionsWaitAsCanBeUnanswered) {
  DiskBacklog backlog;
  backlog.Written(backlog.Next({Record(0, 1, 5)}, {}), false);
  DiskBacklog::Write write = backlog.Next({}, {});
  for (std::uint64_t id = 1; id <= DiskBacklog::kWaitingMax + 10; ++id) backlog.Next({}, {id});
  const DiskBacklog::Outcome outcome = backlog.Written(write, true);
  EXPECT_EQ(outcome.on_disk.size(), DiskBacklog::kWaitingMax);
  EXPECT_EQ(outcome.on_disk.front(), 11u) << "the oldest are past their deadlines";
}

}  // namespace
}  // namespace lvs::services
