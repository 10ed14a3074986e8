// The backlog of a cache: records that a failed write left behind, and contributions that wait for disk.
//
//   DiskBacklog backlog;
//   DiskBacklog::Write write = backlog.Next(changes, ids);      // once a cycle: what to write, old failures included
//   if (!write.empty()) ...                                     // hand write.records to the disk
//   DiskBacklog::Outcome outcome = backlog.Written(write, status.ok());
//   ...                                                         // outcome.on_disk may be answered
//   if (backlog.settled()) ...                                  // all changes so far are on disk
//
// Entries only grow (shard/ledger.h), and after a failure an older write may succeed later than a newer one. So what is
// left of a session is the join of all its records that are not on disk, and it leaves the backlog only when a write of
// exactly that join has succeeded. It is written again only once every earlier write is back: one of them may have a newer
// record of the same session, which an older one must not overwrite.
//
// A contribution waits until all earlier writes are back and nothing is left at all, not only until its own record is
// written: the caller does not say which record it belongs to.
//
// Bounded: a write has at most kWriteMax records, so that a backlog of any size fits the journal's queue; the backlog has
// at most one record for each entry of the ledgers. Of the contributions, the newest kWaitingMax wait; an older one is
// forgotten, so that its deadline answers it.
//
// Pure: no threads, no disk. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "services/node/journal.h"

namespace lvs::services {

class DiskBacklog {
 public:
  static constexpr std::size_t kWriteMax = Journal::kMaxQueued / 4;
  static constexpr std::size_t kWaitingMax = std::size_t{1} << 16;

  struct Write {
    std::uint64_t number = 0;  // of the write
    std::vector<Journal::Record> records;
    std::vector<std::uint64_t> contributions;  // that wait for them

    bool empty() const { return records.empty() && contributions.empty(); }
  };

  struct Outcome {
    std::vector<std::uint64_t> on_disk;  // contributions
    bool began_to_fail = false;          // the first failure after a success
    bool recovered = false;              // the first success after a failure
  };

  // `changes` has at most one record a session and shard.
  Write Next(std::vector<Journal::Record> changes, std::vector<std::uint64_t> contributions);

  // How a write that was not empty went. Writes that fail may come back in any order.
  Outcome Written(const Write& write, bool ok);

  // Contributions that wait for the next write, whatever it has.
  void Await(const std::vector<std::uint64_t>& contributions) { Await(last_number_, contributions); }
  // Forgets the records that are left: the next changes are all that there is. No write is under way.
  void Forget() { unsaved_.clear(); }

  // All changes that Next was given are on disk, and no write is under way.
  bool settled() const { return unsaved_.empty() && under_way_.empty(); }
  // Records that a failed write left behind.
  std::size_t unsaved() const { return unsaved_.size(); }

 private:
  using Key = std::pair<std::uint32_t, shard::SessionId>;  // shard and session

  struct Waiting {
    std::uint64_t after = 0;  // the newest write that has to be back
    std::uint64_t contribution = 0;
  };

  void Save(const Journal::Record& record);
  void Await(std::uint64_t after, const std::vector<std::uint64_t>& contributions);

  std::map<Key, Journal::Record> unsaved_;
  Key written_to_{};                   // the last record of the newest write from unsaved_
  std::deque<Waiting> waiting_;        // after a failure
  std::set<std::uint64_t> under_way_;  // writes that are not back
  std::uint64_t last_number_ = 0;
  bool fails_ = false;
};

}  // namespace lvs::services
