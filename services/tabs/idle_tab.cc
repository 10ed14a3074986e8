#include "services/tabs/idle_tab.h"

#include <utility>

#include "services/base/build.h"
#include "shard/random.h"

namespace lvs::services {
namespace {

tab::Card CardOf(const tab::TabNodeConfig& node, std::uint32_t micro_nodes) {
  const std::uint64_t session = node.session.low;
  return {node.session, tab::MaskOf({&session, 1}, node.shards), micro_nodes, 0};
}

}  // namespace

IdleTab::IdleTab(const TabPlan& plan, const Workplace& place, const tab::Now& now)
    : place_(place),
      id_(plan.config.node.session),
      region_(plan.config.node.region),
      card_(CardOf(plan.config.node, plan.config.micro_nodes)),
      shards_(plan.config.node.shards),
      value_slots_(static_cast<std::uint32_t>(plan.config.node.shard.shape.value_slots)),
      free_coordinates_(static_cast<std::uint32_t>(plan.config.node.shard.shape.free_coordinates)),
      period_us_(plan.config.node.period_us) {
  key = plan.key;
  started_s = dial_s_ = ticked_s_ = now.s;
  leaves_s = plan.leaves_s;
  Dial();
}

void IdleTab::Say(const tab::PeerMessage& message) {
  const std::string bytes = tab::Encode(message);
  place_.sums->to_hub.Add(bytes);
  line_->Say(bytes);
}

void IdleTab::Dial() {
  const std::vector<std::string>& hubs = *place_.hubs;
  ++sockets_;
  line_ =
      std::make_unique<HubLine>(place_.mail, key, sockets_, place_.dialler, hubs[(key + sockets_ - 1) % hubs.size()]);
  tab::Hello hello;
  hello.build = BuildString();
  hello.session_high = id_.high;
  hello.session_low = id_.low;
  hello.region = region_;
  hello.shards = shards_;
  hello.value_slots = value_slots_;
  hello.free_coordinates = free_coordinates_;
  hello.period_us = period_us_;
  hello.tab = tab::TabHello{.mask = card_.mask, .micro_nodes = card_.micro_nodes};
  Say(hello);
}

void IdleTab::Take(Letter letter, const tab::Now& now) {
  if (line_ == nullptr || letter.at != line_->socket()) return;
  if (letter.kind == Letter::Kind::kHubGone) {
    ++place_.sums->happened["hub lost: " + letter.text];
    line_ = nullptr;
    welcome_ = false;
    dial_s_ = now.s + tab::kReturnSeconds * shard::Unit(shard::Mix(key + sockets_));
    return;
  }
  if (letter.kind != Letter::Kind::kHubSaid) return;
  place_.sums->from_hub.Add(letter.text);
  tab::PeerMessage message;
  if (tab::Decode(letter.text, &message)) return;
  if (std::holds_alternative<tab::Hello>(message)) {
    Say(tab::Announce{card_});
  } else if (const auto* const welcome = std::get_if<tab::Welcome>(&message)) {
    welcome_ = welcome->reason == tab::Reason::kNone;
    if (!welcome_) ++place_.sums->happened["hub refused: " + std::string(tab::Name(welcome->reason))];
  } else if (const auto* const echo = std::get_if<tab::EchoRequest>(&message)) {
    Say(tab::EchoReply{echo->sent_us});
  } else if (const auto* const offer = std::get_if<tab::Offer>(&message)) {
    Say(tab::Answer{offer->from.tab, card_, offer->attempt, tab::Reason::kFull, {}});
  }
}

void IdleTab::Tick(const tab::Now& now) {
  place_.sums->tab_seconds += now.s - ticked_s_;
  place_.sums->micro_node_seconds += (now.s - ticked_s_) * card_.micro_nodes;
  ticked_s_ = now.s;
  if (line_ == nullptr && now.s >= dial_s_) Dial();
}

void IdleTab::Leave(const tab::Now& /*now*/) { line_ = nullptr; }

}  // namespace lvs::services
