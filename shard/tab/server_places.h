// The places that a server node has for links with tabs: which tab gets one, and which gives way. A server links with
// tabs so that it hears every shard from two of them; tabs take turns.
//
//   ServerPlaces places({.shards = 64, .places = 16}, seed);       // places >= shards / 4
//   places.Came(tab, mask, now_s);                                 // a tab has announced itself
//   for (const PlaceChange& change : places.Tick(now_s)) ...       // once a second: open or close the link
//
// A tab need not have links to other tabs: the lonely one needs the place most. Pure: time is passed in. The number of
// tabs is bounded by the directory of the hub.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "shard/tab/cover.h"
#include "shard/tab/draws.h"
#include "shard/tab/messages.h"

namespace lvs::tab {

inline constexpr double kPlaceAgeSeconds = 3;      // tabs that leave at once cost no place
inline constexpr double kPlaceSeconds = 120;       // while others wait
inline constexpr double kPlaceSecondsInNeed = 10;  // while a shard is not heard at all
inline constexpr double kPlaceRestSeconds = 10;    // before a tab that gave way is chosen again, while others wait
inline constexpr std::uint32_t kPlaceHeard = 2;    // tabs from which each shard shall be heard

struct PlaceRules {
  std::uint32_t shards = 16;
  std::size_t places = 16;
};

struct PlaceChange {
  TabId tab;
  Reason reason = Reason::kNone;  // kNone: the tab gets a place; else it gives way
};

class ServerPlaces {
 public:
  ServerPlaces(const PlaceRules& rules, std::uint64_t seed) : rules_(rules), draws_(seed) {}

  void Came(const TabId& tab, ShardMask mask, double now_s);  // a tab that is known only changes its mask
  void Left(const TabId& tab);
  std::vector<PlaceChange> Tick(double now_s);

  bool Has(const TabId& tab) const;
  std::size_t taken() const { return taken_; }
  // The shards that at least so many tabs with a place hold.
  ShardMask Heard(std::uint32_t count) const { return HeardFrom().AtLeast(count); }

 private:
  struct Tab {
    ShardMask mask = 0;
    double came_s = 0;
    double since_s = 0;  // with a place: since when; else: when it gave way
    bool has_place = false;
    bool gave_way = false;
  };
  using Entry = std::pair<const TabId, Tab>;

  Cover HeardFrom() const;
  Entry* Best(ShardMask wanted, double now_s);
  Entry* LeastMissed(double now_s);
  void Give(Entry* entry, double now_s, std::vector<PlaceChange>* changes);
  void Take(Entry* entry, Reason reason, double now_s, std::vector<PlaceChange>* changes);
  void Rotate(double now_s, std::vector<PlaceChange>* changes);

  PlaceRules rules_;
  Draws draws_;
  std::map<TabId, Tab> tabs_;
  std::size_t taken_ = 0;
};

}  // namespace lvs::tab
