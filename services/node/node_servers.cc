#include "services/node/node_servers.h"

#include <dlfcn.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/support/server_interceptor.h"
#include "services/base/grpc_deadline.h"
#include "services/base/host_port.h"
#include "services/base/log.h"
#include "services/net/grpc_stream.h"
#include "services/net/transport_layer.h"

namespace lvs::services {

namespace {

// A peer's connection carries one stream, from its first moment; a client's may rest between calls.
constexpr int kPeerIdleMs = 10'000;
constexpr int kControlIdleMs = 300'000;
constexpr int kReadBytesMax = 8 << 10;

void Configure(grpc::ServerBuilder* builder, int idle_ms, int streams) {
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
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, streams);
  // gRPC parses all that one read brings before anything else is done; by default up to 4 MB, tens of thousands of calls.
  // These are 500 calls at most, of 15 bytes each.
  builder->AddChannelArgument(GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, kReadBytesMax);
}

// Counts each call of a server, of whatever service and also of methods that it lacks, before the call is handled.
class CallCounter final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit CallCounter(std::shared_ptr<Connections> connections) : connections_(std::move(connections)) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override {
    connections_->CountCall(info->server_context()->peer(), SteadySeconds());
    return nullptr;  // the call itself is not intercepted
  }

 private:
  const std::shared_ptr<Connections> connections_;
};

}  // namespace

absl::StatusOr<int> NodeServers::Listen(const Options& options, const std::string& listen,
                                        const Credentials& credentials, grpc::Service* service, Served* served) const {
  const absl::StatusOr<HostPort> at = ParseHostPort(listen);
  if (!at.ok()) {
    return absl::Status(at.status().code(), absl::StrCat(options.key, ": ", std::string(at.status().message())));
  }
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listener::Open(*at, refusals_);
  if (!listener.ok()) {
    return absl::UnavailableError(absl::StrCat(options.key, ": cannot listen on ", listen, " (",
                                               std::string(listener.status().message()),
                                               "); is another process there? Choose another port"));
  }
  grpc::ServerBuilder builder;
  Configure(&builder, options.idle_ms, options.streams);
  builder.RegisterService(service);
  if (served->health != nullptr) builder.RegisterService(served->health.get());
  served->unknown = std::make_unique<UnknownMethods>(served->connections);
  builder.RegisterCallbackGenericService(served->unknown.get());
  using External = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
  std::shared_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor =
      builder.experimental().AddExternalConnectionAcceptor(External::FROM_FD, credentials);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> counters;
  counters.push_back(std::make_unique<CallCounter>(served->connections));
  builder.experimental().SetInterceptorCreators(std::move(counters));
  served->server = builder.BuildAndStart();
  if (served->server == nullptr) {
    return absl::InternalError(absl::StrCat(options.key, ": gRPC could not start a server; its log lines say why"));
  }
  served->listener = *std::move(listener);
  served->listener->Start(served->connections, [acceptor](int fd) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.fd = fd;
    acceptor->HandleNewConnection(&connection);
  });
  return served->listener->port();
}

void NodeServers::ShareOut(const ConnectionShares& shares) {
  shares_ = shares;
  peers_.connections = std::make_shared<Connections>(ConnectionLimits{.connections = shares.peers,
                                                                      .calls = kPeerCalls,
                                                                      .calls_open = kPeerCallsOpen,
                                                                      .calls_open_in_all = kPeerCallsOpenInAll},
                                                     refusals_);
  control_.connections = std::make_shared<Connections>(ConnectionLimits{.connections = shares.control,
                                                                        .calls = kControlCalls,
                                                                        .calls_open = kControlCallsOpen,
                                                                        .calls_open_in_all = kControlCallsOpenInAll},
                                                       refusals_);
}

absl::StatusOr<int> NodeServers::StartPeers(const std::string& listen, const Credentials& credentials,
                                            grpc::Service* service) {
  return Listen({.key = "listen", .idle_ms = kPeerIdleMs, .streams = kPeerStreams}, listen, credentials, service,
                &peers_);
}

absl::StatusOr<int> NodeServers::StartControl(const std::string& listen, const Credentials& credentials,
                                              grpc::Service* service, bool reflection) {
  if (reflection && dlopen("libgrpc++_reflection.so.1.51", RTLD_NOW) == nullptr) {
    return absl::FailedPreconditionError(
        "reflection: libgrpc++_reflection.so.1.51 is not there; install libgrpc++1.51, or set `reflection: false`");
  }
  control_.health = std::make_unique<HealthService>(control_.connections);
  return Listen({.key = "control_listen", .idle_ms = kControlIdleMs, .streams = kControlStreams}, listen, credentials,
                service, &control_);
}

void NodeServers::FillStatus(v1::NodeStatus* status) const {
  for (const auto& [port, served] : {std::pair("peers", &peers_), std::pair("control", &control_)}) {
    v1::ConnectionStatus* const connections = status->add_connections();
    connections->set_port(port);
    connections->set_open(static_cast<std::uint32_t>(served->connections->open()));
    connections->set_limit(static_cast<std::uint32_t>(served->connections->limit()));
  }
}

void NodeServers::TellHealth(const std::function<bool()>& ready) {
  if (control_.health != nullptr) control_.health->Tell(ready);
}

void NodeServers::Stop() {
  const gpr_timespec deadline = DeadlineIn(std::chrono::seconds(2));
  for (Served* served : {&control_, &peers_}) {
    if (served->listener != nullptr) served->listener->Stop();
  }
  for (Served* served : {&control_, &peers_}) {
    if (served->server != nullptr) served->server->Shutdown(deadline);
  }
  for (Served* served : {&control_, &peers_}) {
    if (served->server != nullptr) served->server->Wait();
  }
}

ConnectionShares SharesOf(std::size_t limit, std::size_t open, std::size_t web_wanted) {
  constexpr std::size_t kLeast = 4;        // of each port, however few files there are
  constexpr std::size_t kKeptMax = 1'024;  // no node opens more itself
  constexpr std::size_t kFilesOfEach = 4;  // two ports, two files a connection
  const std::size_t all = limit > open ? limit - open : 0;
  const std::size_t web = std::min(web_wanted, all / 2);
  const std::size_t free = all - web;
  const std::size_t kept = std::min(free / 4, kKeptMax);
  const std::size_t each = std::max(kLeast, (free - kept) / kFilesOfEach);
  return {.peers = std::min(each, kConnectionSharesMax.peers),
          .control = std::min(each, kConnectionSharesMax.control),
          .health = std::clamp(kept / 4, kLeast, kConnectionSharesMax.health),
          .web = web};
}

std::size_t RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) getrlimit(RLIMIT_NOFILE, &limit);
  const ConnectionShares shares = SharesOf(limit.rlim_cur, OpenFiles());
  if (shares.control < kConnectionSharesMax.control) {
    Log(v1::WARNING, "files.few",
        {{"limit", static_cast<std::uint64_t>(limit.rlim_cur)},
         {"connections", shares.control},
         {"why",
          "each port takes only so many connections at a time; raise the hard limit (ulimit -Hn, LimitNOFILE)"}});
  }
  return limit.rlim_cur;
}

std::size_t OpenFiles() {
  std::error_code error;
  std::size_t count = 0;
  std::filesystem::directory_iterator at("/proc/self/fd", error);
  const std::filesystem::directory_iterator end;
  while (!error && at != end) {
    ++count;
    at.increment(error);
  }
  return count;
}

}  // namespace lvs::services
