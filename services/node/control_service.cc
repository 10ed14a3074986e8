#include "services/node/control_service.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_replace.h"
#include "services/base/grpc_deadline.h"
#include "services/base/host_port.h"
#include "services/base/mutex.h"
#include "services/base/timer_thread.h"
#include "services/net/grpc_status.h"

namespace lvs::services {

namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

// Keeps a call's connection from being closed in favour of another one; null where connections have no limits.
using CallHold = std::shared_ptr<Connections::Hold>;

grpc::Status ConnectionIsOver() { return {grpc::StatusCode::UNAVAILABLE, "the connection is over"}; }

// Streams that end before any work is done for them.
class RefusedContributions final : public grpc::ServerBidiReactor<v1::ContributeRequest, v1::ContributeReply> {
 public:
  RefusedContributions() { Finish(ConnectionIsOver()); }
  void OnDone() override { delete this; }
};
class RefusedWatcher final : public grpc::ServerWriteReactor<v1::NodeStatus> {
 public:
  explicit RefusedWatcher(const grpc::Status& why) { Finish(why); }
  void OnDone() override { delete this; }
};

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
class Watcher final : public grpc::ServerWriteReactor<v1::NodeStatus> {
 public:
  Watcher(const ControlBackend* backend, std::chrono::milliseconds interval, TimerThread* timers,
          std::atomic<int>* watchers, CallHold hold)
      : hold_(std::move(hold)), backend_(backend), interval_(interval), timers_(timers), watchers_(watchers) {}

  void Begin(std::shared_ptr<Watcher> self) {
    const MutexLock lock(&mu_);
    self_ = std::move(self);
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
    --*watchers_;
    std::shared_ptr<Watcher> last;  // destroyed without the lock
    const MutexLock lock(&mu_);
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
  const std::chrono::milliseconds interval_;
  TimerThread* const timers_;
  std::atomic<int>* const watchers_;
  Mutex mu_;
  std::shared_ptr<Watcher> self_ ABSL_GUARDED_BY(mu_);
  std::optional<TimerThread::Id> timer_ ABSL_GUARDED_BY(mu_);
  v1::NodeStatus status_ ABSL_GUARDED_BY(mu_);
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
};

class ControlService final : public v1::Control::CallbackService {
 public:
  ControlService(ControlBackend* backend, std::shared_ptr<Connections> connections)
      : backend_(backend), connections_(std::move(connections)) {}

  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* context, const v1::StatusRequest*,
                                      v1::NodeStatus* reply) override {
    return Answer(context, [&] {
      *reply = backend_->Status();
      return absl::OkStatus();
    });
  }
  grpc::ServerUnaryReactor* ListPeers(grpc::CallbackServerContext* context, const v1::ListPeersRequest*,
                                      v1::PeerList* reply) override {
    return Answer(context, [&] {
      *reply = backend_->Peers();
      return absl::OkStatus();
    });
  }
  grpc::ServerUnaryReactor* ListShards(grpc::CallbackServerContext* context, const v1::ListShardsRequest*,
                                       v1::ShardList* reply) override {
    return Answer(context, [&] {
      *reply = backend_->Shards();
      return absl::OkStatus();
    });
  }

  grpc::ServerUnaryReactor* Contribute(grpc::CallbackServerContext* context, const v1::ContributeRequest* request,
                                       v1::ContributeReply* reply) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    CallHold hold;
    if (!Admit(context, &hold)) {
      reactor->Finish(ConnectionIsOver());
      return reactor;
    }
    backend_->Contribute(*request, context->peer(), DeadlineOf(*context, *request),
                         [reactor, reply, hold = std::move(hold)](const v1::ContributeReply& reached) {
                           *reply = reached;
                           reactor->Finish(StatusOf(reached));
                         });
    return reactor;
  }

  grpc::ServerBidiReactor<v1::ContributeRequest, v1::ContributeReply>* ContributeStream(
      grpc::CallbackServerContext* context) override {
    CallHold hold;
    if (!Admit(context, &hold)) return new RefusedContributions;
    const auto stream = std::make_shared<ContributionStream>(backend_, context, std::move(hold));
    stream->Begin(stream);
    return stream.get();
  }

  grpc::ServerWriteReactor<v1::NodeStatus>* Watch(grpc::CallbackServerContext* context,
                                                  const v1::WatchRequest* request) override {
    const std::uint32_t interval_ms = request->interval_ms() == 0 ? 1000 : request->interval_ms();
    CallHold hold;
    if (!Admit(context, &hold)) return new RefusedWatcher(ConnectionIsOver());
    if (interval_ms < 100 || interval_ms > 60'000) {
      return new RefusedWatcher({grpc::StatusCode::INVALID_ARGUMENT, "interval_ms lies between 100 and 60000"});
    }
    if (++watchers_ > kWatchersMax) {
      --watchers_;
      return new RefusedWatcher(
          {grpc::StatusCode::RESOURCE_EXHAUSTED, "too many are watching this node; end another one"});
    }
    const auto watcher =
        std::make_shared<Watcher>(backend_, milliseconds(interval_ms), &timers_, &watchers_, std::move(hold));
    watcher->Begin(watcher);
    return watcher.get();
  }

  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* context, const v1::DrainRequest*,
                                  v1::DrainReply*) override {
    return Answer(context, [&] {
      const absl::Status status = OnlyFromHere(*context);
      if (status.ok()) backend_->Drain("asked over the control service");
      return status;
    });
  }

  grpc::ServerUnaryReactor* SetFaults(grpc::CallbackServerContext* context, const v1::Faults* request,
                                      v1::Faults* reply) override {
    return Answer(context, [&] {
      const absl::Status status = backend_->SetFaults(*request);
      if (status.ok()) *reply = *request;
      return status;
    });
  }

  grpc::ServerUnaryReactor* Scatter(grpc::CallbackServerContext* context, const v1::ScatterRequest*,
                                    v1::ScatterReply*) override {
    return Answer(context, [&] { return backend_->Scatter(); });
  }

 private:
  static absl::Status OnlyFromHere(const grpc::CallbackServerContext& context) {
    if (IsOnThisMachine(context.peer())) return absl::OkStatus();
    return absl::PermissionDeniedError(
        "drain is taken only from the node's own machine; run the command there (ssh, docker exec, kubectl exec) with "
        "--node and a loopback address, or stop the process with SIGTERM to drain it");
  }

  // False: the connection is over, or was reset.
  bool Admit(grpc::CallbackServerContext* context, CallHold* hold) const {
    if (connections_ == nullptr) return true;
    std::optional<Connections::Hold> begun = connections_->Begin(context->peer());
    if (begun) *hold = std::make_shared<Connections::Hold>(*std::move(begun));
    return begun.has_value();
  }

  // A call that is answered at once, with the status of `work`.
  template <typename Work>
  grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, const Work& work) const {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    CallHold hold;
    reactor->Finish(Admit(context, &hold) ? ToGrpc(work()) : ConnectionIsOver());
    return reactor;
  }

  ControlBackend* backend_;
  const std::shared_ptr<Connections> connections_;  // null: they have no limits
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

std::unique_ptr<v1::Control::CallbackService> MakeControlService(ControlBackend* backend,
                                                                 std::shared_ptr<Connections> connections) {
  return std::make_unique<ControlService>(backend, std::move(connections));
}

}  // namespace lvs::services
