#include "services/client/contribution_stream.h"

#include <chrono>
#include <utility>

namespace lvs::services {

namespace {
constexpr std::chrono::milliseconds kReconnectDelay{200};
}  // namespace

ContributionStream::ContributionStream(const ControlClient& client, OnReply on_reply, OnBroken on_broken)
    : client_(client), on_reply_(std::move(on_reply)), on_broken_(std::move(on_broken)) {
  thread_ = std::thread([this] { Run(); });
}

ContributionStream::~ContributionStream() {
  {
    const MutexLock lock(&mutex_);
    done_ = true;
    if (context_ != nullptr) context_->TryCancel();
    changed_.NotifyAll();
  }
  thread_.join();
}

bool ContributionStream::Send(const v1::ContributeRequest& request) {
  const MutexLock lock(&mutex_);
  if (broken_) return false;
  outbox_.push_back(request);
  changed_.NotifyAll();
  return true;
}

void ContributionStream::Run() {
  while (true) {
    grpc::ClientContext context;
    grpc::Status status;
    if (!RunOnce(&context, &status)) return;
    on_broken_(status);
    const auto again = std::chrono::steady_clock::now() + kReconnectDelay;
    const MutexLock lock(&mutex_);
    while (!done_ && changed_.WaitUntil(&mutex_, again)) {
    }
  }
}

bool ContributionStream::RunOnce(grpc::ClientContext* context, grpc::Status* status) {
  {
    const MutexLock lock(&mutex_);
    if (done_) return false;
    context_ = context;
    broken_ = false;
  }
  const auto stream = client_.stub().ContributeStream(context);
  std::thread reader([&] {
    v1::ContributeReply reply;
    while (stream->Read(&reply)) on_reply_(reply);
    Break();
  });
  v1::ContributeRequest request;
  bool more = false;
  while (Take(&request, &more)) {
    // A request with a successor in the queue is buffered, so that both share one write.
    grpc::WriteOptions options;
    if (more) options.set_buffer_hint();
    if (!stream->Write(request, options)) Break();
  }
  context->TryCancel();
  reader.join();
  *status = stream->Finish();
  const MutexLock lock(&mutex_);
  context_ = nullptr;
  outbox_.clear();
  return !done_;
}

void ContributionStream::Break() {
  const MutexLock lock(&mutex_);
  broken_ = true;
  changed_.NotifyAll();
}

bool ContributionStream::Take(v1::ContributeRequest* request, bool* more) {
  const MutexLock lock(&mutex_);
  while (!done_ && !broken_ && outbox_.empty()) changed_.Wait(&mutex_);
  if (done_ || broken_) return false;
  *request = std::move(outbox_.front());
  outbox_.pop_front();
  *more = !outbox_.empty();
  return true;
}

}  // namespace lvs::services
