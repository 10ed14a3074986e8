#include "shard/wasm/tab_module.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shard/tab/tab.h"
#include "shard/wasm/tab_figures.h"
#include "shard/wasm/tab_records.h"

namespace lvs::wasm {

namespace {

struct Module {
  std::unique_ptr<tab::Tab> tab;
  std::vector<std::uint8_t> input;
  std::vector<std::uint8_t> output;
  std::vector<double> figures;
  std::vector<float> points;
  std::vector<tab::Point> drawn;
  std::string words;
  std::string names;
};

Module& The() {
  static Module module;
  return module;
}

// Doubles of JavaScript are whole numbers up to 2^53.
std::uint64_t Whole(double value) { return value >= 0 && value < 9.0e15 ? static_cast<std::uint64_t>(value) : 0; }
tab::Now At(double now_s, double cycle) { return {.s = now_s, .cycle = Whole(cycle)}; }

std::string_view Text(std::size_t from, std::size_t bytes) {
  const std::vector<std::uint8_t>& input = The().input;
  from = std::min(from, input.size());
  return {reinterpret_cast<const char*>(input.data()) + from, std::min(bytes, input.size() - from)};
}
std::string_view Text(std::size_t bytes) { return Text(0, bytes); }

std::uint64_t Word(std::size_t index) {
  const std::vector<std::uint8_t>& input = The().input;
  std::uint64_t word = 0;
  if ((index + 1) * sizeof word <= input.size()) std::memcpy(&word, input.data() + index * sizeof word, sizeof word);
  return word;
}

// ---- Start ----

struct Lengths {
  std::uint32_t sessions = 0;
  std::uint32_t build = 0;
  std::uint32_t region = 0;
};
constexpr std::size_t kWordsOfStart = 5;

void ReadDrawn(const Lengths& lengths, tab::TabConfig* config) {
  config->node.session = {Word(0), Word(1)};
  config->node.seed = Word(2);
  config->node.shard.session_key = {Word(3), Word(4)};
  for (std::uint32_t n = 0; n < std::min(lengths.sessions, tab::kHostedMicroNodesMax); ++n) {
    config->sessions.push_back(Word(kWordsOfStart + n));
  }
  const std::size_t texts = (kWordsOfStart + lengths.sessions) * sizeof(std::uint64_t);
  config->node.build = Text(texts, lengths.build);
  config->node.region = Text(texts + lengths.build, lengths.region);
}

std::string_view WhyUnfit(const tab::TabConfig& config) {
  const shard::Shape& shape = config.node.shard.shape;
  if (shape.value_slots < 1 || shape.value_slots > vaultguard::kMaxValueSlots || shape.free_coordinates < 0 ||
      shape.free_coordinates > vaultguard::kMaxFreeCoordinates) {
    return "this network has more value slots or free coordinates than this page knows";
  }
  return tab::WhyInvalid(config.node);
}

}  // namespace

}  // namespace lvs::wasm

using lvs::wasm::At;
using lvs::wasm::Text;
using lvs::wasm::The;
using lvs::wasm::Whole;
namespace tab = lvs::tab;

std::uint8_t* tab_input(std::uint32_t bytes) {
  if (bytes > lvs::wasm::kInputMax) return nullptr;
  The().input.resize(std::max(bytes, 1u));
  return The().input.data();
}

const std::uint8_t* tab_take() {
  The().output.clear();
  if (The().tab == nullptr) return The().output.data();
  for (const tab::Command& command : The().tab->TakeCommands()) lvs::wasm::PutCommand(command, &The().output);
  for (const tab::TabEvent& event : The().tab->TakeEvents()) lvs::wasm::PutEvent(event, &The().output);
  return The().output.data();
}
std::uint32_t tab_taken_bytes() { return static_cast<std::uint32_t>(The().output.size()); }

std::uint32_t tab_start(std::uint32_t shards, std::uint32_t value_slots, std::uint32_t free_coordinates,
                        double period_us, std::uint32_t micro_nodes, std::uint32_t hubs, std::uint32_t direct,
                        std::uint32_t sessions, std::uint32_t build_bytes, std::uint32_t region_bytes, double now_s,
                        double cycle) {
  tab::TabConfig config;
  config.node.shards = shards;
  config.node.period_us = Whole(period_us);
  config.node.shard.shape.value_slots = static_cast<int>(value_slots);
  config.node.shard.shape.free_coordinates = static_cast<int>(free_coordinates);
  config.micro_nodes = std::clamp(micro_nodes, 1u, tab::kHostedMicroNodesMax);
  config.hubs = hubs;
  config.direct = direct != 0;
  lvs::wasm::ReadDrawn({sessions, build_bytes, region_bytes}, &config);
  The().words = lvs::wasm::WhyUnfit(config);
  if (!The().words.empty()) return 0;
  The().tab = std::make_unique<tab::Tab>(std::move(config), At(now_s, cycle));
  return 1;
}
const char* tab_words() { return The().words.c_str(); }

void tab_restore(std::uint32_t shard, std::uint32_t entries) {
  if (The().tab == nullptr) return;
  const std::size_t bytes = std::min(The().input.size(), entries * lvs::wasm::kEntryBytes);
  The().tab->Restore(shard, lvs::wasm::ReadEntries({The().input.data(), bytes}));
}

const std::uint8_t* tab_entries(std::uint32_t shard) {
  The().output.clear();
  const tab::TabShard* const held = The().tab == nullptr ? nullptr : The().tab->node().shard(shard);
  std::vector<lvs::shard::LedgerEntry> entries;
  if (held != nullptr) {
    const lvs::shard::Ledger& ledger = held->host().state().ledger();
    std::size_t cursor = 0;
    ledger.Bucket(lvs::shard::Ledger::kAllBuckets, ledger.size(), &cursor, &entries);
  }
  lvs::wasm::PutEntries(shard, entries, &The().output);
  return The().output.data();
}

const std::uint8_t* tab_goodbye(std::uint32_t words_bytes) {
  const std::string bytes =
      tab::Encode(tab::Goodbye{std::string(Text(std::min<std::size_t>(words_bytes, tab::kNameBytesMax)))});
  The().output.assign(bytes.begin(), bytes.end());
  return The().output.data();
}

void tab_tick(double now_s, double cycle) {
  if (The().tab != nullptr) The().tab->Tick(At(now_s, cycle));
}
void tab_leave(std::uint32_t words_bytes, double now_s, double cycle) {
  if (The().tab != nullptr) The().tab->Leave(Text(words_bytes), At(now_s, cycle));
}

void tab_hub_opened(std::uint32_t socket, double now_s, double cycle) {
  if (The().tab != nullptr) The().tab->HubOpened(socket, At(now_s, cycle));
}
void tab_hub_closed(std::uint32_t socket, std::uint32_t code, std::uint32_t words_bytes, double now_s, double cycle) {
  if (The().tab == nullptr) return;
  The().tab->HubClosed(socket, static_cast<std::uint16_t>(code), Text(words_bytes), At(now_s, cycle));
}
void tab_hub_received(std::uint32_t socket, std::uint32_t bytes, double now_s, double cycle) {
  if (The().tab != nullptr) The().tab->HubReceived(socket, Text(bytes), At(now_s, cycle));
}
void tab_hub_blocked(std::uint32_t socket, std::uint32_t blocked) {
  if (The().tab != nullptr) The().tab->HubBlocked(socket, blocked != 0);
}
void tab_described(std::uint32_t link, std::uint32_t bytes, double now_s, double cycle) {
  if (The().tab != nullptr) The().tab->Described(link, std::string(Text(bytes)), At(now_s, cycle));
}
void tab_link_opened(std::uint32_t link, double now_s, double cycle) {
  if (The().tab != nullptr) The().tab->LinkOpened(link, At(now_s, cycle));
}
void tab_link_lost(std::uint32_t link, double now_s, double cycle) {
  if (The().tab != nullptr) The().tab->LinkLost(link, At(now_s, cycle));
}
void tab_link_received(std::uint32_t link, std::uint32_t bytes, double now_s, double cycle) {
  if (The().tab != nullptr) The().tab->LinkReceived(link, Text(bytes), At(now_s, cycle));
}
void tab_link_blocked(std::uint32_t link, std::uint32_t blocked) {
  if (The().tab != nullptr) The().tab->LinkBlocked(link, blocked != 0);
}

std::uint32_t tab_contribute(std::uint32_t id, std::uint32_t shard, std::uint32_t slot, double amount_uvu) {
  lvs::shard::SlotAmounts amounts{};
  if (The().tab == nullptr || slot >= amounts.size()) return 1;
  amounts[slot] = static_cast<std::int64_t>(Whole(amount_uvu));
  const std::optional<lvs::vaultguard::Refusal> refused = The().tab->Contribute(id, shard, amounts);
  if (!refused) return 0;
  The().words = tab::WordsForVisitor(*refused);
  return 1;
}
void tab_scatter() {
  if (The().tab != nullptr) The().tab->Scatter();
}
std::uint32_t tab_cut(double seconds, double now_s, double cycle) {
  return The().tab != nullptr && The().tab->Cut(seconds, At(now_s, cycle)) ? 1 : 0;
}
void tab_set_micro_nodes(std::uint32_t micro_nodes, double now_s, double cycle) {
  if (The().tab != nullptr) The().tab->SetMicroNodes(micro_nodes, At(now_s, cycle));
}
void tab_set_low_power(std::uint32_t on) {
  if (The().tab != nullptr) The().tab->SetLowPower(on != 0);
}
void tab_set_hidden(std::uint32_t on) {
  if (The().tab != nullptr) The().tab->SetHidden(on != 0);
}

const char* tab_figure_names() {
  The().names = The().tab == nullptr ? "" : lvs::wasm::FigureNames(*The().tab);
  return The().names.c_str();
}
const double* tab_figures() {
  The().figures.clear();
  if (The().tab != nullptr) lvs::wasm::PutFigures(*The().tab, &The().figures);
  return The().figures.data();
}

std::uint32_t tab_points(std::uint32_t most) {
  std::vector<float>& points = The().points;
  points.clear();
  if (The().tab == nullptr) return 0;
  std::vector<tab::Point>& drawn = The().drawn;
  drawn.clear();
  The().tab->node().Draw(std::min(most, 65'536u), &drawn);
  for (const tab::Point& point : drawn) {
    float moved = 0;
    for (const float drift : point.drift) moved = std::max(moved, drift < 0 ? -drift : drift);
    for (const float value :
         {static_cast<float>(point.shard), static_cast<float>(point.link), static_cast<float>(point.micro_node),
          point.at[0], point.at[1], moved, static_cast<float>(point.age_cycles), point.entropy}) {
      points.push_back(value);
    }
  }
  return static_cast<std::uint32_t>(drawn.size());
}
const float* tab_points_at() { return The().points.data(); }

std::uint32_t tab_sessions() {
  return The().tab == nullptr ? 0 : static_cast<std::uint32_t>(The().tab->sessions().size());
}
const std::uint64_t* tab_sessions_at() { return The().tab == nullptr ? nullptr : The().tab->sessions().data(); }

std::uint64_t tab_state_hash() { return The().tab == nullptr ? 0 : The().tab->node().StateHash(); }
