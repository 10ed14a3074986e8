#include "shard/tab/server_places.h"

#include <algorithm>
#include <utility>

namespace lvs::tab {

void ServerPlaces::Came(const TabId& tab, ShardMask mask, double now_s) {
  const auto [at, is_new] = tabs_.try_emplace(tab);
  at->second.mask = mask;
  if (is_new) at->second.came_s = now_s;
}

void ServerPlaces::Left(const TabId& tab) {
  const auto at = tabs_.find(tab);
  if (at == tabs_.end()) return;
  if (at->second.has_place) --taken_;
  tabs_.erase(at);
}

bool ServerPlaces::Has(const TabId& tab) const {
  const auto at = tabs_.find(tab);
  return at != tabs_.end() && at->second.has_place;
}

Cover ServerPlaces::HeardFrom() const {
  Cover heard;
  for (const auto& [id, tab] : tabs_) {
    if (tab.has_place) heard.Add(tab.mask);
  }
  return heard;
}

std::vector<PlaceChange> ServerPlaces::Tick(double now_s) {
  std::vector<PlaceChange> changes;
  Rotate(now_s, &changes);
  const ShardMask all = AllShards(rules_.shards);
  while (taken_ < rules_.places) {
    Entry* best = Best(all & ~Heard(kPlaceHeard), now_s);
    if (best == nullptr) break;
    Give(best, now_s, &changes);
  }
  // Full, and a shard is not heard at all: one link gives way a second.
  const ShardMask unheard = all & ~Heard(1);
  if (unheard == 0 || taken_ < rules_.places) return changes;
  Entry* best = Best(unheard, now_s);
  if (best == nullptr || (best->second.mask & unheard) == 0) return changes;
  Entry* gives_way = LeastMissed(now_s);
  if (gives_way == nullptr) return changes;
  Take(gives_way, Reason::kRedundant, now_s, &changes);
  Give(best, now_s, &changes);
  return changes;
}

// Takes the places back whose time is over, as many as there are tabs that wait, the longest held first.
void ServerPlaces::Rotate(double now_s, std::vector<PlaceChange>* changes) {
  if (taken_ < rules_.places) return;
  std::size_t waiting = 0;
  std::vector<Entry*> over;
  for (Entry& entry : tabs_) {
    const Tab& tab = entry.second;
    if (!tab.has_place) {
      waiting += now_s - tab.came_s >= kPlaceAgeSeconds ? 1 : 0;
    } else if (now_s - tab.since_s > kPlaceSeconds) {
      over.push_back(&entry);
    }
  }
  std::sort(over.begin(), over.end(),
            [](const Entry* a, const Entry* b) { return a->second.since_s < b->second.since_s; });
  if (over.size() > waiting) over.resize(waiting);
  for (Entry* entry : over) Take(entry, Reason::kRotated, now_s, changes);
}

// The tab without a place that holds most of the wanted shards, of equal ones a random one.
ServerPlaces::Entry* ServerPlaces::Best(ShardMask wanted, double now_s) {
  Entry* best = nullptr;
  double best_worth = -1;
  for (const bool rested : {true, false}) {
    for (Entry& entry : tabs_) {
      const Tab& tab = entry.second;
      if (tab.has_place || now_s - tab.came_s < kPlaceAgeSeconds) continue;
      if (rested && tab.gave_way && now_s - tab.since_s < kPlaceRestSeconds) continue;
      const double worth = ShardCount(tab.mask & wanted) + draws_.Unit();
      if (worth > best_worth) {
        best = &entry;
        best_worth = worth;
      }
    }
    if (best != nullptr) break;
  }
  return best;
}

// The link whose shards are all heard from another one as well, the one that is heard most often first; else the oldest,
// after a while. nullptr where every link is young and needed.
ServerPlaces::Entry* ServerPlaces::LeastMissed(double now_s) {
  const Cover heard = HeardFrom();
  Entry* spare = nullptr;
  Entry* oldest = nullptr;
  std::uint32_t spare_heard = kPlaceHeard - 1;
  for (Entry& entry : tabs_) {
    const Tab& tab = entry.second;
    if (!tab.has_place) continue;
    const std::uint32_t least = heard.Least(tab.mask);
    if (least > spare_heard) {
      spare = &entry;
      spare_heard = least;
    }
    if (now_s - tab.since_s >= kPlaceSecondsInNeed && (oldest == nullptr || tab.since_s < oldest->second.since_s)) {
      oldest = &entry;
    }
  }
  return spare != nullptr ? spare : oldest;
}

void ServerPlaces::Give(Entry* entry, double now_s, std::vector<PlaceChange>* changes) {
  entry->second.has_place = true;
  entry->second.since_s = now_s;
  ++taken_;
  changes->push_back({entry->first, Reason::kNone});
}

void ServerPlaces::Take(Entry* entry, Reason reason, double now_s, std::vector<PlaceChange>* changes) {
  entry->second.has_place = false;
  entry->second.gave_way = true;
  entry->second.since_s = now_s;
  --taken_;
  changes->push_back({entry->first, reason});
}

}  // namespace lvs::tab
