// The keeper of a node's cache: writes every change of the ledgers to the journal, and says which contributions are on
// disk. A failed write is tried again with every cycle; until it succeeds, no contribution counts as on disk.
//
//   auto cache = CacheKeeper::Open("/var/lib/lvs", shards, value_slots);
//   if (!cache.ok()) return cache.status();
//   (*cache)->Start([](const std::vector<std::uint64_t>& ids) { ... });   // on the journal's thread
//   // Each cycle:
//   (*cache)->FillTick(&tick);                  // what the shards restore, and whether they tell all entries again
//   (*cache)->Restored(counts);                 // of the cycle's report
//   (*cache)->Keep(tick.cycle, changes, ids);
//   (*cache)->Close();
//
// A cache is optional, so a disk that is full or fails does not keep a node from starting: it is tried every second.
// Nor does a cache end with its files: where they are deleted, replaced, cut off or damaged under the running node, which
// is looked for with every write and every second, the cache is opened anew, and the shards tell all of their entries.
// Whenever the cache is opened, the shards restore what it holds.
//
//   kClosed --opened--> kOpened --FillTick--> kTelling --report of that tick--> kKeeping --files are gone--> kClosed
//
// Only a keeping cache is written to: an entry that was not joined with what the cache holds could overwrite more. What
// changes before is told again by that report.
//
// Log: cache.opened, cache.restored (a warning where entries were opened earlier or refused), cache.lost, cache.failed once when opening or writing begins to fail, cache.recovered once when
// writing succeeds again.
//
// Threads: FillStatus and AllOnDisk from any thread; FillTick, and Restored and Keep, each from one at a time; the rest from one, before
// and after. Only Open and Close wait for disk.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lvs/v1/control.pb.h"
#include "services/base/mutex.h"
#include "services/node/disk_backlog.h"
#include "services/node/journal.h"
#include "shard/hosting/messages.h"

namespace lvs::services {

class CacheKeeper {
 public:
  using OnDisk = std::function<void(const std::vector<std::uint64_t>& contributions)>;

  // How often a cache that is not open is tried, and one that is idle is looked at.
  static constexpr std::chrono::milliseconds kLookEvery{1000};

  // Errors are those of Journal::Open that an operator must mend: FAILED_PRECONDITION and PERMISSION_DENIED. After
  // others the keeper goes on without a cache, and tries again once it is started.
  static absl::StatusOr<std::unique_ptr<CacheKeeper>> Open(const std::string& dir, std::uint32_t shards,
                                                           int value_slots,
                                                           std::chrono::milliseconds look_every = kLookEvery);
  ~CacheKeeper() { Close(); }
  CacheKeeper(const CacheKeeper&) = delete;
  CacheKeeper& operator=(const CacheKeeper&) = delete;

  // `on_disk` is called on a thread of the keeper, or within Keep, without a lock, with the contributions that are on
  // disk now. Before the first Keep.
  void Start(OnDisk on_disk);

  // Where the cache was opened since the last tick: what the shards restore from it, and whether they tell all entries.
  void FillTick(hosting::NodeTick* tick) ABSL_LOCKS_EXCLUDED(mu_);

  // What became of the entries that a tick restored.
  void Restored(const hosting::RestoreCounts& counts) ABSL_LOCKS_EXCLUDED(mu_);

  // Writes the entries that changed in `cycle`, and old failures again; then `contributions` are on disk.
  void Keep(std::uint64_t cycle, std::vector<Journal::Record> changes, std::vector<std::uint64_t> contributions)
      ABSL_LOCKS_EXCLUDED(mu_);

  // Everything that Keep was given is on disk: no write has failed, and none is under way.
  bool AllOnDisk() const ABSL_LOCKS_EXCLUDED(mu_);

  void FillStatus(v1::CacheStatus* cache) const ABSL_LOCKS_EXCLUDED(mu_);

  // Writes what is queued and closes the files. Idempotent.
  void Close() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  enum class State : std::uint8_t { kClosed, kOpened, kTelling, kKeeping };

  CacheKeeper(std::string dir, std::uint32_t shards, int value_slots, std::chrono::milliseconds look_every);

  absl::Status OpenJournal() ABSL_LOCKS_EXCLUDED(mu_);
  void OpeningFailed(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);
  // The thread that looks after the files.
  void Watch() ABSL_LOCKS_EXCLUDED(mu_);
  void Look() ABSL_LOCKS_EXCLUDED(mu_);
  void Written(const DiskBacklog::Write& write, const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);
  void Lost(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);

  const std::string dir_;
  const std::uint32_t shards_;
  const int value_slots_;
  const std::chrono::milliseconds look_every_;
  OnDisk on_disk_;
  std::thread watch_;

  mutable Mutex mu_;
  CondVar changed_;  // wakes the watch
  State state_ ABSL_GUARDED_BY(mu_) = State::kClosed;
  bool closing_ ABSL_GUARDED_BY(mu_) = false;
  std::shared_ptr<Journal> journal_ ABSL_GUARDED_BY(mu_);  // null: none is open
  Journal::Restored opened_with_ ABSL_GUARDED_BY(mu_);     // for the next tick
  bool complete_ ABSL_GUARDED_BY(mu_) = false;             // it holds all that the ledgers held when it was opened
  std::uint64_t asked_cycle_ ABSL_GUARDED_BY(mu_) = 0;     // of the tick that restores
  DiskBacklog backlog_ ABSL_GUARDED_BY(mu_);
  std::string why_closed_ ABSL_GUARDED_BY(mu_);
  std::uint64_t restored_ ABSL_GUARDED_BY(mu_) = 0;
  std::uint64_t reopened_ ABSL_GUARDED_BY(mu_) = 0;
  std::uint64_t refused_ ABSL_GUARDED_BY(mu_) = 0;
  std::uint64_t quarantined_ ABSL_GUARDED_BY(mu_) = 0;
  std::uint64_t lost_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace lvs::services
