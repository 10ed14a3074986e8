// The gRPC servers of a node: one for peers, one for tools and clients with gRPC's health service.
//
//   NodeServers servers(refusals);
//   servers.ShareOut(SharesOf(RaiseFileLimit(), OpenFiles()));
//   absl::StatusOr<int> port = servers.StartPeers(config.listen(), credentials, transport.service());
//   port = servers.StartControl(config.control_listen(), credentials, service, config.reflection());
//   servers.TellHealth([&] { return node.IsReady(); });
//   servers.Stop();
//
// Connections are accepted here (services/net/listener.h) and handed to gRPC, so that their number has a limit, one that
// begins or keeps too many calls is reset, and a process without files goes on listening.
//
// Order: peers first. gRPC's reflection, once loaded, is in every server that is built after it, and peers need none.
//
// Not thread-safe, but TellHealth is, once both are started.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/server.h"
#include "lvs/v1/control.pb.h"
#include "services/net/connections.h"
#include "services/net/held_service.h"
#include "services/net/listener.h"
#include "services/node/health_service.h"
#include "services/peering/connection_refusals.h"

namespace lvs::services {

// ---- Files ----

// The most connections that each port takes at a time.
struct ConnectionShares {
  std::size_t peers = 0;
  std::size_t control = 0;
  std::size_t health = 0;
  std::size_t web = 0;  // one file each
};

inline constexpr ConnectionShares kConnectionSharesMax{.peers = 256, .control = 1024, .health = 128};

// The shares in a process that may open `limit` files and has opened `open` of them. Peers and clients of the control
// service get the same share, two files a connection; a quarter of what is free is kept for what the node itself opens:
// connections that it dials, probes, the cache. The web server gets what it wants, up to half of what is free.
ConnectionShares SharesOf(std::size_t limit, std::size_t open, std::size_t web_wanted = 0);

// Raises the soft limit of open files to the hard one and returns it. The soft limit of a shell is 1024. Logs files.few
// where the hard limit does not suffice for the largest shares.
std::size_t RaiseFileLimit();

// How many files this process has open; 0 where /proc does not say.
std::size_t OpenFiles();

// ---- Servers ----

class NodeServers {
 public:
  using Credentials = std::shared_ptr<grpc::ServerCredentials>;

  // `refusals` may be null.
  explicit NodeServers(std::shared_ptr<ConnectionRefusals> refusals) : refusals_(std::move(refusals)) {}

  // Before all else, once.
  void ShareOut(const ConnectionShares& shares);
  const ConnectionShares& shares() const { return shares_; }
  // Of each server; the services that they serve ask these for leave.
  const std::shared_ptr<Connections>& peer_connections() const { return peers_.connections; }
  const std::shared_ptr<Connections>& control_connections() const { return control_.connections; }

  // Both return the port that was bound. UNAVAILABLE where it cannot be had; FAILED_PRECONDITION where `reflection` is
  // asked for and its library is missing. The service outlives this object.
  absl::StatusOr<int> StartPeers(const std::string& listen, const Credentials& credentials, grpc::Service* service);
  absl::StatusOr<int> StartControl(const std::string& listen, const Credentials& credentials, grpc::Service* service,
                                   bool reflection);

  // How many connections there are, and may be. Any thread.
  void FillStatus(v1::NodeStatus* status) const;

  // Has the health service of the control server answer what `ready` returns now (HealthService::Tell).
  void TellHealth(const std::function<bool()>& ready);

  // Cancels the calls that are left after two seconds. Idempotent.
  void Stop();

 private:
  // A server and the listener that feeds it.
  struct Served {
    std::shared_ptr<Connections> connections;
    std::unique_ptr<UnknownMethods> unknown;
    std::unique_ptr<HealthService> health;  // null: the server has none
    std::unique_ptr<grpc::Server> server;
    std::unique_ptr<Listener> listener;  // ends first
  };

  struct Options {
    const char* key = "";  // of the configuration, that names the address
    int idle_ms = 0;
    int streams = 0;  // of a connection
  };
  absl::StatusOr<int> Listen(const Options& options, const std::string& listen, const Credentials& credentials,
                             grpc::Service* service, Served* served) const;

  const std::shared_ptr<ConnectionRefusals> refusals_;
  ConnectionShares shares_;
  Served peers_;
  Served control_;
};

}  // namespace lvs::services
