// A stream of contributions to one server node that reopens after it breaks.
//
//   ContributionStream stream(
//       client, [](const v1::ContributeReply& reply) { std::cout << reply.id() << "\n"; },
//       [](const grpc::Status& status) { std::cerr << status.error_message() << "\n"; });
//   bool queued = stream.Send(request);
//
// Any thread may send. The callbacks run on the two threads of the stream without its lock held, so they may call Send.
#pragma once

#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <thread>

#include "lvs/v1/control.pb.h"
#include "services/base/mutex.h"
#include "services/client/control_client.h"

namespace lvs::services {

class ContributionStream {
 public:
  using OnReply = std::function<void(const v1::ContributeReply&)>;
  // Called when the stream breaks. Requests that were sent and not answered get no answer any more. The stream reopens
  // a moment later.
  using OnBroken = std::function<void(const grpc::Status&)>;

  // `client` must outlive the stream.
  ContributionStream(const ControlClient& client, OnReply on_reply, OnBroken on_broken);
  // Cancels the stream and waits for both threads.
  ~ContributionStream();
  ContributionStream(const ContributionStream&) = delete;
  ContributionStream& operator=(const ContributionStream&) = delete;

  // Returns false, and sends nothing, while the stream is broken.
  bool Send(const v1::ContributeRequest& request);

 private:
  void Run();
  // Runs one gRPC stream from its opening to its break. Returns false once no further stream is wanted.
  bool RunOnce(grpc::ClientContext* context, grpc::Status* status);
  void Break();
  // Waits for the next request; `more` says whether another one is queued behind it. Returns false once the stream is
  // broken or no longer wanted.
  bool Take(v1::ContributeRequest* request, bool* more);

  const ControlClient& client_;
  const OnReply on_reply_;
  const OnBroken on_broken_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<v1::ContributeRequest> outbox_ ABSL_GUARDED_BY(mutex_);
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace lvs::services
