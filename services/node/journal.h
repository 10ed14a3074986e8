// The optional cache of a server node: its ledger entries on disk, so that it can restart without its peers.
//
//   Journal::Restored restored;
//   auto journal = Journal::Open("/var/lib/lvs", shards, value_slots, &restored);
//   if (!journal.ok()) return journal.status();
//   ...                                                            // merge restored.by_shard into the ledgers
//   (*journal)->Append({{shard, entry}}, [](absl::Status status) { ... });   // on disk once this says OK
//
// The cache holds the newest joined entry of each session in each shard. Entries are a join-semilattice (ledger.h) and
// the caller always appends the join, so overwriting is right, and losing the newest write of an entry leaves an older
// and smaller truth that peers make whole again. A node without a cache is as sound; it fetches everything.
//
// On disk (LevelDB): <dir>/db, one process at a time (<dir>/lock); journal_format.h has the bytes. Opening checks every
// file byte by byte, and each value by its own checksum on top.
//
// Damage never stops a node and never yields a wrong amount: what is readable is copied into a new database, and the
// damaged one is moved to <dir>/quarantine-<UTC time>/ for people to look at; nothing deletes it. Damage can only take
// away an entry, or its newest write. A crash costs nothing that was acknowledged. A log that ends in the middle of a
// record is what a crash leaves, so it is no damage; Restored::note says it. (A log that somebody cut between two records
// looks like one that was never longer.)
//
// The parts: journal_format.h, bytes; journal_files.h, files and the folder's lock; journal_soundness.h, checks that
// LevelDB lacks; journal_env.h, whether its files are still there; journal_database.h, LevelDB; journal_recovery.h,
// opening and mending; journal_writer.h, the thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/node/journal_format.h"
#include "shard/ledger.h"

namespace lvs::services {

class JournalWriter;

class Journal {
 public:
  // Records that wait for disk at a time, over all appends.
  static constexpr std::size_t kMaxQueued = std::size_t{1} << 16;

  struct Restored {
    std::vector<std::vector<shard::LedgerEntry>> by_shard;  // one list a shard, by session
    std::uint64_t entries = 0;                              // in all of them
    std::uint64_t quarantined = 0;                          // files of a damaged database that were moved aside
    std::string note;                                       // what an operator should know; empty: all is well
  };

  // Opens the cache in `dir`, creating folder and cache where there are none, reads all of it, and mends damage.
  //   FAILED_PRECONDITION  another process has it, it was made for another shape or by a newer version, or `dir` is not
  //                        a folder
  //   PERMISSION_DENIED    chown or chmod mends it
  //   RESOURCE_EXHAUSTED (disk full, too many open files), UNAVAILABLE (the disk fails, or is mounted read-only)
  // After an error nothing in the cache has changed, and `restored` is empty.
  static absl::StatusOr<std::unique_ptr<Journal>> Open(const std::filesystem::path& dir, std::uint32_t shards,
                                                       int value_slots, Restored* restored);

  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  ~Journal();  // Close()

  using Record = CacheRecord;  // its shard is below `shards`, or the append is INVALID_ARGUMENT

  // Queues records and returns; never waits for disk. `done` is called once, on the journal's thread and in the order
  // of the appends: OK when these records are on disk (fdatasync) under the cache's name, and all before them that did
  // not get an error. No records: OK where all that was appended before is there still.
  // Whatever is queued when the disk is ready for more is one synced write. `done` must not block and may append.
  //   RESOURCE_EXHAUSTED   more than kMaxQueued records wait; nothing was queued, the same later
  //   UNAVAILABLE          the write failed (message and stats() say how); the next append tries again
  //   DATA_LOSS            files of the cache were deleted, replaced, cut off or damaged while it was open, so what was on
  //                        disk need not be there any more. Every later append says so, too: close this journal, open
  //                        another one, and append all entries
  //   FAILED_PRECONDITION  closed; `done` is then called at once, on the caller's thread
  // Any thread.
  void Append(std::vector<Record> records, std::function<void(absl::Status)> done);

  struct Stats {
    std::uint64_t entries = 0;  // in the cache
    std::uint64_t writes = 0;   // synced writes since the start
    std::uint64_t records = 0;  // that they wrote
    std::uint64_t bytes = 0;    // of those records' keys and values
    std::uint64_t queued = 0;   // records that wait
    double last_sync_ms = 0;
    std::string last_error;  // of the newest write; empty: it succeeded
  };
  Stats stats() const;  // any thread

  // Writes what is queued, then closes the files. Idempotent; the status is that of the last write. Not from `done`.
  absl::Status Close();

 private:
  explicit Journal(std::unique_ptr<JournalWriter> writer);

  std::unique_ptr<JournalWriter> writer_;
};

}  // namespace lvs::services
