// Membership decides which server nodes this one is connected to (ARCH-2.2), after the idea of HyParView. A few links
// are held (the active view). Many more addresses are known (the passive view), and replace links that break. There is
// no coordinator, no address is an identity, and a node that cannot be dialled takes part by dialling.
//
// Pure: no threads, no clock, no carrier. The owner reports what happened and does what Tick() asks for. Time is in
// seconds of any steady clock, and never runs backwards.
//
//   Membership membership({.seed = seed, .session = session, .self = "10.0.0.5:7000"});
//   absl::Status boot = membership.AddBoot("seed.example:7000", now);
//   ...
//   const Membership::Actions actions = membership.Tick(now);          // ten times a second, say
//   for (const std::string& address : actions.dial) Dial(address);     // ends in Connected() or in DialFailed()
//   for (LinkId link : actions.exchange_with) Send(link, membership.Sample(link, now));
//   for (const auto& drop : actions.drop) Close(drop.link, drop.why);  // last: a newcomer leaves with a sample
//
// How the graph stays whole
//   below active_target   Addresses are dialled at random: half of the time one that has worked before, half of the
//                         time one that was only heard of. Where there are at most active_target others, all are
//                         linked.
//   full                  The last slots are for guests: a newcomer gets a sample of addresses, then must go.
//   cannot be dialled     Such peers never take all slots, so that those that can be dialled form a backbone. Where
//                         slots are scarce, they are content with half of the target. Tested with up to two such peers
//                         in three.
//   every fallback_s      A random address is linked even where nothing lacks, and a random older link goes in its
//                         place, so that two halves that lost one another meet again (SPEC-10). A full node frees a
//                         slot.
//   alone                 A node without a link forgets no address and tries them all for ever.
//
// A liar can fill half of the passive view with made-up addresses. Such addresses travel one hop, because an address is
// passed on only by nodes that were connected to it; after three failures they are forgotten.
//
// Everything is bounded: links by links_max, addresses by passive_max beside boot_max boot addresses, dials in flight
// by dials_max, what is read of an exchange by heard_max, and how often by shuffle_s.
//
// Deterministic: the same calls with the same seed give the same actions. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lvs/v1/control.pb.h"
#include "lvs/v1/peer.pb.h"
#include "shard/ledger.h"

namespace lvs::services {

// The one form in which addresses are compared: what ParseTarget accepts (services/base/host_port.h), in lower case and
// at most 256 characters long. INVALID_ARGUMENT otherwise.
absl::StatusOr<std::string> CanonicalAddress(std::string_view address);

struct MembershipOptions {
  std::uint64_t seed = 0;      // random, of its own for every process
  shard::SessionId session{};  // of this process
  std::string self;            // as this node advertises itself; empty where it cannot be dialled
  // Limits of links. The constructor lowers active_target where links_max leaves no slot for a guest.
  std::uint32_t links_max = 16;
  std::uint32_t active_target = 6;
  std::uint32_t dials_max = 4;
  // Limits of addresses.
  std::uint32_t passive_max = 128;  // at least twice links_max
  std::uint32_t boot_max = 256;
  std::uint32_t sample_max = 16;  // told in an exchange
  std::uint32_t heard_max = 32;   // read of an exchange
  // Times in seconds.
  double shuffle_s = 5;
  double fallback_s = 60;
  double backoff_min_s = 0.2;
  double backoff_max_s = 10;
  double dial_timeout_s = 15;  // for a dial that is never answered
  double guest_s = 0.2;
  double forget_s = 600;
  double goodbye_s = 30;
  double crossing_s = 1;     // two nodes that dial one another at once have both links within this time
  double expected_s = 3600;  // a node that cannot be reached is expected back for so long
};

// The number of a stream; never used twice, not 0.
using LinkId = std::uint64_t;

// A peer's hello, and how the peer was reached.
struct PeerLink {
  LinkId link = 0;
  std::string advertised;  // empty where the peer cannot be dialled; nonsense counts as empty
  std::string dialled;     // the address of Actions::dial; empty: the peer dialled
  std::string region;
  shard::SessionId session;
};

enum class LinkEnd {
  kBroken,   // lost, or ended by an error: dialled again soon
  kDropped,  // the peer made room (RESOURCE_EXHAUSTED, ALREADY_EXISTS): not dialled again at once
  kGoodbye,  // the peer leaves: neither dialled nor told to others for goodbye_s
};

class Membership {
 public:
  struct Drop {
    LinkId link = 0;
    absl::Status why;  // RESOURCE_EXHAUSTED or ALREADY_EXISTS: what the stream ends with
  };

  struct Actions {
    std::vector<std::string> dial;
    std::vector<LinkId> exchange_with;  // to be sent before the drops
    std::vector<Drop> drop;             // gone as far as Membership is concerned; Disconnected() need not follow
  };

  // Result of an exchange: what became of its addresses.
  struct HeardCount {
    std::uint32_t taken = 0;
    std::uint32_t refused = 0;  // no address, or more than an exchange may carry
  };

  explicit Membership(MembershipOptions options);

  // ---- Addresses ----

  // Adds an address to begin with: never forgotten, tried for ever. Where a host name stands for many addresses, pass
  // those to Heard() as well. INVALID_ARGUMENT, RESOURCE_EXHAUSTED (boot_max).
  absl::Status AddBoot(std::string_view address, double now);

  // Takes addresses that a peer told over this link; with kLocal, addresses that this node found out itself. An
  // exchange that comes sooner than half of shuffle_s after the link's last one is refused whole.
  static constexpr LinkId kLocal = 0;
  HeardCount Heard(LinkId link, const v1::PeerExchange& exchange, double now);

  // Says that the address is this node's own: it is never dialled again.
  void MarkSelf(std::string_view address);

  // Samples addresses for that peer: random ones that this node has been connected to, without the peer's own.
  v1::PeerExchange Sample(LinkId link, double now);

  // ---- Links ----

  // A stream is up and both hellos are said. Where the status is not OK, the stream is to be ended with it, and the
  // link is not known here:
  //   RESOURCE_EXHAUSTED   no link is free
  //   ALREADY_EXISTS       the session is this node's own, or is connected already
  // Where two nodes dialled one another at once, both ends keep the same link. A link that has lasted longer than
  // crossing_s makes room for no other: a session is no secret, and anyone who knows it could take the link over.
  absl::Status Connected(const PeerLink& peer, double now);

  // Reports that the link is gone, for whatever reason. Unknown links are ignored.
  void Disconnected(LinkId link, LinkEnd end, std::string_view why, double now);

  // Reports that a dial of Actions::dial failed. ALREADY_EXISTS: the peer is connected under another address.
  void DialFailed(std::string_view address, const absl::Status& why, double now);

  // ---- Time ----

  Actions Tick(double now);

  // Whether a peer that was connected may come back: one that was lost less than goodbye_s ago and did not say goodbye.
  bool ExpectsSomebody(double now) const;

  // Whether a node of this network is missing: a boot address, or one that this node was connected to, that cannot be
  // reached, was last seen less than expected_s ago, did not say goodbye, and that no other peer has seen of late.
  bool MissesSomebody(double now) const;

  // ---- What operators see ----

  std::vector<v1::KnownAddress> Known() const;  // by address; connected ones included
  std::vector<LinkId> Links() const;            // guests included
  std::size_t known_count() const { return known_.size(); }
  std::size_t link_count() const { return links_.size(); }
  std::size_t dialling() const;

 private:
  struct Address {
    std::string region;
    std::string last_error;
    double seen_at = 0;  // when a peer was connected to it
    double retry_at = 0;
    double quiet_until = 0;  // after a goodbye
    double dialled_at = 0;
    std::optional<double> told_at;  // when another peer saw it last, as it said
    std::uint32_t failures = 0;     // in a row
    bool boot = false;
    bool proven = false;  // this node has been connected to it
    bool dialling = false;
    bool unreachable = false;  // the last dial found nobody
    bool left = false;         // it said goodbye, and has not been connected since
  };
  using AddressBook = std::map<std::string, Address, std::less<>>;

  struct Link {
    PeerLink peer;  // addresses canonical
    double since = 0;
    double exchange_at = 0;
    double heard_at = 0;         // last exchange that was read
    std::uint32_t failures = 0;  // of the dialled address, before this link
    bool guest = false;
  };
  using LinkMap = std::map<LinkId, Link>;

  std::uint64_t Random();
  std::uint32_t RandomBelow(std::size_t n);
  double Jittered(double seconds);  // between half and all of it

  Address* Learn(const std::string& address, double now);  // nullptr where there is no room
  bool MakeRoom();
  bool IsLinked(std::string_view address) const;
  bool MayBeDialled(const AddressBook::value_type& entry, double now) const;
  void Fail(Address* address, std::string_view why, double now);
  void Forget(double now);

  std::size_t Residents() const;  // links but the guests
  bool MayStay(const PeerLink& peer) const;
  void EndLink(LinkMap::iterator link, LinkEnd end, std::string_view why, double now);
  void DropOlderLink(double now);
  std::size_t Target(double now) const;

  std::optional<std::string> PickAddress(bool fallback, double now);
  void StartDial(const std::string& address, double now, Actions* actions);
  void TickLinks(double now, Actions* actions);
  void TickFallback(double now, Actions* actions);

  MembershipOptions options_;
  std::uint32_t residents_max_ = 0;     // the slots above are for guests
  std::uint32_t out_of_reach_max_ = 0;  // links from peers that cannot be dialled
  std::uint64_t draws_ = 0;

  AddressBook known_;
  std::set<std::string, std::less<>> self_;
  LinkMap links_;
  std::vector<Drop> drops_;  // for the next Tick
  std::string fallback_;     // the dial that mixes the graph, while it is in flight
  double fallback_at_ = -1;
  double forget_at_ = 0;
  double crowded_until_ = -1;  // a peer had no link free
};

}  // namespace lvs::services
