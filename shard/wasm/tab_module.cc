#include "shard/wasm/tab_module.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "shard/tab/tab.h"
#include "shard/wasm/tab_json.h"

namespace lvs::wasm {

namespace {

static_assert(std::endian::native == std::endian::little, "records and entries are copied as they lie");

constexpr std::size_t kSlots = std::tuple_size_v<shard::SlotAmounts>;
constexpr std::size_t kEntryBytes = (3 + kSlots) * sizeof(std::uint64_t);
constexpr double kUvu = 1e6;

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

// ---- Records ----

void Put(Record kind, std::uint32_t number, std::uint32_t more, std::string_view bytes) {
  std::vector<std::uint8_t>& output = The().output;
  const std::array<std::uint32_t, 4> head = {static_cast<std::uint32_t>(kind), number, more,
                                             static_cast<std::uint32_t>(bytes.size())};
  const std::size_t at = output.size();
  output.resize(at + sizeof head + (bytes.size() + 3) / 4 * 4);
  std::memcpy(output.data() + at, head.data(), sizeof head);
  if (!bytes.empty()) std::memcpy(output.data() + at + sizeof head, bytes.data(), bytes.size());
}

struct PutCommand {
  void operator()(const tab::DialHub& c) const { Put(Record::kDialHub, c.socket, c.hub, ""); }
  void operator()(const tab::SendToHub& c) const { Put(Record::kSendToHub, c.socket, 0, c.bytes); }
  void operator()(const tab::CloseHub& c) const { Put(Record::kCloseHub, c.socket, 0, c.words); }
  void operator()(const tab::MakeOffer& c) const { Put(Record::kMakeOffer, c.link, 0, ""); }
  void operator()(const tab::AcceptDescription& c) const { Put(Record::kAcceptOffer, c.link, 0, c.description); }
  void operator()(const tab::ApplyAnswer& c) const { Put(Record::kApplyAnswer, c.link, 0, c.description); }
  void operator()(const tab::SendOnLink& c) const { Put(Record::kSendOnLink, c.link, 0, c.bytes); }
  void operator()(const tab::CloseLink& c) const { Put(Record::kCloseLink, c.link, 0, c.words); }
};

std::string Hex(const tab::TabId& tab) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint64_t half : {tab.high, tab.low}) {
    for (int shift = 60; shift >= 0; shift -= 4) text += kDigits[half >> shift & 15];
  }
  return text;
}

std::string BuildsJson(const std::vector<tab::BuildSeen>& builds) {
  std::string json = "[";
  for (const tab::BuildSeen& seen : builds) {
    if (json.size() > 1) json += ',';
    json += JsonObject().Text("build", seen.build).Number("protocol", seen.protocol).Number("nodes", seen.nodes).Done();
  }
  return json + "]";
}

void PutEntries(std::uint32_t shard, const std::vector<shard::LedgerEntry>& entries) {
  std::string bytes;
  bytes.reserve(entries.size() * kEntryBytes);
  const auto put = [&](std::uint64_t word) { bytes.append(reinterpret_cast<const char*>(&word), sizeof word); };
  for (const shard::LedgerEntry& entry : entries) {
    put(entry.session.high);
    put(entry.session.low);
    put(entry.opened_cycle);
    for (const std::int64_t amount : entry.amount_uvu) put(static_cast<std::uint64_t>(amount));
  }
  Put(Record::kEntries, shard, static_cast<std::uint32_t>(entries.size()), bytes);
}

void PutEvent(const JsonObject& event) { Put(Record::kEvent, 0, 0, event.Done()); }

struct TellEvent {
  void operator()(const tab::Contributed& e) const {
    const std::string_view refused = e.told.refused ? tab::WordsForVisitor(*e.told.refused) : "";
    PutEvent(JsonObject()
                 .Text("event", "contributed")
                 .Number("id", e.told.id)
                 .Number("shard", e.shard)
                 .Number("holders", e.told.holders)
                 .Bool("final", e.told.final)
                 .Text("refused", refused));
  }
  void operator()(const tab::Changed& e) const { PutEntries(e.shard, e.entries); }
  void operator()(const tab::MaskChanged& e) const { PutEvent(JsonObject().Text("event", "mask")); }
  void operator()(const tab::HubChanged& e) const {
    PutEvent(JsonObject()
                 .Text("event", "hub")
                 .Text("state", tab::Name(e.state))
                 .Number("hub", e.hub)
                 .Text("words", e.words)
                 .Text("region", e.region)
                 .Text("build", e.build)
                 .Number("again_ms", Whole(e.again_s * 1000)));
  }
  void operator()(const tab::PlaceChanged& e) const {
    PutEvent(JsonObject().Text("event", "place").Bool("given", e.given).Text("words", e.words));
  }
  void operator()(const tab::LinkOpen& e) const {
    PutEvent(JsonObject()
                 .Text("event", "link_open")
                 .Number("link", e.link)
                 .Text("tab", Hex(e.tab))
                 .Bool("relayed", e.relayed)
                 .Text("region", e.region)
                 .Text("build", e.build));
  }
  void operator()(const tab::LinkEnded& e) const {
    PutEvent(
        JsonObject().Text("event", "link_ended").Number("link", e.link).Text("tab", Hex(e.tab)).Text("words", e.words));
  }
  void operator()(const tab::HubRefused& e) const {
    PutEvent(JsonObject()
                 .Text("event", "hub_refused")
                 .Text("reason", tab::Name(e.reason))
                 .Number("kind", e.kind)
                 .Text("words", e.words.empty() ? tab::Words(e.reason) : std::string_view(e.words)));
  }
  void operator()(const tab::BuildsHeard& e) const {
    PutEvent(JsonObject().Text("event", "builds").Value("builds", BuildsJson(e.builds)));
  }
};

// ---- Figures ----

// Writes a name or a number, so that the two cannot come apart.
class FigureWriter {
 public:
  FigureWriter(std::string* names, std::vector<double>* values) : names_(names), values_(values) {}
  template <class Value>
  void operator()(std::string_view name, Value value) const {
    if (values_ != nullptr) values_->push_back(static_cast<double>(value));
    if (names_ == nullptr) return;
    if (!names_->empty() && names_->back() != '\n') *names_ += ' ';
    *names_ += name;
  }

 private:
  std::string* names_;
  std::vector<double>* values_;
};

// A mask or a hash does not fit a double.
void Halves(const FigureWriter& put, const std::string& name, std::uint64_t value) {
  put(name + "_low", static_cast<std::uint32_t>(value));
  put(name + "_high", static_cast<std::uint32_t>(value >> 32));
}

void PutTraffic(const FigureWriter& put, const tab::TabTraffic& traffic) {
  put("hub_messages_sent", traffic.hub_messages_sent);
  put("hub_bytes_sent", traffic.hub_bytes_sent);
  put("hub_messages_received", traffic.hub_messages_received);
  put("hub_bytes_received", traffic.hub_bytes_received);
  put("link_messages_sent", traffic.link_messages_sent);
  put("link_bytes_sent", traffic.link_bytes_sent);
  put("link_messages_received", traffic.link_messages_received);
  put("link_bytes_received", traffic.link_bytes_received);
  put("relayed_sent", traffic.relayed_sent);
  put("relayed_received", traffic.relayed_received);
  put("links_opened", traffic.links_opened);
  put("links_relayed", traffic.links_relayed);
  put("hub_dials", traffic.hub_dials);
  put("late_reports", traffic.late_reports);
  put("forged", traffic.forged);
  put("stray_relays", traffic.stray_relays);
  put("crowded_out", traffic.crowded_out);
}

void PutTab(const FigureWriter& put, const tab::Tab& tab) {
  const tab::TabNode& node = tab.node();
  const tab::TabCounts& counts = node.counts();
  put("cycle", node.cycle());
  put("micro_nodes", node.micro_nodes());
  Halves(put, "mask", node.mask());
  Halves(put, "adopted", node.adopted());
  Halves(put, "hash", node.StateHash());
  put("ready", tab.ready());
  put("served", tab.served());
  put("cadence", tab.cadence());
  put("cycles", counts.cycles);
  put("skipped", counts.skipped);
  put("late", counts.late);
  put("frames_sent", counts.frames_sent);
  put("messages_sent", counts.messages_sent);
  put("bytes_sent", counts.bytes_sent);
  put("unexpected", counts.unexpected);
  put("node_crowded_out", counts.crowded_out);
  const tab::LinkFigures server = node.FiguresOfLink(node.links() - 1);
  put("server_slot", node.links() - 1);
  put("server_heard_cycle", server.heard_cycle);
  put("server_bytes_sent", server.bytes_sent);
  put("server_bytes_received", server.bytes_received);
  const vaultguard::RefusalCounts refused = node.refused();
  for (std::size_t n = 0; n < vaultguard::kRefusals; ++n) {
    const auto refusal = static_cast<vaultguard::Refusal>(n);
    put("refused_" + std::string(vaultguard::Name(refusal)), refused.Of(refusal));
  }
  for (std::size_t n = 1; n < static_cast<std::size_t>(tab::Reason::kCount); ++n) {
    const auto reason = static_cast<tab::Reason>(n);
    put("hub_refused_" + std::string(tab::Name(reason)), tab.refused_by_hub(reason));
  }
  PutTraffic(put, tab.traffic());
}

void PutShard(const FigureWriter& put, const tab::Tab& tab, std::uint32_t number) {
  const tab::ShardFigures figures = tab.node().FiguresOf(number);
  put("shard", number);
  put("replicas", figures.replicas);
  put("waiting", figures.waiting);
  put("is_adopted", figures.adopted);
  put("synced", figures.synced);
  put("compared", figures.compared);
  put("holders", figures.holders);
  put("sessions", figures.sessions);
  Halves(put, "digest", figures.ledger_digest);
  put("spread", figures.spread);
  put("worst_value_vu", figures.worst_value_vu);
  for (std::size_t s = 0; s < kSlots; ++s) {
    put("total_vu_" + std::to_string(s), static_cast<double>(figures.total_uvu[s]) / kUvu);
  }
}

void PutLink(const FigureWriter& put, const tab::Tab& tab, const tab::LinkView& view) {
  const tab::LinkFigures figures = tab.node().FiguresOfLink(view.slot);
  put("link", view.link);
  put("slot", view.slot);
  put("relayed", view.relayed);
  put("is_ready", view.ready);
  put("since_s", view.since_s);
  Halves(put, "mask", figures.mask);
  put("heard_cycle", figures.heard_cycle);
  put("rows_cycle", figures.rows_cycle);
  put("frames_taken", figures.frames_taken);
  put("frames_refused", figures.frames_refused);
  put("bytes_received", figures.bytes_received);
  put("bytes_sent", figures.bytes_sent);
}

std::vector<std::uint32_t> HeldShards(const tab::Tab& tab) {
  std::vector<std::uint32_t> held;
  for (std::uint32_t number = 0; number < tab::kShardsMax; ++number) {
    if (tab.node().shard(number) != nullptr) held.push_back(number);
  }
  return held;
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
  for (const tab::Command& command : The().tab->TakeCommands()) std::visit(lvs::wasm::PutCommand{}, command);
  for (const tab::TabEvent& event : The().tab->TakeEvents()) std::visit(lvs::wasm::TellEvent{}, event);
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
  std::vector<lvs::shard::LedgerEntry> restored;
  constexpr std::size_t kWords = lvs::wasm::kEntryBytes / sizeof(std::uint64_t);
  for (std::size_t n = 0; n < entries && (n + 1) * lvs::wasm::kEntryBytes <= The().input.size(); ++n) {
    lvs::shard::LedgerEntry& entry = restored.emplace_back();
    entry.session = {lvs::wasm::Word(n * kWords), lvs::wasm::Word(n * kWords + 1)};
    entry.opened_cycle = lvs::wasm::Word(n * kWords + 2);
    for (std::size_t s = 0; s < lvs::wasm::kSlots; ++s) {
      entry.amount_uvu[s] = static_cast<std::int64_t>(lvs::wasm::Word(n * kWords + 3 + s));
    }
  }
  The().tab->Restore(shard, std::move(restored));
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
  lvs::wasm::PutEntries(shard, entries);
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
  if (The().tab == nullptr || slot >= lvs::wasm::kSlots) return 1;
  lvs::shard::SlotAmounts amounts{};
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
  std::string& names = The().names;
  names.clear();
  if (The().tab == nullptr) return names.c_str();
  const lvs::wasm::FigureWriter put(&names, nullptr);
  lvs::wasm::PutTab(put, *The().tab);
  names += '\n';
  lvs::wasm::PutShard(put, *The().tab, 0);
  names += '\n';
  lvs::wasm::PutLink(put, *The().tab, {});
  return names.c_str();
}

const double* tab_figures() {
  std::vector<double>& figures = The().figures;
  figures.clear();
  if (The().tab == nullptr) return figures.data();
  const std::vector<std::uint32_t> shards = lvs::wasm::HeldShards(*The().tab);
  const std::vector<tab::LinkView> links = The().tab->Links();
  figures.push_back(static_cast<double>(shards.size()));
  figures.push_back(static_cast<double>(links.size()));
  const lvs::wasm::FigureWriter put(nullptr, &figures);
  lvs::wasm::PutTab(put, *The().tab);
  for (const std::uint32_t shard : shards) lvs::wasm::PutShard(put, *The().tab, shard);
  for (const tab::LinkView& link : links) lvs::wasm::PutLink(put, *The().tab, link);
  return figures.data();
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
