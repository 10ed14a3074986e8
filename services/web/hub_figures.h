// What a hub is doing, for status and metrics. Counts are since the start.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "services/web/signalling.h"
#include "services/web/socket_table.h"
#include "vaultguard/refusals.h"

namespace lvs::services {

struct HubFigures {
  // Now.
  std::size_t tabs = 0;       // that have said a hello
  std::size_t listed = 0;     // that have announced themselves, so that others find them
  std::size_t strangers = 0;  // sockets without a hello, and ended ones that their carriers still hold
  std::size_t remote = 0;     // tabs of other hubs that are known
  std::size_t hubs = 0;
  std::uint64_t micro_nodes = 0;  // of the listed tabs, as they say
  std::uint64_t links = 0;        // between tabs, as the listed ones said last; each link is said by both ends
  std::size_t places = 0;
  std::size_t places_taken = 0;
  std::array<std::uint32_t, 3> shards_heard{};  // from no tab with a place, from one, from two or more
  tab::ShardMask shards_held = 0;               // of listed and remote tabs
  std::size_t resting = 0;                      // tabs that are read no further for a while

  std::uint64_t frames_in = 0;  // that were taken
  std::uint64_t frames_out = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t tabs_came = 0;
  std::uint64_t places_given = 0;
  Signalling::Counts signalling;
  std::array<std::uint64_t, static_cast<std::size_t>(tab::Reason::kCount)> refused{};  // messages of tabs and hubs
  vaultguard::RefusalCounts refused_input;  // frames, and messages that no tab sends
  std::array<std::uint64_t, static_cast<std::size_t>(TabEnd::kCount)> ended{};
};

}  // namespace lvs::services
