// The node core of a browser tab: it hosts the shards that the tab holds, and speaks the peer protocol over links that
// somebody else opens (ARCH-2.2, TEST-3.1, TEST-4.2). Whom to link with is decided by tab_links.h; bytes are moved by
// the page.
//
//   TabNode node(config);
//   node.AddMicroNode(session);
//   node.LinkUp(/*link=*/0, cycle);             // a DataChannel has opened
//   node.Receive(0, bytes, cycle);              // at any time, with the cycle that the clock shows
//   node.Tick(cycle);                           // when the timer allows: cycles between are skipped, never queued
//   for (Outgoing& out : node.TakeOutgoing()) Send(out.link, out.bytes);
//   for (Event& event : node.TakeEvents()) ...
//
// Links are numbers: 0 .. tab_links-1 lead to tabs, and server_links more behind them to server nodes. Frames go out on a
// link every `cadence_cycles`, all shards in one message where they fit. Of a link only the shards are exchanged that both
// ends hold, and with a server node only while it gives the tab a place.
//
// Bounded: frames and messages of a link by shard/intake.h, bytes that wait for a tick by kWaitingBytesMax, micro-nodes,
// adopted shards, outgoing bytes and events by the configuration and the constants below. What is refused changes
// nothing, and is counted by reason. A link that says mostly what must be refused is closed.
//
// Pure: no clock, no threads, no sockets. The same configuration and calls give the same bytes, natively and in a
// browser. One owner.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "shard/hosting/link_cadence.h"
#include "shard/intake.h"
#include "shard/tab/peer_message.h"
#include "shard/tab/placement.h"
#include "shard/tab/tab_shard.h"
#include "vaultguard/refusals.h"

namespace lvs::tab {

// Bytes of frames that one link may leave between two ticks. Further frames are refused: their news is sent again.
inline constexpr std::size_t kWaitingBytesMax = 256 * 1024;
// Messages and events that wait to be taken.
inline constexpr std::size_t kOutgoingBytesMax = 4 * 1024 * 1024;
inline constexpr std::size_t kEventsMax = 1024;
// A link that has not said hello by then is closed. A DataChannel may lose a hello: it is said again until the far end
// has said its own.
inline constexpr std::uint64_t kHelloCycles = 50;
inline constexpr std::uint64_t kHelloAgainCycles = 10;
inline constexpr std::uint32_t kHostedMicroNodesMax = 4096;
inline constexpr std::uint32_t kLinksOfTabMax = 64;

struct TabNodeConfig {
  std::uint32_t shards = 16;  // a multiple of kGroupShards, kShardsMax at most
  std::uint64_t period_us = 100'000;
  shard::StateShardConfig shard;  // shape and rules; the rest is set for each shard
  std::string build;
  std::string region;
  TabId session;           // drawn at random
  std::uint64_t seed = 0;  // likewise
  std::uint32_t tab_links = 16;
  std::uint32_t server_links = 1;
  std::uint32_t cadence_cycles = 5;
  std::uint32_t adopted_max = kAdoptedMax;
  bool json = false;
};
// What is wrong with a configuration; empty: nothing.
std::string_view WhyInvalid(const TabNodeConfig& config);

// Why a link was closed by this side, or the far end left.
enum class LinkEnd : std::uint8_t {
  kSelf,       // the far end is this tab
  kNoSession,  // the far end names no session
  kProtocol,   // no common protocol version
  kShape,      // another number of shards, or another shape of state
  kPeriod,     // another cycle period
  kClaim,      // more shards than the micro-nodes of the far end can hold
  kKind,       // a tab at the end of a link to a server node, or the other way round
  kNoHello,    // the first message was no hello, or none came in time
  kRefused,    // most of what was said had to be refused
  kGoodbye,    // the far end left
  kCount,
};
std::string_view Name(LinkEnd end);
std::string_view Words(LinkEnd end);  // for the visitor, and for the far end

// A message for the far end of a link.
struct Outgoing {
  std::uint32_t link = 0;
  std::string bytes;
};

// The far end said a hello that fits.
struct LinkReady {
  std::uint32_t link = 0;
  Hello hello;
};
// The carrier should close the link, once it has sent what is outgoing.
struct LinkClosed {
  std::uint32_t link = 0;
  LinkEnd end = LinkEnd::kGoodbye;
  std::string words;
};
// A message that is not about hosting: for tab_links.h, or for the page.
struct Heard {
  std::uint32_t link = 0;
  PeerMessage message;
};
// What became of a contribution, so far.
struct Contributed {
  std::uint32_t shard = 0;
  TabShard::Told told;
};
// The shards of the tab have changed.
struct MaskChanged {
  ShardMask mask = 0;
};
// Ledger entries of a shard that changed: for the cache.
struct Changed {
  std::uint32_t shard = 0;
  std::vector<shard::LedgerEntry> entries;
};
using Event = std::variant<LinkReady, LinkClosed, Heard, Contributed, MaskChanged, Changed>;

// One replica, or one that was heard, for the page.
struct Point {
  std::uint32_t shard = 0;
  std::int32_t link = -1;        // that it was heard on; -1: of this tab
  std::uint32_t micro_node = 0;  // of this tab, or the number of the halo row
  std::array<float, vaultguard::kMaxFreeCoordinates> at{};
  std::array<float, vaultguard::kMaxFreeCoordinates> drift{};  // from what it said last to where it is; this tab's only
  std::uint32_t age_cycles = 0;                                // of what it said last
  float entropy = 0;                                           // mean size of its last entropy packet
};

// How a shard of the tab stands.
struct ShardFigures {
  std::uint32_t replicas = 0;
  std::uint32_t waiting = 0;  // to enter, until the ledger is there
  bool adopted = false;
  bool synced = false;    // nothing more is waited for
  bool compared = false;  // it had all that those had who were there; else "only here", or incomplete
  std::uint32_t holders = 1;
  shard::SlotAmounts total_uvu{};
  std::uint64_t sessions = 0;
  std::uint64_t ledger_digest = 0;
  // The largest standard deviation of a free coordinate, over this tab's replicas and those that are heard.
  double spread = 0;
  double worst_value_vu = 0;  // the largest distance of a replica here from its ledger
};

struct LinkFigures {
  bool ready = false;
  ShardMask mask = 0;  // of the far end
  std::uint64_t heard_cycle = 0;
  std::uint64_t rows_cycle = 0;  // when state rows were last taken from it
  std::uint64_t frames_taken = 0;
  std::uint64_t frames_refused = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
};

struct TabCounts {
  std::uint64_t cycles = 0;
  std::uint64_t skipped = 0;  // cycles that no tick ran
  std::uint64_t late = 0;     // ticks of a cycle that was over
  std::uint64_t frames_sent = 0;
  std::uint64_t messages_sent = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t unexpected = 0;   // messages of a kind that the link does not carry
  std::uint64_t crowded_out = 0;  // messages and events that nobody took in time
};

class TabNode {
 public:
  // A configuration that WhyInvalid finds fault with is a bug.
  explicit TabNode(TabNodeConfig config);
  TabNode(const TabNode&) = delete;
  TabNode& operator=(const TabNode&) = delete;

  // ---- Links
  std::uint32_t links() const { return static_cast<std::uint32_t>(links_.size()); }
  bool leads_to_server(std::uint32_t link) const { return link >= config_.tab_links; }
  // The carrier of a link has opened, or is gone. Says hello.
  void LinkUp(std::uint32_t link, std::uint64_t cycle);
  void LinkDown(std::uint32_t link);
  // The carrier has too much to send: no frames until it has not.
  void SetBlocked(std::uint32_t link, bool blocked);
  void Receive(std::uint32_t link, std::string_view bytes, std::uint64_t cycle);
  void Say(std::uint32_t link, const PeerMessage& message);
  // Says goodbye on every link, and closes it.
  void Leave(std::string_view reason);

  // ---- What the tab holds
  // A micro-node of this session begins to hold its group of shards. False: there are kHostedMicroNodesMax.
  bool AddMicroNode(std::uint64_t session);
  // Micro-node n begins to hold the group of another session, and leaves the one that it held. False: there is none.
  bool MoveMicroNode(std::size_t n, std::uint64_t session);
  // The newest one ends. False: it is the last one, without which a tab holds nothing; it leaves instead.
  bool RemoveMicroNode();
  // Begins to hold a shard beside those of the micro-nodes. False: it is held, or adopted_max are.
  bool Adopt(std::uint32_t shard);
  ShardMask mask() const { return mask_; }
  ShardMask adopted() const { return adopted_; }
  std::uint32_t micro_nodes() const { return static_cast<std::uint32_t>(micro_nodes_.size()); }
  Card card() const;

  // ---- What the visitor does
  std::optional<vaultguard::Refusal> Contribute(std::uint64_t id, std::uint32_t shard,
                                                const shard::SlotAmounts& amount_uvu);
  void Scatter();
  void SetLowPower(bool on);
  void SetCadence(std::uint32_t cycles);
  // Entries from the tab's cache.
  void Restore(std::uint32_t shard, std::vector<shard::LedgerEntry> entries);

  // ---- A cycle. False: the cycle is not newer than the last one.
  bool Tick(std::uint64_t cycle);

  std::vector<Outgoing> TakeOutgoing();
  std::vector<Event> TakeEvents();

  // ---- What the page shows
  std::uint64_t cycle() const { return cycle_; }
  const TabNodeConfig& config() const { return config_; }
  const TabShard* shard(std::uint32_t number) const;
  ShardFigures FiguresOf(std::uint32_t shard) const;
  LinkFigures FiguresOfLink(std::uint32_t link) const;
  const TabCounts& counts() const { return counts_; }
  vaultguard::RefusalCounts refused() const;
  std::uint64_t ended(LinkEnd end) const { return ended_[static_cast<std::size_t>(end)]; }
  // Appends up to `max` points, the tab's own first.
  void Draw(std::size_t max, std::vector<Point>* points) const;
  // Equal for equal states: of all shards, and the cycle.
  std::uint64_t StateHash() const;

 private:
  enum class State : std::uint8_t { kDown, kGreeting, kReady };
  struct Link {
    State state = State::kDown;
    bool blocked = false;
    bool placed = false;   // frames are exchanged: with a server node only while it gives a place
    ShardMask mask = 0;    // of the far end
    ShardMask shared = 0;  // shards of which frames are exchanged
    std::uint32_t halo_rows = 0;
    std::uint32_t cadence_cycles = 1;  // of the far end
    std::uint64_t up_cycle = 0;
    std::uint64_t hello_cycle = 0;  // when this side said it last
    bool greeted = false;           // the far end has heard this side's hello
    hosting::LinkCadence cadence;
    std::size_t waiting_bytes = 0;  // of frames, since the last tick
    std::optional<shard::Intake> intake;
    LinkFigures figures;
    std::vector<hosting::Payload<shard::Frame>> frames;  // of this tick
  };
  struct MicroNode {
    std::uint32_t number = 0;
    std::uint32_t group = 0;
  };

  // tab_node.cc: what the tab holds, and a cycle
  TabShard& Held(std::uint32_t shard);
  void MoveIn(const MicroNode& micro_node);
  void MoveOut(const MicroNode& micro_node);
  void MaskMayHaveChanged();
  void FillTurns(std::uint64_t cycle, hosting::LinkTurns* turns);
  void Collect(TabShard* shard);
  void SendFrames(std::uint32_t link);
  void CountWaiting();

  // tab_node_links.cc: links and messages
  void SayHello(std::uint32_t link, std::uint64_t cycle);
  void Greet(std::uint32_t link, const Hello& hello);
  void GreetAgain(std::uint32_t link, std::uint64_t cycle);
  std::optional<LinkEnd> Misfit(std::uint32_t link, const Hello& hello) const;
  void TakeMessage(std::uint32_t link, PeerMessage message, std::uint64_t cycle);
  void TakeFrames(std::uint32_t link, const FrameBatch& batch, std::uint64_t cycle);
  std::optional<vaultguard::Refusal> TakeFrame(std::uint32_t link, std::string_view bytes, std::uint64_t cycle);
  void TakePlace(std::uint32_t link, const Place& place);
  void Share(std::uint32_t link);
  hosting::LinkChange ChangeOf(std::uint32_t link, bool up) const;
  void Refuse(std::uint32_t link, vaultguard::Refusal why);
  void Close(std::uint32_t link, LinkEnd end, std::string words);
  bool Carries(std::uint32_t link, const PeerMessage& message) const;
  void Send(std::uint32_t link, std::string bytes);
  void Tell(Event event);
  double SecondsAt(std::uint64_t cycle) const {
    return static_cast<double>(cycle) * static_cast<double>(config_.period_us) * 1e-6;
  }

  TabNodeConfig config_;
  hosting::ShardLayout layout_;
  std::vector<Link> links_;
  std::map<std::uint32_t, std::unique_ptr<TabShard>> shards_;  // that the tab holds
  std::vector<MicroNode> micro_nodes_;
  std::uint32_t micro_nodes_begun_ = 0;
  ShardMask mask_ = 0;
  ShardMask adopted_ = 0;
  bool low_power_ = false;
  std::uint64_t cycle_ = 0;
  std::vector<Outgoing> outgoing_;
  std::size_t outgoing_bytes_ = 0;
  std::vector<Event> events_;
  TabCounts counts_;
  vaultguard::RefusalCounts refused_;  // by the links
  std::array<std::uint64_t, static_cast<std::size_t>(LinkEnd::kCount)> ended_{};
};

}  // namespace lvs::tab
