#include "services/tabs/contribution_book.h"

#include <algorithm>

namespace lvs::services {

std::uint64_t ContributionBook::Begin() {
  const MutexLock lock(&mu_);
  return ++offered_;
}

void ContributionBook::Made(const MadeContribution& made) {
  const MutexLock lock(&mu_);
  index_[made.id] = entries_.size();
  entries_.push_back({.made = made});
}

void ContributionBook::Refused(std::uint64_t id, std::string why) {
  const MutexLock lock(&mu_);
  ++refused_[std::move(why)];
  if (const auto at = index_.find(id); at != index_.end()) entries_[at->second].refused = true;
}

void ContributionBook::HeldBy(std::uint64_t id, std::uint32_t holders) {
  const MutexLock lock(&mu_);
  if (const auto at = index_.find(id); at != index_.end()) {
    entries_[at->second].holders = std::max(entries_[at->second].holders, holders);
  }
}

void ContributionBook::Fetch(std::size_t* seen, std::vector<MadeContribution>* fresh) const {
  const MutexLock lock(&mu_);
  for (; *seen < entries_.size(); ++*seen) fresh->push_back(entries_[*seen].made);
}

void ContributionBook::Everywhere(std::uint64_t id, std::uint64_t cycle) {
  const MutexLock lock(&mu_);
  const auto at = index_.find(id);
  if (at == index_.end()) return;
  Entry& entry = entries_[at->second];
  ++entry.done;
  entry.last_cycle = std::max(entry.last_cycle, cycle);
}

void ContributionBook::Found(std::uint64_t id) {
  const MutexLock lock(&mu_);
  if (const auto at = index_.find(id); at != index_.end()) entries_[at->second].found = true;
}

std::vector<MadeContribution> ContributionBook::All() const {
  const MutexLock lock(&mu_);
  std::vector<MadeContribution> all;
  for (const Entry& entry : entries_) {
    if (!entry.refused) all.push_back(entry.made);
  }
  return all;
}

ContributionFigures ContributionBook::Figures(std::uint64_t cycle, std::uint64_t grace_cycles, bool final) const {
  const MutexLock lock(&mu_);
  ContributionFigures figures;
  figures.offered = offered_;
  figures.refused = refused_;
  std::vector<std::uint64_t> took;
  for (const Entry& entry : entries_) {
    if (entry.refused) continue;
    ++figures.taken;
    if (entry.done >= workers_) {
      ++figures.everywhere;
      took.push_back(entry.last_cycle - std::min(entry.last_cycle, entry.made.cycle));
    } else if (entry.made.cycle + grace_cycles < cycle) {
      ++figures.open;
    } else {
      ++figures.young;
    }
    if (final && !entry.found) ++(entry.holders > 1 ? figures.lost : figures.lost_alone);
  }
  if (took.empty()) return figures;
  std::sort(took.begin(), took.end());
  const auto at = [&](double share) {
    return static_cast<double>(took[static_cast<std::size_t>(share * static_cast<double>(took.size() - 1))]);
  };
  figures.p50_cycles = at(0.5);
  figures.p99_cycles = at(0.99);
  figures.max_cycles = at(1);
  return figures;
}

}  // namespace lvs::services
