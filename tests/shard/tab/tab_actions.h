// Picks the actions of one kind out of what a tab does.
#pragma once

#include <variant>
#include <vector>

#include "shard/tab/tab_links.h"

namespace lvs::tab {

inline TabId Id(std::uint64_t n) { return {0, n}; }
inline Card CardOf(std::uint64_t n, ShardMask mask, std::uint32_t links = 0) { return {Id(n), mask, 10, links}; }

template <class Kind>
std::vector<Kind> Pick(const std::vector<Action>& actions) {
  std::vector<Kind> picked;
  for (const Action& action : actions) {
    if (const Kind* kind = std::get_if<Kind>(&action)) picked.push_back(*kind);
  }
  return picked;
}

// Opens a link that the far end offered, and lets the far end ping with its cover: `cover` links to each of its shards.
inline void OpenLink(TabLinks* links, const Card& far, std::uint32_t cover, double now_s) {
  links->Offered(Offer{Id(1), far, 1, false, {}}, now_s);
  links->Opened(far.tab, now_s);
  Ping ping{far, false, {}};
  for (; cover > 0; --cover) ping.cover.Add(far.mask);
  links->Pinged(far.tab, ping, now_s);
}

}  // namespace lvs::tab
