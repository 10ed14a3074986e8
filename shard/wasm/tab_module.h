// The tab module: shard/tab/tab.h for JavaScript. services/web/pages/src/tab/core.ts calls it in a worker, and a native
// program may call the same functions: what one browser did is then replayed, bit for bit (tests/wasm/tab_replay.cc).
//
// Functions are flat and take numbers. Bytes and text go in through one buffer, and come out of memory of the module:
//   - tab_input(n) is room for n bytes. What lies there is used by the next call that takes a length.
//   - tab_take() fills the output with all that the tab wants done or has to tell since the last call: one record after
//     the other, each four little-endian uint32 (kind, number, more, length) and so many bytes, padded to four.
//   - tab_figures() fills doubles. tab_figure_names() says what each of them is, so that no caller repeats their order.
// An address is good until the next call. Time is passed in: seconds of a clock that is never set back, and the cycle.
//
// Record kinds: of Command, and kEvent (JSON of one event) and kEntries (changed ledger entries of shard `number`).
// A ledger entry takes kEntryBytes: session high and low, opening cycle, and kMaxValueSlots amounts, 64 bits each.
//
// One tab a module. Calls before tab_start change nothing.
#pragma once

#include <cstdint>

#include "shard/wasm/export.h"

namespace lvs::wasm {

enum class Record : std::uint32_t {
  kDialHub = 1,  // number: socket; more: hub
  kSendToHub,    // number: socket
  kCloseHub,     // number: socket; the words
  kMakeOffer,    // number: link
  kAcceptOffer,  // number: link; the description
  kApplyAnswer,  // number: link; the description
  kSendOnLink,   // number: link
  kCloseLink,    // number: link; the words
  kEvent,
  kEntries,  // number: shard; more: entries
};

inline constexpr std::uint32_t kInputMax = 1 << 20;
inline constexpr std::uint32_t kPointFloats =
    8;  // a point: shard, slot of the link or -1, micro-node, x, y, distance, age, entropy

}  // namespace lvs::wasm

// ---- Memory
LVS_EXPORT(tab_input) std::uint8_t* tab_input(std::uint32_t bytes);  // null above kInputMax
LVS_EXPORT(tab_take) const std::uint8_t* tab_take();
LVS_EXPORT(tab_taken_bytes) std::uint32_t tab_taken_bytes();

// ---- The tab. tab_start: the input holds session high and low, a seed and two halves of a key, drawn at random, and so
// many sessions of micro-nodes, 64 bits each; then the texts. Returns 0 where it does not begin: tab_words() says why.
LVS_EXPORT(tab_start)
std::uint32_t tab_start(std::uint32_t shards, std::uint32_t value_slots, std::uint32_t free_coordinates,
                        double period_us, std::uint32_t micro_nodes, std::uint32_t hubs, std::uint32_t direct,
                        std::uint32_t sessions, std::uint32_t build_bytes, std::uint32_t region_bytes, double now_s,
                        double cycle);
LVS_EXPORT(tab_words) const char* tab_words();  // ends with a zero byte
LVS_EXPORT(tab_restore) void tab_restore(std::uint32_t shard, std::uint32_t entries);
LVS_EXPORT(tab_tick) void tab_tick(double now_s, double cycle);
// The output then holds all entries of a shard, for a cache that begins now: one record.
LVS_EXPORT(tab_entries) const std::uint8_t* tab_entries(std::uint32_t shard);
// The output then holds a goodbye with these words, for a page that has no time left to ask.
LVS_EXPORT(tab_goodbye) const std::uint8_t* tab_goodbye(std::uint32_t words_bytes);
LVS_EXPORT(tab_leave) void tab_leave(std::uint32_t words_bytes, double now_s, double cycle);

// ---- What the page reports
LVS_EXPORT(tab_hub_opened) void tab_hub_opened(std::uint32_t socket, double now_s, double cycle);
LVS_EXPORT(tab_hub_closed)
void tab_hub_closed(std::uint32_t socket, std::uint32_t code, std::uint32_t words_bytes, double now_s, double cycle);
LVS_EXPORT(tab_hub_received)
void tab_hub_received(std::uint32_t socket, std::uint32_t bytes, double now_s, double cycle);
LVS_EXPORT(tab_hub_blocked) void tab_hub_blocked(std::uint32_t socket, std::uint32_t blocked);
LVS_EXPORT(tab_described) void tab_described(std::uint32_t link, std::uint32_t bytes, double now_s, double cycle);
LVS_EXPORT(tab_link_opened) void tab_link_opened(std::uint32_t link, double now_s, double cycle);
LVS_EXPORT(tab_link_lost) void tab_link_lost(std::uint32_t link, double now_s, double cycle);
LVS_EXPORT(tab_link_received)
void tab_link_received(std::uint32_t link, std::uint32_t bytes, double now_s, double cycle);
LVS_EXPORT(tab_link_blocked) void tab_link_blocked(std::uint32_t link, std::uint32_t blocked);

// ---- What the visitor does. tab_contribute: 0, or it was refused: tab_words() says why.
LVS_EXPORT(tab_contribute)
std::uint32_t tab_contribute(std::uint32_t id, std::uint32_t shard, std::uint32_t slot, double amount_uvu);
LVS_EXPORT(tab_scatter) void tab_scatter();
LVS_EXPORT(tab_cut) std::uint32_t tab_cut(double seconds, double now_s, double cycle);  // 0: tab_words() says why not
LVS_EXPORT(tab_set_micro_nodes) void tab_set_micro_nodes(std::uint32_t micro_nodes, double now_s, double cycle);
LVS_EXPORT(tab_set_low_power) void tab_set_low_power(std::uint32_t on);
LVS_EXPORT(tab_set_hidden) void tab_set_hidden(std::uint32_t on);

// ---- What the page shows
// Names, apart by a blank: of the tab; in the next line those of each shard; in the third one those of each link.
LVS_EXPORT(tab_figure_names) const char* tab_figure_names();
// The number of shards, that of links, and then the figures.
LVS_EXPORT(tab_figures) const double* tab_figures();
LVS_EXPORT(tab_points) std::uint32_t tab_points(std::uint32_t most);
LVS_EXPORT(tab_points_at) const float* tab_points_at();
// The sessions of the micro-nodes, and how many there are.
LVS_EXPORT(tab_sessions) std::uint32_t tab_sessions();
LVS_EXPORT(tab_sessions_at) const std::uint64_t* tab_sessions_at();
// Equal for equal states; also of the native build.
LVS_EXPORT(tab_state_hash) std::uint64_t tab_state_hash();
