// The writer of a cache: a thread that turns queued records into synced writes.
//
// Whatever is queued when the disk is ready for more is one synced write. Contracts are those of Journal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "services/base/mutex.h"
#include "services/node/journal.h"
#include "services/node/journal_database.h"
#include "services/node/journal_env.h"
#include "services/node/journal_files.h"
#include "services/node/journal_format.h"

namespace lvs::services {

class JournalWriter {
 public:
  // `lock` is held, and `db` is <dir>/db, opened by way of `files`, until Close.
  JournalWriter(const std::filesystem::path& dir, const CacheShape& shape, FolderLock lock,
                std::unique_ptr<CacheEnv> files, Database db, const Journal::Restored& restored);
  ~JournalWriter() { static_cast<void>(Close()); }

  void Append(std::vector<CacheRecord> records, std::function<void(absl::Status)> done) ABSL_LOCKS_EXCLUDED(mu_);
  Journal::Stats stats() const ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Close() ABSL_LOCKS_EXCLUDED(close_mu_, mu_);

 private:
  struct Waiting {
    std::vector<CacheRecord> records;
    std::function<void(absl::Status)> done;
    absl::Status refused;  // there is nothing to write, only this to say in its turn
  };

  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Write(const std::vector<Waiting>& group) ABSL_LOCKS_EXCLUDED(mu_);
  void WriteRecords(leveldb::WriteBatch* batch);
  leveldb::Status WriteSynced(leveldb::WriteBatch* batch);
  // OK where all that was written is where it was written.
  absl::Status LookAtFiles() const;

  const std::filesystem::path db_path_;
  const CacheShape shape_;

  // The writer's thread owns these while it runs.
  FolderLock lock_;
  const std::unique_ptr<CacheEnv> files_;
  Database db_;
  absl::flat_hash_set<std::uint64_t> known_;  // hashes of the keys in the cache, to count them
  absl::Status last_write_;
  absl::Status lost_;  // not OK: the files are gone or damaged, for good

  Mutex close_mu_;  // taken before mu_
  mutable Mutex mu_;
  CondVar wake_;
  std::vector<Waiting> queue_ ABSL_GUARDED_BY(mu_);
  bool closing_ ABSL_GUARDED_BY(mu_) = false;
  Journal::Stats stats_ ABSL_GUARDED_BY(mu_);
  std::thread thread_ ABSL_GUARDED_BY(close_mu_);
};

}  // namespace lvs::services
