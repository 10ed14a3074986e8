// The keeper over a real journal, on a disk that fails and recovers, and whose files go under it.
#include "services/node/cache_keeper.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "services/base/log.h"
#include "services/base/mutex.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Journal::Record Record(std::uint64_t session, std::int64_t amount) {
  Journal::Record record;
  record.shard = 1;
  record.entry.session = {1, session};
  record.entry.opened_cycle = 10;
  record.entry.amount_uvu[0] = amount;
  return record;
}

class CacheKeeperTest : public ::testing::Test {
 protected:
  CacheKeeperTest() {
    std::string name = (fs::temp_directory_path() / "lvs-keeper-XXXXXX").string();
    dir_ = mkdtemp(name.data());
    SetLogSink([this](std::string_view line) {
      const MutexLock lock(&mu_);
      log_.emplace_back(line);
    });
  }
  ~CacheKeeperTest() override {
    SetLogSink(nullptr);
    fs::remove_all(dir_);
  }

  fs::path cache_dir() const { return dir_ / "cache"; }

  std::unique_ptr<CacheKeeper> Open() {
    auto cache = CacheKeeper::Open(cache_dir().string(), 2, 1, kLookEvery);
    EXPECT_TRUE(cache.ok()) << cache.status();
    (*cache)->Start([this](const std::vector<std::uint64_t>& ids) {
      const MutexLock lock(&mu_);
      on_disk_.insert(on_disk_.end(), ids.begin(), ids.end());
      changed_.NotifyAll();
    });
    return *std::move(cache);
  }

  // The contributions that are on disk, once there are so many.
  std::vector<std::uint64_t> OnDisk(std::size_t count) {
    const MutexLock lock(&mu_);
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (on_disk_.size() < count && changed_.WaitUntil(&mu_, end)) {
    }
    return on_disk_;
  }

  int Lines(const std::string& event) {
    const MutexLock lock(&mu_);
    return static_cast<int>(std::count_if(log_.begin(), log_.end(), [&](const std::string& line) {
      return line.find("\"event\":\"" + event + "\"") != std::string::npos;
    }));
  }

  static std::string LastError(const CacheKeeper& cache) {
    v1::CacheStatus status;
    cache.FillStatus(&status);
    return status.last_error();
  }

  // The first tick for which the cache has something to restore or to be told, and it in `cycle`.
  static hosting::NodeTick OpenedTick(CacheKeeper& cache, std::uint64_t cycle) {
    hosting::NodeTick tick;
    tick.cycle = cycle;
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (std::chrono::steady_clock::now() < end) {
      cache.FillTick(&tick);
      if (!tick.restored.empty()) return tick;
      std::this_thread::sleep_for(1ms);
    }
    ADD_FAILURE() << "the cache was not opened: " << LastError(cache);
    tick.restored.resize(2);
    return tick;
  }

  // An open cache whose first cycle is over.
  std::unique_ptr<CacheKeeper> Keeping() {
    auto cache = Open();
    EXPECT_FALSE(OpenedTick(*cache, 1).tell_all) << "it has all that the ledgers have";
    cache->Keep(1, {}, {});
    return cache;
  }

  static constexpr std::chrono::milliseconds kLookEvery{5};

  fs::path dir_;
  Mutex mu_;
  CondVar changed_;
  std::vector<std::uint64_t> on_disk_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> log_ ABSL_GUARDED_BY(mu_);
};

TEST_F(CacheKeeperTest, WhatIsKeptComesBackOnce) {
  {
    const auto cache = Keeping();
    EXPECT_EQ(Lines("cache.opened"), 1);
    cache->Keep(2, {Record(1, 5), Record(2, 6)}, {11});
    EXPECT_THAT(OnDisk(1), ElementsAre(11));
    cache->Keep(3, {Record(1, 7)}, {12});
    EXPECT_THAT(OnDisk(2), ElementsAre(11, 12));
    cache->Keep(4, {}, {});
  }
  const auto cache = Open();
  v1::CacheStatus status;
  cache->FillStatus(&status);
  EXPECT_EQ(status.directory(), cache_dir().string());
  EXPECT_EQ(status.entries(), 2u);
  EXPECT_EQ(status.restored(), 2u);
  EXPECT_EQ(status.lost(), 0u);
  EXPECT_EQ(status.last_error(), "");
  const hosting::NodeTick tick = OpenedTick(*cache, 1);
  ASSERT_EQ(tick.restored.size(), 2u);
  EXPECT_THAT(*tick.restored[0], IsEmpty());
  ASSERT_EQ(tick.restored[1]->size(), 2u);
  EXPECT_EQ(tick.restored[1]->at(0).amount_uvu[0], 7);
  hosting::NodeTick next;
  cache->FillTick(&next);
  EXPECT_THAT(next.restored, IsEmpty());
}

// An entry that was not joined with what the cache holds could overwrite more.
TEST_F(CacheKeeperTest, NothingIsWrittenBeforeTheShardsHaveRestored) {
  const auto cache = Open();
  cache->Keep(1, {Record(1, 1)}, {1});
  const hosting::NodeTick tick = OpenedTick(*cache, 3);
  cache->Keep(2, {Record(1, 1)}, {2});
  v1::CacheStatus status;
  cache->FillStatus(&status);
  EXPECT_EQ(status.entries(), 0u);
  EXPECT_FALSE(cache->AllOnDisk());
  cache->Keep(3, {Record(1, 2)}, {3});
  EXPECT_THAT(OnDisk(3), ElementsAre(1, 2, 3));
}

TEST_F(CacheKeeperTest, ADiskThatFailsAndRecoversLosesNothingAndSaysBothOnce) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  {
    const auto cache = Keeping();
    EXPECT_TRUE(cache->AllOnDisk()) << "there is nothing yet";
    cache->Keep(2, {Record(1, 1)}, {1});
    EXPECT_THAT(OnDisk(1), ElementsAre(1));
    EXPECT_TRUE(cache->AllOnDisk());
    const rlimit none{0, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
    cache->Keep(3, {Record(1, 2), Record(2, 2)}, {2});
    cache->Keep(4, {Record(1, 3)}, {3});
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (Lines("cache.failed") == 0 && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(5ms);
    EXPECT_THAT(LastError(*cache), HasSubstr("could not be written"));
    EXPECT_THAT(OnDisk(1), ElementsAre(1)) << "nobody is told that it is on disk";
    EXPECT_FALSE(cache->AllOnDisk());
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    // A write that was under way may end the error while what failed before it is still to be written.
    while (OnDisk(0).size() < 3 && std::chrono::steady_clock::now() < end) {
      cache->Keep(5, {}, {});
      std::this_thread::sleep_for(5ms);
    }
    EXPECT_THAT(OnDisk(3), ElementsAre(1, 2, 3));
    EXPECT_TRUE(cache->AllOnDisk());
    EXPECT_EQ(LastError(*cache), "");
  }
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(Lines("cache.failed"), 1);
  EXPECT_EQ(Lines("cache.recovered"), 1);
  const auto restored = OpenedTick(*Open(), 1).restored;
  ASSERT_EQ(restored.at(1)->size(), 2u);
  EXPECT_EQ(restored[1]->at(0).amount_uvu[0], 3);
  EXPECT_EQ(restored[1]->at(1).amount_uvu[0], 2);
}

// What can happen to the files of a cache under a running node. Each leaves less on disk than was acknowledged, or will
// at the next start.
struct Damage {
  const char* name;
  std::function<void(const fs::path& dir)> act;
};

void ForEach(const fs::path& dir, const std::string& part, const std::function<void(const fs::path&)>& act) {
  std::vector<fs::path> files;
  for (const auto& file : fs::directory_iterator(dir)) {
    if (file.path().filename().string().find(part) != std::string::npos) files.push_back(file.path());
  }
  EXPECT_THAT(files, ::testing::Not(IsEmpty())) << part;
  std::for_each(files.begin(), files.end(), act);
}

const std::vector<Damage>& Damages() {
  static const std::vector<Damage> damages = {
      {"FolderDeleted",
       [](const fs::path& dir) {
         fs::rename(dir, dir.string() + ".old");  // at once, for a keeper that makes it again
         fs::remove_all(dir.string() + ".old");
       }},
      {"FolderMoved", [](const fs::path& dir) { fs::rename(dir, dir.string() + ".old"); }},
      {"FolderReplacedByACopy",
       [](const fs::path& dir) {
         const std::string copy = dir.string() + ".copy";
         fs::copy(dir, copy, fs::copy_options::recursive);
         EXPECT_EQ(renameat2(AT_FDCWD, copy.c_str(), AT_FDCWD, dir.c_str(), RENAME_EXCHANGE), 0);
       }},
      {"DatabaseMoved", [](const fs::path& dir) { fs::rename(dir / "db", dir / "old"); }},
      {"LogDeleted",
       [](const fs::path& dir) { ForEach(dir / "db", ".log", [](const fs::path& log) { fs::remove(log); }); }},
      {"LogCutOff",
       [](const fs::path& dir) { ForEach(dir / "db", ".log", [](const fs::path& log) { fs::resize_file(log, 10); }); }},
      {"TableDeleted",
       [](const fs::path& dir) { ForEach(dir / "db", ".ldb", [](const fs::path& table) { fs::remove(table); }); }},
      {"ManifestDeleted",
       [](const fs::path& dir) { ForEach(dir / "db", "MANIFEST", [](const fs::path& file) { fs::remove(file); }); }},
      {"LockDeleted", [](const fs::path& dir) { fs::remove(dir / "lock"); }},
  };
  return damages;
}

class CacheKeeperLoss : public CacheKeeperTest, public ::testing::WithParamInterface<std::size_t> {
 protected:
  // A cache with an entry in a table and one in the log.
  std::unique_ptr<CacheKeeper> Kept() {
    {
      const auto cache = Keeping();
      cache->Keep(2, {Record(1, 1)}, {1});
      OnDisk(1);
    }
    auto cache = Keeping();  // opening turns the log into a table
    cache->Keep(2, {Record(2, 2)}, {2});
    OnDisk(2);
    return cache;
  }

  void Act() { Damages()[GetParam()].act(cache_dir()); }

  // All of it is there, as long as the shards tell it.
  void ExpectWholeAgain(std::unique_ptr<CacheKeeper> cache) {
    const hosting::NodeTick tick = OpenedTick(*cache, 8);
    EXPECT_TRUE(tick.tell_all);
    cache->Keep(8, {Record(1, 1), Record(2, 2), Record(3, 3)}, {4});
    EXPECT_THAT(OnDisk(4), ElementsAre(1, 2, 3, 4));
    v1::CacheStatus status;
    cache->FillStatus(&status);
    EXPECT_EQ(status.last_error(), "");
    EXPECT_EQ(status.lost(), 1u);
    EXPECT_EQ(Lines("cache.lost"), 1);
    cache.reset();
    EXPECT_EQ(OpenedTick(*Open(), 1).restored[1]->size(), 3u);
  }
};

TEST_P(CacheKeeperLoss, WhatIsAcknowledgedIsOnDiskUnderTheNameOfTheCache) {
  auto cache = Kept();
  Act();
  cache->Keep(7, {Record(3, 3)}, {3});
  ExpectWholeAgain(std::move(cache));
}

TEST_P(CacheKeeperLoss, AnIdleCacheNoticesToo) {
  auto cache = Kept();
  Act();
  const auto end = std::chrono::steady_clock::now() + 60s;
  while (Lines("cache.lost") == 0 && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(1ms);
  EXPECT_FALSE(cache->AllOnDisk());
  cache->Keep(7, {Record(3, 3)}, {3});
  ExpectWholeAgain(std::move(cache));
}

INSTANTIATE_TEST_SUITE_P(Damages, CacheKeeperLoss, ::testing::Range(std::size_t{0}, Damages().size()),
                         [](const auto& kind) { return Damages()[kind.param].name; });

TEST_F(CacheKeeperTest, WhatWasOpenedOutlivesItsFilesUntilATickRestoresIt) {
  {
    const auto cache = Keeping();
    cache->Keep(2, {Record(1, 9)}, {1});
    OnDisk(1);
  }
  const auto cache = Open();
  fs::rename(cache_dir(), dir_ / "moved");
  const auto end = std::chrono::steady_clock::now() + 60s;
  while (Lines("cache.opened") < 3 && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(1ms);
  const hosting::NodeTick tick = OpenedTick(*cache, 1);
  EXPECT_TRUE(tick.tell_all);
  ASSERT_EQ(tick.restored[1]->size(), 1u);
  EXPECT_EQ(tick.restored[1]->at(0).amount_uvu[0], 9);
}

// A cache is optional: a disk that is full at the start does not stop the node, and what it held comes back later.
TEST_F(CacheKeeperTest, ACacheThatCannotBeOpenedAtTheStartIsOpenedLater) {
  {
    const auto cache = Keeping();
    cache->Keep(2, {Record(1, 9)}, {1});
    OnDisk(1);
  }
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
  const auto cache = Open();
  EXPECT_THAT(LastError(*cache), HasSubstr("make room"));
  cache->Keep(3, {Record(1, 2), Record(2, 2)}, {2});
  EXPECT_FALSE(cache->AllOnDisk());
  std::this_thread::sleep_for(3 * kLookEvery);
  EXPECT_EQ(Lines("cache.failed"), 1) << "said once";
  hosting::NodeTick tick;
  cache->FillTick(&tick);
  EXPECT_THAT(tick.restored, IsEmpty());
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);

  tick = OpenedTick(*cache, 6);
  EXPECT_TRUE(tick.tell_all) << "what changed meanwhile is not in it";
  ASSERT_EQ(tick.restored[1]->size(), 1u);
  EXPECT_EQ(tick.restored[1]->at(0).amount_uvu[0], 9);
  EXPECT_EQ(OnDisk(0).size(), 1u);
  cache->Keep(6, {Record(1, 9), Record(2, 2)}, {});
  EXPECT_THAT(OnDisk(2), ElementsAre(1, 2)) << "also what waited all the time";
  EXPECT_EQ(LastError(*cache), "");
  EXPECT_TRUE(cache->AllOnDisk());
}

TEST_F(CacheKeeperTest, AnotherShapeIsRefused) {
  Open();
  const auto cache = CacheKeeper::Open(cache_dir().string(), 3, 1);
  EXPECT_EQ(cache.status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace lvs::services
