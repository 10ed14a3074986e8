#include "services/node/journal_database.h"

#include <leveldb/env.h>
#include <leveldb/iterator.h>
#include <leveldb/write_batch.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "services/base/files.h"
#include "services/base/text.h"
#include "services/node/journal_files.h"
#include "services/node/journal_soundness.h"

namespace lvs::services {

namespace fs = std::filesystem;

namespace {

std::string_view View(const leveldb::Slice& slice) { return {slice.data(), slice.size()}; }

}  // namespace

leveldb::Options StrictOptions() {
  leveldb::Options options;
  options.paranoid_checks = true;
  options.max_open_files = 100;  // one a table; the cache is read whole once, and then only compacted
  return options;
}

leveldb::Status OpenDatabase(const fs::path& db, const leveldb::Options& options, Database* out) {
  leveldb::DB* raw = nullptr;
  leveldb::Status status = leveldb::DB::Open(options, db.string(), &raw);
  out->reset(raw);
  return status;
}

leveldb::Status OpenSound(const fs::path& db, CacheEnv* files, Database* out) {
  leveldb::Env& env = *files->env();
  constexpr std::string_view kHidden = ".hidden";
  std::error_code error;
  const auto each_hidden = [&](const auto& act) {
    const absl::StatusOr<std::vector<fs::path>> entries = FolderEntries(db);
    if (!entries.ok()) return;
    for (const fs::path& entry : *entries) {
      if (entry.extension() == kHidden) act(entry);
    }
  };
  // Where LevelDB has taken the number for a table of its own meanwhile, the hidden one is nobody's.
  const auto show = [&] {
    leveldb::Status shown;
    each_hidden([&](const fs::path& file) {
      const fs::path table = fs::path(file).replace_extension();
      const leveldb::Status one = env.FileExists(table.string()) ? env.RemoveFile(file.string())
                                                                 : env.RenameFile(file.string(), table.string());
      if (shown.ok()) shown = one;
    });
    return shown;
  };
  // A crash may have come in between.
  if (leveldb::Status shown = show(); !shown.ok()) return shown;
  if (const std::string damage = RootDamage(db); !damage.empty()) return leveldb::Status::Corruption(damage);
  for (const std::string& table : UnsoundTables(db)) {
    const std::string file = (db / table).string();
    if (leveldb::Status hidden = env.RenameFile(file, file + std::string(kHidden)); !hidden.ok()) return hidden;
  }
  files->AddPresent();
  leveldb::Options options = StrictOptions();
  options.env = &env;
  leveldb::Status status = OpenDatabase(db, options, out);
  if (status.ok()) {
    // What cannot be removed now is nobody's at the next start too.
    each_hidden([&](const fs::path& file) { env.RemoveFile(file.string()); });
  } else {
    // What cannot be shown now is shown by the next try.
    show();
  }
  return status;
}

// LevelDB gives the reason only as text.
std::optional<absl::Status> MachineFault(const fs::path& db, const leveldb::Status& status) {
  for (const int reason : {EACCES, EPERM, EROFS, ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE, EIO, ENOMEM}) {
    if (status.ToString().ends_with(ErrnoText(reason))) return CacheFileError(db.string(), reason);
  }
  return std::nullopt;
}

leveldb::Status ReadAll(leveldb::DB& db, const CacheShape& shape, CacheContents* out) {
  leveldb::ReadOptions options;
  options.verify_checksums = true;
  options.fill_cache = false;
  const std::unique_ptr<leveldb::Iterator> row(db.NewIterator(options));
  for (row->SeekToFirst(); row->Valid(); row->Next()) {
    const std::string_view key = View(row->key());
    const std::string_view value = View(row->value());
    if (key == kCacheShapeKey) {
      if (!value.empty() && static_cast<std::uint8_t>(value[0]) > kCacheFormat) out->newer = value[0];
      if (const std::optional<CacheShape> stored = ReadShape(value)) out->shape = stored;
    } else if (const std::optional<CacheRecord> record = ReadEntry(key, value, shape)) {
      out->records.push_back(*record);
    } else {
      ++out->damaged;
    }
  }
  return row->status();
}

absl::Status WriteDatabase(const fs::path& at, const CacheShape& shape, const std::vector<CacheRecord>& records) {
  constexpr std::size_t kBatchRecords = 4096;
  leveldb::Options options = StrictOptions();
  options.create_if_missing = true;
  options.error_if_exists = true;
  Database db;
  leveldb::WriteOptions synced;
  synced.sync = true;
  leveldb::Status status = OpenDatabase(at, options, &db);
  leveldb::WriteBatch batch;
  batch.Put(ToSlice(kCacheShapeKey), ShapeValue(shape));
  for (std::size_t i = 0; i < records.size() && status.ok(); ++i) {
    const std::string key = EntryKey(records[i]);
    batch.Put(key, EntryValue(key, records[i].entry, shape.value_slots));
    if (i % kBatchRecords != kBatchRecords - 1) continue;
    status = db->Write(synced, &batch);
    batch.Clear();
  }
  if (status.ok()) status = db->Write(synced, &batch);
  db.reset();
  if (status.ok()) return SyncCacheFolder(at);
  std::error_code error;
  fs::remove_all(at, error);
  if (const auto fault = MachineFault(at, status)) return *fault;
  return absl::UnavailableError(at.string() + " cannot be written: " + status.ToString());
}

}  // namespace lvs::services
