// Rounds of faults under load, in a random order: what was acknowledged is there after each, to the micro-VU and once, and
// every node that is asked to drain ends within its deadline.
//
//   LVS_CHAOS_SEED=7 LVS_CHAOS_ROUNDS=100 ./lvs_chaos_test       30 rounds and seed 1 unless told otherwise
//
// Needs root: each node's cache is on a tmpfs of its own, so that it can be full.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/cluster/cluster.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kNodes = 3;
// A cache takes a few MB of it.
constexpr const char* kDiskSize = "size=16m";
// Longer than any clock here is set: peers take no entry that is opened in their future.
constexpr seconds kAgree{240};

std::uint32_t NumberFromEnvironment(const char* name, std::uint32_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10));
}

// A program that runs `lvs` with the clock that is in the file `clock` beside the node's configuration.
class ShiftedBinary {
 public:
  ShiftedBinary() : file_(fs::temp_directory_path() / ("lvs-shifted-" + std::to_string(::getpid()))) {
    std::ofstream(file_) << "#!/bin/sh\nLVS_SHIFT_FILE=\"${3%/*}/clock\" LD_PRELOAD=" << LVS_SHIFTED_CLOCK << " exec "
                         << LVS_BINARY << " \"$@\"\n";
    fs::permissions(file_, fs::perms::owner_all);
  }
  ~ShiftedBinary() { fs::remove(file_); }
  std::string file() const { return file_; }

 private:
  fs::path file_;
};

class Chaos {
 public:
  explicit Chaos(std::uint32_t seed) : random_(seed), cluster_({.nodes = kNodes, .cache = true}, binary_.file()) {
    for (std::size_t n = 0; n < kNodes; ++n) {
      SetClock(n, 0);
      fs::create_directories(Cache(n));
      EXPECT_EQ(::mount("tmpfs", Cache(n).c_str(), "tmpfs", 0, kDiskSize), 0) << Cache(n) << ", errno " << errno;
    }
  }
  ~Chaos() {
    for (std::size_t n = 0; n < kNodes; ++n) {
      if (cluster_.net().Pid(n)) cluster_.Drain(n);
      ::umount2(Cache(n).c_str(), MNT_DETACH);
    }
  }

  Cluster& cluster() { return cluster_; }

  // One fault under load; all nodes serve afterwards, and hold all that was sent.
  void Round() {
    if (order_.empty()) {
      order_.assign(std::begin(kKinds), std::end(kKinds));
      std::shuffle(order_.begin(), order_.end(), random_);
    }
    const Kind kind = order_.back();
    order_.pop_back();
    const bool disk = kind.safe == Safe::kDisk || (kind.safe == Safe::kBoth && random_() % 2 == 0);
    SCOPED_TRACE(std::string(kind.name) + (disk ? ", acknowledged on disk" : ", acknowledged by two nodes"));
    std::cerr << kind.name << (disk ? ", disk\n" : ", two nodes\n");
    LoadOptions options;
    options.rate = 200;
    options.run = seconds(6);
    options.durability = disk ? v1::DISK : v1::NODES;
    options.nodes = disk ? 0 : 2;
    LoadThread load(cluster_, options);
    Pause(0, 1500);
    (this->*kind.fault)();
    const LoadReport report = load.Finish();
    EXPECT_EQ(report.Failed(), 0u) << "each was repeated until it was acknowledged";
    EXPECT_GT(report.acknowledged, 0u);
    sent_uvu_ += Sent(report);
    ASSERT_TRUE(cluster_.HoldsExactly(sent_uvu_, kAgree)) << "to the micro-VU, and once";
  }

 private:
  enum class Safe { kDisk, kTwoNodes, kBoth };  // which acknowledgement holds whatever happens
  struct Kind {
    const char* name;
    void (Chaos::*fault)();
    Safe safe;
  };
  static const Kind kKinds[9];

  fs::path Cache(std::size_t n) const { return cluster_.net().nodes()[n].folder / "cache"; }
  std::size_t Victim() { return random_() % kNodes; }
  int Between(int least, int most) { return std::uniform_int_distribution<>(least, most)(random_); }
  void Pause(int least_ms, int most_ms) { std::this_thread::sleep_for(milliseconds(Between(least_ms, most_ms))); }
  void SetClock(std::size_t n, int ahead_s) {
    const fs::path file = cluster_.net().nodes()[n].folder / "clock";
    std::ofstream(file.string() + ".new") << ahead_s << "\n";
    fs::rename(file.string() + ".new", file);
  }

  // ---- The faults ----

  void Kill() {
    const std::size_t victim = Victim();
    cluster_.Kill(victim);
    Pause(0, 2000);
    ASSERT_TRUE(cluster_.StartNode(victim));
  }

  void KillAll() {
    for (std::size_t n = 0; n < kNodes; ++n) cluster_.Kill(n);
    for (std::size_t n = 0; n < kNodes; ++n) ASSERT_TRUE(cluster_.StartNode(n));
  }

  void Drain() {
    const std::size_t victim = Victim();
    cluster_.Drain(victim);
    ASSERT_TRUE(cluster_.StartNode(victim));
  }

  void Partition() {
    std::vector<std::size_t> groups(kNodes);
    groups[Victim()] = 1;
    cluster_.Partition(groups);
    Pause(500, 4000);
    cluster_.Heal();
  }

  void Stop() {
    const std::optional<pid_t> pid = cluster_.net().Pid(Victim());
    ASSERT_TRUE(pid);
    ::kill(*pid, SIGSTOP);
    Pause(500, 6000);
    ::kill(*pid, SIGCONT);
  }

  void FillDisk() {
    const fs::path file = Cache(Victim()) / "filler";
    {
      std::ofstream filler(file, std::ios::binary);
      const std::string block(4096, 'x');
      while (filler.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
      }
    }
    Pause(500, 4000);
    fs::remove(file);
  }

  // What a crash of the machine leaves: the end of the newest log is garbage.
  void TearCache() {
    const std::size_t victim = Victim();
    cluster_.Kill(victim);
    fs::path newest;
    for (const auto& entry : fs::recursive_directory_iterator(Cache(victim))) {
      if (entry.path().extension() == ".log" && (newest.empty() || newest < entry.path())) newest = entry.path();
    }
    ASSERT_FALSE(newest.empty());
    const std::uint64_t size = fs::file_size(newest);
    fs::resize_file(newest, size - std::min<std::uint64_t>(size, random_() % 300));
    std::ofstream(newest, std::ios::app | std::ios::binary) << std::string(random_() % 300, '\x55');
    ASSERT_TRUE(cluster_.StartNode(victim));
  }

  // A node that starts meanwhile is ready once the clock is right again: peers take nothing from their future.
  void Clock(int ahead_s) {
    const std::size_t victim = Victim();
    SetClock(victim, ahead_s);
    Pause(500, 4000);
    std::future<testing::AssertionResult> started;
    if (random_() % 2 == 0) {
      cluster_.Drain(victim);
      started = std::async(std::launch::async, [this, victim] { return cluster_.StartNode(victim); });
      Pause(500, 4000);
    }
    SetClock(victim, 0);
    if (!started.valid()) return;
    ASSERT_TRUE(started.get());
  }
  void ClockForward() { Clock(Between(2, 40)); }
  void ClockBack() { Clock(-Between(2, 40)); }

  ShiftedBinary binary_;
  std::mt19937 random_;
  Cluster cluster_;
  std::vector<Kind> order_;  // the faults that this turn still has
  std::uint64_t sent_uvu_ = 0;
};

const Chaos::Kind Chaos::kKinds[9] = {{"kill", &Chaos::Kill, Safe::kBoth},
                                      {"kill all", &Chaos::KillAll, Safe::kDisk},
                                      {"drain", &Chaos::Drain, Safe::kBoth},
                                      {"partition", &Chaos::Partition, Safe::kBoth},
                                      {"stop", &Chaos::Stop, Safe::kBoth},
                                      {"full disk", &Chaos::FillDisk, Safe::kBoth},
                                      {"torn cache", &Chaos::TearCache, Safe::kTwoNodes},
                                      {"clock forward", &Chaos::ClockForward, Safe::kBoth},
                                      {"clock back", &Chaos::ClockBack, Safe::kBoth}};

TEST(Chaos, Chain5_RoundsOfEveryFaultLoseNothing) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can mount the disks that are filled";
  const std::uint32_t seed = NumberFromEnvironment("LVS_CHAOS_SEED", 1);
  const std::uint32_t rounds = NumberFromEnvironment("LVS_CHAOS_ROUNDS", 30);
  Chaos chaos(seed);
  ASSERT_TRUE(chaos.cluster().Up());
  for (std::uint32_t round = 0; round < rounds && !HasFatalFailure(); ++round) {
    SCOPED_TRACE("LVS_CHAOS_SEED=" + std::to_string(seed) + ", round " + std::to_string(round));
    chaos.Round();
  }
}

}  // namespace
}  // namespace lvs::services
