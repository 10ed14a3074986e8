#include "services/node/cache_keeper.h"

#include <utility>

#include "services/base/log.h"

namespace lvs::services {

absl::StatusOr<std::unique_ptr<CacheKeeper>> CacheKeeper::Open(const std::string& dir, std::uint32_t shards,
                                                               int value_slots) {
  Journal::Restored restored;
  auto journal = Journal::Open(dir, shards, value_slots, &restored);
  if (!journal.ok()) return journal.status();
  Log(restored.quarantined > 0 ? v1::WARNING : v1::INFO, "cache.opened",
      {{"directory", dir},
       {"entries", restored.entries},
       {"quarantined", restored.quarantined},
       {"note", restored.note}});
  return std::unique_ptr<CacheKeeper>(new CacheKeeper(dir, *std::move(journal), std::move(restored)));
}

CacheKeeper::CacheKeeper(std::string dir, std::unique_ptr<Journal> journal, Journal::Restored restored)
    : dir_(std::move(dir)),
      restored_entries_(restored.entries),
      quarantined_(restored.quarantined),
      restored_(std::move(restored)),
      journal_(std::move(journal)) {}

std::vector<hosting::Payload<std::vector<shard::LedgerEntry>>> CacheKeeper::TakeRestored() {
  std::vector<hosting::Payload<std::vector<shard::LedgerEntry>>> taken;
  for (std::vector<shard::LedgerEntry>& entries : restored_.by_shard) {
    taken.push_back(std::make_shared<const std::vector<shard::LedgerEntry>>(std::move(entries)));
  }
  restored_ = {};
  return taken;
}

void CacheKeeper::Keep(std::vector<Journal::Record> changes, std::vector<std::uint64_t> contributions) {
  DiskBacklog::Write next;
  {
    const MutexLock lock(&mu_);
    next = backlog_.Next(std::move(changes), std::move(contributions));
  }
  if (next.empty()) return;
  auto write = std::make_shared<const DiskBacklog::Write>(std::move(next));
  journal_->Append(write->records, [this, write](const absl::Status& status) { Written(*write, status); });
}

void CacheKeeper::Written(const DiskBacklog::Write& write, const absl::Status& status) {
  DiskBacklog::Outcome outcome;
  {
    const MutexLock lock(&mu_);
    outcome = backlog_.Written(write, status.ok());
  }
  if (outcome.recovered) Log(v1::INFO, "cache.recovered");
  if (outcome.began_to_fail) Log(v1::ERROR, "cache.failed", {{"why", std::string(status.message())}});
  if (!outcome.on_disk.empty()) on_disk_(outcome.on_disk);
}

bool CacheKeeper::AllOnDisk() const {
  const MutexLock lock(&mu_);
  return backlog_.settled();
}

void CacheKeeper::FillStatus(v1::CacheStatus* cache) const {
  const Journal::Stats stats = journal_->stats();
  cache->set_directory(dir_);
  cache->set_entries(stats.entries);
  cache->set_restored(restored_entries_);
  cache->set_quarantined(quarantined_);
  cache->set_last_error(stats.last_error);
}

void CacheKeeper::Close() {
  if (std::exchange(closed_, true)) return;
  if (const absl::Status status = journal_->Close(); !status.ok()) {
    Log(v1::ERROR, "cache.failed", {{"why", std::string(status.message())}});
  }
}

}  // namespace lvs::services
