#include "services/node/journal.h"

#include <utility>

#include "services/node/cache_shape.h"
#include "services/node/journal_env.h"
#include "services/node/journal_files.h"
#include "services/node/journal_recovery.h"
#include "services/node/journal_writer.h"

namespace lvs::services {

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(const std::filesystem::path& dir, std::uint32_t shards,
                                                       int value_slots, Restored* restored) {
  const CacheShape shape{shards, static_cast<std::uint32_t>(value_slots)};
  *restored = {};
  if (absl::Status made = MakeCacheFolder(dir); !made.ok()) return made;
  absl::StatusOr<FolderLock> lock = FolderLock::Take(dir);
  if (!lock.ok()) return lock.status();
  restored->by_shard.resize(shards);
  auto files = std::make_unique<CacheEnv>(dir / "db");
  Database db;
  if (absl::Status status = RecoverCache(dir, shape, files.get(), restored, &db); !status.ok()) {
    *restored = {};
    return status;
  }
  NoteCacheShape(dir, shape);
  return std::unique_ptr<Journal>(new Journal(
      std::make_unique<JournalWriter>(dir, shape, *std::move(lock), std::move(files), std::move(db), *restored)));
}

Journal::Journal(std::unique_ptr<JournalWriter> writer) : writer_(std::move(writer)) {}
Journal::~Journal() = default;

void Journal::Append(std::vector<Record> records, std::function<void(absl::Status)> done) {
  writer_->Append(std::move(records), std::move(done));
}

Journal::Stats Journal::stats() const { return writer_->stats(); }
absl::Status Journal::Close() { return writer_->Close(); }

}  // namespace lvs::services
