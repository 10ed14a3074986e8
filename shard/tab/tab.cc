// A tab's time, its visitor and what it holds.
#include "shard/tab/tab.h"

#include <algorithm>
#include <bit>
#include <type_traits>
#include <utility>

namespace lvs::tab {

using vaultguard::Refusal;

namespace {

// Links that close while others open take a place for a moment.
constexpr std::uint32_t kSlotsToSpare = 4;
constexpr double kSecond = 1;
// A timer that comes later than that was asleep.
constexpr double kSleptSeconds = 5;
constexpr double kStaleSeconds = 0.5;
constexpr double kBudgetSeconds = 60;
constexpr double kWellBelowBudget = 0.8;
constexpr std::uint32_t kFewMicroNodes = 2;

std::uint32_t CadenceOf(const TabNodeConfig& config, bool slow) {
  return slow ? std::min(2 * config.cadence_cycles, kCadenceMax) : config.cadence_cycles;
}

TabConfig Completed(TabConfig config) {
  config.micro_nodes = std::clamp(config.micro_nodes, 1u, kHostedMicroNodesMax);
  if (!config.sessions.empty()) {
    config.sessions.resize(std::min<std::size_t>(config.sessions.size(), kHostedMicroNodesMax));
    config.micro_nodes = static_cast<std::uint32_t>(config.sessions.size());
  }
  config.node.tab_links = RulesFor(config.node.shards).links_max + kSlotsToSpare;
  config.node.server_links = 1;
  return config;
}

// The hello names the cadence that the tab begins with.
TabNodeConfig NodeConfig(const TabConfig& config) {
  TabNodeConfig node = config.node;
  node.cadence_cycles = CadenceOf(node, config.micro_nodes <= kFewMicroNodes);
  return node;
}

// Sessions of micro-nodes follow from the tab's seed, but no other draw does that others see.
std::vector<std::uint64_t> SessionsOf(const TabConfig& config, Draws* draws) {
  std::vector<std::uint64_t> sessions = config.sessions;
  while (sessions.size() < config.micro_nodes) sessions.push_back(draws->Next());
  return sessions;
}

}  // namespace

std::string_view Name(HubState state) {
  constexpr std::array<std::string_view, 8> kNames = {"dialling", "open",   "welcome", "lost",
                                                      "full",     "misfit", "refused", "off"};
  return static_cast<std::size_t>(state) < kNames.size() ? kNames[static_cast<std::size_t>(state)] : "";
}

std::string_view WordsForVisitor(Refusal refusal) {
  switch (refusal) {
    case Refusal::kUnknownShard: return "this tab has not got the ledger of that shard yet: try again in some seconds";
    case Refusal::kTooLarge: return "too many contributions wait: try again in a second";
    case Refusal::kBadEntry: return "the amount must be positive, and within the largest amount of one contribution";
    case Refusal::kRateExceeded: return "more than a session may have earned by now: contribute less, or later";
    case Refusal::kSessionsFull:
    case Refusal::kSessionsReserved:
    case Refusal::kSessionsTooFast: return "the shard has as many sessions as it can hold: try another shard, or later";
    default: return vaultguard::Name(refusal);
  }
}

Tab::Tab(TabConfig config, const Now& now)
    : config_(Completed(std::move(config))),
      node_(NodeConfig(config_)),
      links_(RulesFor(config_.node.shards),
             {.tab = config_.node.session, .mask = 0, .micro_nodes = config_.micro_nodes},
             shard::Mix(config_.node.seed ^ 1)),
      draws_(shard::Mix(config_.node.seed ^ 2)),
      slots_(config_.node.tab_links),
      sessions_(SessionsOf(config_, &draws_)),
      dial_(config_.hubs, /*first=*/0),
      started_s_(now.s),
      ticked_s_(now.s),
      next_second_s_(now.s),
      cadence_(CadenceOf(config_.node, config_.micro_nodes <= kFewMicroNodes)),
      bytes_since_s_(now.s) {
  for (const std::uint64_t session : sessions_) node_.AddMicroNode(session);
  links_.Hold(node_.mask(), 0, node_.micro_nodes(), now.s);
  Settle(now);
}

// ---- Commands and events ----

void Tab::Order(Command command) {
  std::size_t bytes = 0;
  if (const auto* const send = std::get_if<SendToHub>(&command)) bytes = send->bytes.size();
  if (const auto* const send = std::get_if<SendOnLink>(&command)) bytes = send->bytes.size();
  if (bytes > 0 && command_bytes_ + bytes > kCommandBytesMax) {
    ++traffic_.crowded_out;
    return;
  }
  command_bytes_ += bytes;
  commands_.push_back(std::move(command));
}

void Tab::Tell(TabEvent event) {
  if (events_.size() >= kTabEventsMax) {
    ++traffic_.crowded_out;
    return;
  }
  events_.push_back(std::move(event));
}

std::vector<Command> Tab::TakeCommands() {
  command_bytes_ = 0;
  return std::exchange(commands_, {});
}

std::vector<TabEvent> Tab::TakeEvents() { return std::exchange(events_, {}); }

// What node core and rule have to say follows from each other.
void Tab::Settle(const Now& now) {
  for (bool more = true; more;) {
    more = false;
    for (Event& event : node_.TakeEvents()) {
      NodeSaid(std::move(event), now);
      more = true;
    }
    for (Action& action : links_.TakeActions()) {
      Do(std::move(action), now);
      more = true;
    }
  }
  Pump();
}

void Tab::Pump() {
  for (Outgoing& out : node_.TakeOutgoing()) {
    if (node_.leads_to_server(out.link)) {
      SayToHub(std::move(out.bytes));
      continue;
    }
    const Slot& slot = slots_[out.link];
    if (slot.relayed) {
      ++traffic_.relayed_sent;
      relayed_last_ = slot.link;
      SayToHub(Encode(Relay{slot.tab, config_.node.session, std::move(out.bytes)}));
    } else {
      ++traffic_.link_messages_sent;
      traffic_.link_bytes_sent += out.bytes.size();
      Order(SendOnLink{slot.link, std::move(out.bytes)});
    }
  }
}

// ---- Time ----

void Tab::Tick(const Now& now) {
  if (left_) return;
  Wake(now);
  ticked_s_ = now.s;
  TendHub(now);
  if (now.s >= next_second_s_) {
    // A late timer does not catch up.
    next_second_s_ = std::max(next_second_s_ + kSecond, now.s + kSecond / 2);
    EachSecond(now);
  }
  node_.Tick(now.cycle);
  Settle(now);
}

// After a long sleep nobody counts as silent, and the offers that waited are over.
void Tab::Wake(const Now& now) {
  if (now.s <= ticked_s_ + kSleptSeconds) return;
  ticked_s_ = now.s - kSleptSeconds;
  stale_until_s_ = now.s + kStaleSeconds;
  links_.Slept(now.s);
  hub_heard_s_ = std::max(hub_heard_s_, now.s - kHubQuietSeconds);
}

void Tab::TickLate(const Now& now) {
  if (now.s >= ticked_s_ + kSecond) Tick(now);
}

void Tab::EachSecond(const Now& now) {
  NoteHeard(now);
  RelayLate(now);
  PaceFrames(now);
  if (!ready_) {
    ready_ = true;
    for (ShardMask left = node_.mask(); left != 0; left &= left - 1) {
      ready_ = ready_ && node_.shard(static_cast<std::uint32_t>(std::countr_zero(left)))->report().synced;
    }
    if (ready_) links_.Ready();
  }
  links_.Tick(now.s);
}

void Tab::NoteHeard(const Now& now) {
  for (std::uint32_t n = 0; n < slots_.size(); ++n) {
    Slot& slot = slots_[n];
    if (!slot.ready) continue;
    const LinkFigures figures = node_.FiguresOfLink(n);
    if (std::exchange(slot.rows_cycle, figures.rows_cycle) != figures.rows_cycle) {
      links_.HeardRows(slot.tab, now.s);
    } else if (slot.heard_cycle != figures.heard_cycle) {
      links_.Heard(slot.tab, now.s);
    }
    slot.heard_cycle = figures.heard_cycle;
  }
}

// Speaks half as often where overhead would be most of it, or where bytes are short.
void Tab::PaceFrames(const Now& now) {
  if (now.s >= bytes_since_s_ + kBudgetSeconds) {
    const std::uint64_t bytes = node_.counts().bytes_sent;
    const double rate = static_cast<double>(bytes - std::exchange(bytes_then_, bytes)) / (now.s - bytes_since_s_) *
                        kBudgetSeconds / node_.micro_nodes();
    bytes_since_s_ = now.s;
    above_budget_ = rate > (above_budget_ ? kWellBelowBudget : 1) * kBytesAMinute;
  }
  const bool slow = low_power_ || hidden_ || above_budget_ || node_.micro_nodes() <= kFewMicroNodes;
  const std::uint32_t cadence = CadenceOf(config_.node, slow);
  if (std::exchange(cadence_, cadence) != cadence) node_.SetCadence(cadence);
}

// ---- The visitor ----

std::optional<Refusal> Tab::Contribute(std::uint64_t id, std::uint32_t shard, const shard::SlotAmounts& amount_uvu) {
  const std::optional<Refusal> refused = node_.Contribute(id, shard, amount_uvu);
  contributed_ = contributed_ || !refused;
  return refused;
}

void Tab::Scatter() { node_.Scatter(); }

bool Tab::Cut(double seconds, const Now& now) {
  if (left_ || hub_state_ != HubState::kWelcome) return false;
  links_.Leave(Reason::kUnneeded);
  Settle(now);
  EndHub(HubEnd::kLost, "the visitor cut all links", /*close=*/true, now);
  dial_.Hold(now.s + std::max(0.0, seconds));
  ChangeHub(HubState::kOff, "the visitor cut all links", std::max(0.0, seconds));
  Settle(now);
  return true;
}

void Tab::SetMicroNodes(std::uint32_t micro_nodes, const Now& now) {
  if (left_) return;
  micro_nodes = std::clamp(micro_nodes, 1u, kHostedMicroNodesMax);
  while (sessions_.size() > micro_nodes && node_.RemoveMicroNode()) sessions_.pop_back();
  while (sessions_.size() < micro_nodes) {
    sessions_.push_back(draws_.Next());
    node_.AddMicroNode(sessions_.back());
  }
  Hold(now);
  Settle(now);
}

void Tab::SetLowPower(bool on) {
  low_power_ = on;
  node_.SetLowPower(low_power_ || hidden_);
}

void Tab::SetHidden(bool on) {
  hidden_ = on;
  node_.SetLowPower(low_power_ || hidden_);
}

void Tab::Restore(std::uint32_t shard, std::vector<shard::LedgerEntry> entries) {
  node_.Restore(shard, std::move(entries));
}

void Tab::Leave(std::string_view words, const Now& now) {
  if (left_) return;
  node_.Leave(words);
  Pump();
  for (Slot& slot : slots_) {
    if (slot.phase != Phase::kFree) End(&slot, std::string(words));
  }
  if (socket_ != 0) EndHub(HubEnd::kLeaving, std::string(words), /*close=*/true, now);
  left_ = true;
  ChangeHub(HubState::kOff, std::string(words));
  links_.TakeActions();
  node_.TakeEvents();
}

// ---- What the tab holds ----

void Tab::Hold(const Now& now) { links_.Hold(node_.mask(), node_.adopted(), node_.micro_nodes(), now.s); }

// Moves micro-nodes to groups that have too few holders: those that hold another group, each to one.
void Tab::FollowAdvice(GroupMask groups, const Now& now) {
  if (std::exchange(advised_, true) || contributed_ || !config_.sessions.empty()) return;
  const bool linked = std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.ready; });
  if (linked || now.s > started_s_ + kAdviceSeconds) return;
  groups &= static_cast<GroupMask>((1ull << (config_.node.shards / kGroupShards)) - 1);
  std::vector<std::size_t> free;
  for (std::size_t n = 0; n < sessions_.size(); ++n) {
    const GroupMask held = GroupMask{1} << GroupOf(sessions_[n], config_.node.shards);
    if ((groups & held) == 0) free.push_back(n);
    groups &= ~held;
  }
  for (; groups != 0 && !free.empty(); groups &= groups - 1, free.pop_back()) {
    const auto group = static_cast<std::uint32_t>(std::countr_zero(groups));
    sessions_[free.back()] = SessionInGroup(group, config_.node.shards, draws_.Next());
    node_.MoveMicroNode(free.back(), sessions_[free.back()]);
  }
  Hold(now);
}

std::vector<LinkView> Tab::Links() const {
  std::vector<LinkView> views;
  for (std::uint32_t n = 0; n < slots_.size(); ++n) {
    const Slot& slot = slots_[n];
    if (slot.phase == Phase::kFree) continue;
    views.push_back({slot.link, n, slot.tab, slot.relayed, slot.ready, slot.since_s});
  }
  return views;
}

}  // namespace lvs::tab
