// The keeper of a node's cache: writes every change of the ledgers to the journal, and says which contributions are on
// disk. A failed write is tried again with every cycle; until it succeeds, no contribution counts as on disk.
//
//   auto cache = CacheKeeper::Open("/var/lib/lvs", shards, value_slots);
//   if (!cache.ok()) return cache.status();
//   tick.restored = (*cache)->TakeRestored();                 // to the shards, with the first cycle
//   (*cache)->Start([](const std::vector<std::uint64_t>& ids) { ... });   // on the journal's thread
//   (*cache)->Keep(changes, ids);                             // once a cycle
//   (*cache)->Close();
//
// Log: cache.opened, cache.failed once when writing begins to fail, cache.recovered once when it succeeds again.
//
// Threads: FillStatus and AllOnDisk from any thread; every other function from one at a time. Only Open and Close wait for disk.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
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

  // Errors are those of Journal::Open.
  static absl::StatusOr<std::unique_ptr<CacheKeeper>> Open(const std::string& dir, std::uint32_t shards,
                                                           int value_slots);
  ~CacheKeeper() { Close(); }
  CacheKeeper(const CacheKeeper&) = delete;
  CacheKeeper& operator=(const CacheKeeper&) = delete;

  // What the cache held when it was opened, by shard. Empty at the second call.
  std::vector<hosting::Payload<std::vector<shard::LedgerEntry>>> TakeRestored();

  // `on_disk` is called on the journal's thread, without a lock, with the contributions that are on disk now. Before
  // the first Keep.
  void Start(OnDisk on_disk) { on_disk_ = std::move(on_disk); }

  // Writes the entries that changed, and old failures again; then `contributions` are on disk.
  void Keep(std::vector<Journal::Record> changes, std::vector<std::uint64_t> contributions) ABSL_LOCKS_EXCLUDED(mu_);

  // Everything that Keep was given is on disk: no write has failed, and none is under way.
  bool AllOnDisk() const ABSL_LOCKS_EXCLUDED(mu_);

  void FillStatus(v1::CacheStatus* cache) const;

  // Writes what is queued and closes the files. Idempotent.
  void Close();

 private:
  CacheKeeper(std::string dir, std::unique_ptr<Journal> journal, Journal::Restored restored);
  void Written(const DiskBacklog::Write& write, const absl::Status& status) ABSL_LOCKS_EXCLUDED(mu_);

  const std::string dir_;
  const std::uint64_t restored_entries_;
  const std::uint64_t quarantined_;
  Journal::Restored restored_;
  OnDisk on_disk_;
  const std::unique_ptr<Journal> journal_;
  bool closed_ = false;

  mutable Mutex mu_;
  DiskBacklog backlog_ ABSL_GUARDED_BY(mu_);
};

}  // namespace lvs::services
