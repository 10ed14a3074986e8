// The gRPC servers of a node: one for peers, one for tools and clients with gRPC's health service.
//
//   RaiseFileLimit();
//   NodeServers servers;
//   absl::StatusOr<int> port = servers.StartPeers(config.listen(), credentials, transport.service());
//   port = servers.StartControl(config.control_listen(), credentials, service, config.reflection());
//   servers.TellHealth([&] { return node.IsReady(); });
//   servers.Stop();
//
// Order: peers first. gRPC's reflection, once loaded, is in every server that is built after it, and peers need none.
//
// Not thread-safe, but TellHealth is, once both are started.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/server.h"
#include "services/base/mutex.h"

namespace lvs::services {

class NodeServers {
 public:
  using Credentials = std::shared_ptr<grpc::ServerCredentials>;

  // Both return the port that was bound. UNAVAILABLE where it cannot be had; FAILED_PRECONDITION where `reflection` is
  // asked for and its library is missing. The service outlives this object.
  absl::StatusOr<int> StartPeers(const std::string& listen, const Credentials& credentials, grpc::Service* service);
  absl::StatusOr<int> StartControl(const std::string& listen, const Credentials& credentials, grpc::Service* service,
                                   bool reflection);

  // Has the health service of the control server answer what `ready` returns now. Threads come here in any order, and
  // `ready` is called under a lock, so that the last of them tells what is so then.
  void TellHealth(const std::function<bool()>& ready) ABSL_LOCKS_EXCLUDED(health_mu_);

  // Cancels the calls that are left after two seconds. Idempotent.
  void Stop();

 private:
  std::unique_ptr<grpc::Server> peers_;
  std::unique_ptr<grpc::Server> control_;
  Mutex health_mu_;
  std::optional<bool> told_ready_ ABSL_GUARDED_BY(health_mu_);  // once there is a health service
};

// Raises the soft limit of open files to the hard one. gRPC 1.51 stops listening, for good, once a connection cannot be
// accepted for want of a file. The soft limit of a shell is 1024, which one machine uses up in no time, and a silent
// connection lasts five seconds. Logs files.few where the hard limit is low as well.
void RaiseFileLimit();

}  // namespace lvs::services
