// A whole browser tab, without its sockets: the node core (tab_node.h), the rule of links (tab_links.h) and the protocol
// with a hub, put together. The page, or a native load program, moves bytes and opens connections, and does nothing else
// of the protocol (TEST-3.1, TEST-4.1, ARCH-2.2).
//
//   Tab tab(config, now);
//   tab.Restore(shard, entries);                        // from the cache, if there is one
//   tab.Tick(now);                                      // once a period, when the timer allows; never in arrears
//   for (Command& command : tab.TakeCommands()) ...     // in this order: dial, open, send, close
//   for (TabEvent& event : tab.TakeEvents()) ...        // for the visitor, and for the cache
//
// and whatever happens is reported at once: HubReceived(socket, bytes, now), LinkOpened(link, now), ...
//
// Sockets and links are numbers that are never used twice, so that a late report of a connection that was given up finds
// nobody and harms nobody. A link goes through these commands and reports:
//
//   this side offers                            the other side offers
//   MakeOffer{link}        -> Described()       AcceptOffer{link, description} -> Described()
//   ApplyAnswer{link, description}              -> LinkOpened(), or LinkLost()
//   -> LinkOpened(), or LinkLost()
//   SendOnLink{link, bytes}, LinkReceived() ... CloseLink{link, words}, or LinkLost()
//
// A description is whole, no trickle. A link that has not opened within 5 s of its offer, or that was lost before it
// opened, goes through the hub from then on (Relay), until the hub refuses: CloseLink ends its connection only, and
// LinkReady tells of the link. A tab that cannot connect at all (`direct` is false) offers and answers with an empty
// description, and its links are relayed at once.
//
// Without a hub the tab goes on with the links that it has, and finds others by walks. Bounded: links by the rule,
// messages and bytes by the budgets of node core, rule and hub, commands and events by the constants below; what is
// refused is counted by reason.
//
// Pure: no clock, no threads, no sockets; `now` is passed in. The same configuration and calls give the same commands,
// natively and in a browser. One owner.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "shard/tab/draws.h"
#include "shard/tab/hub_dial.h"
#include "shard/tab/peer_message.h"
#include "shard/tab/tab_links.h"
#include "shard/tab/tab_node.h"
#include "vaultguard/refusals.h"

namespace lvs::tab {

// The two clocks of a tab. `s` are seconds of any clock that is never set back; `cycle` is what the wall clock shows.
struct Now {
  double s = 0;
  std::uint64_t cycle = 0;
};

// Bytes to send, and events, that wait to be taken. Those beyond are dropped and counted: states are sent again.
inline constexpr std::size_t kCommandBytesMax = 8 * 1024 * 1024;
inline constexpr std::size_t kTabEventsMax = 1024;
// A hub of which nothing was heard for so long is asked for a sign of life, and given up.
inline constexpr double kHubQuietSeconds = 20;
inline constexpr double kHubSilenceSeconds = 45;
// The first welcome may move the micro-nodes of a tab that is no older: it has nothing to lose yet.
inline constexpr double kAdviceSeconds = 15;
// After the hub refused to relay, no pair asks it again for so long at least.
inline constexpr double kRelayPauseSeconds = 60;
// SPEC-12: a micro-node's bytes a minute, sent. Above it a tab speaks half as often.
inline constexpr double kBytesAMinute = 50'000;

struct TabConfig {
  TabNodeConfig node;  // tab_links and server_links are set here
  std::uint32_t micro_nodes = 1;
  // Sessions of the micro-nodes of a former life: their shards are those of the cache. Empty: they are drawn.
  std::vector<std::uint64_t> sessions;
  std::uint32_t hubs = 1;  // addresses that the page knows, the best first; 0: no hub is ever dialled
  bool direct = true;      // this browser can open DataChannels
};

// ---- What the page shall do

// Opens WebSocket number `socket` to the hub of this number, below TabConfig::hubs. Reports HubOpened or HubClosed.
struct DialHub {
  std::uint32_t hub = 0;
  std::uint32_t socket = 0;
};
struct SendToHub {
  std::uint32_t socket = 0;
  std::string bytes;
};
struct CloseHub {
  std::uint32_t socket = 0;
  std::string words;
};
// Makes a connection and its offer; reports Described.
struct MakeOffer {
  std::uint32_t link = 0;
};
// Makes a connection that accepts the offer; reports Described with the answer.
struct AcceptDescription {
  std::uint32_t link = 0;
  std::string description;
};
// The answer to an offer of this side.
struct ApplyAnswer {
  std::uint32_t link = 0;
  std::string description;
};
struct SendOnLink {
  std::uint32_t link = 0;
  std::string bytes;
};
// Closes the connection, and frees what it took. No report is needed any more.
struct CloseLink {
  std::uint32_t link = 0;
  std::string words;
};
using Command =
    std::variant<DialHub, SendToHub, CloseHub, MakeOffer, AcceptDescription, ApplyAnswer, SendOnLink, CloseLink>;

// ---- What the page may show

enum class HubState : std::uint8_t {
  kDialling,
  kOpen,     // the socket is open; hellos are exchanged
  kWelcome,  // the hub lists this tab
  kLost,     // the socket closed, or could not be opened
  kFull,     // the hub has as many tabs as it serves: another one is tried
  kMisfit,   // another network, or another build: the page should be loaded again
  kRefused,  // by its origin, its address, or what it said
  kOff,      // no hub is dialled: the visitor cut all links, or left
};
std::string_view Name(HubState state);

struct HubChanged {
  HubState state = HubState::kLost;
  std::uint32_t hub = 0;
  std::string words;   // why, for the visitor
  std::string region;  // of the hub, as its hello says, from kOpen on
  std::string build;
  double again_s = 0;  // seconds until a hub is dialled again; 0: now, or never
};
// A place at the hub's server node, where it takes frames of this tab.
struct PlaceChanged {
  bool given = false;
  std::string words;
};
// The far end of a link said a hello that fits: from now on frames are exchanged.
struct LinkOpen {
  std::uint32_t link = 0;
  TabId tab;
  bool relayed = false;
  std::string region;
  std::string build;
};
struct LinkEnded {
  std::uint32_t link = 0;
  TabId tab;
  std::string words;
};
// The hub did not take a message.
struct HubRefused {
  Reason reason = Reason::kNone;
  std::uint32_t kind = 0;  // KindOf the message
  std::string words;
};
// Builds that others run, as far as this tab has heard; its own is not among them.
struct BuildsHeard {
  std::vector<BuildSeen> builds;
};
// Contributed: what became of a contribution, and how many hold it. Changed: entries for the cache. MaskChanged: the
// shards of the tab.
using TabEvent = std::variant<Contributed, Changed, MaskChanged, HubChanged, PlaceChanged, LinkOpen, LinkEnded,
                              HubRefused, BuildsHeard>;

// Words for the visitor whose contribution was refused.
std::string_view WordsForVisitor(vaultguard::Refusal refusal);

// A link as the page shows it. `slot` is the number of the link in the node core: TabNode::FiguresOfLink, Point::link.
struct LinkView {
  std::uint32_t link = 0;
  std::uint32_t slot = 0;
  TabId tab;
  bool relayed = false;
  bool ready = false;
  double since_s = 0;
};

struct TabTraffic {
  std::uint64_t hub_messages_sent = 0;  // relayed ones included
  std::uint64_t hub_bytes_sent = 0;
  std::uint64_t hub_messages_received = 0;
  std::uint64_t hub_bytes_received = 0;
  std::uint64_t link_messages_sent = 0;  // direct
  std::uint64_t link_bytes_sent = 0;
  std::uint64_t link_messages_received = 0;
  std::uint64_t link_bytes_received = 0;
  std::uint64_t relayed_sent = 0;  // messages
  std::uint64_t relayed_received = 0;
  std::uint64_t links_opened = 0;
  std::uint64_t links_relayed = 0;
  std::uint64_t hub_dials = 0;
  std::uint64_t late_reports = 0;  // of connections that were given up
  std::uint64_t forged = 0;        // hellos of another tab than the one that was asked
  std::uint64_t stray_relays = 0;  // relayed messages of a tab that is not linked
  std::uint64_t crowded_out = 0;   // commands and events that nobody took in time
};

class Tab {
 public:
  // A configuration that WhyInvalid(config.node) finds fault with is a bug.
  Tab(TabConfig config, const Now& now);
  Tab(const Tab&) = delete;
  Tab& operator=(const Tab&) = delete;

  // ---- Time. Cycles that no tick ran are skipped. Where no timer fires, as in a hidden page, what is received ticks the
  // tab about once a second.
  void Tick(const Now& now);
  std::vector<Command> TakeCommands();
  std::vector<TabEvent> TakeEvents();

  // ---- The socket to the hub
  void HubOpened(std::uint32_t socket, const Now& now);
  // `code`: of the WebSocket's close (services/net/web_socket.h), 1006 where there was none, 0 where it never opened.
  void HubClosed(std::uint32_t socket, std::uint16_t code, std::string_view words, const Now& now);
  void HubReceived(std::uint32_t socket, std::string_view bytes, const Now& now);
  // It has too much to send: no frames until it has not.
  void HubBlocked(std::uint32_t socket, bool blocked);

  // ---- Connections to tabs
  void Described(std::uint32_t link, std::string description, const Now& now);
  void LinkOpened(std::uint32_t link, const Now& now);
  // It failed, or closed. No CloseLink follows.
  void LinkLost(std::uint32_t link, const Now& now);
  void LinkReceived(std::uint32_t link, std::string_view bytes, const Now& now);
  void LinkBlocked(std::uint32_t link, bool blocked);

  // ---- What the visitor does
  // Refuses what cannot be taken at once; else Contributed tells, as often as something changes.
  std::optional<vaultguard::Refusal> Contribute(std::uint64_t id, std::uint32_t shard,
                                                const shard::SlotAmounts& amount_uvu);
  void Scatter();
  // Drops all links and the hub, and stays away for so long. False, and nothing is cut: no hub is there that could let
  // the tab in again.
  bool Cut(double seconds, const Now& now);
  // 1 to kHostedMicroNodesMax.
  void SetMicroNodes(std::uint32_t micro_nodes, const Now& now);
  void SetLowPower(bool on);
  void SetHidden(bool on);
  // Entries of the cache; of shards that are not held nothing is taken. Before the first tick.
  void Restore(std::uint32_t shard, std::vector<shard::LedgerEntry> entries);
  // Says goodbye to all. Nothing is done from then on.
  void Leave(std::string_view words, const Now& now);

  // ---- What the page shows
  const TabNode& node() const { return node_; }
  const TabLinks& links() const { return links_; }
  // The sessions of the micro-nodes, for the cache: TabConfig::sessions of the next life.
  const std::vector<std::uint64_t>& sessions() const { return sessions_; }
  std::vector<LinkView> Links() const;
  bool served() const { return served_; }  // has a place at a server node
  HubState hub_state() const { return hub_state_; }
  // Everything that its shards held somewhere, as far as those told who were there.
  bool ready() const { return ready_; }
  const TabTraffic& traffic() const { return traffic_; }
  std::uint64_t refused_by_hub(Reason reason) const { return refused_by_hub_[static_cast<std::size_t>(reason)]; }
  std::uint32_t cadence() const { return cadence_; }

 private:
  enum class Phase : std::uint8_t {
    kFree,
    kOffering,    // the description of an offer is awaited
    kOffered,     // the answer is
    kAnswering,   // the description of an answer is
    kConnecting,  // both have both descriptions
    kOpen,        // the connection, or the relay
  };
  // What is sent once its description is there.
  using Awaiting = std::variant<std::monostate, Offer, Answer, ToTab<Walk>, ToTab<WalkReply>>;
  struct Slot {
    Phase phase = Phase::kFree;
    std::uint32_t link = 0;
    std::uint32_t attempt = 0;  // of this side, until it is open; 0: the far end's
    TabId tab;                  // {}: a walk that nobody answered yet
    Awaiting awaiting;
    bool carried = false;  // the page has a connection for it
    bool relayed = false;
    bool ready = false;
    double relay_at_s = 0;  // with both descriptions: when the connection should be there
    double since_s = 0;
    std::uint64_t heard_cycle = 0;
    std::uint64_t rows_cycle = 0;
    std::string build;
  };

  // tab.cc
  void EachSecond(const Now& now);
  void Wake(const Now& now);
  void TickLate(const Now& now);
  void Settle(const Now& now);
  void Pump();
  void Order(Command command);
  void Tell(TabEvent event);
  void PaceFrames(const Now& now);
  void NoteHeard(const Now& now);
  void Hold(const Now& now);
  void FollowAdvice(GroupMask groups, const Now& now);

  // tab_hub.cc
  void SayToHub(std::string bytes);
  void EndHub(HubEnd end, std::string words, bool close, const Now& now);
  void ChangeHub(HubState state, std::string words, double again_s = 0);
  void TendHub(const Now& now);
  void NodeEndedHub(const LinkClosed& closed, const Now& now);
  void HubReady(const Hello& hello, const Now& now);
  void HubSaid(PeerMessage message, const Now& now);
  void Welcomed(const Welcome& welcome, const Now& now);
  void Relayed(const Relay& relay, const Now& now);
  void RefusedByHub(const Refused& refused, const Now& now);
  void LearnBuilds(const std::vector<BuildSeen>& builds);
  BuildNews KnownBuilds() const;
  bool IsSaid(const std::string& build) const;

  // tab_carriers.cc
  Slot* Of(std::uint32_t link);
  Slot* OfTab(const TabId& tab);
  Slot* OfAttempt(std::uint32_t attempt);
  Slot* Take(const TabId& tab, std::uint32_t attempt, const Now& now);
  std::uint32_t NumberOf(const Slot& slot) const { return static_cast<std::uint32_t>(&slot - slots_.data()); }
  void Do(Action action, const Now& now);
  void Begin(const TabId& tab, std::uint32_t attempt, Awaiting awaiting, const Now& now);
  void Accept(const TabId& tab, std::string offered, Awaiting awaiting, const Now& now);
  void SayAwaited(Slot* slot, std::string description, const Now& now);
  void RefuseAwaited(Slot* slot);
  void Connected(const Connect& connect, const Now& now);
  void Dropped(const Drop& drop);
  bool GoThroughHub(Slot* slot, const Now& now);
  void RelayLate(const Now& now);
  bool MayRelay(const Now& now) const;
  void EndRelay(Slot* slot, std::string_view words);
  void End(Slot* slot, std::string words);
  void NodeSaid(Event event, const Now& now);
  void NodeEnded(const LinkClosed& closed);
  void Greeted(std::uint32_t number, const Hello& hello, const Now& now);
  void TabSaid(Slot* slot, PeerMessage message, const Now& now);

  TabConfig config_;
  TabNode node_;
  TabLinks links_;
  Draws draws_;
  std::vector<Slot> slots_;  // by their number in the node core
  std::uint32_t links_begun_ = 0;
  std::vector<std::uint64_t> sessions_;

  HubDial dial_;
  HubState hub_state_ = HubState::kLost;
  std::uint32_t hub_ = 0;
  std::uint32_t socket_ = 0;  // 0: none
  std::uint32_t sockets_begun_ = 0;
  std::string hub_region_;
  std::string hub_build_;
  bool hub_blocked_ = false;
  double hub_heard_s_ = 0;
  double hub_asked_s_ = 0;
  double announce_s_ = 0;  // when to announce again; 0: not
  double relay_pause_s_ = 0;
  std::uint32_t relayed_last_ = 0;  // the link that was relayed last

  double started_s_ = 0;
  double ticked_s_ = 0;
  double stale_until_s_ = 0;  // what is heard before was said while the tab slept
  double next_second_s_ = 0;
  bool advised_ = false;
  bool contributed_ = false;
  bool ready_ = false;
  bool served_ = false;
  bool low_power_ = false;
  bool hidden_ = false;
  bool left_ = false;
  std::uint32_t cadence_ = 0;
  double bytes_since_s_ = 0;
  std::uint64_t bytes_then_ = 0;
  bool above_budget_ = false;

  std::vector<BuildSeen> builds_;  // told by others, or heard in hellos; not this tab's
  std::vector<Command> commands_;
  std::size_t command_bytes_ = 0;
  std::vector<TabEvent> events_;
  TabTraffic traffic_;
  std::array<std::uint64_t, static_cast<std::size_t>(Reason::kCount)> refused_by_hub_{};
};

}  // namespace lvs::tab
