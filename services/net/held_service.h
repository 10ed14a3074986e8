// A gRPC service whose calls are shown to it as soon as their headers are there, and hold their connection until they end.
//
//   struct EchoService final : HeldService {
//     explicit EchoService(std::shared_ptr<Connections> connections) : HeldService(std::move(connections)) {
//       Answer<Ping, Pong>("/test.Echo/Echo", [](auto* call) { call->End(grpc::Status::OK); });
//       Stream<Ping, Pong>("/test.Echo/EchoAll", [](grpc::CallbackServerContext*, CallHold hold) {
//         return new EchoReactor(grpc::Status::OK, std::move(hold));
//       });
//     }
//   };
//
// gRPC 1.51 shows a call of a method with one request only once the whole request is there. Until then nobody counts it,
// and a client can begin 20,000 of them with 300 KB, for 21 KB of memory each. So every method is registered as a stream,
// whose calls are shown at once; on the wire there is no difference.
//
// A call whose connection is over, or was reset, ends with UNAVAILABLE before any work is done for it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "services/net/connections.h"

namespace lvs::services {

// Empty where connections have no limits.
using CallHold = std::optional<Connections::Hold>;

// Ends a call before any work is done for it.
template <typename Request, typename Reply>
class EndedCall final : public grpc::ServerBidiReactor<Request, Reply> {
 public:
  explicit EndedCall(const grpc::Status& why, CallHold hold = std::nullopt) : hold_(std::move(hold)) {
    this->Finish(why);
  }
  void OnDone() override { delete this; }

 private:
  const CallHold hold_;
};

// A call with one request and one reply.
template <typename Request, typename Reply>
class UnaryCall final : public grpc::ServerBidiReactor<Request, Reply> {
 public:
  using Work = std::function<void(UnaryCall* call)>;

  // `work` runs once the request is there. It has End called, on any thread, once.
  UnaryCall(grpc::CallbackServerContext* context, CallHold hold, std::shared_ptr<const Work> work)
      : hold_(std::move(hold)), context_(context), work_(std::move(work)) {
    this->StartRead(&request_);
  }

  const grpc::CallbackServerContext& context() const { return *context_; }
  const Request& request() const { return request_; }
  Reply* reply() { return &reply_; }  // for the work to fill
  void End(const grpc::Status& status) {
    if (!status.ok()) return this->Finish(status);
    this->StartWriteAndFinish(&reply_, grpc::WriteOptions(), status);
  }

  void OnReadDone(bool ok) override {
    if (ok) {
      const std::shared_ptr<const Work> work = work_;  // this call may be gone before the work returns
      return (*work)(this);
    }
    this->Finish({grpc::StatusCode::INVALID_ARGUMENT, "there is no request, or one that cannot be read"});
  }
  void OnDone() override { delete this; }

 private:
  const CallHold hold_;
  grpc::CallbackServerContext* const context_;
  const std::shared_ptr<const Work> work_;
  Request request_;
  Reply reply_;
};

class HeldService : public grpc::Service {
 protected:
  // `connections`: of the server that serves the service; null: they have no limits.
  explicit HeldService(std::shared_ptr<Connections> connections) : connections_(std::move(connections)) {}

  // `path` is kept; it is "/package.Service/Method". `open(context, hold)` returns the call's reactor.
  template <typename Request, typename Reply, typename Open>
  void Stream(const char* path, Open open) {
    AddMethod(new grpc::internal::RpcServiceMethod(path, grpc::internal::RpcMethod::BIDI_STREAMING, nullptr));
    MarkMethodCallback(
        methods_++,
        new grpc::internal::CallbackBidiHandler<Request, Reply>(
            [this, open](grpc::CallbackServerContext* context) -> grpc::ServerBidiReactor<Request, Reply>* {
              CallHold hold;
              if (connections_ != nullptr && !(hold = connections_->Begin(context->peer()))) {
                return new EndedCall<Request, Reply>({grpc::StatusCode::UNAVAILABLE, "the connection is over"});
              }
              return open(context, std::move(hold));
            }));
  }

  template <typename Request, typename Reply>
  void Answer(const char* path, typename UnaryCall<Request, Reply>::Work work) {
    using Call = UnaryCall<Request, Reply>;
    const auto shared = std::make_shared<const typename Call::Work>(std::move(work));
    Stream<Request, Reply>(path, [shared](grpc::CallbackServerContext* context, CallHold hold) {
      return new Call(context, std::move(hold), shared);
    });
  }

 private:
  const std::shared_ptr<Connections> connections_;
  int methods_ = 0;
};

// Takes the calls of methods that a server lacks: they hold their connection, too, as long as gRPC keeps them.
class UnknownMethods final : public grpc::CallbackGenericService {
 public:
  explicit UnknownMethods(std::shared_ptr<Connections> connections) : connections_(std::move(connections)) {}
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override {
    return new EndedCall<grpc::ByteBuffer, grpc::ByteBuffer>({grpc::StatusCode::UNIMPLEMENTED, "no such method"},
                                                             connections_->Begin(context->peer()));
  }

 private:
  const std::shared_ptr<Connections> connections_;
};

}  // namespace lvs::services
