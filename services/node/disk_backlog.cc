#include "services/node/disk_backlog.h"

#include <algorithm>
#include <limits>

namespace lvs::services {

DiskBacklog::Write DiskBacklog::Next(std::vector<Journal::Record> changes, std::vector<std::uint64_t> contributions) {
  Write write;
  if (unsaved_.empty() && changes.size() <= kWriteMax) {
    write.records = std::move(changes);
    write.contributions = std::move(contributions);
  } else {
    for (const Journal::Record& change : changes) Save(change);
    Await(contributions);
    if (!under_way_.empty()) return write;
    // Takes turns, so that sessions that change in every cycle do not keep the others from disk.
    const std::size_t count = std::min(unsaved_.size(), kWriteMax);
    auto next = unsaved_.upper_bound(written_to_);
    while (write.records.size() < count) {
      if (next == unsaved_.end()) next = unsaved_.begin();
      write.records.push_back(next->second);
      written_to_ = next->first;
      ++next;
    }
  }
  if (write.empty()) return write;
  write.number = ++last_number_;
  under_way_.insert(write.number);
  return write;
}

DiskBacklog::Outcome DiskBacklog::Written(const Write& write, bool ok) {
  under_way_.erase(write.number);
  Outcome outcome;
  outcome.began_to_fail = !ok && !fails_;
  outcome.recovered = ok && fails_;
  fails_ = !ok;
  for (const Journal::Record& record : write.records) {
    const auto at = unsaved_.find({record.shard, record.entry.session});
    if (!ok) {
      Save(record);
    } else if (at != unsaved_.end()) {
      Join(record.entry, &at->second.entry);
      if (at->second.entry == record.entry) unsaved_.erase(at);
    }
  }
  Await(write.number, write.contributions);
  if (!ok || !unsaved_.empty()) return outcome;
  const std::uint64_t first = under_way_.empty() ? std::numeric_limits<std::uint64_t>::max() : *under_way_.begin();
  std::erase_if(waiting_, [&](const Waiting& waiting) {
    if (waiting.after >= first) return false;
    outcome.on_disk.push_back(waiting.contribution);
    return true;
  });
  return outcome;
}

void DiskBacklog::Save(const Journal::Record& record) {
  const auto [at, is_new] = unsaved_.try_emplace({record.shard, record.entry.session}, record);
  if (!is_new) Join(record.entry, &at->second.entry);
}

void DiskBacklog::Await(std::uint64_t after, const std::vector<std::uint64_t>& contributions) {
  for (const std::uint64_t contribution : contributions) waiting_.push_back({after, contribution});
  while (waiting_.size() > kWaitingMax) waiting_.pop_front();
}

}  // namespace lvs::services
