// Carriers of peer streams over gRPC (services/peering/carrier.h): one for a stream that a peer opened, one for a
// stream that this node dials. Both kinds share all code but the opening and the ending.
//
//   ClientCarrier::Dial(stream, channel, live);                                       // this node dials
//   live->WaitNone(std::chrono::seconds(2));                                          // at the end
//
//   auto carrier = std::make_unique<ServerCarrier>(stream.get(), context, live, std::move(hold));   // a peer dialled
//   ServerReactor* const reactor = carrier.get();
//   stream->Begin(std::move(carrier));
//   return reactor;                                                                   // to gRPC
//
// Messages are bytes to gRPC, and are sent from the memory that the outbox filled. Close ends a stream with a gRPC
// status; a peer that reads nothing can delay that for ever, and Abort cancels the call. Any thread; a carrier's lock
// is innermost.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "services/base/mutex.h"
#include "services/base/steady_seconds.h"
#include "services/net/connections.h"
#include "services/peering/carrier.h"
#include "services/peering/peer_stream.h"

namespace lvs::services {

// Counts the carriers that gRPC still holds.
class LiveCarriers {
 public:
  void Add() ABSL_LOCKS_EXCLUDED(mu_);
  void Remove() ABSL_LOCKS_EXCLUDED(mu_);
  // Waits until none is left. False: some are left after `patience`.
  bool WaitNone(std::chrono::milliseconds patience) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  Mutex mu_;
  CondVar none_;
  int count_ ABSL_GUARDED_BY(mu_) = 0;
};

// Code that both kinds of reactor share.
template <typename Reactor>
class ReactorCarrier : public Carrier, public Reactor {
 public:
  void Read() override { this->StartRead(&in_); }
  void Write(MessageBytes message) override;
  void OnWriteDone(bool ok) override;

 protected:
  // `stream` owns the carrier.
  ReactorCarrier(PeerStream* stream, std::shared_ptr<LiveCarriers> live) : stream_(stream), live_(std::move(live)) {
    live_->Add();
  }

  // Hands the message that was read to the stream. False: the bytes are no message.
  bool Take();
  // The last call of all: the carrier is destroyed before the call returns.
  void ReportEnd(const absl::Status& why);

  PeerStream* const stream_;
  mutable Mutex mu_;

 private:
  const std::shared_ptr<LiveCarriers> live_;
  grpc::ByteBuffer in_;   // of the read that is outstanding
  grpc::ByteBuffer out_;  // of the write that is outstanding
  std::string flat_;      // the message that was read, in one piece
};

using ServerReactor = grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;
using ClientReactor = grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

class ServerCarrier final : public ReactorCarrier<ServerReactor> {
 public:
  // `hold` keeps the connection from being closed in favour of another one; it may be empty.
  ServerCarrier(PeerStream* stream, grpc::CallbackServerContext* context, std::shared_ptr<LiveCarriers> live,
                std::optional<Connections::Hold> hold)
      : ReactorCarrier(stream, std::move(live)), hold_(std::move(hold)), context_(context) {}

  void End(const absl::Status& why) override;
  void Abort() override ABSL_LOCKS_EXCLUDED(mu_);

  void OnReadDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  const std::optional<Connections::Hold> hold_;
  grpc::CallbackServerContext* context_ ABSL_GUARDED_BY(mu_);  // until OnDone
  bool unread_ ABSL_GUARDED_BY(mu_) = false;                   // a read failed while the connection stood
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
};

class ClientCarrier final : public ReactorCarrier<ClientReactor> {
 public:
  // Begins the stream on a call of its own.
  static void Dial(const std::shared_ptr<PeerStream>& stream, const std::shared_ptr<grpc::Channel>& channel,
                   std::shared_ptr<LiveCarriers> live);

  void End(const absl::Status& why) override;
  void Abort() override ABSL_LOCKS_EXCLUDED(mu_);

  void OnReadDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  ClientCarrier(PeerStream* stream, const std::shared_ptr<grpc::Channel>& channel, std::shared_ptr<LiveCarriers> live)
      : ReactorCarrier(stream, std::move(live)), stub_(channel) {}

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  bool unread_ ABSL_GUARDED_BY(mu_) = false;  // a read failed
  bool aborted_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace lvs::services
