#include "shard/wasm/tab_records.h"

#include <array>
#include <bit>
#include <cstring>
#include <string>
#include <string_view>
#include <variant>

#include "shard/wasm/tab_json.h"
#include "shard/wasm/tab_module.h"

namespace lvs::wasm {
namespace {

static_assert(std::endian::native == std::endian::little, "records and entries are copied as they lie");

constexpr double kMsPerSecond = 1000;

void Put(Record kind, std::uint32_t number, std::uint32_t more, std::string_view bytes,
         std::vector<std::uint8_t>* out) {
  const std::array<std::uint32_t, 4> head = {static_cast<std::uint32_t>(kind), number, more,
                                             static_cast<std::uint32_t>(bytes.size())};
  const std::size_t at = out->size();
  out->resize(at + sizeof head + (bytes.size() + 3) / 4 * 4);
  std::memcpy(out->data() + at, head.data(), sizeof head);
  if (!bytes.empty()) std::memcpy(out->data() + at + sizeof head, bytes.data(), bytes.size());
}

struct CommandPutter {
  std::vector<std::uint8_t>* out;

  void operator()(const tab::DialHub& c) const { Put(Record::kDialHub, c.socket, c.hub, "", out); }
  void operator()(const tab::SendToHub& c) const { Put(Record::kSendToHub, c.socket, 0, c.bytes, out); }
  void operator()(const tab::CloseHub& c) const { Put(Record::kCloseHub, c.socket, 0, c.words, out); }
  void operator()(const tab::MakeOffer& c) const { Put(Record::kMakeOffer, c.link, 0, "", out); }
  void operator()(const tab::AcceptDescription& c) const { Put(Record::kAcceptOffer, c.link, 0, c.description, out); }
  void operator()(const tab::ApplyAnswer& c) const { Put(Record::kApplyAnswer, c.link, 0, c.description, out); }
  void operator()(const tab::SendOnLink& c) const { Put(Record::kSendOnLink, c.link, 0, c.bytes, out); }
  void operator()(const tab::CloseLink& c) const { Put(Record::kCloseLink, c.link, 0, c.words, out); }
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

// The JSON of an event; Changed has none, for its entries are bytes.
struct EventJson {
  std::string operator()(const tab::Contributed& e) const {
    const std::string_view refused = e.told.refused ? tab::WordsForVisitor(*e.told.refused) : "";
    return JsonObject()
        .Text("event", "contributed")
        .Number("id", e.told.id)
        .Number("shard", e.shard)
        .Number("holders", e.told.holders)
        .Bool("final", e.told.final)
        .Text("refused", refused)
        .Done();
  }
  std::string operator()(const tab::Changed&) const { return ""; }
  std::string operator()(const tab::MaskChanged&) const { return JsonObject().Text("event", "mask").Done(); }
  std::string operator()(const tab::HubChanged& e) const {
    return JsonObject()
        .Text("event", "hub")
        .Text("state", tab::Name(e.state))
        .Number("hub", e.hub)
        .Text("words", e.words)
        .Text("region", e.region)
        .Text("build", e.build)
        .Number("again_ms", static_cast<std::uint64_t>(e.again_s > 0 ? e.again_s * kMsPerSecond : 0))
        .Done();
  }
  std::string operator()(const tab::PlaceChanged& e) const {
    return JsonObject().Text("event", "place").Bool("given", e.given).Text("words", e.words).Done();
  }
  std::string operator()(const tab::LinkOpen& e) const {
    return JsonObject()
        .Text("event", "link_open")
        .Number("link", e.link)
        .Text("tab", Hex(e.tab))
        .Bool("relayed", e.relayed)
        .Text("region", e.region)
        .Text("build", e.build)
        .Done();
  }
  std::string operator()(const tab::LinkEnded& e) const {
    return JsonObject()
        .Text("event", "link_ended")
        .Number("link", e.link)
        .Text("tab", Hex(e.tab))
        .Text("words", e.words)
        .Done();
  }
  std::string operator()(const tab::HubRefused& e) const {
    return JsonObject()
        .Text("event", "hub_refused")
        .Text("reason", tab::Name(e.reason))
        .Number("kind", e.kind)
        .Text("words", e.words.empty() ? tab::Words(e.reason) : std::string_view(e.words))
        .Done();
  }
  std::string operator()(const tab::BuildsHeard& e) const {
    return JsonObject().Text("event", "builds").Value("builds", BuildsJson(e.builds)).Done();
  }
};

}  // namespace

void PutCommand(const tab::Command& command, std::vector<std::uint8_t>* out) {
  std::visit(CommandPutter{out}, command);
}

void PutEvent(const tab::TabEvent& event, std::vector<std::uint8_t>* out) {
  if (const auto* const changed = std::get_if<tab::Changed>(&event)) {
    return PutEntries(changed->shard, changed->entries, out);
  }
  Put(Record::kEvent, 0, 0, std::visit(EventJson{}, event), out);
}

void PutEntries(std::uint32_t shard, std::span<const shard::LedgerEntry> entries, std::vector<std::uint8_t>* out) {
  std::string bytes;
  bytes.reserve(entries.size() * kEntryBytes);
  const auto put = [&](std::uint64_t word) { bytes.append(reinterpret_cast<const char*>(&word), sizeof word); };
  for (const shard::LedgerEntry& entry : entries) {
    put(entry.session.high);
    put(entry.session.low);
    put(entry.opened_cycle);
    for (const std::int64_t amount : entry.amount_uvu) put(static_cast<std::uint64_t>(amount));
  }
  Put(Record::kEntries, shard, static_cast<std::uint32_t>(entries.size()), bytes, out);
}

std::vector<shard::LedgerEntry> ReadEntries(std::span<const std::uint8_t> bytes) {
  std::vector<shard::LedgerEntry> entries;
  std::array<std::uint64_t, kEntryBytes / sizeof(std::uint64_t)> words;
  for (; bytes.size() >= kEntryBytes; bytes = bytes.subspan(kEntryBytes)) {
    std::memcpy(words.data(), bytes.data(), kEntryBytes);
    shard::LedgerEntry& entry = entries.emplace_back();
    entry.session = {words[0], words[1]};
    entry.opened_cycle = words[2];
    for (std::size_t s = 0; s < entry.amount_uvu.size(); ++s) {
      entry.amount_uvu[s] = static_cast<std::int64_t>(words[3 + s]);
    }
  }
  return entries;
}

}  // namespace lvs::wasm
