#include "services/node/node_servers.h"

#include <dlfcn.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "grpcpp/ext/health_check_service_server_builder_option.h"
#include "grpcpp/grpcpp.h"
#include "services/base/grpc_deadline.h"
#include "services/base/log.h"
#include "services/net/transport_layer.h"

namespace lvs::services {

namespace {

// A peer's connection carries one stream, from its first moment; a client's may rest between calls.
constexpr int kPeerIdleMs = 10'000;
constexpr int kControlIdleMs = 300'000;

void Configure(grpc::ServerBuilder* builder, int idle_ms) {
  builder->SetMaxReceiveMessageSize(kMessageBytesMax);
  // Compression is off: the receive limit bounds the compressed size, not what it expands to.
  builder->SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder->SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  // Connections that are silent, or carry no call, are closed.
  builder->AddChannelArgument("grpc.server_handshake_timeout_ms", 5'000);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, idle_ms);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 256);
}

// `key` is the one of the configuration that names the address.
absl::StatusOr<int> Listen(const char* key, const std::string& listen, const NodeServers::Credentials& credentials,
                           int idle_ms, grpc::Service* service, std::unique_ptr<grpc::Server>* server) {
  int port = 0;
  grpc::ServerBuilder builder;
  Configure(&builder, idle_ms);
  builder.AddListeningPort(listen, credentials, &port);
  builder.RegisterService(service);
  *server = builder.BuildAndStart();
  if (*server != nullptr && port != 0) return port;
  return absl::UnavailableError(
      absl::StrCat(key, ": cannot listen on ", listen, "; is another process there? Choose another port"));
}

}  // namespace

absl::StatusOr<int> NodeServers::StartPeers(const std::string& listen, const Credentials& credentials,
                                            grpc::Service* service) {
  return Listen("listen", listen, credentials, kPeerIdleMs, service, &peers_);
}

absl::StatusOr<int> NodeServers::StartControl(const std::string& listen, const Credentials& credentials,
                                              grpc::Service* service, bool reflection) {
  if (reflection && dlopen("libgrpc++_reflection.so.1.51", RTLD_NOW) == nullptr) {
    return absl::FailedPreconditionError(
        "reflection: libgrpc++_reflection.so.1.51 is not there; install libgrpc++1.51, or set `reflection: false`");
  }
  grpc::EnableDefaultHealthCheckService(true);
  return Listen("control_listen", listen, credentials, kControlIdleMs, service, &control_);
}

void NodeServers::TellHealth(const std::function<bool()>& ready) {
  if (control_ == nullptr) return;
  grpc::HealthCheckServiceInterface* health = control_->GetHealthCheckService();
  if (health == nullptr) return;
  const MutexLock lock(&health_mu_);
  const bool is_ready = ready();
  if (told_ready_ == is_ready) return;  // whoever watches is told of changes
  told_ready_ = is_ready;
  health->SetServingStatus(is_ready);
  health->SetServingStatus("lvs.v1.Control", is_ready);
}

void NodeServers::Stop() {
  const gpr_timespec deadline = DeadlineIn(std::chrono::seconds(2));
  if (control_ != nullptr) control_->Shutdown(deadline);
  if (peers_ != nullptr) peers_->Shutdown(deadline);
  if (control_ != nullptr) control_->Wait();
  if (peers_ != nullptr) peers_->Wait();
}

void RaiseFileLimit() {
  constexpr rlim_t kFewFiles = 16'384;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max >= kFewFiles) return;
  Log(v1::WARNING, "files.few",
      {{"limit", static_cast<std::uint64_t>(limit.rlim_max)},
       {"why", "whoever opens so many connections stops this node from listening; raise the hard limit (ulimit -Hn)"}});
}

}  // namespace lvs::services
