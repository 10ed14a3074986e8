// A worker of a tab load: a thread that owns a share of the tabs.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "services/base/mutex.h"
#include "services/net/web_client.h"
#include "services/tabs/contribution_book.h"
#include "services/tabs/load_tab.h"
#include "services/tabs/mail.h"
#include "services/tabs/tab_load.h"
#include "services/tabs/tab_sums.h"
#include "shard/state_shard.h"
#include "shard/tab/draws.h"

namespace lvs::services {

// What network the tabs are of, as their first hub says.
struct TabTerms {
  std::uint32_t shards = 16;
  std::uint64_t period_us = 100'000;
  shard::Shape shape;
};

// The extent of the replicas of one shard.
struct ShardExtent {
  std::array<float, vaultguard::kMaxFreeCoordinates> low{}, high{};
  std::uint64_t replicas = 0;

  void Add(const float* at, std::size_t coordinates);
  void Merge(const ShardExtent& other, std::size_t coordinates);
};

struct WorkerLook {
  TabSums sums;
  std::size_t tabs = 0;
  std::size_t welcome = 0;
  std::size_t settled = 0;
  std::vector<TabLook> honest;
  std::array<ShardExtent, tab::kShardsMax> extents;
};

class TabWorker {
 public:
  // `options`, `dialler` and `book` outlive the worker.
  TabWorker(std::size_t index, const TabLoadOptions& options, const TabTerms& terms, std::shared_ptr<Mail> mail,
            WebDialler* dialler, ContributionBook* book);
  ~TabWorker() { Stop(); }
  TabWorker(const TabWorker&) = delete;
  TabWorker& operator=(const TabWorker&) = delete;

  void Start(double start_s);
  void Stop();  // ends the thread; the tabs stay
  void ScatterAll() { scatter_ = true; }
  WorkerLook look() const ABSL_LOCKS_EXCLUDED(mu_);  // of the last second

  // After Stop: tells the book which contributions some tab here has, and looks once more.
  WorkerLook FindContributions();

 private:
  struct Watched {
    MadeContribution made;
    std::vector<TabKey> without;
  };
  struct Clock {
    tab::Now now;
    std::uint64_t slice = 0;  // since the epoch of cycles
  };

  Clock Read() const;
  void Run();
  void Slice(const Clock& clock);
  void Deliver(const tab::Now& now);
  void Spawn(const tab::Now& now);
  TabPlan Plan(const tab::Now& now);
  void Depart(const tab::Now& now);
  void Contribute(const tab::Now& now);
  void Watch(const tab::Now& now);
  WorkerLook LookNow(const tab::Now& now);

  const std::size_t index_;
  const TabLoadOptions& options_;
  const TabTerms terms_;
  const std::size_t count_;  // of its tabs
  const std::shared_ptr<Mail> mail_;
  ContributionBook* const book_;
  TabSums sums_;
  std::vector<std::vector<Letter>> letters_;
  Workplace place_;
  tab::Draws draws_;
  double start_s_ = 0;
  std::uint64_t born_ = 0;
  std::uint64_t hostile_born_ = 0;
  std::unordered_map<TabKey, std::unique_ptr<Member>> members_;
  std::vector<LoadTab*> whole_;  // those of members_ that are no idle ones
  std::uint64_t last_slice_ = 0;
  double next_look_s_ = 0;
  double contributed_s_ = 0;
  double due_ = 0;  // contributions
  std::size_t fetched_ = 0;
  std::uint64_t watched_cycle_ = 0;
  std::vector<Watched> watched_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> scatter_{false};
  std::thread thread_;

  mutable Mutex mu_;
  WorkerLook look_ ABSL_GUARDED_BY(mu_);
};

}  // namespace lvs::services
