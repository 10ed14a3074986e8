#include "services/node/health_service.h"

#include <optional>
#include <string>
#include <utility>

namespace lvs::services {

// Tells its client each status that differs from the last one told. Its state is guarded by the service's lock.
class HealthService::Watcher final : public grpc::ServerBidiReactor<Request, Response> {
 public:
  Watcher(HealthService* service, CallHold hold) : hold_(std::move(hold)), service_(service) { StartRead(&request_); }

  void OnReadDone(bool ok) override {
    const MutexLock lock(&service_->mu_);
    reading_ = false;
    if (!ok || cancelled_) return End();
    service_->watchers_.insert(this);
    service_->TellOne(this);
  }
  void OnWriteDone(bool ok) override {
    const MutexLock lock(&service_->mu_);
    writing_ = false;
    if (!ok || cancelled_) return End();
    service_->TellOne(this);
  }
  void OnCancel() override {
    const MutexLock lock(&service_->mu_);
    cancelled_ = true;
    if (!reading_ && !writing_) End();
  }
  void OnDone() override { delete this; }

  void Tell(Response::ServingStatus status) {
    if (writing_ || ended_ || told_ == status) return;
    told_ = status;
    response_.set_status(status);
    writing_ = true;
    StartWrite(&response_);
  }
  const std::string& asked_for() const { return request_.service(); }

 private:
  void End() ABSL_EXCLUSIVE_LOCKS_REQUIRED(service_->mu_) {
    if (std::exchange(ended_, true)) return;
    service_->watchers_.erase(this);
    Finish({grpc::StatusCode::CANCELLED, "nobody watches any more"});
  }

  const CallHold hold_;
  HealthService* const service_;
  Request request_;
  Response response_;
  std::optional<Response::ServingStatus> told_;
  bool reading_ = true;
  bool writing_ = false;
  bool cancelled_ = false;
  bool ended_ = false;
};

HealthService::HealthService(std::shared_ptr<Connections> connections) : HeldService(std::move(connections)) {
  Answer<Request, Response>("/grpc.health.v1.Health/Check", [this](auto* call) { Check(call); });
  Stream<Request, Response>("/grpc.health.v1.Health/Watch", [this](grpc::CallbackServerContext*, CallHold hold) {
    return new Watcher(this, std::move(hold));
  });
}

void HealthService::Tell(const std::function<bool()>& serving) {
  const MutexLock lock(&mu_);
  serving_ = serving();
  for (Watcher* const watcher : watchers_) TellOne(watcher);
}

void HealthService::TellOne(Watcher* watcher) const { watcher->Tell(StatusOf(watcher->asked_for())); }

void HealthService::Check(UnaryCall<Request, Response>* call) const {
  Response::ServingStatus status = Response::UNKNOWN;
  {
    const MutexLock lock(&mu_);
    status = StatusOf(call->request().service());
  }
  if (status == Response::SERVICE_UNKNOWN) return call->End({grpc::StatusCode::NOT_FOUND, "no such service"});
  call->reply()->set_status(status);
  call->End(grpc::Status::OK);
}

HealthService::Response::ServingStatus HealthService::StatusOf(std::string_view service) const {
  if (!service.empty() && service != "lvs.v1.Control") return Response::SERVICE_UNKNOWN;
  return serving_ ? Response::SERVING : Response::NOT_SERVING;
}

}  // namespace lvs::services
