// Peering: all that one server node sends to its peers and takes from them, whatever carries the bytes (SPEC-3.2,
// SPEC-13, ARCH-2.2). A carrier of its own kind per stream (carrier.h) reads and writes; a transport makes carriers,
// passes the time in and dials.
//
//   auto peering = std::make_shared<Peering>(options);
//   peering->Start("10.0.0.5:7400", deliver, link_changed, now_s);
//   if (auto opened = peering->Accept(now_s)) opened->Begin(CarrierOf(opened));  // a peer opened a stream
//   for (const std::string& address : peering->Tick(cycle, now_s)) {    // every cycle
//     if (auto stream = peering->Dialled(address, now_s)) stream->Begin(CarrierOf(stream));
//   }
//   peering->outlets()[link]->Offer(frame);
//   peering->Drain("upgrade");                                          // says goodbye; nobody is let in any more
//   peering->Stop();                                                    // ends every stream; wait until none is left
//
// Streams come and go; links are the fixed places that they take. The first message of a stream must be a hello that
// fits (hello.h); then the stream gets a link (peer_table.h) and its messages are taken (shard/intake.h). Refused frames are
// counted by reason and change nothing. Three limits hold for a link: frames above its rate are refused, a link whose
// frames are mostly refused is dropped, and messages are read no faster than an honest link sends them.
//
// Threads: any function, any thread. Locks, in the order in which they are taken:
//   Outlet::mu_  alone; under it run `deliver` and `link_changed`, which must not call back
//   Peering::mu_  then PeerStream::mu_  then Outbox::mu_, or the carrier's own
// Nothing blocks, and no clock is read.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lvs/v1/control.pb.h"
#include "services/base/mutex.h"
#include "services/peering/link_faults.h"
#include "services/peering/outlet.h"
#include "services/peering/peer_stream.h"
#include "services/peering/peer_table.h"
#include "shard/frame.h"
#include "vaultguard/refusals.h"

namespace lvs::services {

class Peering final : public StreamOwner, public std::enable_shared_from_this<Peering> {
 public:
  using FramePtr = std::shared_ptr<const shard::Frame>;
  using Deliver = std::function<void(std::uint32_t link, FramePtr)>;
  using LinkChanged = std::function<void(std::uint32_t link, bool up)>;

  explicit Peering(PeeringOptions options);

  // Outlets by link number, one each; never replaced.
  const std::vector<std::shared_ptr<Outlet>>& outlets() const { return outlets_; }

  // Starts; once. `advertise` is the host:port that peers are told to dial; empty: no peer dials this node.
  void Start(std::string advertise, Deliver deliver, LinkChanged link_changed, double now_s);

  // The stream for a carrier that a peer opened; one that is not welcome ends when it begins. Null where kStreamsMax
  // streams are there already: the caller ends the carrier with RESOURCE_EXHAUSTED, and nothing is kept of it.
  std::shared_ptr<PeerStream> Accept(double now_s);
  // The stream for a carrier that dials this address; the hello waits in it. Null after Stop.
  std::shared_ptr<PeerStream> Dialled(const std::string& address, double now_s);

  // One cycle of upkeep: pings, ends what fell silent, resumes what rested. `cycle` is the newest one, against which
  // frames are checked. Returns the addresses to dial.
  std::vector<std::string> Tick(std::uint64_t cycle, double now_s);
  // Addresses that this node found out itself.
  void Learn(const v1::PeerExchange& found, double now_s);

  void Drain(std::string_view reason);
  // Closes every stream; each still reports its end. Idempotent.
  void Stop();
  // Ends streams whose peers do not read the reason.
  void Abort();
  // Stops all deliveries and reports of links.
  void Disconnect();

  // FAILED_PRECONDITION unless the options allow faults, INVALID_ARGUMENT where a value is out of range.
  absl::Status SetFaults(const v1::Faults& faults);

  v1::PeerList Peers(double now_s) const;
  v1::TrafficStatus Traffic() const;
  vaultguard::RefusalCounts refused() const;
  std::uint32_t connected() const;
  PeerTable::Standing StandingAt(double now_s) const;
  bool draining() const;
  std::size_t stream_count() const;  // strangers included

  // ---- Reports of streams ----

  void Take(const std::shared_ptr<PeerStream>& stream, const v1::PeerMessage& message, std::size_t bytes,
            double now_s) override;
  void Unreadable() override;
  void Gone(const std::shared_ptr<PeerStream>& stream, const absl::Status& why, double now_s) override;

 private:
  // A frame that a fault holds up.
  struct Late {
    std::weak_ptr<PeerStream> stream;
    std::uint32_t slot = 0;
    FramePtr frame;
  };
  // What became of a frame.
  struct FrameTaken {
    std::optional<vaultguard::Refusal> refused = std::nullopt;
    bool behind = false;                         // its sender is at cycles long past here
    std::optional<bool> leaving = std::nullopt;  // what it says of its sender, where it was read
  };
  // The checks that a link's frames meet before they are decoded.
  struct Passage {
    std::optional<std::uint32_t> slot;  // empty: the stream is gone
    std::optional<vaultguard::Refusal> refused;
    bool lost = false;
    double delay_s = 0;
  };

  void TakeMessage(const std::shared_ptr<PeerStream>& stream, const v1::PeerMessage& message, double now_s);
  void Greet(const std::shared_ptr<PeerStream>& stream, const v1::Hello& hello, double now_s);
  absl::StatusOr<std::uint32_t> Admit(const std::shared_ptr<PeerStream>& stream, const v1::Hello& hello, double now_s);
  void TakeFromHub(const std::shared_ptr<PeerStream>& stream, const v1::PeerMessage& message, double now_s);
  bool LinksHubs(const PeerStream& stream) const;
  void TakeFrames(const std::shared_ptr<PeerStream>& stream, const v1::FrameBatch& batch, double now_s);
  FrameTaken TakeFrame(const std::shared_ptr<PeerStream>& stream, std::string_view said, double now_s);
  Passage PassFrame(LinkId id, double now_s) ABSL_LOCKS_EXCLUDED(mu_);
  void Hand(const std::shared_ptr<PeerStream>& stream, std::uint32_t slot, FramePtr frame);
  void ReleaseLate(double now_s);
  bool IsSevered(const PeerStream& stream) const;
  bool IsSevered(const std::string& address) const;
  std::vector<std::shared_ptr<PeerStream>> Streams() const ABSL_LOCKS_EXCLUDED(mu_);
  std::shared_ptr<PeerStream> NewStream(const std::string& dialled, double now_s) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const PeeringOptions options_;
  std::vector<std::shared_ptr<Outlet>> outlets_;
  Deliver deliver_;           // since Start
  LinkChanged link_changed_;  // since Start
  std::atomic<std::uint64_t> cycle_{0};

  mutable Mutex mu_;
  PeerTable table_ ABSL_GUARDED_BY(mu_);
  vaultguard::RefusalCounts refused_ ABSL_GUARDED_BY(mu_);
  LinkFaults<Late> faults_ ABSL_GUARDED_BY(mu_);
  std::uint64_t frames_lost_ ABSL_GUARDED_BY(mu_) = 0;  // by those faults
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace lvs::services
