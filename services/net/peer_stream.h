// One gRPC stream to a peer, whichever of the two dialled: what is read goes to an owner, what is to be written waits
// in an outbox. After the hello the two ends are equals, so all but the opening and the ending is written once.
//
//   auto stream = std::make_shared<ClientStream>(id, owner, outbox_limits, channel, address);
//   stream->Begin(hello);                     // from here on owner->Take, and at the end owner->Gone, exactly once
//   stream->Welcome(their_hello, protocol);   // frames may be offered now
//   stream->Offer(frame); stream->Flush();
//   stream->Close(absl::UnavailableError("the node ends"));
//
// A stream keeps itself alive from Begin until Gone. Close ends it in gRPC's words; a peer that reads nothing can hold
// that up for as long as it likes, and Abort takes the word back.
//
// Any thread, but for Begin and Welcome. The stream's lock is the innermost but the outbox's: nothing of the owner is
// called under it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "lvs/v1/peer.pb.h"
#include "services/peering/membership.h"
#include "services/peering/outbox.h"

namespace lvs::services {

class PeerStream;

// Characters of what a peer says in words, in the log and in the status.
inline constexpr std::size_t kWordsMax = 256;

// What a stream tells the transport, on gRPC's threads.
class StreamOwner {
 public:
  virtual ~StreamOwner() = default;
  // True where the stream has said more than its share and is to rest until Resume.
  virtual bool Take(const std::shared_ptr<PeerStream>& stream, const v1::PeerMessage& message, std::size_t bytes) = 0;
  // The next message could not be read although the connection stands: bytes that are no message, or the other side
  // says no more and has not said goodbye. (What is too long or compressed looks here like a connection that broke:
  // gRPC ends the stream by itself, and the reason goes to the peer alone.)
  virtual void Unreadable() = 0;
  virtual void Gone(const std::shared_ptr<PeerStream>& stream, const absl::Status& why) = 0;
};

class PeerStream : public std::enable_shared_from_this<PeerStream> {
 public:
  struct Counts {
    Outbox::Counts sent;
    std::uint64_t frames_received = 0;
    std::uint64_t frames_refused = 0;
    std::uint64_t bytes_received = 0;
    Counts& operator+=(const Counts& other);
  };

  virtual ~PeerStream() = default;
  PeerStream(const PeerStream&) = delete;
  PeerStream& operator=(const PeerStream&) = delete;

  // What the other side said in its hello. Set once, before the stream is bound to a link.
  void Welcome(const v1::Hello& hello, std::uint32_t protocol);
  v1::Hello hello() const;
  std::uint32_t protocol() const;

  // Frames go out with the next Flush, or when an earlier write is done; other messages at once.
  void Offer(const std::shared_ptr<const shard::Frame>& frame) { outbox_.Offer(frame); }
  void Flush();
  void Say(v1::PeerMessage message);

  // Reads on where it rested.
  void Resume();

  // The first reason counts.
  void Close(const absl::Status& why);
  // Of a stream that is closed: it is gone soon, whether or not the other side reads how it ended.
  virtual void Abort() = 0;
  bool closed() const;

  Counts counts() const;
  const Outbox& outbox() const { return outbox_; }
  void CountFrame(bool taken);

  const LinkId id;
  const std::string dialled;  // the address, where this side dialled; else empty

 protected:
  PeerStream(LinkId number, std::string address, std::shared_ptr<StreamOwner> owner, const Outbox::Limits& limits)
      : id(number), dialled(std::move(address)), owner_(std::move(owner)), outbox_(limits) {}

  // What a reactor of either side does; under mu_.
  virtual void StartReading() = 0;
  virtual void StartWriting(const grpc::ByteBuffer* message) = 0;
  virtual void End(const absl::Status& why) = 0;  // once

  // The reactions that both sides share.
  bool Take(grpc::ByteBuffer* bytes);  // false: they are no message
  void WriteDone(bool ok);
  // The last of all.
  void Done(const absl::Status& why);

  void Begin();  // keeps itself alive until Done
  absl::Status why() const;

  mutable std::mutex mu_;
  const std::shared_ptr<StreamOwner> owner_;

 private:
  void Write();  // under mu_

  std::shared_ptr<PeerStream> self_;
  bool closed_ = false;
  bool resting_ = false;
  absl::Status why_;
  v1::Hello hello_;
  std::uint32_t protocol_ = 1;
  Outbox outbox_;
  grpc::ByteBuffer out_;
  Counts counts_;
};

// A stream on a reactor of gRPC's: the parts that are the same text for both. Messages are bytes to gRPC: the outbox
// makes them from frames without a message in between, and what was read is as long as it was on the wire.
template <typename Reactor>
class ReactorStream : public PeerStream, public Reactor {
 public:
  void OnWriteDone(bool ok) override { WriteDone(ok); }

 protected:
  using PeerStream::PeerStream;

  void StartReading() override { this->StartRead(&in_); }
  void StartWriting(const grpc::ByteBuffer* message) override { this->StartWrite(message); }

  bool TakeRead() { return Take(&in_); }

 private:
  grpc::ByteBuffer in_;
};

// A peer dialled this node.
class ServerStream final : public ReactorStream<grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>> {
 public:
  ServerStream(LinkId number, std::shared_ptr<StreamOwner> owner, const Outbox::Limits& limits,
               grpc::CallbackServerContext* context)
      : ReactorStream(number, "", std::move(owner), limits), context_(context) {}

  // Reads, or ends at once with a refusal.
  void Begin(const absl::Status& refuse);
  void Abort() override;

  void OnReadDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  void End(const absl::Status& why) override;

  // Under mu_.
  grpc::CallbackServerContext* context_;  // until OnDone
  bool unread_ = false;                   // a read failed while the connection stood
  bool cancelled_ = false;
};

// This node dialled the peer.
class ClientStream final : public ReactorStream<grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>> {
 public:
  ClientStream(LinkId number, std::shared_ptr<StreamOwner> owner, const Outbox::Limits& limits,
               const std::shared_ptr<grpc::Channel>& channel, std::string address)
      : ReactorStream(number, std::move(address), std::move(owner), limits), stub_(channel) {}

  void Begin(v1::PeerMessage hello);
  void Abort() override;

  void OnReadDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  void End(const absl::Status& why) override;

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  // Under mu_.
  bool unread_ = false;  // a read failed
  bool aborted_ = false;
};

}  // namespace lvs::services
