#include "services/node/journal_recovery.h"

#include <array>
#include <ctime>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "services/base/files.h"
#include "services/node/cache_shape.h"
#include "services/node/journal_files.h"
#include "services/node/journal_soundness.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;

// A cache of another shape or a newer format is not damaged: it is for another node, or for a newer build.
absl::Status CheckShape(const fs::path& dir, const CacheContents& contents, const CacheShape& wanted) {
  if (contents.newer && !contents.shape) {
    return absl::FailedPreconditionError(dir.string() + " holds a cache of format " + std::to_string(*contents.newer) +
                                         ", and this build knows up to " + std::to_string(kCacheFormat) +
                                         "; start the newer build, or name another cache_dir");
  }
  if (contents.shape && *contents.shape != wanted) return OtherCacheShape(dir, *contents.shape, wanted);
  return absl::OkStatus();
}

class Opener {
 public:
  Opener(fs::path dir, const CacheShape& shape, CacheEnv* files, Journal::Restored* restored)
      : dir_(std::move(dir)), shape_(shape), files_(files), restored_(restored) {}

  absl::Status Run(Database* db) {
    std::error_code error;
    if (fs::exists(fresh_, error)) {
      // A crash came between making the new database and putting it in its place.
      if (fs::exists(db_, error)) {
        fs::remove_all(fresh_, error);
      } else if (absl::Status status = RenameDurably(fresh_, db_); !status.ok()) {
        return status;
      }
    }
    fs::remove_all(scratch_, error);
    if (!fs::exists(db_, error)) {
      if (absl::Status status = WriteDatabase(fresh_, shape_, {}); !status.ok()) return status;
      if (absl::Status status = RenameDurably(fresh_, db_); !status.ok()) return status;
    }
    std::string damage;
    if (absl::Status status = Read(db, &damage); !status.ok()) return status;
    if (damage.empty()) return HandOut();
    db->reset();
    if (absl::Status status = Salvage(damage); !status.ok()) return status;
    files_->Forget();
    const leveldb::Status status = OpenSound(db_, files_, db);
    if (!status.ok()) return absl::UnavailableError(db_.string() + ": " + status.ToString());
    return HandOut();
  }

 private:
  // Opens the database and reads it into contents_. `damage` says what is wrong with it; it stays empty where nothing
  // is.
  absl::Status Read(Database* db, std::string* damage) {
    for (const std::string& file : TornLogs(db_)) {
      restored_->note += (restored_->note.empty() ? "" : "; ") + file +
                         " ends in the middle of a record, as a crash leaves it; what was cut off is dropped";
    }
    leveldb::Status status = OpenSound(db_, files_, db);
    if (status.ok()) status = ReadAll(**db, shape_, &contents_);
    if (status.ok()) {
      if (absl::Status shape = CheckShape(dir_, contents_, shape_); !shape.ok()) return shape;
      if (!contents_.shape) *damage = "the key that says its shape is missing or damaged";
      if (contents_.damaged > 0) *damage = std::to_string(contents_.damaged) + " values have a wrong checksum";
      return absl::OkStatus();
    }
    if (const auto fault = MachineFault(db_, status)) return *fault;
    *damage = status.ToString();
    return absl::OkStatus();
  }

  // Copies what can be read of the damaged database into a new one, and moves the damaged one aside.
  absl::Status Salvage(const std::string& damage) {
    contents_ = {};
    std::error_code error;
    fs::copy(db_, scratch_, fs::copy_options::recursive, error);
    if (error) return CacheFileError("copying " + db_.string() + " to mend it", error.value());
    for (const std::string& table : UnsoundTables(scratch_)) {
      fs::remove(scratch_ / table, error);
      if (error) return CacheFileError("mending " + db_.string(), error.value());
    }
    // Strict: LevelDB leaves out a block whose checksum is wrong. It copies logs unchecked, so there the values' own
    // checksums find the damage.
    leveldb::Status status = leveldb::RepairDB(scratch_.string(), StrictOptions());
    Database repaired;
    if (status.ok()) status = OpenDatabase(scratch_, leveldb::Options(), &repaired);
    if (status.ok()) status = ReadAll(*repaired, shape_, &contents_);
    repaired.reset();
    fs::remove_all(scratch_, error);
    if (const auto fault = MachineFault(scratch_, status); !status.ok() && fault) return *fault;
    if (absl::Status shape = CheckShape(dir_, contents_, shape_); !shape.ok()) return shape;

    if (absl::Status written = WriteDatabase(fresh_, shape_, contents_.records); !written.ok()) return written;
    const fs::path quarantine = QuarantineFolder();
    if (const absl::StatusOr<std::vector<fs::path>> entries = FolderEntries(db_); entries.ok()) {
      for (const fs::path& entry : *entries) restored_->quarantined += fs::is_regular_file(entry, error) ? 1 : 0;
    }
    if (absl::Status moved = RenameDurably(db_, quarantine); !moved.ok()) return moved;
    if (absl::Status moved = RenameDurably(fresh_, db_); !moved.ok()) return moved;
    restored_->note = "the cache was damaged (" + damage + "); it was moved to " + quarantine.string() + ", and " +
                      std::to_string(contents_.records.size()) +
                      " entries could be salvaged. What is missing comes from peers; look at the disk";
    return absl::OkStatus();
  }

  fs::path QuarantineFolder() const {
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    gmtime_r(&now, &utc);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "quarantine-%Y%m%dT%H%M%SZ", &utc);
    fs::path folder = dir_ / text.data();
    std::error_code error;
    for (int i = 2; fs::exists(folder, error); ++i)
      folder = dir_ / (std::string(text.data()) + "-" + std::to_string(i));
    return folder;
  }

  absl::Status HandOut() {
    restored_->entries = contents_.records.size();
    for (const CacheRecord& record : contents_.records) restored_->by_shard[record.shard].push_back(record.entry);
    return absl::OkStatus();
  }

  const fs::path dir_;
  const fs::path db_ = dir_ / "db";
  const fs::path fresh_ = dir_ / "db.new";
  const fs::path scratch_ = dir_ / "salvage";
  const CacheShape shape_;
  CacheEnv* const files_;
  Journal::Restored* restored_;
  CacheContents contents_;
};

}  // namespace

absl::Status RecoverCache(const fs::path& dir, const CacheShape& shape, CacheEnv* files, Journal::Restored* restored,
                          Database* db) {
  return Opener(dir, shape, files, restored).Run(db);
}

}  // namespace lvs::services
