#include "services/tabs/load_tab.h"

#include <bit>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "services/net/web_socket.h"
#include "shard/random.h"

namespace lvs::services {
namespace {

// As long as a session description of WebRTC.
constexpr std::size_t kDescriptionBytes = 2000;

std::string Describe(TabKey key, std::uint32_t link) {
  std::string text = absl::StrCat(key, " ", link, " ");
  text.resize(kDescriptionBytes, 'x');
  return text;
}

// The tab and link that a description names; {0, 0}: none.
std::pair<TabKey, std::uint32_t> Described(const std::string& text) {
  const std::vector<std::string> words = absl::StrSplit(text, absl::MaxSplits(' ', 2));
  std::pair<TabKey, std::uint32_t> named;
  if (words.size() < 2 || !absl::SimpleAtoi(words[0], &named.first) || !absl::SimpleAtoi(words[1], &named.second)) {
    return {};
  }
  return named;
}

// What ends a socket is said by codes; a dial that came to nothing has none, unless the hub is full or refuses.
std::uint16_t CodeFor(std::uint16_t code) {
  const std::uint16_t unavailable = CloseCodeOf(absl::UnavailableError(""));
  constexpr std::uint16_t kBroken = 1006;
  return code == unavailable ? kBroken : code;
}

}  // namespace

LoadTab::LoadTab(TabPlan plan, const Workplace& place, const tab::Now& now)
    : place_(place),
      direct_(plan.direct),
      says_goodbye_(plan.says_goodbye),
      tab_(std::move(plan.config), now),
      ticked_s_(now.s),
      ticked_cycle_(now.cycle) {
  key = plan.key;
  started_s = now.s;
  leaves_s = plan.leaves_s;
  if (plan.hostile) hostility_.emplace(*plan.hostile, shard::Mix(key), tab_.node().config().shards);
  Carry(now);
}

LoadTab::~LoadTab() { CountEnds(); }

void LoadTab::Take(Letter letter, const tab::Now& now) {
  const auto far = far_.find(letter.at);
  const bool known = far != far_.end() && far->second.key == letter.from && far->second.link == letter.from_link;
  switch (letter.kind) {
    case Letter::Kind::kHubSaid:
      place_.sums->from_hub.Add(letter.text);
      tab_.HubReceived(letter.at, letter.text, now);
      break;
    case Letter::Kind::kHubGone:
      if (line_ != nullptr && line_->socket() == letter.at) line_ = nullptr;
      tab_.HubClosed(letter.at, CodeFor(letter.code), letter.text, now);
      break;
    case Letter::Kind::kConnect:
      if (!known || !direct_) return;
      Post({.to = letter.from,
            .kind = Letter::Kind::kConnected,
            .at = letter.from_link,
            .from = key,
            .from_link = letter.at});
      far->second.open = true;
      tab_.LinkOpened(letter.at, now);
      break;
    case Letter::Kind::kConnected:
      if (!known) return;
      far->second.open = true;
      tab_.LinkOpened(letter.at, now);
      break;
    case Letter::Kind::kSaid:
      if (!known) return;
      place_.sums->from_tabs.Add(letter.text);
      tab_.LinkReceived(letter.at, letter.text, now);
      break;
    case Letter::Kind::kLost:
      if (!known) return;
      far_.erase(far);
      tab_.LinkLost(letter.at, now);
      break;
  }
  Carry(now);
}

void LoadTab::Tick(const tab::Now& now) {
  TabSums& sums = *place_.sums;
  ++sums.ticks;
  if (now.cycle > ticked_cycle_ + 1) sums.ticks_skipped += now.cycle - ticked_cycle_ - 1;
  ticked_cycle_ = now.cycle;
  sums.tab_seconds += now.s - ticked_s_;
  sums.micro_node_seconds += (now.s - ticked_s_) * tab_.node().micro_nodes();
  ticked_s_ = now.s;
  tab_.Tick(now);
  Carry(now);
  if (!hostility_) return;
  std::vector<tab::Command> more;
  hostility_->Add(tab_, line_ != nullptr ? line_->socket() : 0, &more);
  for (tab::Command& command : more) Do(std::move(command), now);
}

void LoadTab::Leave(const tab::Now& now) {
  if (says_goodbye_) {
    tab_.Leave("the tab was closed", now);
    Carry(now);
  }
  line_ = nullptr;
}

// ---- What the tab wants done ----

void LoadTab::Carry(const tab::Now& now) {
  for (std::vector<tab::Command> commands = tab_.TakeCommands(); !commands.empty(); commands = tab_.TakeCommands()) {
    if (hostility_) hostility_->Spoil(&commands);
    for (tab::Command& command : commands) Do(std::move(command), now);
  }
  for (const tab::TabEvent& event : tab_.TakeEvents()) Note(event);
}

void LoadTab::Post(Letter letter) { (*place_.letters)[place_.mail->WorkerOf(letter.to)].push_back(std::move(letter)); }

void LoadTab::Do(tab::Command command, const tab::Now& now) {
  if (const auto* const dial = std::get_if<tab::DialHub>(&command)) {
    const std::vector<std::string>& hubs = *place_.hubs;
    line_ = std::make_unique<HubLine>(place_.mail, key, dial->socket, place_.dialler,
                                      hubs[(key + dial->hub) % hubs.size()]);
    // What is said meanwhile waits for the socket.
    tab_.HubOpened(dial->socket, now);
  } else if (const auto* const send = std::get_if<tab::SendToHub>(&command)) {
    if (line_ == nullptr || line_->socket() != send->socket) return;
    place_.sums->to_hub.Add(send->bytes);
    line_->Say(send->bytes);
  } else if (const auto* const close = std::get_if<tab::CloseHub>(&command)) {
    if (line_ == nullptr || line_->socket() != close->socket) return;
    line_->Close(close->words);
    line_ = nullptr;
  } else if (const auto* const make = std::get_if<tab::MakeOffer>(&command)) {
    tab_.Described(make->link, Describe(key, make->link), now);
  } else if (const auto* const accept = std::get_if<tab::AcceptDescription>(&command)) {
    const auto [far, link] = Described(accept->description);
    far_[accept->link] = {far, link};
    tab_.Described(accept->link, Describe(key, accept->link), now);
  } else if (const auto* const apply = std::get_if<tab::ApplyAnswer>(&command)) {
    const auto [far, link] = Described(apply->description);
    far_[apply->link] = {far, link};
    if (direct_) Post({.to = far, .kind = Letter::Kind::kConnect, .at = link, .from = key, .from_link = apply->link});
  } else if (auto* const say = std::get_if<tab::SendOnLink>(&command)) {
    const auto far = far_.find(say->link);
    if (far == far_.end() || !far->second.open || say->bytes.size() > tab::kChannelBytesMax) return;
    place_.sums->to_tabs.Add(say->bytes);
    Post({.to = far->second.key,
          .kind = Letter::Kind::kSaid,
          .at = far->second.link,
          .from = key,
          .from_link = say->link,
          .text = std::move(say->bytes)});
  } else if (const auto* const end = std::get_if<tab::CloseLink>(&command)) {
    const auto far = far_.find(end->link);
    if (far == far_.end()) return;
    Post({.to = far->second.key,
          .kind = Letter::Kind::kLost,
          .at = far->second.link,
          .from = key,
          .from_link = end->link});
    far_.erase(far);
  }
}

// ---- What becomes of it ----

void LoadTab::Note(const tab::TabEvent& event) {
  std::map<std::string, std::uint64_t>& happened = place_.sums->happened;
  if (const auto* const told = std::get_if<tab::Contributed>(&event)) {
    if (told->told.refused) {
      place_.book->Refused(told->told.id, std::string(vaultguard::Name(*told->told.refused)));
    } else {
      place_.book->HeldBy(told->told.id, told->told.holders);
    }
  } else if (const auto* const hub = std::get_if<tab::HubChanged>(&event)) {
    if (hub->words.empty() || hub->state == tab::HubState::kOff) return;
    ++happened[absl::StrCat("hub ", std::string(tab::Name(hub->state)), ": ", hub->words)];
  } else if (const auto* const refused = std::get_if<tab::HubRefused>(&event)) {
    ++happened[absl::StrCat("hub refused ", std::string(NameOfKind(refused->kind)), ": ",
                            std::string(tab::Name(refused->reason)))];
  }
}

void LoadTab::CountEnds() {
  TabSums& sums = *place_.sums;
  const tab::TabLinks& links = tab_.links();
  for (std::size_t n = 0; n < dropped_.size(); ++n) {
    const auto reason = static_cast<tab::Reason>(n);
    const auto count = [&](std::uint64_t now, std::uint64_t* before, const char* what) {
      const std::uint64_t fresh = now - std::exchange(*before, now);
      if (fresh > 0) sums.happened[absl::StrCat(what, std::string(tab::Name(reason)))] += fresh;
    };
    count(links.dropped(reason), &dropped_[n], "link or attempt ended: ");
    count(links.refused(reason), &refused_[n], "refused by a tab: ");
  }
  sums.links_opened += tab_.traffic().links_opened - std::exchange(opened_, tab_.traffic().links_opened);
  sums.links_relayed += tab_.traffic().links_relayed - std::exchange(relayed_, tab_.traffic().links_relayed);
}

TabLook LoadTab::Look(double now_s) const {
  TabLook look{.tab = tab_.node().card().tab,
               .mask = tab_.node().mask(),
               .settled = settled(now_s),
               .served = tab_.served(),
               .linked = {}};
  for (const tab::LinkView& view : tab_.Links()) {
    if (view.ready) look.linked.push_back(view.tab);
  }
  return look;
}

// ---- Contributions ----

bool LoadTab::Contribute(std::uint64_t id, std::int64_t uvu, std::uint64_t draw, const tab::Now& now) {
  const tab::TabNode& node = tab_.node();
  std::vector<std::uint32_t> may;
  for (tab::ShardMask left = node.mask(); left != 0; left &= left - 1) {
    const auto shard = static_cast<std::uint32_t>(std::countr_zero(left));
    if (!node.shard(shard)->replicas().empty()) may.push_back(shard);
  }
  if (may.empty()) return false;
  const std::uint32_t shard = may[shard::Below(draw, static_cast<std::uint32_t>(may.size()))];
  if (const auto why = tab_.Contribute(id, shard, {uvu})) {
    place_.book->Refused(id, std::string(vaultguard::Name(*why)));
    return true;
  }
  const shard::LedgerEntry& own = node.shard(shard)->own();
  place_.book->Made({id, shard, own.session, own.amount_uvu[0], now.cycle});
  return true;
}

bool LoadTab::Has(const MadeContribution& made) const {
  const tab::TabShard* const held = tab_.node().shard(made.shard);
  if (held == nullptr) return false;
  const auto entry = held->host().state().ledger().Find(made.session);
  return entry && entry->amount_uvu[0] >= made.amount_uvu;
}

}  // namespace lvs::services
