// One stream to a peer, whichever of the two dialled and whatever carries it. Received messages go to an owner, and
// messages to send wait in an outbox.
//
//   auto stream = std::make_shared<PeerStream>(id, dialled, owner, outbox_limits);
//   stream->Begin(std::move(carrier));        // from here on owner->Take, and at the end owner->Gone, exactly once
//   stream->Welcome(their_hello, protocol);   // frames may be offered now
//   stream->Offer(frame);
//   stream->Flush();
//   stream->Close(absl::UnavailableError("the node ends"));
//
// A stream keeps itself and its carrier alive from Begin until Ended. Close ends it with a reason that the peer is
// told; a peer that does not read can delay that for ever, and Abort ends the stream all the same.
//
// Threads: any, but for Begin and Welcome, and but for the reports of the carrier (carrier.h), which come one at a time
// where that is said there. Locks: the stream's own is taken under the owner's, and the outbox's and the carrier's
// under it; no function of the owner is called under it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "lvs/v1/peer.pb.h"
#include "services/base/mutex.h"
#include "services/peering/carrier.h"
#include "services/peering/membership.h"
#include "services/peering/outbox.h"

namespace lvs::services {

class PeerStream;

// The most characters that are kept of a peer's text, in the log and in the status.
inline constexpr std::size_t kWordsMax = 256;

// The limit of a message's length; a carrier refuses longer ones before it allocates their memory. A batch of frames
// ends at a quarter of it, and the largest frame takes less than half. A parsed message may take a hundred times as
// much memory while it is in use.
inline constexpr int kMessageBytesMax = 1 << 18;

// The receiver of a stream's reports, on the carrier's threads.
class StreamOwner {
 public:
  virtual ~StreamOwner() = default;
  // `bytes`: the length of the message on the wire. One call at a time for one stream.
  virtual void Take(const std::shared_ptr<PeerStream>& stream, const v1::PeerMessage& message, std::size_t bytes,
                    double now_s) = 0;
  // Reports that the next message could not be read although the connection stands: bytes that are no message, or the
  // peer ended its side without a goodbye. (A message that is too long or compressed looks like a broken connection:
  // gRPC ends the stream by itself and tells the reason to the peer alone.)
  virtual void Unreadable() = 0;
  virtual void Gone(const std::shared_ptr<PeerStream>& stream, const absl::Status& why, double now_s) = 0;
};

class PeerStream final : public std::enable_shared_from_this<PeerStream> {
 public:
  struct Counts {
    Outbox::Counts sent;
    std::uint64_t bytes_received = 0;
  };

  // `dialled_address`: where this side dialled; empty where the peer did.
  PeerStream(LinkId number, std::string dialled_address, std::shared_ptr<StreamOwner> owner,
             const Outbox::Limits& limits)
      : id(number), dialled(std::move(dialled_address)), owner_(std::move(owner)), outbox_(limits) {}
  PeerStream(const PeerStream&) = delete;
  PeerStream& operator=(const PeerStream&) = delete;

  // Reads the first message and writes what waits; or, where Close came earlier, ends the carrier at once.
  void Begin(std::unique_ptr<Carrier> carrier) ABSL_LOCKS_EXCLUDED(mu_);

  // The peer's hello and the protocol version to speak. Once, before the stream is bound to a link.
  void Welcome(const v1::Hello& hello, std::uint32_t protocol) ABSL_LOCKS_EXCLUDED(mu_);
  v1::Hello hello() const ABSL_LOCKS_EXCLUDED(mu_);
  std::uint32_t protocol() const ABSL_LOCKS_EXCLUDED(mu_);

  // Frames go out with the next Flush, or when an earlier write is done; other messages at once.
  void Offer(const std::shared_ptr<const shard::Frame>& frame) { outbox_.Offer(frame); }
  void Flush() ABSL_LOCKS_EXCLUDED(mu_);
  void Say(v1::PeerMessage message) ABSL_LOCKS_EXCLUDED(mu_);

  // Back-pressure: after Pause no further message is read until Resume. Both are idempotent.
  void Pause() ABSL_LOCKS_EXCLUDED(mu_);
  void Resume() ABSL_LOCKS_EXCLUDED(mu_);

  // Ends the stream. Idempotent: the first reason counts.
  void Close(const absl::Status& why) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the stream soon after Close, whether or not the peer reads why. No effect before Begin.
  void Abort() ABSL_LOCKS_EXCLUDED(mu_);
  bool closed() const ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status why() const ABSL_LOCKS_EXCLUDED(mu_);  // OK until Close

  Counts counts() const ABSL_LOCKS_EXCLUDED(mu_);
  const Outbox& outbox() const { return outbox_; }

  // ---- Reports of the carrier ----

  // False: the bytes are no message.
  bool Received(std::string_view bytes, double now_s) ABSL_LOCKS_EXCLUDED(mu_);
  void Written() ABSL_LOCKS_EXCLUDED(mu_);
  void Unreadable() { owner_->Unreadable(); }
  // The last report of all: the stream and its carrier may be destroyed before the call returns.
  void Ended(const absl::Status& why, double now_s) ABSL_LOCKS_EXCLUDED(mu_);

  const LinkId id;
  const std::string dialled;

 private:
  void ReadNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::shared_ptr<StreamOwner> owner_;
  std::shared_ptr<PeerStream> self_;  // from Begin to Ended
  Outbox outbox_;

  mutable Mutex mu_;
  std::unique_ptr<Carrier> carrier_ ABSL_GUARDED_BY(mu_);
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status why_ ABSL_GUARDED_BY(mu_);
  bool paused_ ABSL_GUARDED_BY(mu_) = false;
  bool reading_ ABSL_GUARDED_BY(mu_) = false;  // a message was asked for and has not been taken yet
  v1::Hello hello_ ABSL_GUARDED_BY(mu_);
  std::uint32_t protocol_ ABSL_GUARDED_BY(mu_) = 1;
  std::uint64_t bytes_received_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace lvs::services
