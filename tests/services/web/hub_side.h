// A hub, its tabs and the links of its node, all played by the test, in a time that the test sets.
//
//   HubSide side(TestHubOptions(1));
//   side.Start();
//   HubSide::Tab& tab = side.Listed(7, tab::MaskOfGroup(0));     // has said hello and announced itself
//   side.Tell(&tab, tab::Need{...});
//   side.Heard<tab::Sample>(&tab)                                 // the newest such message, if any came
//   side.Pass(3);                                                 // seconds, with their ticks
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/web/hub.h"
#include "services/web/tab_wire.h"
#include "tests/services/peering/fake_carrier.h"

namespace lvs::services {

inline HubOptions TestHubOptions(std::uint64_t session) {
  HubOptions options;
  static_cast<NodeTerms&>(options) = TestTerms(session);
  options.shards = 8;
  options.first_link = 4;
  options.places = 2;
  options.tabs_max = 50;
  options.seed = session;
  options.refusals = std::make_shared<ConnectionRefusals>();
  return options;
}

class HubSide {
 public:
  struct Tab {
    tab::TabId session;
    tab::ShardMask mask = 0;
    std::shared_ptr<PeerStream> stream;
    std::shared_ptr<Wire> wire = std::make_shared<Wire>();
    bool gone = false;
    std::vector<tab::PeerMessage> inbox;  // everything but frames
    std::vector<v1::Frame> frames;
  };
  // A link of the node went up, or down.
  struct Change {
    std::uint32_t link = 0;
    std::optional<TabLink> up;
  };

  explicit HubSide(HubOptions hub_options) : options(std::move(hub_options)) {}
  ~HubSide() {
    if (hub == nullptr) return;
    hub->Stop();
    for (Tab& tab : tabs) End(&tab);
  }

  void Start() {
    hub = std::make_shared<Hub>(options);
    hub->Start([this](std::uint32_t link, const Hub::FramePtr& frame) { delivered.emplace_back(link, frame->shard); },
               [this](std::uint32_t link, const TabLink* up) {
                 changes.push_back({link, up == nullptr ? std::nullopt : std::optional(*up)});
               },
               now_s);
    hub->Tick(cycle, now_s);
  }

  // ---- Tabs

  Tab* Connect() {
    Tab& tab = tabs.emplace_back();
    tab.stream = hub->Accept(now_s);
    if (tab.stream == nullptr) {
      tab.gone = true;
      return nullptr;
    }
    tab.stream->Begin(std::make_unique<FakeCarrier>(tab.wire));
    return &tab;
  }
  v1::PeerMessage HelloOf(std::uint64_t session) const {
    NodeTerms terms = options;
    terms.session = {session, session};
    terms.protocol_max = tab::kTabProtocol;
    terms.halo_rows = 16;
    v1::PeerMessage message = OwnHello(terms, "");
    message.mutable_hello()->set_protocol_min(tab::kTabProtocol);
    message.mutable_hello()->mutable_tab()->set_cadence_cycles(5);
    message.mutable_hello()->mutable_tab()->set_micro_nodes(1);
    return message;
  }
  Tab* Greeted(std::uint64_t session) {
    Tab* const tab = Connect();
    tab->session = {session, session};
    Tell(tab, HelloOf(session));
    EXPECT_TRUE(Heard<tab::Hello>(tab).has_value()) << Ended(*tab);
    return tab;
  }
  Tab* Listed(std::uint64_t session, tab::ShardMask mask) {
    Tab* const tab = Greeted(session);
    Announce(tab, mask);
    EXPECT_EQ(Heard<tab::Welcome>(tab).value_or(tab::Welcome{tab::Reason::kFailed}).reason, tab::Reason::kNone);
    tab->inbox.clear();
    return tab;
  }
  void Announce(Tab* tab, tab::ShardMask mask) {
    tab->mask = mask;
    Tell(tab, tab::Announce{CardOf(*tab)});
  }
  static tab::Card CardOf(const Tab& tab) { return {tab.session, tab.mask, 1, 0}; }

  void Tell(Tab* tab, const v1::PeerMessage& message) {
    Say(tab->stream.get(), tab->wire.get(), message, now_s);
    Listen();
  }
  void Tell(Tab* tab, const tab::PeerMessage& message) { Tell(tab, WriteTabMessage(message)); }
  void TellFrames(Tab* tab, const std::vector<v1::Frame>& frames) {
    v1::PeerMessage message;
    for (const v1::Frame& frame : frames) message.mutable_frames()->add_frames(frame.SerializeAsString());
    Tell(tab, message);
  }
  v1::Frame FrameOf(const Tab& tab, std::uint32_t shard) const {
    NodeTerms terms = options;
    terms.session = tab.session;
    return GoodFrame(terms, shard, cycle);
  }

  // The newest message of this kind since the last call, which forgets all of the kind.
  template <class Kind>
  std::optional<Kind> Heard(Tab* tab) {
    std::optional<Kind> newest;
    std::erase_if(tab->inbox, [&](const tab::PeerMessage& message) {
      const auto* const kind = std::get_if<Kind>(&message);
      if (kind != nullptr) newest = *kind;
      return kind != nullptr;
    });
    return newest;
  }
  static absl::Status Ended(const Tab& tab) { return tab.wire->ended.value_or(absl::OkStatus()); }
  void End(Tab* tab) {
    if (std::exchange(tab->gone, true)) return;
    tab->stream->Ended(tab->stream->why(), now_s);
  }

  // Every tab reads what waits for it.
  void Listen() {
    for (Tab& tab : tabs) {
      if (tab.gone) continue;
      for (const v1::PeerMessage& message : services::Heard(tab.stream.get(), tab.wire.get())) {
        for (const std::string& said : message.frames().frames()) {
          EXPECT_TRUE(tab.frames.emplace_back().ParseFromString(said));
        }
        tab::PeerMessage read;
        if (!message.has_frames()) {
          EXPECT_FALSE(ReadTabMessage(message, &read).has_value()) << message.ShortDebugString();
          tab.inbox.push_back(std::move(read));
        }
      }
    }
  }

  // ---- Time

  void Tick(double seconds = 0.1) {
    now_s += seconds;
    hub->Tick(++cycle, now_s);
    Listen();
  }
  // Tabs answer pings, as an honest one does.
  void Pass(double seconds) {
    for (double until_s = now_s + seconds; now_s < until_s - 1e-9;) {
      Tick(0.5);
      for (Tab& tab : tabs) {
        if (tab.gone || !Ended(tab).ok()) continue;
        if (const auto ping = Heard<tab::EchoRequest>(&tab)) Tell(&tab, tab::EchoReply{ping->sent_us});
      }
    }
  }

  std::uint64_t Refused(tab::Reason reason) const { return hub->Figures().refused[static_cast<std::size_t>(reason)]; }
  std::uint64_t EndedBy(TabEnd end) const { return hub->Figures().ended[static_cast<std::size_t>(end)]; }

  HubOptions options;
  double now_s = 100;
  std::uint64_t cycle = kCycle;
  std::vector<Change> changes;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> delivered;  // link and shard
  std::deque<Tab> tabs;
  std::shared_ptr<Hub> hub;
};

}  // namespace lvs::services
