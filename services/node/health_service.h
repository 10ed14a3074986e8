// gRPC's health service, as probes and load balancers ask for it.
//
//   HealthService health(connections);
//   builder.RegisterService(&health);
//   health.Tell([] { return true; });   // SERVING, for whoever asks or watches
//
// It answers for the server as a whole (no name) and for lvs.v1.Control alike; both are NOT_SERVING until told otherwise.
// gRPC's own health service shows nobody the calls whose request never comes (services/net/held_service.h).
//
// Any thread.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <unordered_set>

#include "grpc/health/v1/health.pb.h"
#include "services/base/mutex.h"
#include "services/net/held_service.h"

namespace lvs::services {

class HealthService final : public HeldService {
 public:
  explicit HealthService(std::shared_ptr<Connections> connections);

  // Threads come here in any order, and `serving` is called under a lock, so that the last of them tells what is so then.
  void Tell(const std::function<bool()>& serving) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Request = grpc::health::v1::HealthCheckRequest;
  using Response = grpc::health::v1::HealthCheckResponse;
  class Watcher;

  void Check(UnaryCall<Request, Response>* call) const ABSL_LOCKS_EXCLUDED(mu_);
  void TellOne(Watcher* watcher) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Response::ServingStatus StatusOf(std::string_view service) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable Mutex mu_;
  bool serving_ ABSL_GUARDED_BY(mu_) = false;
  std::unordered_set<Watcher*> watchers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace lvs::services
