// The peer table decides which stream holds which link: admission, upkeep and the end of streams. Its owner (peering.h)
// carries the decisions out and holds the lock.
//
//   PeerTable table(options);
//   table.Start("10.0.0.5:7400", now_s);
//   table.Add(stream, now_s);                                            // a stranger: it has said no hello yet
//   absl::StatusOr<std::uint32_t> slot = table.Admit(stream, hello, now_s);
//   const PeerTable::Upkeep upkeep = table.Tick(now_s, true);            // every cycle: what to do with which stream
//   table.Remove(stream, why, now_s);
//
// Two streams between the same two server nodes are reduced to the one that the node with the smaller session dialled
// (membership.h). The oldest silent stranger makes room for the newest, because an honest one says hello at once.
//
// Pure: no threads, time passed in, in seconds of any steady clock. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lvs/v1/control.pb.h"
#include "lvs/v1/peer.pb.h"
#include "services/peering/connection_refusals.h"
#include "services/peering/hello.h"
#include "services/peering/hub_links.h"
#include "services/peering/link_slots.h"
#include "services/peering/membership.h"
#include "services/peering/peer_stream.h"
#include "shard/intake.h"

namespace lvs::services {

// Streams that may be open without a hello, beside those that hold links.
inline constexpr std::size_t kStrangersMax = 32;
// Streams in the table, ended ones that their carriers still hold included. A peer that opens and resets streams makes
// them faster than carriers report their end.
inline constexpr std::size_t kStreamsMax = 512;

struct PeeringOptions : NodeTerms {
  std::uint32_t links = 16;
  std::vector<std::string> boot;                 // host:port; a host may stand for many addresses
  std::shared_ptr<ConnectionRefusals> refusals;  // where refused streams are counted; null: nowhere
  std::shared_ptr<HubLinks> hub_links;           // told of the links to other hubs; null: this node is no hub
  bool faults = false;                           // SetFaults may be called
  std::uint64_t seed = 0;
  double hello_s = 5;    // a stream that has said no hello by then is ended
  double silence_s = 6;  // a link that was not heard for so long is ended
  // Makes the frames that are decoded into; null: newly allocated ones.
  std::function<std::shared_ptr<shard::Frame>()> new_frame;
};

class PeerTable {
 public:
  // Decisions of a tick.
  struct Upkeep {
    std::vector<std::shared_ptr<PeerStream>> resume;
    std::vector<std::pair<std::shared_ptr<PeerStream>, v1::PeerMessage>> say;
    std::vector<std::pair<std::shared_ptr<PeerStream>, absl::Status>> close;
    std::vector<std::shared_ptr<PeerStream>> abort;
    std::vector<std::string> dial;
  };

  // How the peers stand to this node.
  struct Standing {
    std::uint32_t connected = 0;
    std::uint32_t staying = 0;  // neither leaving nor gone
    std::uint32_t in_step = 0;  // at cycles near this node's, so that each takes the other's frames
    std::uint32_t ahead = 0;    // the newest frames (a hundred or more) were all from the future
    std::uint32_t behind = 0;   // ... were all of old cycles
    std::size_t known = 0;      // addresses, connected or not
    bool expects = false;       // a peer that is not connected may come back
    bool misses = false;        // a node of this network cannot be reached (Membership::MissesSomebody)
  };

  // A stream and its record in this table.
  struct Link {
    std::shared_ptr<PeerStream> stream;
    double since_s = 0;
    double heard_s = 0;
    shard::Intake intake;
    double ping_s = 0;
    double rtt_ms = 0;
    double closed_s = -1;                              // seen to be closed; -1: not yet
    std::optional<std::uint32_t> slot = std::nullopt;  // the link that it holds, once admitted
    bool resting = false;                              // paused until its allowance of reads is paid back
    bool leaving = false;                              // by its newest frame
    bool goodbye = false;
  };

  explicit PeerTable(const PeeringOptions& options);

  // `advertise`: where peers may dial this node; empty: nowhere. Boot addresses that cannot be used are logged.
  void Start(std::string advertise, double now_s);
  const std::string& advertise() const { return advertise_; }

  // ---- Streams ----

  LinkId NextId() { return ++last_id_; }
  void Add(const std::shared_ptr<PeerStream>& stream, double now_s);
  // The table takes no further stream until some have ended.
  bool full() const { return links_.size() >= kStreamsMax; }
  // Returns the stranger that must make room for the next one; null where there is room. The caller closes it. Constant
  // time on average, however many streams have ended and are still in the table.
  std::shared_ptr<PeerStream> CrowdedOut();
  // Null where the stream is gone. Valid until Remove.
  Link* Find(LinkId id);
  // Gives the stream a link, by number. Otherwise the status to end it with: RESOURCE_EXHAUSTED, ALREADY_EXISTS.
  absl::StatusOr<std::uint32_t> Admit(const std::shared_ptr<PeerStream>& stream, const v1::Hello& hello, double now_s);
  // Forgets a stream that has ended, and frees its link. False: it was a stranger.
  bool Remove(const std::shared_ptr<PeerStream>& stream, const absl::Status& why, double now_s);
  std::vector<std::shared_ptr<PeerStream>> streams() const;
  std::size_t stream_count() const { return links_.size(); }

  // ---- Time ----

  // `seek`: peers are dialled and told addresses; false while the node leaves.
  Upkeep Tick(double now_s, bool seek);
  // The answer to a ping of this table.
  void Pong(const v1::Ping& pong, double now_s, Link* link);

  Membership& membership() { return *membership_; }  // since Start

  // ---- What operators see ----

  v1::PeerList Peers(double now_s) const;
  v1::TrafficStatus Traffic() const;
  std::uint32_t connected() const { return slots_.occupied(); }
  Standing StandingAt(double now_s) const;

 private:
  // Counts of streams that are gone, and of all.
  struct Totals {
    Outbox::Counts sent;
    std::uint64_t frames_received = 0;
    std::uint64_t bytes_received = 0;
    void Add(const Link& link);
  };

  void TickLink(double now_s, Link* link, Upkeep* upkeep);
  void TickMembership(double now_s, Upkeep* upkeep);
  v1::Peer Describe(const Link& link, double now_s) const;

  const PeeringOptions& options_;
  std::string advertise_;                   // since Start
  std::unique_ptr<Membership> membership_;  // since Start
  std::map<LinkId, Link> links_;            // by age; strangers included
  std::set<LinkId> strangers_;              // streams that peers opened and that hold no link; the oldest first
  LinkSlots slots_;
  LinkId last_id_ = 0;
  Totals gone_;
};

}  // namespace lvs::services
