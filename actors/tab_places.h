// The places of a server node for links with browser tabs: who holds which, and whose turn it is in a cycle (TEST-3.1).
//
//   TabPlaces places(/*first_link=*/16, /*first_node=*/17, /*count=*/16);
//   places.Set(17, &tab);                                     // a tab has come to the place of link 17
//   tick.turns = places.TurnsAt(cycle);                       // every cycle
//
// Any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "actors/recycled.h"
#include "services/base/mutex.h"
#include "shard/hosting/link_cadence.h"
#include "shard/hosting/messages.h"

namespace lvs::actors {

// A browser tab at the far end of a link. It counts as no holder (LinkChange::counts).
struct TabLink {
  std::uint64_t shard_mask = 0;      // bit s: frames of shard s are exchanged
  std::uint32_t cadence_cycles = 5;  // this node speaks every so many cycles,
  std::uint32_t refresh_cycles = 0;  // and tells every ambassador's last state every so many
  std::uint32_t resend_cycles = 0;   // as in LinkChange
  std::uint32_t round_trip_cycles = 0;
  std::uint32_t missing_cycles = 0;
};

class TabPlaces {
 public:
  // Place n is link first_link + n, and leads to node first_node + n.
  TabPlaces(std::uint32_t first_link, std::uint32_t first_node, std::uint32_t count)
      : first_link_(first_link), first_node_(first_node), count_(count), places_(count) {}

  // Returns the tab that had the place.
  std::optional<TabLink> Set(std::uint32_t link, const TabLink* tab) {
    const services::MutexLock lock(&mu_);
    Place& place = places_.at(link - first_link_);
    std::optional<TabLink> before = place.tab;
    place.tab.reset();
    if (tab != nullptr) place.tab = *tab;
    place.cadence = {};
    return before;
  }

  // Null where there are no places.
  hosting::Payload<hosting::LinkTurns> TurnsAt(std::uint64_t cycle) {
    if (count_ == 0) return nullptr;
    auto turns = Recycled<hosting::LinkTurns>();
    turns->first = first_node_;
    turns->speaks.assign(count_, 0);
    turns->refreshes.assign(count_, 0);
    const services::MutexLock lock(&mu_);
    for (std::uint32_t n = 0; n < count_; ++n) {
      Place& place = places_[n];
      if (!place.tab || !place.cadence.TakeTurn(cycle, n, place.tab->cadence_cycles)) continue;
      turns->speaks[n] = 1;
      turns->refreshes[n] = place.cadence.TakeRefresh(cycle, place.tab->refresh_cycles) ? 1 : 0;
    }
    return turns;
  }

 private:
  struct Place {
    std::optional<TabLink> tab;
    hosting::LinkCadence cadence;
  };

  const std::uint32_t first_link_;
  const std::uint32_t first_node_;
  const std::uint32_t count_;
  services::Mutex mu_;
  std::vector<Place> places_ ABSL_GUARDED_BY(mu_);
};

}  // namespace lvs::actors
