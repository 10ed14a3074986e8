#include "services/node/disk_backlog.h"

namespace lvs::services {

DiskBacklog::Write DiskBacklog::Next(std::vector<Journal::Record> changes, std::vector<std::uint64_t> contributions) {
  Write write;
  if (unsaved_.empty()) {
    write.records = std::move(changes);
    write.contributions = std::move(contributions);
    if (!write.empty()) ++in_flight_;
    return write;
  }
  if (in_flight_ > 0) {
    for (Journal::Record& change : changes) {
      const auto [at, is_new] = unsaved_.try_emplace({change.shard, change.entry.session}, change);
      if (!is_new) Join(change.entry, &at->second.entry);
    }
    waiting_.insert(waiting_.end(), contributions.begin(), contributions.end());
    return write;
  }
  write.contributions = std::move(contributions);
  for (const Journal::Record& change : changes) {
    const auto at = unsaved_.find({change.shard, change.entry.session});
    if (at == unsaved_.end()) {
      write.records.push_back(change);
    } else {
      Join(change.entry, &at->second.entry);
    }
  }
  for (const auto& [key, record] : unsaved_) write.records.push_back(record);
  ++in_flight_;
  return write;
}

DiskBacklog::Outcome DiskBacklog::Written(const Write& write, bool ok) {
  --in_flight_;
  Outcome outcome;
  outcome.began_to_fail = !ok && !fails_;
  outcome.recovered = ok && fails_;
  fails_ = !ok;
  for (const Journal::Record& record : write.records) {
    const std::pair key(record.shard, record.entry.session);
    const auto at = unsaved_.find(key);
    if (at == unsaved_.end()) {
      if (!ok) unsaved_.emplace(key, record);
      continue;
    }
    Join(record.entry, &at->second.entry);
    if (ok && at->second.entry == record.entry) unsaved_.erase(at);
  }
  waiting_.insert(waiting_.end(), write.contributions.begin(), write.contributions.end());
  if (unsaved_.empty()) outcome.on_disk = std::exchange(waiting_, {});
  return outcome;
}

}  // namespace lvs::services
