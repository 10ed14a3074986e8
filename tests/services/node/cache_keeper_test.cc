// The keeper over a real journal, on a disk that fails and recovers.
#include "services/node/cache_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
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

  std::unique_ptr<CacheKeeper> Open() {
    auto cache = CacheKeeper::Open(dir_.string(), 2, 1);
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

  fs::path dir_;
  Mutex mu_;
  CondVar changed_;
  std::vector<std::uint64_t> on_disk_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> log_ ABSL_GUARDED_BY(mu_);
};

TEST_F(CacheKeeperTest, WhatIsKeptComesBackOnce) {
  {
    const auto cache = Open();
    EXPECT_EQ(Lines("cache.opened"), 1);
    cache->Keep({Record(1, 5), Record(2, 6)}, {11});
    EXPECT_THAT(OnDisk(1), ElementsAre(11));
    cache->Keep({Record(1, 7)}, {12});
    EXPECT_THAT(OnDisk(2), ElementsAre(11, 12));
    cache->Keep({}, {});
  }
  const auto cache = Open();
  v1::CacheStatus status;
  cache->FillStatus(&status);
  EXPECT_EQ(status.directory(), dir_.string());
  EXPECT_EQ(status.entries(), 2u);
  EXPECT_EQ(status.restored(), 2u);
  EXPECT_EQ(status.last_error(), "");
  const auto restored = cache->TakeRestored();
  ASSERT_EQ(restored.size(), 2u);
  EXPECT_THAT(*restored[0], IsEmpty());
  ASSERT_EQ(restored[1]->size(), 2u);
  EXPECT_EQ(restored[1]->at(0).amount_uvu[0], 7);
  EXPECT_THAT(cache->TakeRestored(), IsEmpty());
}

TEST_F(CacheKeeperTest, ADiskThatFailsAndRecoversLosesNothingAndSaysBothOnce) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  {
    const auto cache = Open();
    cache->Keep({Record(1, 1)}, {1});
    EXPECT_THAT(OnDisk(1), ElementsAre(1));
    const rlimit none{0, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
    cache->Keep({Record(1, 2), Record(2, 2)}, {2});
    cache->Keep({Record(1, 3)}, {3});
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (Lines("cache.failed") == 0 && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(5ms);
    EXPECT_THAT(LastError(*cache), HasSubstr("could not be written"));
    EXPECT_THAT(OnDisk(1), ElementsAre(1)) << "nobody is told that it is on disk";
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    // A write that was under way may end the error while what failed before it is still to be written.
    while (OnDisk(0).size() < 3 && std::chrono::steady_clock::now() < end) {
      cache->Keep({}, {});
      std::this_thread::sleep_for(5ms);
    }
    EXPECT_THAT(OnDisk(3), ElementsAre(1, 2, 3));
    EXPECT_EQ(LastError(*cache), "");
  }
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(Lines("cache.failed"), 1);
  EXPECT_EQ(Lines("cache.recovered"), 1);
  const auto restored = Open()->TakeRestored();
  ASSERT_EQ(restored.at(1)->size(), 2u);
  EXPECT_EQ(restored[1]->at(0).amount_uvu[0], 3);
  EXPECT_EQ(restored[1]->at(1).amount_uvu[0], 2);
}

TEST_F(CacheKeeperTest, AnotherShapeIsRefused) {
  Open();
  const auto cache = CacheKeeper::Open(dir_.string(), 3, 1);
  EXPECT_EQ(cache.status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace lvs::services
