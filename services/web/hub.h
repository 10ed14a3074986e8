// The hub of a server node: all that the node sends to browser tabs and takes from them (TEST-3.1, TEST-4.1). It
// introduces tabs to each other, carries what tabs that cannot connect say to each other, and gives some of them a place:
// a link over which frames go, as over a link to a peer.
//
//   auto hub = std::make_shared<Hub>(options);
//   hub->Start(deliver, link_changed, now_s);
//   if (auto opened = hub->Accept(now_s)) opened->Begin(CarrierOf(opened));  // a tab opened a WebSocket
//   hub->Tick(cycle, now_s);                                                  // every cycle
//   hub->outlets()[n]->Offer(frame);                                          // link first_link + n
//   hub->HubUp(id, [peer](v1::PeerMessage message) { peer->Say(std::move(message)); }, now_s);
//   hub->TakeFromHub(id, message, now_s);
//   hub->Drain("upgrade");                                                    // says goodbye; nobody is let in any more
//   hub->Stop();                                                              // ends every stream; wait until none is left
//
// The first message of a stream must be a tab's hello that fits (tab_hello.h). From then on the session of the hello is
// the socket's, and no other socket can have it. Signalling is in signalling.h, sockets are kept by socket_table.h.
//
// **Places**: shard/tab/server_places.h chooses once a second which tabs have one. A tab with a place is told so, and its
// link goes up; frames are taken only from a tab with a place, and only of shards that it has announced. A tab whose
// shards change goes down and up. Frames are checked as those of a peer are (shard/intake.h): a tab whose frames or
// messages are mostly refused is dropped, and messages are read no faster than an honest tab sends them.
//
// Threads: any function, any thread. Locks, in the order in which they are taken:
//   Hub::places_mu_  orders the ups and downs of places
//   Outlet::mu_  under it run `deliver` and `link_changed`, which must not call back
//   Hub::mu_  then PeerStream::mu_  then Outbox::mu_, or the carrier's own; what hubs say to each other is said under
//   Hub::mu_ too, so `say` must not call this hub, nor take a lock under which it is called
// Outlet::mu_ and Hub::mu_ are never held together. Nothing blocks, and no clock is read.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "services/base/mutex.h"
#include "services/peering/connection_refusals.h"
#include "services/peering/hello.h"
#include "services/peering/link_slots.h"
#include "services/peering/outlet.h"
#include "services/peering/peer_stream.h"
#include "services/web/build_gossip.h"
#include "services/web/hub_figures.h"
#include "services/web/signalling.h"
#include "services/web/socket_table.h"
#include "shard/frame.h"
#include "shard/tab/server_places.h"
#include "vaultguard/refusals.h"

namespace lvs::services {

// A tab with a place speaks, and is spoken to, every so many cycles; a tab that asks for fewer messages gets fewer.
inline constexpr std::uint32_t kPlaceCadenceCycles = 5;
// Rows of state diffs a shard, each way: more would cost a server its links' bytes.
inline constexpr std::uint32_t kPlaceHaloRows = 4;

struct HubOptions : NodeTerms {
  std::uint32_t first_link = 0;  // number of the first place; those below are links to peers
  std::uint32_t places = 16;     // at least a quarter of the shards
  std::size_t tabs_max = 10'000;
  std::size_t remote_max = 50'000;  // tabs of other hubs
  RelayBudget relay;
  double hello_s = 5;     // a stream that has said no hello by then is ended
  double silence_s = 15;  // a tab that was not heard for so long is ended
  std::uint64_t seed = 0;
  // Makes the frames that are decoded into; null: newly allocated ones.
  std::function<std::shared_ptr<shard::Frame>()> new_frame;
  std::shared_ptr<ConnectionRefusals> refusals;  // where refused streams are counted; null: nowhere
};
// INVALID_ARGUMENT where a node of these options cannot be a hub; the message says what to change.
absl::Status CheckHubOptions(const HubOptions& options);

// A link to a tab that has a place.
struct TabLink {
  tab::ShardMask mask = 0;           // frames are exchanged of these shards
  std::uint32_t cadence_cycles = 0;  // either end speaks every so many cycles
  std::uint32_t halo_rows = 0;       // rows a shard that the tab takes; it sends kPlaceHaloRows at most
};

class Hub final : public StreamOwner, public std::enable_shared_from_this<Hub> {
 public:
  using FramePtr = std::shared_ptr<const shard::Frame>;
  using Deliver = std::function<void(std::uint32_t link, FramePtr)>;
  // `up`: null where the link goes down.
  using LinkChanged = std::function<void(std::uint32_t link, const TabLink* up)>;
  using SayToHub = std::function<void(v1::PeerMessage)>;

  explicit Hub(HubOptions options);

  // An outlet for each place: outlets()[n] is that of link first_link + n. Never replaced.
  const std::vector<std::shared_ptr<Outlet>>& outlets() const { return outlets_; }

  void Start(Deliver deliver, LinkChanged link_changed, double now_s);  // once

  // The stream for a WebSocket that a tab opened; one that is not welcome ends when it begins. Null where no more sockets
  // are kept: the caller ends the carrier with RESOURCE_EXHAUSTED.
  std::shared_ptr<PeerStream> Accept(double now_s);

  // One cycle of upkeep; places are looked at once a second. `cycle` is the newest one, against which frames are checked.
  void Tick(std::uint64_t cycle, double now_s);

  // ---- Other hubs. `hub` is any number but kThisHub that the caller keeps for a server node.
  void HubUp(tab::HubId hub, SayToHub say, double now_s, std::string_view build = "", std::uint32_t protocol = 0);
  void HubDown(tab::HubId hub);
  void TakeFromHub(tab::HubId hub, const v1::PeerMessage& message, double now_s);

  void Drain(std::string_view reason);
  // Closes every stream; each still reports its end. Idempotent.
  void Stop();
  // Ends streams whose tabs do not read the reason.
  void Abort();
  // Stops all deliveries and reports of links.
  void Disconnect();

  // Shards that no tab with a place holds: an empty server cannot tell yet whether what it has of them is all.
  tab::ShardMask IncompleteShards() const;
  HubFigures Figures() const;
  tab::BuildNews Builds() const;
  bool draining() const;
  std::size_t stream_count() const;  // strangers included

  // ---- Reports of streams ----

  void Take(const std::shared_ptr<PeerStream>& stream, const v1::PeerMessage& message, std::size_t bytes,
            double now_s) override;
  void Unreadable() override;
  void Gone(const std::shared_ptr<PeerStream>& stream, const absl::Status& why, double now_s) override;

 private:
  using StreamPtr = std::shared_ptr<PeerStream>;
  // A place that is taken or left, to be told under places_mu_ and without mu_, in order.
  struct PlaceStep {
    StreamPtr stream;
    std::uint32_t place = 0;
    std::optional<TabLink> up;
  };
  struct OtherHub {
    SayToHub say;
    std::string build;
    std::uint64_t publication = 0;  // of builds, that it was told
  };
  // How many frames of a batch may be decoded, and whose place and shards they are of.
  struct Passage {
    std::uint32_t place = 0;
    tab::ShardMask mask = 0;
    int frames = 0;
  };
  // What became of one frame.
  struct FrameTaken {
    std::optional<vaultguard::Refusal> refused = std::nullopt;
    bool behind = false;
  };

  // hub.cc
  Socket* Hear(const StreamPtr& stream, bool hello, double now_s) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TakeMessage(const StreamPtr& stream, const v1::PeerMessage& message, double now_s)
      ABSL_LOCKS_EXCLUDED(places_mu_, mu_);
  void TakeAnnounce(const StreamPtr& stream, const v1::PeerMessage& message, double now_s)
      ABSL_LOCKS_EXCLUDED(places_mu_, mu_);
  std::optional<tab::Reason> TakeSignal(Socket* socket, const v1::PeerMessage& message, double now_s)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TakeBuilds(Socket* socket, const v1::PeerMessage& message, double now_s) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Greet(Socket* socket, const v1::Hello& hello, double now_s) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TakeFrames(const StreamPtr& stream, const v1::FrameBatch& batch, double now_s) ABSL_LOCKS_EXCLUDED(mu_);
  Passage PassFrames(const StreamPtr& stream, int frames, double now_s) ABSL_LOCKS_EXCLUDED(mu_);
  FrameTaken TakeFrame(const StreamPtr& stream, const Passage& passage, std::string_view said);
  void SayClock(Socket* socket, double now_s) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Refuse(Socket* socket, vaultguard::Refusal why, std::uint64_t n = 1) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Close(Socket* socket, TabEnd end, const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // hub_upkeep.cc
  void Post() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::vector<StreamPtr> Look(double now_s) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TellBuilds(const std::vector<Socket*>& greeted, double now_s) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TickPlaces(double now_s, std::vector<PlaceStep>* steps) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void GivePlace(Socket* socket, std::vector<PlaceStep>* steps) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TakePlace(Socket* socket, std::optional<tab::Reason> said, std::vector<PlaceStep>* steps)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Carry(const std::vector<PlaceStep>& steps) ABSL_EXCLUSIVE_LOCKS_REQUIRED(places_mu_);
  void ForgetHub(tab::HubId hub) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  TabLink LinkOf(const Socket& socket) const;
  std::vector<StreamPtr> Streams() const ABSL_LOCKS_EXCLUDED(mu_);

  const HubOptions options_;
  const NodeTerms terms_;  // that tabs are told, and that their frames are checked against
  std::vector<std::shared_ptr<Outlet>> outlets_;
  Deliver deliver_;           // since Start
  LinkChanged link_changed_;  // since Start
  std::atomic<std::uint64_t> cycle_{0};

  mutable Mutex places_mu_;
  bool disconnected_ ABSL_GUARDED_BY(places_mu_) = false;

  mutable Mutex mu_ ABSL_ACQUIRED_AFTER(places_mu_);
  SocketTable table_ ABSL_GUARDED_BY(mu_);
  Signalling signalling_ ABSL_GUARDED_BY(mu_);
  tab::ServerPlaces server_places_ ABSL_GUARDED_BY(mu_);
  LinkSlots slots_ ABSL_GUARDED_BY(mu_);
  std::map<tab::HubId, OtherHub> hubs_ ABSL_GUARDED_BY(mu_);
  BuildGossip gossip_ ABSL_GUARDED_BY(mu_);
  HubFigures figures_ ABSL_GUARDED_BY(mu_);  // of the past: counts, and what ended sockets sent and took
  double places_due_s_ ABSL_GUARDED_BY(mu_) = 0;
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace lvs::services
