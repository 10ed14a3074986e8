#include "services/tabs/tab_sums.h"

#include <numeric>

namespace lvs::services {
namespace {

constexpr std::array<std::string_view, tab::kKinds> kNames = {
    "none",  "hello",  "frames", "peers", "ping",    "pong", "goodbye",    "announce", "welcome", "need",  "sample",
    "offer", "answer", "place",  "relay", "refusal", "walk", "walk_reply", "standing", "adopt",   "builds"};

void Add(const WayCounts& from, std::int64_t sign, WayCounts* to) {
  const auto add = [sign](std::uint64_t n, std::uint64_t* sum) { *sum += sign > 0 ? n : ~n + 1; };
  for (std::size_t kind = 0; kind < from.messages.size(); ++kind) add(from.messages[kind], &to->messages[kind]);
  add(from.bytes, &to->bytes);
}

void Add(const TabSums& from, std::int64_t sign, TabSums* to) {
  Add(from.to_hub, sign, &to->to_hub);
  Add(from.from_hub, sign, &to->from_hub);
  Add(from.to_tabs, sign, &to->to_tabs);
  Add(from.from_tabs, sign, &to->from_tabs);
  const auto factor = static_cast<double>(sign);
  to->tab_seconds += factor * from.tab_seconds;
  to->micro_node_seconds += factor * from.micro_node_seconds;
  const auto add = [&](std::uint64_t TabSums::*member) {
    to->*member += sign > 0 ? from.*member : ~(from.*member) + 1;
  };
  for (const auto member : {&TabSums::started, &TabSums::left, &TabSums::links_opened, &TabSums::links_relayed,
                            &TabSums::ticks, &TabSums::ticks_skipped}) {
    add(member);
  }
  for (const auto& [what, n] : from.happened) to->happened[what] += sign > 0 ? n : ~n + 1;
}

}  // namespace

std::uint32_t KindOfBytes(std::string_view message) {
  constexpr std::uint32_t kDelimited = 2;
  std::uint32_t tag = 0;
  for (std::size_t n = 0; n < 2 && n < message.size(); ++n) {
    const auto byte = static_cast<std::uint8_t>(message[n]);
    tag |= static_cast<std::uint32_t>(byte & 0x7f) << (7 * n);
    if ((byte & 0x80) == 0) return (tag & 7) == kDelimited && tag >> 3 < tab::kKinds ? tag >> 3 : 0;
  }
  return 0;
}

std::string_view NameOfKind(std::uint32_t kind) { return kind < kNames.size() ? kNames[kind] : "none"; }

void WayCounts::Add(std::string_view message) {
  ++messages[KindOfBytes(message)];
  bytes += message.size();
}

std::uint64_t WayCounts::Of(std::initializer_list<std::uint32_t> kinds) const {
  std::uint64_t sum = 0;
  for (const std::uint32_t kind : kinds) sum += messages[kind];
  return sum;
}

std::uint64_t WayCounts::all() const { return std::accumulate(messages.begin(), messages.end(), std::uint64_t{0}); }

TabSums& TabSums::operator+=(const TabSums& other) {
  Add(other, 1, this);
  return *this;
}

TabSums TabSums::Since(const TabSums& before) const {
  TabSums since = *this;
  Add(before, -1, &since);
  std::erase_if(since.happened, [](const auto& entry) { return entry.second == 0; });
  return since;
}

}  // namespace lvs::services
