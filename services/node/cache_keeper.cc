#include "services/node/cache_keeper.h"

#include <algorithm>
#include <utility>

#include "services/base/log.h"

namespace lvs::services {

absl::StatusOr<std::unique_ptr<CacheKeeper>> CacheKeeper::Open(const std::string& dir, std::uint32_t shards,
                                                               int value_slots, std::chrono::milliseconds look_every) {
  std::unique_ptr<CacheKeeper> cache(new CacheKeeper(dir, shards, value_slots, look_every));
  const absl::Status status = cache->OpenJournal();
  if (absl::IsFailedPrecondition(status) || absl::IsPermissionDenied(status)) return status;
  {
    const MutexLock lock(&cache->mu_);
    cache->complete_ = status.ok();  // the ledgers are empty still
  }
  return cache;
}

CacheKeeper::CacheKeeper(std::string dir, std::uint32_t shards, int value_slots, std::chrono::milliseconds look_every)
    : dir_(std::move(dir)), shards_(shards), value_slots_(value_slots), look_every_(look_every) {}

void CacheKeeper::Start(OnDisk on_disk) {
  on_disk_ = std::move(on_disk);
  watch_ = std::thread([this] { Watch(); });
}

// ---- Opening ----

absl::Status CacheKeeper::OpenJournal() {
  Journal::Restored restored;
  auto journal = Journal::Open(dir_, shards_, value_slots_, &restored);
  if (!journal.ok()) {
    OpeningFailed(journal.status());
    return journal.status();
  }
  Log(restored.quarantined > 0 ? v1::WARNING : v1::INFO, "cache.opened",
      {{"directory", dir_},
       {"entries", restored.entries},
       {"quarantined", restored.quarantined},
       {"note", restored.note}});
  const MutexLock lock(&mu_);
  journal_ = *std::move(journal);
  restored_ += restored.entries;
  quarantined_ += restored.quarantined;
  // What no tick has taken yet may be nowhere else any more.
  for (std::size_t shard = 0; shard < opened_with_.by_shard.size(); ++shard) {
    std::vector<shard::LedgerEntry>& left = opened_with_.by_shard[shard];
    restored.by_shard[shard].insert(restored.by_shard[shard].end(), left.begin(), left.end());
  }
  opened_with_ = std::move(restored);
  complete_ = false;
  why_closed_.clear();
  state_ = State::kOpened;
  return absl::OkStatus();
}

void CacheKeeper::OpeningFailed(const absl::Status& status) {
  const std::string why = "the cache could not be opened: " + std::string(status.message());
  {
    const MutexLock lock(&mu_);
    if (std::exchange(why_closed_, why) == why) return;
  }
  Log(v1::ERROR, "cache.failed", {{"why", why}});
}

void CacheKeeper::Watch() {
  for (;;) {
    {
      const MutexLock lock(&mu_);
      const auto until = std::chrono::steady_clock::now() + look_every_;
      // A cache that was lost is opened at once.
      while (!closing_ && changed_.WaitUntil(&mu_, until)) {
        if (state_ == State::kClosed && journal_ != nullptr) break;
      }
      if (closing_) return;
    }
    Look();
  }
}

void CacheKeeper::Look() {
  std::shared_ptr<Journal> journal;
  bool open = false;
  {
    const MutexLock lock(&mu_);
    open = state_ != State::kClosed;
    journal = open ? journal_ : std::exchange(journal_, nullptr);
  }
  if (open) {
    // Nothing to write: says whether the files are still there.
    journal->Append({}, [this](const absl::Status& status) {
      if (absl::IsDataLoss(status)) Lost(status);
    });
    return;
  }
  if (journal != nullptr) journal->Close().IgnoreError();  // its end was said by Lost
  OpenJournal().IgnoreError();                             // said by OpeningFailed
}

void CacheKeeper::Lost(const absl::Status& status) {
  const std::string why = "the cache is lost: " + std::string(status.message()) + "; it is opened anew";
  {
    const MutexLock lock(&mu_);
    if (state_ == State::kClosed) return;
    state_ = State::kClosed;
    why_closed_ = why;
    ++lost_;
    changed_.NotifyAll();
  }
  Log(v1::ERROR, "cache.lost", {{"directory", dir_}, {"why", why}});
}

// ---- Cycles ----

void CacheKeeper::FillTick(hosting::NodeTick* tick) {
  const MutexLock lock(&mu_);
  if (state_ != State::kOpened) return;
  for (std::vector<shard::LedgerEntry>& entries : opened_with_.by_shard) {
    tick->restored.push_back(std::make_shared<const std::vector<shard::LedgerEntry>>(std::move(entries)));
  }
  opened_with_ = {};
  tick->tell_all = !complete_;
  asked_cycle_ = tick->cycle;
  state_ = State::kTelling;
}

void CacheKeeper::Restored(const hosting::RestoreCounts& counts) {
  if (counts.entries == 0) return;
  {
    const MutexLock lock(&mu_);
    reopened_ += counts.reopened;
    refused_ += counts.refused;
  }
  Log(counts.reopened + counts.refused > 0 ? v1::WARNING : v1::INFO, "cache.restored",
      {{"entries", counts.entries}, {"reopened", counts.reopened}, {"refused", counts.refused}});
}

void CacheKeeper::Keep(std::uint64_t cycle, std::vector<Journal::Record> changes,
                       std::vector<std::uint64_t> contributions) {
  DiskBacklog::Write next;
  std::shared_ptr<Journal> journal;
  {
    const MutexLock lock(&mu_);
    if (state_ == State::kTelling && cycle >= asked_cycle_) {
      backlog_.Forget();
      state_ = State::kKeeping;
    }
    if (state_ != State::kKeeping) return backlog_.Await(contributions);
    next = backlog_.Next(std::move(changes), std::move(contributions));
    journal = journal_;
  }
  if (next.empty()) return;
  auto write = std::make_shared<const DiskBacklog::Write>(std::move(next));
  journal->Append(write->records, [this, write](const absl::Status& status) { Written(*write, status); });
}

void CacheKeeper::Written(const DiskBacklog::Write& write, const absl::Status& status) {
  DiskBacklog::Outcome outcome;
  {
    const MutexLock lock(&mu_);
    outcome = backlog_.Written(write, status.ok());
  }
  if (absl::IsDataLoss(status)) return Lost(status);
  if (outcome.recovered) Log(v1::INFO, "cache.recovered");
  if (outcome.began_to_fail) Log(v1::ERROR, "cache.failed", {{"why", std::string(status.message())}});
  if (!outcome.on_disk.empty()) on_disk_(outcome.on_disk);
}

// ---- What is known ----

bool CacheKeeper::AllOnDisk() const {
  const MutexLock lock(&mu_);
  return state_ == State::kKeeping && backlog_.settled();
}

void CacheKeeper::FillStatus(v1::CacheStatus* cache) const {
  const MutexLock lock(&mu_);
  const Journal::Stats stats = journal_ == nullptr ? Journal::Stats() : journal_->stats();
  cache->set_directory(dir_);
  cache->set_entries(stats.entries);
  cache->set_restored(restored_);
  cache->set_quarantined(quarantined_);
  cache->set_last_error(state_ == State::kClosed ? why_closed_ : stats.last_error);
  cache->set_reopened(reopened_);
  cache->set_refused(refused_);
  cache->set_unsaved(backlog_.unsaved());
  cache->set_lost(lost_);
}

void CacheKeeper::Close() {
  std::shared_ptr<Journal> journal;
  {
    const MutexLock lock(&mu_);
    closing_ = true;
    changed_.NotifyAll();
  }
  if (watch_.joinable()) watch_.join();
  {
    const MutexLock lock(&mu_);
    journal = std::exchange(journal_, nullptr);
    state_ = State::kClosed;
  }
  if (journal == nullptr) return;
  if (const absl::Status status = journal->Close(); !status.ok()) {
    Log(v1::ERROR, "cache.failed", {{"why", std::string(status.message())}});
  }
}

}  // namespace lvs::services
