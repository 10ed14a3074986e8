#include "services/node/journal_writer.h"

#include <leveldb/write_batch.h>

#include <chrono>
#include <utility>

namespace lvs::services {

JournalWriter::JournalWriter(const std::filesystem::path& dir, const CacheShape& shape, FolderLock lock, Database db,
                             const Journal::Restored& restored)
    : db_path_(dir / "db"), shape_(shape), lock_(std::move(lock)), db_(std::move(db)) {
  known_.reserve(restored.entries);
  for (std::uint32_t shard = 0; shard < restored.by_shard.size(); ++shard) {
    for (const shard::LedgerEntry& entry : restored.by_shard[shard]) {
      known_.insert(HashOfKey(EntryKey({shard, entry})));
    }
  }
  {
    const MutexLock lock_stats(&mu_);
    stats_.entries = known_.size();
  }
  const MutexLock lock_thread(&close_mu_);
  thread_ = std::thread([this] { Run(); });
}

void JournalWriter::Append(std::vector<CacheRecord> records, std::function<void(absl::Status)> done) {
  Waiting waiting{std::move(records), std::move(done), absl::OkStatus()};
  for (const CacheRecord& record : waiting.records) {
    if (record.shard >= shape_.shards) {
      waiting.refused = absl::InvalidArgumentError("there is no shard " + std::to_string(record.shard));
    }
  }
  {
    const MutexLock lock(&mu_);
    if (!closing_) {
      if (waiting.refused.ok() && stats_.queued + waiting.records.size() > Journal::kMaxQueued) {
        waiting.refused =
            absl::ResourceExhaustedError("the cache cannot keep up: " + std::to_string(stats_.queued) +
                                         " records wait for disk; try again later, or contribute more slowly");
      }
      if (!waiting.refused.ok()) waiting.records.clear();
      stats_.queued += waiting.records.size();
      queue_.push_back(std::move(waiting));
      wake_.NotifyOne();
      return;
    }
  }
  waiting.done(absl::FailedPreconditionError("the cache is closed"));
}

Journal::Stats JournalWriter::stats() const {
  const MutexLock lock(&mu_);
  return stats_;
}

absl::Status JournalWriter::Close() {
  const MutexLock once(&close_mu_);
  {
    const MutexLock lock(&mu_);
    closing_ = true;
    wake_.NotifyOne();
  }
  if (thread_.joinable()) {
    thread_.join();
    db_.reset();
    lock_.Release();
  }
  return last_write_;
}

void JournalWriter::Run() {
  for (std::vector<Waiting> group;; group.clear()) {
    {
      const MutexLock lock(&mu_);
      while (!closing_ && queue_.empty()) wake_.Wait(&mu_);
      if (queue_.empty()) return;
      group.swap(queue_);
    }
    const absl::Status status = Write(group);
    for (const Waiting& waiting : group) waiting.done(waiting.refused.ok() ? status : waiting.refused);
  }
}

// One synced write for the whole group.
absl::Status JournalWriter::Write(const std::vector<Waiting>& group) {
  leveldb::WriteBatch batch;
  std::vector<std::uint64_t> keys;
  std::uint64_t bytes = 0;
  for (const Waiting& waiting : group) {
    for (const CacheRecord& record : waiting.records) {
      const std::string key = EntryKey(record);
      const std::string value = EntryValue(key, record.entry, shape_.value_slots);
      batch.Put(key, value);
      keys.push_back(HashOfKey(key));
      bytes += key.size() + value.size();
    }
  }
  if (keys.empty()) return last_write_;
  const auto start = std::chrono::steady_clock::now();
  const leveldb::Status written = WriteSynced(&batch);
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  if (written.ok()) {
    known_.insert(keys.begin(), keys.end());
    last_write_ = absl::OkStatus();
  } else {
    last_write_ = absl::UnavailableError("the cache could not be written: " + written.ToString() +
                                         "; look at the room on the disk and its health. The next write tries again; a "
                                         "restart salvages what is damaged");
  }
  const MutexLock lock(&mu_);
  stats_.queued -= keys.size();
  stats_.last_sync_ms = took.count();
  stats_.last_error = std::string(last_write_.message());
  if (written.ok()) {
    stats_.entries = known_.size();
    stats_.writes += 1;
    stats_.records += keys.size();
    stats_.bytes += bytes;
  }
  return last_write_;
}

// LevelDB takes no writes any more after a failed one, also of its compaction, and its log may end in half a record:
// only a new log, which opening makes, is sound to write to. So an old failure costs one more try.
leveldb::Status JournalWriter::WriteSynced(leveldb::WriteBatch* batch) {
  leveldb::WriteOptions synced;
  synced.sync = true;
  leveldb::Status written;
  for (bool fresh = false; !fresh;) {
    fresh = db_ == nullptr;
    written = fresh ? OpenSound(db_path_, &db_) : leveldb::Status::OK();
    if (written.ok()) written = db_->Write(synced, batch);
    if (written.ok()) break;
    db_.reset();
  }
  return written;
}

}  // namespace lvs::services
