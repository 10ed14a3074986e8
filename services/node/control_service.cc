#include "services/node/control_service.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_replace.h"
#include "lvs/v1/control.pb.h"
#include "services/base/grpc_deadline.h"
#include "services/base/host_port.h"
#include "services/base/mutex.h"
#include "services/base/timer_thread.h"
#include "services/net/grpc_status.h"
#include "services/net/held_service.h"

namespace lvs::services {

namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

// The status of a unary call. An error carries the whole reply as its detail.
grpc::Status StatusOf(const v1::ContributeReply& reply) {
  if (reply.code() == 0) return grpc::Status::OK;
  v1::StatusDetails details;
  details.set_code(reply.code());
  details.set_message(reply.message());
  details.add_details()->PackFrom(reply);
  return {static_cast<grpc::StatusCode>(reply.code()), reply.message(), details.SerializeAsString()};
}

// The server's own deadline, early enough for the answer to arrive before the client gives up.
Steady::time_point DeadlineOf(const grpc::CallbackServerContext& context, const v1::ContributeRequest& request) {
  constexpr milliseconds kLongest{60'000};
  constexpr milliseconds kWayBack{20};
  milliseconds left = TimeUntil(context.raw_deadline(), kLongest + kWayBack) - kWayBack;
  if (request.timeout_ms() > 0) left = std::min(left, milliseconds(request.timeout_ms()));
  return Steady::now() + left;
}

// A stream of one client: contributions in, an answer out as soon as each is reached, in any order. Back-pressure: with
// kStreamWaitingMax answers outstanding, the stream is read no further.
class ContributionStream final : public grpc::ServerBidiReactor<v1::ContributeRequest, v1::ContributeReply> {
 public:
  ContributionStream(ControlBackend* backend, grpc::CallbackServerContext* context, CallHold hold)
      : hold_(std::move(hold)), backend_(backend), context_(context), link_(context->peer()) {}

  void Begin(std::shared_ptr<ContributionStream> self) {
    self_ = std::move(self);
    StartRead(&in_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      const MutexLock lock(&mu_);
      read_all_ = true;
      return FinishIfDone();
    }
    {
      const MutexLock lock(&mu_);
      ++waiting_;
    }
    backend_->Contribute(in_, link_, DeadlineOf(*context_, in_),
                         [self = self_](const v1::ContributeReply& reply) { self->Answer(reply); });
    const MutexLock lock(&mu_);
    if (waiting_ + answers_.size() < kStreamWaitingMax) {
      StartRead(&in_);
    } else {
      held_ = true;
    }
  }

  void OnWriteDone(bool ok) override {
    const MutexLock lock(&mu_);
    writing_ = false;
    broken_ = broken_ || !ok;
    Write();
    if (held_ && waiting_ + answers_.size() < kStreamWaitingMax / 2) {
      held_ = false;
      StartRead(&in_);
    }
    FinishIfDone();
  }

  void OnCancel() override {
    const MutexLock lock(&mu_);
    broken_ = true;
    if (held_) {  // no read is under way whose failure would end the stream
      held_ = false;
      read_all_ = true;
    }
    FinishIfDone();
  }

  void OnDone() override { self_.reset(); }

 private:
  void Answer(const v1::ContributeReply& reply) {
    const MutexLock lock(&mu_);
    --waiting_;
    if (!broken_ && !finished_) answers_.push_back(reply);
    Write();
    FinishIfDone();
  }

  void Write() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (writing_ || broken_ || finished_ || answers_.empty()) return;
    out_ = std::move(answers_.front());
    answers_.pop_front();
    writing_ = true;
    // An answer that another one follows is buffered, so that both are sent together.
    grpc::WriteOptions options;
    if (!answers_.empty()) options.set_buffer_hint();
    StartWrite(&out_, options);
  }

  void FinishIfDone() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (finished_ || writing_ || !read_all_) return;
    if (!broken_ && (waiting_ > 0 || !answers_.empty())) return;
    finished_ = true;
    Finish(grpc::Status::OK);
  }

  const CallHold hold_;
  ControlBackend* backend_;
  grpc::CallbackServerContext* context_;
  const std::string link_;
  std::shared_ptr<ContributionStream> self_;
  v1::ContributeRequest in_;  // of the read that is under way

  Mutex mu_;
  v1::ContributeReply out_ ABSL_GUARDED_BY(mu_);  // of the write that is under way; gRPC reads it until OnWriteDone
  std::deque<v1::ContributeReply> answers_ ABSL_GUARDED_BY(mu_);
  std::size_t waiting_ ABSL_GUARDED_BY(mu_) = 0;  // contributions without an answer
  bool held_ ABSL_GUARDED_BY(mu_) = false;        // reading rests until answers have been sent
  bool read_all_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool broken_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

// A watcher: sends the status at once, and again every interval.
class Watcher final : public grpc::ServerBidiReactor<v1::WatchRequest, v1::NodeStatus> {
 public:
  Watcher(const ControlBackend* backend, TimerThread* timers, std::atomic<int>* watchers, CallHold hold)
      : hold_(std::move(hold)), backend_(backend), timers_(timers), watchers_(watchers) {}

  void Begin(std::shared_ptr<Watcher> self) {
    const MutexLock lock(&mu_);
    self_ = std::move(self);
    StartRead(&request_);
  }
  void OnReadDone(bool ok) override {
    const MutexLock lock(&mu_);
    const std::uint32_t interval_ms = request_.interval_ms() == 0 ? 1000 : request_.interval_ms();
    if (!ok || interval_ms < 100 || interval_ms > 60'000) {
      return Finish({grpc::StatusCode::INVALID_ARGUMENT, "interval_ms lies between 100 and 60000"});
    }
    interval_ = milliseconds(interval_ms);
    is_counted_ = true;
    if (++*watchers_ > kWatchersMax) {
      return Finish({grpc::StatusCode::RESOURCE_EXHAUSTED, "too many are watching this node; end another one"});
    }
    Tell();
  }
  void OnWriteDone(bool ok) override {
    const MutexLock lock(&mu_);
    if (!ok || cancelled_) return End();
    timer_ = timers_->At(Steady::now() + interval_, [self = self_] { self->Due(); });
  }

  void OnCancel() override {
    const MutexLock lock(&mu_);
    cancelled_ = true;
    if (timer_ && timers_->Cancel(*timer_)) End();
  }

  void OnDone() override {
    std::shared_ptr<Watcher> last;  // destroyed without the lock
    const MutexLock lock(&mu_);
    if (is_counted_) --*watchers_;
    last = std::move(self_);
  }

 private:
  void Due() {
    const MutexLock lock(&mu_);
    timer_.reset();
    if (cancelled_) return End();
    Tell();
  }
  void Tell() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    status_ = backend_->Status();
    StartWrite(&status_);
  }
  void End() { Finish(grpc::Status::OK); }

  const CallHold hold_;
  const ControlBackend* backend_;
  TimerThread* const timers_;
  std::atomic<int>* const watchers_;
  Mutex mu_;
  std::shared_ptr<Watcher> self_ ABSL_GUARDED_BY(mu_);
  v1::WatchRequest request_ ABSL_GUARDED_BY(mu_);
  milliseconds interval_ ABSL_GUARDED_BY(mu_){0};
  bool is_counted_ ABSL_GUARDED_BY(mu_) = false;  // in *watchers_
  std::optional<TimerThread::Id> timer_ ABSL_GUARDED_BY(mu_);
  v1::NodeStatus status_ ABSL_GUARDED_BY(mu_);
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
};

absl::Status OnlyFromHere(const grpc::CallbackServerContext& context) {
  if (IsOnThisMachine(context.peer())) return absl::OkStatus();
  return absl::PermissionDeniedError(
      "drain is taken only from the node's own machine; run the command there (ssh, docker exec, kubectl exec) with "
      "--node and a loopback address, or stop the process with SIGTERM to drain it");
}

class ControlService final : public HeldService {
 public:
  ControlService(ControlBackend* backend, std::shared_ptr<Connections> connections)
      : HeldService(std::move(connections)), backend_(backend) {
    AnswerAtOnce<v1::StatusRequest, v1::NodeStatus>("/lvs.v1.Control/GetStatus", [backend](auto* call) {
      *call->reply() = backend->Status();
      return absl::OkStatus();
    });
    AnswerAtOnce<v1::ListPeersRequest, v1::PeerList>("/lvs.v1.Control/ListPeers", [backend](auto* call) {
      *call->reply() = backend->Peers();
      return absl::OkStatus();
    });
    AnswerAtOnce<v1::ListShardsRequest, v1::ShardList>("/lvs.v1.Control/ListShards", [backend](auto* call) {
      *call->reply() = backend->Shards();
      return absl::OkStatus();
    });
    Answer<v1::ContributeRequest, v1::ContributeReply>("/lvs.v1.Control/Contribute", [backend](auto* call) {
      backend->Contribute(call->request(), call->context().peer(), DeadlineOf(call->context(), call->request()),
                          [call](const v1::ContributeReply& reached) {
                            *call->reply() = reached;
                            call->End(StatusOf(reached));
                          });
    });
    Stream<v1::ContributeRequest, v1::ContributeReply>(
        "/lvs.v1.Control/ContributeStream", [backend](grpc::CallbackServerContext* context, CallHold hold) {
          const auto stream = std::make_shared<ContributionStream>(backend, context, std::move(hold));
          stream->Begin(stream);
          return stream.get();
        });
    Stream<v1::WatchRequest, v1::NodeStatus>(
        "/lvs.v1.Control/Watch", [this](grpc::CallbackServerContext*, CallHold hold) {
          const auto watcher = std::make_shared<Watcher>(backend_, &timers_, &watchers_, std::move(hold));
          watcher->Begin(watcher);
          return watcher.get();
        });
    AnswerAtOnce<v1::DrainRequest, v1::DrainReply>("/lvs.v1.Control/Drain", [backend](auto* call) {
      const absl::Status status = OnlyFromHere(call->context());
      if (status.ok()) backend->Drain("asked over the control service");
      return status;
    });
    AnswerAtOnce<v1::Faults, v1::Faults>("/lvs.v1.Control/SetFaults", [backend](auto* call) {
      const absl::Status status = backend->SetFaults(call->request());
      if (status.ok()) *call->reply() = call->request();
      return status;
    });
    AnswerAtOnce<v1::ScatterRequest, v1::ScatterReply>("/lvs.v1.Control/Scatter",
                                                       [backend](auto*) { return backend->Scatter(); });
  }

 private:
  // Calls that end with the status of `work(call)`.
  template <typename Request, typename Reply, typename Work>
  void AnswerAtOnce(const char* path, Work work) {
    Answer<Request, Reply>(path, [work](UnaryCall<Request, Reply>* call) { call->End(ToGrpc(work(call))); });
  }

  ControlBackend* backend_;
  std::atomic<int> watchers_{0};
  TimerThread timers_;  // of the watchers
};

}  // namespace

bool IsOnThisMachine(std::string_view peer) {
  if (peer.starts_with("unix:") || peer.starts_with("unix-abstract:")) return true;
  const std::size_t scheme = peer.find(':');
  if (scheme == std::string_view::npos || (!peer.starts_with("ipv4:") && !peer.starts_with("ipv6:"))) return false;
  const std::string address = absl::StrReplaceAll(std::string(peer.substr(scheme + 1)), {{"%5B", "["}, {"%5D", "]"}});
  const absl::StatusOr<HostPort> at = ParseHostPort(address);
  return at.ok() && IsLoopback(at->host);
}

std::unique_ptr<grpc::Service> MakeControlService(ControlBackend* backend, std::shared_ptr<Connections> connections) {
  return std::make_unique<ControlService>(backend, std::move(connections));
}

}  // namespace lvs::services
