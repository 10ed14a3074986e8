#include "services/node/journal_writer.h"

#include <leveldb/write_batch.h>

#include <chrono>
#include <utility>

namespace lvs::services {

JournalWriter::JournalWriter(const std::filesystem::path& dir, const CacheShape& shape, FolderLock lock,
                             std::unique_ptr<CacheEnv> files, Database db, const Journal::Restored& restored)
    : db_path_(dir / "db"), shape_(shape), lock_(std::move(lock)), files_(std::move(files)), db_(std::move(db)) {
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
  // Also where there is nothing to write: whoever asks wants to know what is on disk now. Before a write, because it would
  // make a file that was cut off as long as before, with a hole; and after it, for what it wrote.
  absl::Status on_disk = lost_.ok() ? LookAtFiles() : lost_;
  const auto start = std::chrono::steady_clock::now();
  if (!keys.empty() && on_disk.ok()) {
    WriteRecords(&batch);
    on_disk = lost_.ok() ? LookAtFiles() : lost_;
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  if (absl::IsDataLoss(on_disk)) {
    lost_ = on_disk;
    db_.reset();
  }
  if (on_disk.ok()) on_disk = last_write_;
  if (on_disk.ok()) known_.insert(keys.begin(), keys.end());
  const MutexLock lock(&mu_);
  stats_.queued -= keys.size();
  stats_.last_error = std::string(on_disk.message());
  if (keys.empty()) return on_disk;
  stats_.last_sync_ms = took.count();
  if (on_disk.ok()) {
    stats_.entries = known_.size();
    stats_.writes += 1;
    stats_.records += keys.size();
    stats_.bytes += bytes;
  }
  return on_disk;
}

void JournalWriter::WriteRecords(leveldb::WriteBatch* batch) {
  const leveldb::Status written = WriteSynced(batch);
  last_write_ =
      written.ok()
          ? absl::OkStatus()
          : absl::UnavailableError("the cache could not be written: " + written.ToString() +
                                   "; look at the room on the disk and its health. The next write tries again");
}

absl::Status JournalWriter::LookAtFiles() const {
  if (!lock_.Stands()) {
    return absl::DataLossError(lock_.file().string() + " was deleted or replaced under the running node");
  }
  const CacheEnv::Finding found = files_->Look();
  switch (found.fault) {
    case CacheEnv::Fault::kNone: break;
    case CacheEnv::Fault::kUnreachable:
      return absl::UnavailableError("the cache cannot be reached: " + found.what + "; look at the disk and its rights");
    case CacheEnv::Fault::kGone: return absl::DataLossError(found.what + " under the running node");
  }
  return absl::OkStatus();
}

// LevelDB takes no writes any more after a failed one, also of its compaction, and its log may end in half a record:
// only a new log, which opening makes, is sound to write to. So an old failure costs one more try. A database whose files
// are gone is not opened again: LevelDB would begin a new one over the rest.
leveldb::Status JournalWriter::WriteSynced(leveldb::WriteBatch* batch) {
  leveldb::WriteOptions synced;
  synced.sync = true;
  leveldb::Status written;
  for (bool fresh = false; !fresh;) {
    fresh = db_ == nullptr;
    if (fresh && !LookAtFiles().ok()) return leveldb::Status::IOError(db_path_.string(), "files are missing");
    written = fresh ? OpenSound(db_path_, files_.get(), &db_) : leveldb::Status::OK();
    if (fresh && written.IsCorruption()) lost_ = absl::DataLossError("the cache is damaged: " + written.ToString());
    if (written.ok()) written = db_->Write(synced, batch);
    if (written.ok()) break;
    db_.reset();
  }
  return written;
}

}  // namespace lvs::services
