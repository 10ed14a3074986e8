// What tabs of a load have said and heard, and what became of it.
//
//   TabSums before = sums;   ...   const TabSums lately = sums.Since(before);
//
// Plain numbers; not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "shard/tab/peer_message.h"

namespace lvs::services {

// Messages and bytes of one way, by kind of message (tab::KindOf); kind 0: no message at all.
struct WayCounts {
  std::array<std::uint64_t, tab::kKinds> messages{};
  std::uint64_t bytes = 0;

  void Add(std::string_view message);
  std::uint64_t Of(std::initializer_list<std::uint32_t> kinds) const;
  std::uint64_t all() const;
};

struct TabSums {
  WayCounts to_hub, from_hub;
  WayCounts to_tabs, from_tabs;  // over links that are not relayed
  double tab_seconds = 0;
  double micro_node_seconds = 0;
  std::uint64_t started = 0;
  std::uint64_t left = 0;
  std::uint64_t links_opened = 0;
  std::uint64_t links_relayed = 0;
  std::uint64_t ticks = 0;
  std::uint64_t ticks_skipped = 0;  // cycles that no tick ran, because the worker was late
  // How often each thing happened: "hub full", "hub refused offer: inbox_full", "link dropped: silent", ...
  std::map<std::string, std::uint64_t> happened;

  TabSums& operator+=(const TabSums& other);
  TabSums Since(const TabSums& before) const;
};

// The kind of a serialised PeerMessage, from its first tag; 0 where it is none.
std::uint32_t KindOfBytes(std::string_view message);
std::string_view NameOfKind(std::uint32_t kind);

}  // namespace lvs::services
