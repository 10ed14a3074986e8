// The backlog of a cache: records that a failed write left behind, and contributions that wait for disk.
//
//   DiskBacklog backlog;
//   DiskBacklog::Write write = backlog.Next(changes, ids);      // once a cycle: what to write, old failures included
//   if (!write.empty()) ...                                     // hand write.records to the disk
//   DiskBacklog::Outcome outcome = backlog.Written(write, status.ok());
//   ...                                                         // outcome.on_disk may be answered
//
// Entries only grow (shard/ledger.h), and after a failure an older write may succeed later than a newer one. So what is
// left of a session is the join of all its records that are not on disk, and it leaves the backlog only when a write of
// exactly that join has succeeded. It is written again only once every earlier write is back: one of them may have a newer
// record of the same session, which an older one must not overwrite.
//
// A contribution waits until nothing is left at all, not only until its own record is written: the caller does not say
// which record it belongs to.
//
// Pure: no threads, no disk. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "services/node/journal.h"

namespace lvs::services {

class DiskBacklog {
 public:
  struct Write {
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

  // How a write went. Writes come back in any order.
  Outcome Written(const Write& write, bool ok);

  bool empty() const { return unsaved_.empty(); }

 private:
  std::map<std::pair<std::uint32_t, shard::SessionId>, Journal::Record> unsaved_;  // by shard and session
  std::vector<std::uint64_t> waiting_;                                             // contributions, after a failure
  std::size_t in_flight_ = 0;                                                      // writes that are not back
  bool fails_ = false;
};

}  // namespace lvs::services
