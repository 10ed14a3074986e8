#include "services/net/transport_layer.h"

#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "actors/recycled.h"
#include "grpcpp/grpcpp.h"
#include "lvs/v1/peer.grpc.pb.h"
#include "services/base/log.h"
#include "services/base/mutex.h"
#include "services/base/name_lookup.h"
#include "services/net/grpc_stream.h"
#include "services/net/held_service.h"
#include "services/net/outlet_sink.h"
#include "services/peering/peering.h"

namespace lvs::services {

namespace {

// Time from closing a stream to aborting it, for a peer that does not read the reason.
constexpr std::chrono::seconds kAbortAfter{2};
constexpr std::chrono::seconds kStuckAfter{5};
// Time between two lookups of the boot names: without a peer, and with some.
constexpr std::chrono::seconds kLookUpAlone{2};
constexpr std::chrono::seconds kLookUpConnected{30};

// Ends a stream that is not taken in, without keeping anything of it.
ServerReactor* Refuse(CallHold hold) {
  return new EndedCall<grpc::ByteBuffer, grpc::ByteBuffer>(
      {grpc::StatusCode::RESOURCE_EXHAUSTED, "too many streams; try another node"}, std::move(hold));
}

PeeringOptions WithRecycledFrames(PeeringOptions options) {
  if (!options.new_frame) options.new_frame = [] { return actors::Recycled<shard::Frame>(); };
  return options;
}

}  // namespace

class TransportLayer::Impl final : public v1::Peering::WithRawCallbackMethod_Connect<v1::Peering::Service> {
 public:
  explicit Impl(const TransportOptions& options)
      : boot_(options.boot),
        credentials_(options.credentials),
        connections_(options.connections),
        peering_(std::make_shared<services::Peering>(WithRecycledFrames(options))) {}

  services::Peering& peering() { return *peering_; }

  void StartResolver() {
    resolver_ = std::thread([this] { Resolve(); });
  }

  void Tick(std::uint64_t cycle) {
    for (const std::string& address : peering_->Tick(cycle, SteadySeconds())) Dial(address);
  }

  void Stop() {
    {
      const MutexLock lock(&mu_);
      if (stopped_) return;
      stopped_ = true;
      stopping_.NotifyAll();
    }
    peering_->Stop();
    if (resolver_.joinable()) resolver_.join();
    if (!live_->WaitNone(kAbortAfter)) peering_->Abort();
    if (!live_->WaitNone(kStuckAfter)) {
      Log(v1::WARNING, "transport.stuck", {{"streams", peering_->stream_count()}});
    }
    peering_->Disconnect();
  }

  // Called by gRPC for a stream that a peer opens.
  ServerReactor* Connect(grpc::CallbackServerContext* context) override {
    CallHold hold;
    if (connections_ != nullptr) {
      hold = connections_->Begin(context->peer());
      if (!hold) return Refuse(std::nullopt);
    }
    const std::shared_ptr<PeerStream> stream = peering_->Accept(SteadySeconds());
    if (stream == nullptr) return Refuse(std::move(hold));
    auto carrier = std::make_unique<ServerCarrier>(stream.get(), context, live_, std::move(hold));
    ServerReactor* const reactor = carrier.get();
    stream->Begin(std::move(carrier));
    return reactor;
  }

 private:
  void Dial(const std::string& address) {
    const std::shared_ptr<PeerStream> stream = peering_->Dialled(address, SteadySeconds());
    if (stream == nullptr) return;
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
    // Each dial is a connection of its own: a shared one would wait for the back-off of a connection that broke.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    ClientCarrier::Dial(stream, grpc::CreateCustomChannel(address, credentials_, arguments), live_);
  }

  // Looks up the boot addresses that are names, again and again, on a thread of its own: the resolver blocks.
  void Resolve() {
    do {
      v1::PeerExchange found;
      for (std::string& address : LookUpNames(boot_)) found.add_peers()->set_address(std::move(address));
      if (found.peers_size() > 0) peering_->Learn(found, SteadySeconds());
    } while (!StopsWithin(peering_->stream_count() == 0 ? kLookUpAlone : kLookUpConnected));
  }

  bool StopsWithin(std::chrono::seconds time) ABSL_LOCKS_EXCLUDED(mu_) {
    const auto until = std::chrono::steady_clock::now() + time;
    const MutexLock lock(&mu_);
    while (!stopped_) {
      if (!stopping_.WaitUntil(&mu_, until)) return false;
    }
    return true;
  }

  const std::vector<std::string> boot_;
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  const std::shared_ptr<Connections> connections_;  // null: they have no limits
  const std::shared_ptr<services::Peering> peering_;
  const std::shared_ptr<LiveCarriers> live_ = std::make_shared<LiveCarriers>();

  Mutex mu_;
  CondVar stopping_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::thread resolver_;
};

TransportLayer::TransportLayer(TransportOptions options) : impl_(std::make_unique<Impl>(options)) {}
TransportLayer::~TransportLayer() { Stop(); }

std::vector<std::shared_ptr<actors::FrameSink>> TransportLayer::sinks() {
  return OutletSink::Of(impl_->peering().outlets());
}
grpc::Service* TransportLayer::service() { return impl_.get(); }
void TransportLayer::Start(std::string advertise, Deliver deliver, LinkChanged link_changed) {
  impl_->peering().Start(std::move(advertise), std::move(deliver), std::move(link_changed), SteadySeconds());
  impl_->StartResolver();
}
void TransportLayer::Tick(std::uint64_t cycle) { impl_->Tick(cycle); }
void TransportLayer::Drain(std::string_view reason) { impl_->peering().Drain(reason); }
void TransportLayer::Stop() { impl_->Stop(); }
absl::Status TransportLayer::SetFaults(const v1::Faults& faults) { return impl_->peering().SetFaults(faults); }
v1::PeerList TransportLayer::Peers() const { return impl_->peering().Peers(SteadySeconds()); }
v1::TrafficStatus TransportLayer::Traffic() const { return impl_->peering().Traffic(); }
vaultguard::RefusalCounts TransportLayer::refused() const { return impl_->peering().refused(); }
std::uint32_t TransportLayer::connected() const { return impl_->peering().connected(); }
PeerTable::Standing TransportLayer::standing() const { return impl_->peering().StandingAt(SteadySeconds()); }
bool TransportLayer::draining() const { return impl_->peering().draining(); }

}  // namespace lvs::services
