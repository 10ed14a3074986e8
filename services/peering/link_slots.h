// The fixed places that links take on a node, by number. A session that comes back gets its former place where that is
// still free, because the actors behind the place remember what they sent to it. Any other session gets the place that
// has been free for longest.
//
//   LinkSlots slots(16);
//   const std::optional<std::uint32_t> slot = slots.Occupy(session);
//   if (!slot) ...   // every place is taken
//   slots.Leave(*slot);
//
// Pure; not thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "shard/ledger.h"

namespace lvs::services {

class LinkSlots {
 public:
  explicit LinkSlots(std::uint32_t count) : slots_(count) {}

  // Empty where no place is free.
  std::optional<std::uint32_t> Occupy(const shard::SessionId& session) {
    std::optional<std::uint32_t> best;
    for (std::uint32_t n = 0; n < slots_.size(); ++n) {
      if (slots_[n].occupied) continue;
      const bool former = slots_[n].session == session;
      if (former || !best || slots_[n].left < slots_[*best].left) best = n;
      if (former) break;
    }
    if (best) {
      slots_[*best].occupied = true;
      slots_[*best].session = session;
    }
    return best;
  }

  void Leave(std::uint32_t slot) {
    slots_[slot].occupied = false;
    slots_[slot].left = ++departures_;
  }

  std::uint32_t occupied() const {
    return static_cast<std::uint32_t>(
        std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.occupied; }));
  }

 private:
  struct Slot {
    bool occupied = false;
    shard::SessionId session;  // the last one that was here
    std::uint64_t left = 0;    // the order in which places were left
  };

  std::vector<Slot> slots_;
  std::uint64_t departures_ = 0;
};

}  // namespace lvs::services
