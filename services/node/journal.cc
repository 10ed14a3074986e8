#include "services/node/journal.h"

#include <fcntl.h>
#include <leveldb/db.h>
#include <leveldb/iterator.h>
#include <leveldb/write_batch.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <exception>
#include <fstream>
#include <iterator>
#include <mutex>
#include <optional>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_set.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;

constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kMetaKey = "lvs-cache";  // shorter than the key of an entry
constexpr std::size_t kKeyBytes = 4 + 16;

// ---- Bytes ---------------------------------------------------------------------------------------------------------

constexpr std::array<std::uint32_t, 256> Crc32cTable() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) != 0 ? 0x82f63b78u : 0u);
    table[i] = c;
  }
  return table;
}

std::uint32_t Crc32c(std::uint32_t crc, std::string_view bytes) {
  static constexpr std::array<std::uint32_t, 256> kTable = Crc32cTable();
  crc = ~crc;
  for (const char c : bytes) crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

template <typename Number>
void PutBigEndian(Number number, std::string* out) {
  for (int shift = 8 * (static_cast<int>(sizeof number) - 1); shift >= 0; shift -= 8) {
    out->push_back(static_cast<char>(number >> shift & 0xff));
  }
}

template <typename Number>
Number TakeBigEndian(std::string_view* in) {
  Number number = 0;
  for (std::size_t i = 0; i < sizeof number; ++i) {
    number = static_cast<Number>(number << 8 | static_cast<unsigned char>((*in)[i]));
  }
  in->remove_prefix(sizeof number);
  return number;
}

std::string_view View(const leveldb::Slice& slice) { return {slice.data(), slice.size()}; }
leveldb::Slice ToSlice(std::string_view text) { return {text.data(), text.size()}; }

// Version, checksum of key and body, body.
std::string Sealed(std::string_view key, std::string_view body) {
  std::string value(1, static_cast<char>(kFormat));
  PutBigEndian(Crc32c(Crc32c(0, key), body), &value);
  return value.append(body);
}

std::optional<std::string_view> Unsealed(std::string_view key, std::string_view value) {
  if (value.size() < 5 || static_cast<std::uint8_t>(value[0]) != kFormat) return std::nullopt;
  value.remove_prefix(1);
  const auto crc = TakeBigEndian<std::uint32_t>(&value);
  if (crc != Crc32c(Crc32c(0, key), value)) return std::nullopt;
  return value;
}

std::string KeyOf(const Journal::Record& record) {
  std::string key;
  key.reserve(kKeyBytes);
  PutBigEndian(record.shard, &key);
  PutBigEndian(record.entry.session.high, &key);
  PutBigEndian(record.entry.session.low, &key);
  return key;
}

std::uint64_t HashOf(std::string_view key) {
  const auto shard = TakeBigEndian<std::uint32_t>(&key);
  const auto high = TakeBigEndian<std::uint64_t>(&key);
  return shard::Mix(TakeBigEndian<std::uint64_t>(&key) ^ shard::Mix(high ^ shard::Mix(shard)));
}

// ---- The shape -----------------------------------------------------------------------------------------------------

struct Shape {
  std::uint32_t shards = 0;
  std::uint32_t value_slots = 0;
  bool operator==(const Shape&) const = default;
};

std::string BodyOf(const Shape& shape) {
  std::string body;
  PutBigEndian(shape.shards, &body);
  PutBigEndian(shape.value_slots, &body);
  return body;
}

std::string BodyOf(const shard::LedgerEntry& entry, std::uint32_t value_slots) {
  std::string body;
  PutBigEndian(entry.opened_cycle, &body);
  for (std::uint32_t s = 0; s < value_slots; ++s) PutBigEndian(static_cast<std::uint64_t>(entry.amount_uvu[s]), &body);
  return body;
}

std::optional<Journal::Record> ReadRecord(std::string_view key, std::string_view value, const Shape& shape) {
  const std::optional<std::string_view> body = Unsealed(key, value);
  if (!body || key.size() != kKeyBytes || body->size() != 8 * (std::size_t{1} + shape.value_slots)) return std::nullopt;
  Journal::Record record;
  record.shard = TakeBigEndian<std::uint32_t>(&key);
  record.entry.session.high = TakeBigEndian<std::uint64_t>(&key);
  record.entry.session.low = TakeBigEndian<std::uint64_t>(&key);
  std::string_view rest = *body;
  record.entry.opened_cycle = TakeBigEndian<std::uint64_t>(&rest);
  for (std::uint32_t s = 0; s < shape.value_slots; ++s) {
    record.entry.amount_uvu[s] = static_cast<std::int64_t>(TakeBigEndian<std::uint64_t>(&rest));
  }
  if (record.shard >= shape.shards) return std::nullopt;
  return record;
}

// ---- Errors --------------------------------------------------------------------------------------------------------

absl::Status ErrnoStatus(const std::string& what, int reason) {
  const std::string text = what + ": " + std::strerror(reason);
  switch (reason) {
    case EACCES:
    case EPERM:
    case EROFS: return absl::PermissionDeniedError(text + "; chown the folder, or name another one (cache_dir)");
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return absl::ResourceExhaustedError(text + "; make room, or name a folder on another disk (cache_dir)");
    case EMFILE:
    case ENFILE: return absl::ResourceExhaustedError(text + "; raise the limit of open files (ulimit -n)");
    case ENOTDIR:
    case EEXIST: return absl::FailedPreconditionError(text + "; name a folder (cache_dir)");
    default: return absl::UnavailableError(text);
  }
}

// LevelDB says why only in words. What is the machine's fault is not damage: nothing would be won by moving files.
std::optional<absl::Status> MachineFault(const fs::path& db, const leveldb::Status& status) {
  for (const int reason : {EACCES, EPERM, EROFS, ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE, EIO, ENOMEM}) {
    if (status.ToString().ends_with(std::strerror(reason))) return ErrnoStatus(db.string(), reason);
  }
  return std::nullopt;
}

// ---- Files ---------------------------------------------------------------------------------------------------------

absl::Status SyncFolder(const fs::path& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(folder.string(), errno);
  const int failed = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  return failed == 0 ? absl::OkStatus() : ErrnoStatus(folder.string(), failed);
}

absl::Status Rename(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  return error ? ErrnoStatus(from.string() + " to " + to.string(), error.value()) : SyncFolder(to.parent_path());
}

std::optional<std::string> ReadBytes(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// Held while the cache is open; the kernel lets go of it however the process ends.
class FolderLock {
 public:
  static absl::StatusOr<FolderLock> Take(const fs::path& dir) {
    const fs::path file = dir / "lock";
    FolderLock lock;
    lock.fd_ = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (lock.fd_ < 0) return ErrnoStatus(file.string(), errno);
    if (flock(lock.fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return ErrnoStatus(file.string(), errno);
      std::array<char, 32> pid{};
      const ssize_t length = pread(lock.fd_, pid.data(), pid.size() - 1, 0);
      return absl::FailedPreconditionError(
          dir.string() + " is in use by another node" +
          (length > 0 ? " (process " + std::string(pid.data(), static_cast<std::size_t>(length)) + ")" : "") +
          "; give each node a cache_dir of its own, or stop that process");
    }
    const std::string pid = std::to_string(getpid());
    // The number is for people; a full disk must not keep the node from reading its cache.
    if (ftruncate(lock.fd_, 0) == 0) static_cast<void>(!pwrite(lock.fd_, pid.data(), pid.size(), 0));
    return lock;
  }

  FolderLock() = default;
  FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FolderLock& operator=(FolderLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FolderLock() { Release(); }

  void Release() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

// ---- What LevelDB does not look at
// ----------------------------------------------------------------------------------- It takes a log whose last length
// field is wrong for one that a crash cut off, follows a table's footer without a checksum wherever that points, and
// starts an empty database, deleting all tables, where CURRENT is missing.

// True where the log (or MANIFEST, which has the same format) ends in the middle of a record.
bool EndsTorn(std::string_view bytes) {
  constexpr std::size_t kBlock = 32768;
  constexpr std::size_t kHeader = 4 + 2 + 1;
  constexpr int kFull = 1;
  constexpr int kLast = 4;
  bool open_record = false;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t block_left = kBlock - at % kBlock;
    if (block_left < kHeader) {
      at += block_left;
      continue;
    }
    if (bytes.size() - at < kHeader) return true;
    const auto length = static_cast<std::size_t>(static_cast<unsigned char>(bytes[at + 4])) |
                        static_cast<std::size_t>(static_cast<unsigned char>(bytes[at + 5])) << 8;
    const int type = static_cast<unsigned char>(bytes[at + 6]);
    if (type == 0 || kHeader + length > block_left || kHeader + length > bytes.size() - at) return true;
    open_record = type != kFull && type != kLast;
    at += kHeader + length;
  }
  return open_record;
}

bool TableFooterIsSound(const fs::path& file) {
  constexpr std::size_t kFooter = 48;
  constexpr std::string_view kMagic("\x57\xfb\x80\x8b\x24\x75\x47\xdb", 8);
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  const auto size = static_cast<std::int64_t>(in.tellg());
  if (!in || size < static_cast<std::int64_t>(kFooter)) return false;
  std::string footer(kFooter, '\0');
  in.seekg(size - static_cast<std::int64_t>(kFooter));
  in.read(footer.data(), kFooter);
  if (!in || !footer.ends_with(kMagic)) return false;
  // Offset and size of the index of the index, then of the index.
  std::size_t at = 0;
  std::array<std::uint64_t, 4> handles{};
  for (std::uint64_t& number : handles) {
    for (int shift = 0;; shift += 7) {
      if (at >= kFooter - kMagic.size() || shift > 42) return false;
      const auto byte = static_cast<unsigned char>(footer[at++]);
      number |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
  }
  const std::uint64_t end = static_cast<std::uint64_t>(size) - kFooter;
  return handles[0] + handles[1] + 5 <= end && handles[2] + handles[3] + 5 <= end;
}

// What is wrong with CURRENT or the MANIFEST that it names; empty where nothing is.
std::string RootDamage(const fs::path& db) {
  std::error_code error;
  const std::optional<std::string> current = ReadBytes(db / "CURRENT");
  if (!current) return "CURRENT is missing";
  if (!current->starts_with("MANIFEST-") || current->find_first_not_of("0123456789", 9) != current->size() - 1 ||
      !current->ends_with('\n')) {
    return "CURRENT is damaged";
  }
  const std::string manifest = current->substr(0, current->size() - 1);
  if (!fs::is_regular_file(db / manifest, error)) return manifest + " is missing";
  return EndsTorn(ReadBytes(db / manifest).value_or("")) ? manifest + " is cut off" : "";
}

// Tables that cannot be read at all, without their folder.
std::vector<std::string> UnsoundTables(const fs::path& db) {
  std::vector<std::string> unsound;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(db, error)) {
    if (entry.path().extension() == ".ldb" && !TableFooterIsSound(entry.path())) {
      unsound.push_back(entry.path().filename().string());
    }
  }
  return unsound;
}

std::vector<std::string> TornLogs(const fs::path& db) {
  std::vector<std::string> torn;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(db, error)) {
    if (entry.path().extension() == ".log" && EndsTorn(ReadBytes(entry.path()).value_or(""))) {
      torn.push_back(entry.path().filename().string());
    }
  }
  return torn;
}

// ---- Reading a database
// ----------------------------------------------------------------------------------------------

using Database = std::unique_ptr<leveldb::DB>;

leveldb::Options StrictOptions() {
  leveldb::Options options;
  options.paranoid_checks = true;
  return options;
}

leveldb::Status OpenDatabase(const fs::path& db, const leveldb::Options& options, Database* out) {
  leveldb::DB* raw = nullptr;
  leveldb::Status status = leveldb::DB::Open(options, db.string(), &raw);
  out->reset(raw);
  return status;
}

// Opens a database that exists, unless one of the files above is unsound. A crash or a full disk can leave half a table
// that nothing refers to, and that is no damage; so unsound tables are put out of sight, under a name that LevelDB does
// not know, and LevelDB says whether it misses them.
leveldb::Status OpenSound(const fs::path& db, Database* out) {
  constexpr std::string_view kHidden = ".hidden";
  std::error_code error;
  const auto each_hidden = [&](const auto& act) {
    for (const fs::directory_entry& entry : fs::directory_iterator(db, error)) {
      if (entry.path().extension() == kHidden) act(entry.path());
    }
  };
  // Where LevelDB has taken the number for a table of its own meanwhile, the hidden one is nobody's.
  const auto show = [&] {
    each_hidden([&](const fs::path& file) {
      const fs::path table = fs::path(file).replace_extension();
      if (fs::exists(table, error)) {
        fs::remove(file, error);
      } else {
        fs::rename(file, table, error);
      }
    });
  };
  show();  // a crash may have come in between
  if (const std::string damage = RootDamage(db); !damage.empty()) return leveldb::Status::Corruption(damage);
  for (const std::string& table : UnsoundTables(db)) {
    fs::rename(db / table, db / (table + std::string(kHidden)), error);
    if (error) return leveldb::Status::IOError(table, error.message());
  }
  leveldb::Status status = OpenDatabase(db, StrictOptions(), out);
  if (status.ok()) {
    each_hidden([&](const fs::path& file) { fs::remove(file, error); });
  } else {
    show();
  }
  return status;
}

struct Contents {
  std::optional<Shape> shape;            // what the database says of itself
  std::optional<std::uint8_t> newer;     // the format it has, where that is newer than this code's
  std::vector<Journal::Record> records;  // by shard and session
  std::uint64_t damaged = 0;             // values whose checksum is wrong
};

leveldb::Status ReadAll(leveldb::DB& db, const Shape& shape, Contents* out) {
  leveldb::ReadOptions options;
  options.verify_checksums = true;
  options.fill_cache = false;
  const std::unique_ptr<leveldb::Iterator> row(db.NewIterator(options));
  for (row->SeekToFirst(); row->Valid(); row->Next()) {
    const std::string_view key = View(row->key());
    const std::string_view value = View(row->value());
    if (key == kMetaKey) {
      if (!value.empty() && static_cast<std::uint8_t>(value[0]) > kFormat) out->newer = value[0];
      std::optional<std::string_view> body = Unsealed(key, value);
      if (!body || body->size() != 8) continue;
      Shape& stored = out->shape.emplace();
      stored.shards = TakeBigEndian<std::uint32_t>(&*body);
      stored.value_slots = TakeBigEndian<std::uint32_t>(&*body);
    } else if (const std::optional<Journal::Record> record = ReadRecord(key, value, shape)) {
      out->records.push_back(*record);
    } else {
      ++out->damaged;
    }
  }
  return row->status();
}

// A cache that was made for something else is not damaged: it is for another node, or another time.
absl::Status CheckShape(const fs::path& dir, const Contents& contents, const Shape& wanted) {
  const auto text = [](const Shape& s) {
    return std::to_string(s.shards) + " shards of " + std::to_string(s.value_slots) + " value slots";
  };
  const std::string mend = "; set state: to what it was, or name another cache_dir (the entries come from peers then)";
  if (contents.newer && !contents.shape) {
    return absl::FailedPreconditionError(dir.string() + " holds a cache of format " + std::to_string(*contents.newer) +
                                         ", and this build knows up to " + std::to_string(kFormat) +
                                         "; start the newer build, or name another cache_dir");
  }
  if (contents.shape && *contents.shape != wanted) {
    return absl::FailedPreconditionError(dir.string() + " holds a cache of " + text(*contents.shape) +
                                         ", and this node has " + text(wanted) + mend);
  }
  return absl::OkStatus();
}

// Makes a whole database in `at`, or none.
absl::Status WriteDatabase(const fs::path& at, const Shape& shape, const std::vector<Journal::Record>& records) {
  constexpr std::size_t kBatchRecords = 4096;
  leveldb::Options options = StrictOptions();
  options.create_if_missing = true;
  options.error_if_exists = true;
  Database db;
  leveldb::WriteOptions synced;
  synced.sync = true;
  leveldb::Status status = OpenDatabase(at, options, &db);
  leveldb::WriteBatch batch;
  batch.Put(ToSlice(kMetaKey), Sealed(kMetaKey, BodyOf(shape)));
  for (std::size_t i = 0; i < records.size() && status.ok(); ++i) {
    const std::string key = KeyOf(records[i]);
    batch.Put(key, Sealed(key, BodyOf(records[i].entry, shape.value_slots)));
    if (i % kBatchRecords != kBatchRecords - 1) continue;
    status = db->Write(synced, &batch);
    batch.Clear();
  }
  if (status.ok()) status = db->Write(synced, &batch);
  db.reset();
  if (status.ok()) return SyncFolder(at);
  std::error_code error;
  fs::remove_all(at, error);
  if (const auto fault = MachineFault(at, status)) return *fault;
  return absl::UnavailableError(at.string() + " cannot be written: " + status.ToString());
}

// ---- Opening a cache
// ------------------------------------------------------------------------------------------------- <dir>/db is only
// ever made by renaming <dir>/db.new, which is whole by then. So a crash at any point leaves either one to take, and
// nothing is in quarantine before its salvage is on disk.

class Opener {
 public:
  Opener(fs::path dir, Shape shape, Journal::Restored* restored)
      : dir_(std::move(dir)), shape_(shape), restored_(restored) {}

  absl::Status Run(Database* db) {
    std::error_code error;
    if (fs::exists(fresh_, error)) {
      // A crash came between making it and putting it in its place.
      if (fs::exists(db_, error)) {
        fs::remove_all(fresh_, error);
      } else if (absl::Status status = Rename(fresh_, db_); !status.ok()) {
        return status;
      }
    }
    fs::remove_all(scratch_, error);
    if (!fs::exists(db_, error)) {
      if (absl::Status status = WriteDatabase(fresh_, shape_, {}); !status.ok()) return status;
      if (absl::Status status = Rename(fresh_, db_); !status.ok()) return status;
    }
    std::string damage;
    if (absl::Status status = Read(db, &damage); !status.ok()) return status;
    if (damage.empty()) return Hand();
    db->reset();
    if (absl::Status status = Salvage(damage); !status.ok()) return status;
    const leveldb::Status status = OpenSound(db_, db);
    if (!status.ok()) return absl::UnavailableError(db_.string() + ": " + status.ToString());
    return Hand();
  }

 private:
  // Reads all of it into contents_; `damage` says what is wrong with it, and stays empty where nothing is.
  absl::Status Read(Database* db, std::string* damage) {
    for (const std::string& file : TornLogs(db_)) {
      restored_->note += (restored_->note.empty() ? "" : "; ") + file +
                         " ends in the middle of a record, as a crash leaves it; what was cut off is dropped";
    }
    leveldb::Status status = OpenSound(db_, db);
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

  // Copies what can be read of the damaged database into a new one, and moves it aside.
  absl::Status Salvage(const std::string& damage) {
    contents_ = {};
    std::error_code error;
    fs::copy(db_, scratch_, fs::copy_options::recursive, error);
    if (error) return ErrnoStatus("copying " + db_.string() + " to mend it", error.value());
    for (const std::string& table : UnsoundTables(scratch_)) fs::remove(scratch_ / table, error);
    // Strict: a block whose checksum is wrong is left out. Logs are copied unchecked; there the values' own checksums
    // help.
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
    for (const fs::directory_entry& entry : fs::directory_iterator(db_, error)) {
      restored_->quarantined += entry.is_regular_file(error) ? 1 : 0;
    }
    if (absl::Status moved = Rename(db_, quarantine); !moved.ok()) return moved;
    if (absl::Status moved = Rename(fresh_, db_); !moved.ok()) return moved;
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

  absl::Status Hand() {
    restored_->entries = contents_.records.size();
    for (const Journal::Record& record : contents_.records) restored_->by_shard[record.shard].push_back(record.entry);
    return absl::OkStatus();
  }

  const fs::path dir_;
  const fs::path db_ = dir_ / "db";
  const fs::path fresh_ = dir_ / "db.new";
  const fs::path scratch_ = dir_ / "salvage";
  const Shape shape_;
  Journal::Restored* restored_;
  Contents contents_;
};

}  // namespace

// ---- Writing -------------------------------------------------------------------------------------------------------

class Journal::Writer {
 public:
  Writer(const fs::path& dir, Shape shape, FolderLock lock, Database db, const Restored& restored)
      : db_path_(dir / "db"), shape_(shape), lock_(std::move(lock)), db_(std::move(db)) {
    known_.reserve(restored.entries);
    for (std::uint32_t shard = 0; shard < restored.by_shard.size(); ++shard) {
      for (const shard::LedgerEntry& entry : restored.by_shard[shard]) known_.insert(HashOf(KeyOf({shard, entry})));
    }
    stats_.entries = known_.size();
    thread_ = std::thread([this] { Run(); });
  }

  void Append(std::vector<Record> records, std::function<void(absl::Status)> done) {
    Waiting waiting{std::move(records), std::move(done), absl::OkStatus()};
    for (const Record& record : waiting.records) {
      if (record.shard >= shape_.shards) {
        waiting.refused = absl::InvalidArgumentError("there is no shard " + std::to_string(record.shard));
      }
    }
    {
      const std::lock_guard lock(mutex_);
      if (!closing_) {
        if (waiting.refused.ok() && stats_.queued + waiting.records.size() > kMaxQueued) {
          waiting.refused =
              absl::ResourceExhaustedError("the cache cannot keep up: " + std::to_string(stats_.queued) +
                                           " records wait for disk; try again later, or contribute more slowly");
        }
        if (!waiting.refused.ok()) waiting.records.clear();
        stats_.queued += waiting.records.size();
        queue_.push_back(std::move(waiting));
        wake_.notify_one();
        return;
      }
    }
    waiting.done(absl::FailedPreconditionError("the cache is closed"));
  }

  Stats stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
  }

  absl::Status Close() {
    const std::lock_guard once(close_mutex_);
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
      wake_.notify_one();
    }
    if (thread_.joinable()) {
      thread_.join();
      db_.reset();
      lock_.Release();
    }
    return last_write_;
  }

 private:
  struct Waiting {
    std::vector<Record> records;
    std::function<void(absl::Status)> done;
    absl::Status refused;  // nothing to write: only to say so, in its turn
  };

  void Run() {
    for (std::vector<Waiting> group;; group.clear()) {
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return closing_ || !queue_.empty(); });
        if (queue_.empty()) return;
        group.swap(queue_);
      }
      const absl::Status status = Write(group);
      for (const Waiting& waiting : group) waiting.done(waiting.refused.ok() ? status : waiting.refused);
    }
  }

  // One synced write for the whole group.
  absl::Status Write(const std::vector<Waiting>& group) {
    leveldb::WriteBatch batch;
    std::vector<std::uint64_t> keys;
    std::uint64_t bytes = 0;
    for (const Waiting& waiting : group) {
      for (const Record& record : waiting.records) {
        const std::string key = KeyOf(record);
        const std::string value = Sealed(key, BodyOf(record.entry, shape_.value_slots));
        batch.Put(key, value);
        keys.push_back(HashOf(key));
        bytes += key.size() + value.size();
      }
    }
    if (keys.empty()) return last_write_;
    const auto start = std::chrono::steady_clock::now();
    leveldb::WriteOptions synced;
    synced.sync = true;
    leveldb::Status written;
    // LevelDB takes no writes any more after a failed one, also of its compaction, and its log may end in half a
    // record: only a new log, which opening it makes, is sound to write to. So an old failure costs one try more.
    for (bool fresh = false; !fresh;) {
      fresh = db_ == nullptr;
      written = Reopened();
      if (written.ok()) written = db_->Write(synced, &batch);
      if (written.ok()) break;
      db_.reset();
    }
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    if (written.ok()) {
      known_.insert(keys.begin(), keys.end());
      last_write_ = absl::OkStatus();
    } else {
      last_write_ =
          absl::UnavailableError("the cache could not be written: " + written.ToString() +
                                 "; look at the room on the disk and its health. The next write tries again; a restart "
                                 "salvages what is damaged");
    }
    const std::lock_guard lock(mutex_);
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

  leveldb::Status Reopened() { return db_ != nullptr ? leveldb::Status::OK() : OpenSound(db_path_, &db_); }

  const fs::path db_path_;
  const Shape shape_;

  // Of the journal's thread while it runs.
  FolderLock lock_;
  Database db_;
  absl::flat_hash_set<std::uint64_t> known_;  // hashes of the keys in the cache, to count them
  absl::Status last_write_;

  std::mutex close_mutex_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Waiting> queue_;
  bool closing_ = false;
  Stats stats_;
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(const fs::path& dir, std::uint32_t shards, int value_slots,
                                                       Restored* restored) {
  const Shape shape{shards, static_cast<std::uint32_t>(value_slots)};
  *restored = {};
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) return ErrnoStatus(dir.string(), error.value());
  absl::StatusOr<FolderLock> lock = FolderLock::Take(dir);
  if (!lock.ok()) return lock.status();
  restored->by_shard.resize(shards);
  Database db;
  if (absl::Status status = Opener(dir, shape, restored).Run(&db); !status.ok()) {
    *restored = {};
    return status;
  }
  return std::unique_ptr<Journal>(
      new Journal(std::make_unique<Writer>(dir, shape, *std::move(lock), std::move(db), *restored)));
}

Journal::Journal(std::unique_ptr<Writer> writer) : writer_(std::move(writer)) {}
Journal::~Journal() { static_cast<void>(Close()); }

void Journal::Append(std::vector<Record> records, std::function<void(absl::Status)> done) {
  writer_->Append(std::move(records), std::move(done));
}

Journal::Stats Journal::stats() const { return writer_->stats(); }
absl::Status Journal::Close() { return writer_->Close(); }

}  // namespace lvs::services
