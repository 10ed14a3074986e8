#include "services/node/journal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <future>
#include <iterator>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "shard/random.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr std::uint32_t kShards = 4;
constexpr int kSlots = 2;

using Key = std::tuple<std::uint32_t, std::uint64_t, std::uint64_t>;
using Truth = std::map<Key, shard::LedgerEntry>;

Key KeyOf(const Journal::Record& record) { return {record.shard, record.entry.session.high, record.entry.session.low}; }

// Record i of a run: its content follows from the number, so that any process can check it.
Journal::Record MakeRecord(std::uint64_t seed, std::uint64_t i) {
  Journal::Record record;
  record.shard = static_cast<std::uint32_t>(i % kShards);
  record.entry.session = {shard::Mix(seed), shard::Mix(i)};
  record.entry.opened_cycle = i + 7;
  record.entry.amount_uvu = {static_cast<std::int64_t>(1000 + i), static_cast<std::int64_t>(shard::Mix(i) >> 8)};
  return record;
}

Truth ToMap(const Journal::Restored& restored) {
  Truth map;
  for (std::uint32_t shard = 0; shard < restored.by_shard.size(); ++shard) {
    for (const shard::LedgerEntry& entry : restored.by_shard[shard]) map[KeyOf({shard, entry})] = entry;
  }
  return map;
}

bool Same(const shard::LedgerEntry& a, const shard::LedgerEntry& b) {
  return a.session == b.session && a.opened_cycle == b.opened_cycle && a.amount_uvu == b.amount_uvu;
}

// The entries that are not what was written.
int Wrong(const Truth& found, const Truth& truth) {
  int wrong = 0;
  for (const auto& [key, entry] : found) {
    const auto written = truth.find(key);
    wrong += written == truth.end() || !Same(written->second, entry) ? 1 : 0;
  }
  return wrong;
}

absl::Status AppendAndWait(Journal& journal, std::vector<Journal::Record> records) {
  std::promise<absl::Status> done;
  journal.Append(std::move(records), [&done](absl::Status status) { done.set_value(std::move(status)); });
  return done.get_future().get();
}

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() {
    std::string name = (fs::temp_directory_path() / "lvs-journal-XXXXXX").string();
    dir_ = mkdtemp(name.data());
  }
  ~JournalTest() override { fs::remove_all(dir_); }

  std::unique_ptr<Journal> Open(const fs::path& dir, Journal::Restored* restored, std::uint32_t shards = kShards,
                                int slots = kSlots) {
    auto journal = Journal::Open(dir, shards, slots, restored);
    EXPECT_TRUE(journal.ok()) << journal.status().ToString();
    return journal.ok() ? *std::move(journal) : nullptr;
  }

  absl::Status OpenError(const fs::path& dir, std::uint32_t shards = kShards, int slots = kSlots) {
    Journal::Restored restored;
    const auto journal = Journal::Open(dir, shards, slots, &restored);
    EXPECT_FALSE(journal.ok());
    EXPECT_EQ(restored.by_shard.size(), 0u) << "an error hands out nothing";
    return journal.status();
  }

  // A cache of `count` entries whose first part is in tables and whose last part is in the log, and what it holds.
  Truth Fill(const fs::path& dir, std::uint64_t count) {
    Truth truth;
    for (const std::uint64_t from : {std::uint64_t{0}, count / 2}) {
      Journal::Restored restored;
      const auto journal = Open(dir, &restored);  // opening turns the log of the first half into a table
      std::vector<Journal::Record> records;
      for (std::uint64_t i = from; i < from + count / 2; ++i) {
        records.push_back(MakeRecord(1, i));
        truth[KeyOf(records.back())] = records.back().entry;
      }
      EXPECT_TRUE(AppendAndWait(*journal, std::move(records)).ok());
    }
    return truth;
  }

  std::vector<fs::path> FilesOf(const fs::path& dir, const std::string& part) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(dir / "db")) {
      if (entry.path().filename().string().find(part) != std::string::npos) files.push_back(entry.path());
    }
    return files;
  }

  int Quarantines(const fs::path& dir) {
    int count = 0;
    for (const auto& entry : fs::directory_iterator(dir)) {
      count += entry.path().filename().string().starts_with("quarantine-") ? 1 : 0;
    }
    return count;
  }

  fs::path dir_;
};

// ---- Round trip ----

TEST_F(JournalTest, Arch3_EntriesComeBack) {
  const Truth truth = Fill(dir_, 1000);
  Journal::Restored restored;
  const auto journal = Open(dir_, &restored);
  EXPECT_EQ(restored.entries, 1000u);
  EXPECT_EQ(restored.quarantined, 0u);
  EXPECT_EQ(restored.note, "");
  ASSERT_EQ(restored.by_shard.size(), kShards);
  EXPECT_EQ(ToMap(restored).size(), truth.size());
  EXPECT_EQ(Wrong(ToMap(restored), truth), 0);
  EXPECT_EQ(journal->stats().entries, 1000u);
}

TEST_F(JournalTest, TheNewestOfASessionStands) {
  Journal::Record record = MakeRecord(1, 1);
  Journal::Restored restored;
  {
    const auto journal = Open(dir_, &restored);
    for (const std::int64_t amount : {5, 50, 500}) {
      record.entry.amount_uvu[0] = amount;
      record.entry.opened_cycle = 1000 - static_cast<std::uint64_t>(amount);
      ASSERT_TRUE(AppendAndWait(*journal, {record}).ok());
    }
    // The same session in another shard is another entry.
    record.shard = 3;
    record.entry.amount_uvu[0] = 7;
    ASSERT_TRUE(AppendAndWait(*journal, {record}).ok());
    EXPECT_EQ(journal->stats().entries, 2u);
    EXPECT_EQ(journal->stats().records, 4u);
  }
  const auto journal = Open(dir_, &restored);
  ASSERT_EQ(restored.entries, 2u);
  EXPECT_EQ(restored.by_shard[1].at(0).amount_uvu[0], 500);
  EXPECT_EQ(restored.by_shard[1].at(0).opened_cycle, 500u);
  EXPECT_EQ(restored.by_shard[3].at(0).amount_uvu[0], 7);
}

TEST_F(JournalTest, MakesItsFolder) {
  Journal::Restored restored;
  EXPECT_NE(Open(dir_ / "a/b", &restored), nullptr);
  EXPECT_EQ(restored.entries, 0u);
  EXPECT_EQ(restored.note, "");
}

// ---- Appending ----

TEST_F(JournalTest, ManyAppendsAreFewWrites) {
  constexpr int kThreads = 4;
  constexpr std::uint64_t kEach = 500;
  Journal::Restored restored;
  const auto journal = Open(dir_, &restored);
  std::mutex mutex;
  std::condition_variable all_done;
  std::uint64_t done = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < kEach; ++i) {
        journal->Append({MakeRecord(static_cast<std::uint64_t>(t), i)}, [&](absl::Status status) {
          const std::lock_guard lock(mutex);
          EXPECT_TRUE(status.ok()) << status.ToString();
          if (++done == kThreads * kEach) all_done.notify_one();
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(all_done.wait_for(lock, std::chrono::seconds(60), [&] { return done == kThreads * kEach; }));
  }
  const Journal::Stats stats = journal->stats();
  EXPECT_EQ(stats.records, kThreads * kEach);
  EXPECT_EQ(stats.entries, kThreads * kEach);
  EXPECT_EQ(stats.queued, 0u);
  EXPECT_LT(stats.writes, kThreads * kEach / 2) << "what waits is written together";
  EXPECT_GT(stats.bytes, stats.records * 20);
  EXPECT_EQ(stats.last_error, "");
}

TEST_F(JournalTest, AnswersInOrderAndFromOneThread) {
  Journal::Restored restored;
  const auto journal = Open(dir_, &restored);
  std::vector<std::uint64_t> order;
  std::vector<std::thread::id> threads;
  for (std::uint64_t i = 0; i < 200; ++i) {
    journal->Append({MakeRecord(1, i)}, [&, i](absl::Status) {
      order.push_back(i);
      threads.push_back(std::this_thread::get_id());
    });
  }
  ASSERT_TRUE(journal->Close().ok()) << "closing writes what is queued";
  ASSERT_EQ(order.size(), 200u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  for (const std::thread::id id : threads) EXPECT_EQ(id, threads.front());
  EXPECT_NE(threads.front(), std::this_thread::get_id());
}

TEST_F(JournalTest, TheQueueHasALimit) {
  Journal::Restored restored;
  const auto journal = Open(dir_, &restored);
  std::promise<void> blocked;
  std::promise<void> go_on;
  journal->Append({MakeRecord(1, 0)}, [&](absl::Status) {
    blocked.set_value();
    go_on.get_future().wait();
  });
  blocked.get_future().wait();  // the journal's thread is busy now
  std::vector<Journal::Record> many;
  for (std::uint64_t i = 0; i < Journal::kMaxQueued; ++i) many.push_back(MakeRecord(1, i));
  std::promise<absl::Status> full;
  std::promise<absl::Status> over;
  journal->Append(many, [&](absl::Status status) { full.set_value(std::move(status)); });
  EXPECT_EQ(journal->stats().queued, Journal::kMaxQueued);
  journal->Append({MakeRecord(2, 0)}, [&](absl::Status status) { over.set_value(std::move(status)); });
  EXPECT_EQ(journal->stats().queued, Journal::kMaxQueued);
  go_on.set_value();
  EXPECT_TRUE(full.get_future().get().ok());
  EXPECT_EQ(over.get_future().get().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(AppendAndWait(*journal, {MakeRecord(2, 0)}).ok()) << "the same later";
}

TEST_F(JournalTest, RefusesWhatHasNoShardAndWhatComesAfterTheEnd) {
  Journal::Restored restored;
  const auto journal = Open(dir_, &restored);
  Journal::Record record = MakeRecord(1, 1);
  record.shard = kShards;
  EXPECT_EQ(AppendAndWait(*journal, {record}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(journal->Close().ok());
  EXPECT_TRUE(journal->Close().ok());
  EXPECT_EQ(AppendAndWait(*journal, {MakeRecord(1, 1)}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(journal->stats().entries, 0u);
}

// ---- What is not for this node ----

TEST_F(JournalTest, AnotherShapeIsRefusedAndKept) {
  const Truth truth = Fill(dir_, 10);
  for (const auto& [shards, slots] :
       std::vector<std::pair<std::uint32_t, int>>{{8, kSlots}, {2, kSlots}, {kShards, 3}}) {
    const absl::Status status = OpenError(dir_, shards, slots);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr("holds a cache of 4 shards of 2 value slots"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("name another cache_dir"));
  }
  EXPECT_EQ(Quarantines(dir_), 0);
  Journal::Restored restored;
  Open(dir_, &restored);
  EXPECT_EQ(ToMap(restored).size(), truth.size());
}

TEST_F(JournalTest, OneProcessAtATime) {
  Journal::Restored restored;
  auto journal = Open(dir_, &restored);
  const absl::Status status = OpenError(dir_);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("in use by another node (process " + std::to_string(getpid())));
  EXPECT_TRUE(AppendAndWait(*journal, {MakeRecord(1, 1)}).ok()) << "the first goes on";
  journal.reset();
  EXPECT_NE(Open(dir_, &restored), nullptr);
  EXPECT_EQ(restored.entries, 1u);
}

TEST_F(JournalTest, AFileInTheWay) {
  std::ofstream(dir_ / "file") << "x";
  EXPECT_EQ(OpenError(dir_ / "file").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(OpenError(dir_ / "file/below").code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(JournalTest, AFolderThatIsNotOurs) {
  fs::create_directory(dir_ / "closed");
  fs::permissions(dir_, fs::perms(0755));
  fs::permissions(dir_ / "closed", fs::perms(0555));
  const uid_t user = geteuid();
  if (user == 0 && seteuid(65534) != 0) GTEST_SKIP() << "cannot step down from root";
  const absl::Status status = OpenError(dir_ / "closed");
  ASSERT_EQ(seteuid(user), 0);
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status.ToString();
  EXPECT_THAT(std::string(status.message()), HasSubstr("chown"));
}

// ---- A full disk ----

TEST_F(JournalTest, AFailedWriteIsSaidAndTheNextOneTriesAgain) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  Journal::Restored restored;
  Truth acknowledged;
  Truth all;
  {
    const auto journal = Open(dir_, &restored);
    absl::Status failed;
    for (std::uint64_t i = 0; i < 120; ++i) {
      // At first what does not fit one file fits the next, as on a disk that somebody else fills and empties.
      const rlimit small{i < 100 ? rlim_t{1} << 16 : rlim_t{1} << 12, before.rlim_max};
      ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
      std::vector<Journal::Record> records;
      for (std::uint64_t k = 0; k < 100; ++k) records.push_back(MakeRecord(1, 100 * i + k));
      const absl::Status status = AppendAndWait(*journal, records);
      for (const Journal::Record& record : records) {
        all[KeyOf(record)] = record.entry;
        if (status.ok()) acknowledged[KeyOf(record)] = record.entry;
      }
      if (!status.ok()) {
        failed = status;
        EXPECT_THAT(journal->stats().last_error, HasSubstr("could not be written"));
      }
    }
    EXPECT_EQ(failed.code(), absl::StatusCode::kUnavailable) << "100 records do not fit 4 KiB";
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    const Journal::Record last = MakeRecord(2, 1);
    const absl::Status again = AppendAndWait(*journal, {last});
    EXPECT_TRUE(again.ok()) << again.ToString();
    EXPECT_EQ(journal->stats().last_error, "");
    EXPECT_EQ(journal->stats().queued, 0u);
    acknowledged[KeyOf(last)] = all[KeyOf(last)] = last.entry;
  }
  std::signal(SIGXFSZ, ignored);
  const auto journal = Open(dir_, &restored);
  const Truth found = ToMap(restored);
  EXPECT_EQ(Wrong(found, all), 0);
  int lost = 0;
  for (const auto& [key, entry] : acknowledged) lost += found.contains(key) ? 0 : 1;
  EXPECT_EQ(lost, 0) << "of " << acknowledged.size() << " acknowledged; " << restored.note;
  EXPECT_EQ(restored.quarantined, 0u) << restored.note;
}

// ---- Files that go ----

TEST_F(JournalTest, FilesThatGoUnderTheJournalAreDataLossFromThenOn) {
  Journal::Restored restored;
  const auto journal = Open(dir_ / "a/b", &restored);
  EXPECT_TRUE(AppendAndWait(*journal, {MakeRecord(1, 1)}).ok());
  EXPECT_TRUE(AppendAndWait(*journal, {}).ok()) << "it is there still";
  fs::rename(dir_ / "a", dir_ / "c");
  const absl::Status lost = AppendAndWait(*journal, {MakeRecord(1, 2)});
  EXPECT_EQ(lost.code(), absl::StatusCode::kDataLoss) << lost.ToString();
  EXPECT_THAT(std::string(lost.message()), HasSubstr("lock was deleted"));
  fs::rename(dir_ / "c", dir_ / "a");
  EXPECT_EQ(AppendAndWait(*journal, {}).code(), absl::StatusCode::kDataLoss) << "nobody knows what happened meanwhile";
  EXPECT_EQ(journal->stats().entries, 1u);
  EXPECT_EQ(journal->stats().queued, 0u);
}

// LevelDB replaces logs, tables and the MANIFEST all the time.
TEST_F(JournalTest, FilesThatLevelDbReplacesAreNoLoss) {
  Journal::Restored restored;
  const auto journal = Open(dir_, &restored);
  std::vector<fs::path> logs = FilesOf(dir_, ".log");
  for (std::uint64_t i = 0; i < 12; ++i) {
    std::vector<Journal::Record> records;
    for (std::uint64_t k = 0; k < 5'000; ++k) records.push_back(MakeRecord(i, k));
    ASSERT_TRUE(AppendAndWait(*journal, std::move(records)).ok());
  }
  EXPECT_NE(FilesOf(dir_, ".log"), logs) << "4 MiB are more than a log";
  EXPECT_THAT(FilesOf(dir_, ".ldb"), ::testing::Not(::testing::IsEmpty()));
}

// ---- A crash ----

// Not a test: the process that is killed. It says through a pipe what was acknowledged.
TEST(JournalChild, DISABLED_AppendsUntilKilled) {
  const char* dir = std::getenv("LVS_JOURNAL_DIR");
  if (dir == nullptr) GTEST_SKIP() << "only by JournalTest";
  const int pipe = std::atoi(std::getenv("LVS_JOURNAL_PIPE"));
  const std::uint64_t seed = std::strtoull(std::getenv("LVS_JOURNAL_SEED"), nullptr, 10);
  Journal::Restored restored;
  auto journal = Journal::Open(dir, kShards, kSlots, &restored);
  if (!journal.ok()) std::_Exit(3);
  for (std::uint64_t i = 0;; ++i) {
    // Not more at a time than the queue takes.
    while ((*journal)->stats().queued > 2000) std::this_thread::yield();
    (*journal)->Append({MakeRecord(seed, i)}, [pipe, i](absl::Status status) {
      if (!status.ok() || write(pipe, &i, sizeof i) != sizeof i) std::_Exit(4);
    });
  }
}

TEST_F(JournalTest, Arch2_1_WhatWasAcknowledgedSurvivesAKill) {
  Truth truth;
  std::uint64_t acknowledged_in_all = 0;
  for (const std::uint64_t seed : {11u, 12u, 13u, 14u, 15u}) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    ASSERT_EQ(fcntl(ends[0], F_SETFD, FD_CLOEXEC), 0);
    setenv("LVS_JOURNAL_DIR", dir_.c_str(), 1);
    setenv("LVS_JOURNAL_PIPE", std::to_string(ends[1]).c_str(), 1);
    setenv("LVS_JOURNAL_SEED", std::to_string(seed).c_str(), 1);
    const pid_t child = fork();
    if (child == 0) {
      const int null = open("/dev/null", O_WRONLY);
      dup2(null, STDOUT_FILENO);
      execl("/proc/self/exe", "journal_child", "--gtest_also_run_disabled_tests",
            "--gtest_filter=JournalChild.DISABLED_AppendsUntilKilled", static_cast<char*>(nullptr));
      _exit(5);
    }
    close(ends[1]);
    // A different moment for each seed.
    const std::uint64_t until = 200 + shard::Mix(seed) % 3000;
    std::uint64_t newest = 0;
    std::uint64_t heard = 0;
    while (heard < until && read(ends[0], &newest, sizeof newest) == sizeof newest) ++heard;
    kill(child, SIGKILL);
    while (read(ends[0], &newest, sizeof newest) == sizeof newest) ++heard;
    close(ends[0]);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit code " << WEXITSTATUS(status);
    ASSERT_GE(heard, until);
    acknowledged_in_all += heard;

    Journal::Restored restored;
    const auto journal = Open(dir_, &restored);
    ASSERT_NE(journal, nullptr);
    EXPECT_EQ(restored.quarantined, 0u) << restored.note;
    // More may be there than was acknowledged; all of it must be true.
    for (std::uint64_t i = 0; i < heard + 100'000; ++i) {
      const Journal::Record record = MakeRecord(seed, i);
      truth[KeyOf(record)] = record.entry;
    }
    const Truth found = ToMap(restored);
    EXPECT_EQ(Wrong(found, truth), 0) << "seed " << seed;
    for (std::uint64_t i = 0; i <= newest; ++i) {
      ASSERT_TRUE(found.contains(KeyOf(MakeRecord(seed, i))))
          << "seed " << seed << ": record " << i << " of " << newest;
    }
    EXPECT_GE(found.size(), acknowledged_in_all) << "and all of the processes before";
  }
  unsetenv("LVS_JOURNAL_DIR");
}

// ---- Damage ----

class JournalDamage : public JournalTest {
 protected:
  JournalDamage() : pristine_(dir_ / "pristine"), truth_(Fill(pristine_, 4000)) {}

  // Damages a copy of the cache, opens it twice, and returns what the first time found.
  Journal::Restored After(const std::function<void(const fs::path& dir)>& damage) {
    const fs::path dir = dir_ / "damaged";
    fs::remove_all(dir);
    fs::copy(pristine_, dir, fs::copy_options::recursive);
    damage(dir);
    Journal::Restored first;
    Journal::Restored second;
    {
      const auto journal = Open(dir, &first);
      if (journal == nullptr) return first;
      EXPECT_EQ(Wrong(ToMap(first), truth_), 0);
      EXPECT_EQ(ToMap(first).size(), first.entries);
      EXPECT_EQ(Quarantines(dir), first.quarantined > 0 ? 1 : 0);
      EXPECT_TRUE(AppendAndWait(*journal, {MakeRecord(9, 1)}).ok()) << "and it goes on";
    }
    Open(dir, &second);
    EXPECT_EQ(second.entries, first.entries + 1);
    EXPECT_EQ(second.quarantined, 0u) << second.note;
    EXPECT_EQ(second.note, "");
    return first;
  }

  // The one that holds entries, where there are several.
  fs::path Largest(const fs::path& dir, const std::string& part) {
    const std::vector<fs::path> files = FilesOf(dir, part);
    return *std::max_element(files.begin(), files.end(),
                             [](const fs::path& a, const fs::path& b) { return fs::file_size(a) < fs::file_size(b); });
  }

  static void Flip(const fs::path& file, std::size_t at) {
    std::fstream io(file, std::ios::binary | std::ios::in | std::ios::out);
    io.seekg(static_cast<std::streamoff>(at));
    const int byte = io.get();
    io.seekp(static_cast<std::streamoff>(at));
    io.put(static_cast<char>(byte ^ (1 << (at % 8))));
  }

  const fs::path pristine_;
  const Truth truth_;
};

TEST_F(JournalDamage, None) {
  const Journal::Restored restored = After([](const fs::path&) {});
  EXPECT_EQ(restored.entries, truth_.size());
  EXPECT_EQ(restored.quarantined, 0u);
  EXPECT_EQ(restored.note, "");
}

TEST_F(JournalDamage, AMissingCurrentOrManifestLosesNothing) {
  for (const char* part : {"CURRENT", "MANIFEST"}) {
    const Journal::Restored restored = After([&](const fs::path& dir) { fs::remove(Largest(dir, part)); });
    EXPECT_EQ(restored.entries, truth_.size()) << part << ": " << restored.note;
    EXPECT_GT(restored.quarantined, 2u) << part;
    EXPECT_THAT(restored.note, HasSubstr("was moved to")) << part;
  }
}

TEST_F(JournalDamage, AMissingTableLosesOnlyWhatWasInIt) {
  const Journal::Restored restored = After([&](const fs::path& dir) { fs::remove(Largest(dir, ".ldb")); });
  EXPECT_EQ(restored.entries, truth_.size() / 2) << restored.note;
  EXPECT_GT(restored.quarantined, 2u);
}

TEST_F(JournalDamage, AMissingShapeLosesNothing) {
  const Journal::Restored restored = After([&](const fs::path& dir) {
    std::vector<fs::path> tables = FilesOf(dir, ".ldb");
    ASSERT_EQ(tables.size(), 2u);
    fs::remove(tables[0] == Largest(dir, ".ldb") ? tables[1] : tables[0]);
  });
  EXPECT_EQ(restored.entries, truth_.size()) << restored.note;
}

TEST_F(JournalDamage, HalfATableThatACrashLeftIsNone) {
  const Journal::Restored restored = After([&](const fs::path& dir) {
    fs::copy(Largest(dir, ".ldb"), dir / "db/009999.ldb");
    fs::resize_file(dir / "db/009999.ldb", 1000);
  });
  EXPECT_EQ(restored.entries, truth_.size());
  EXPECT_EQ(restored.quarantined, 0u) << restored.note;
  EXPECT_EQ(restored.note, "");
}

TEST_F(JournalDamage, ATableThatLeftoversHideIsNotLost) {
  const Journal::Restored restored = After([&](const fs::path& dir) {
    const fs::path table = Largest(dir, ".ldb");
    fs::copy(table, table.string() + ".hidden");
    fs::resize_file(table.string() + ".hidden", 1000);
    // And one that a crash left under its other name.
    for (const fs::path& file : FilesOf(dir, ".ldb")) {
      if (file != table && file.extension() == ".ldb") fs::rename(file, file.string() + ".hidden");
    }
  });
  EXPECT_EQ(restored.entries, truth_.size());
  EXPECT_EQ(restored.quarantined, 0u) << restored.note;
}

TEST_F(JournalDamage, ATruncatedFileLosesOnlyWhatWasInIt) {
  for (const char* part : {".log", ".ldb", "MANIFEST", "CURRENT"}) {
    for (const double share : {0.0, 0.3, 0.9, 0.999}) {
      const Journal::Restored restored = After([&](const fs::path& dir) {
        const fs::path file = Largest(dir, part);
        fs::resize_file(file, static_cast<std::uintmax_t>(static_cast<double>(fs::file_size(file)) * share));
      });
      EXPECT_GE(restored.entries, truth_.size() / 2) << part << " " << share << ": " << restored.note;
      if (std::string(part) == ".log") {
        EXPECT_EQ(restored.note.empty(), share == 0.0) << "what is missing is said";
      } else {
        EXPECT_GT(restored.quarantined, 2u) << part << " " << share;
      }
    }
  }
}

TEST_F(JournalDamage, AFlippedBitIsFoundWhereverItIs) {
  int quarantined = 0;
  int flips = 0;
  for (const char* part : {".log", ".ldb", "MANIFEST", "CURRENT"}) {
    const auto size = static_cast<std::size_t>(fs::file_size(Largest(pristine_, part)));
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < 8; ++i) places.push_back(shard::Mix(i) % size);
    // Headers, and the footer of a table.
    for (std::size_t i = 0; i < std::min<std::size_t>(8, size); ++i) places.push_back(i);
    for (std::size_t i = 1; i <= std::min<std::size_t>(48, size); i += 9) places.push_back(size - i);
    for (const std::size_t at : places) {
      SCOPED_TRACE(std::string(part) + " at " + std::to_string(at) + " of " + std::to_string(size));
      const Journal::Restored restored = After([&](const fs::path& dir) { Flip(Largest(dir, part), at); });
      EXPECT_GE(restored.entries,
                std::string(part) == "MANIFEST" || std::string(part) == "CURRENT" ? truth_.size() : truth_.size() / 4)
          << restored.note;
      EXPECT_TRUE(restored.entries == truth_.size() || !restored.note.empty()) << "what is missing is said";
      quarantined += restored.quarantined > 0 ? 1 : 0;
      ++flips;
    }
  }
  EXPECT_GT(quarantined, flips * 3 / 4);
}

TEST_F(JournalDamage, ACrashWhileMendingLosesNothing) {
  // Between the two renames: the damaged database is in quarantine, the mended one not yet in its place.
  Journal::Restored restored = After([](const fs::path& dir) { fs::rename(dir / "db", dir / "db.new"); });
  EXPECT_EQ(restored.entries, truth_.size());
  // Before them: leftovers beside a database that is still there.
  restored = After([](const fs::path& dir) {
    fs::create_directory(dir / "db.new");
    fs::copy(dir / "db", dir / "salvage");
  });
  EXPECT_EQ(restored.entries, truth_.size());
  EXPECT_EQ(restored.quarantined, 0u);
}

TEST_F(JournalDamage, ADamagedCacheOfAnotherShapeIsLeftAlone) {
  fs::remove(pristine_ / "db/CURRENT");
  EXPECT_EQ(OpenError(pristine_, 8).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Quarantines(pristine_), 0);
  Journal::Restored restored;
  Open(pristine_, &restored);
  EXPECT_EQ(restored.entries, truth_.size());
}

}  // namespace
}  // namespace lvs::services
