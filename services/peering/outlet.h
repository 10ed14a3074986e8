// The outlet of one link: the stream that holds the link now, if any. Offered frames go out on that stream, and only
// that stream is heard.
//
//   outlet->Offer(frame); outlet->Flush();                     // nothing happens while no stream holds the link
//   outlet->Bind(stream, [&] { link_changed(slot, true); });
//   outlet->IfBound(stream, [&] { deliver(slot, frame); });    // not where the link is another stream's by now
//   outlet->Unbind(stream, [&] { link_changed(slot, false); });
//
// Callbacks run under the outlet's lock, which orders them: up, deliveries, down. A callback must not call this outlet,
// nor take a lock under which the outlet is called. Any thread.
#pragma once

#include <memory>
#include <utility>

#include "services/base/mutex.h"
#include "services/peering/peer_stream.h"

namespace lvs::services {

class Outlet {
 public:
  void Offer(const std::shared_ptr<const shard::Frame>& frame) {
    if (const auto bound = Bound()) bound->Offer(frame);
  }
  void Flush() {
    if (const auto bound = Bound()) bound->Flush();
  }

  template <class Then>
  void Bind(std::shared_ptr<PeerStream> stream, Then then) ABSL_LOCKS_EXCLUDED(mu_) {
    const MutexLock lock(&mu_);
    stream_ = std::move(stream);
    then();
  }
  template <class Then>
  void IfBound(const std::shared_ptr<PeerStream>& stream, Then then) ABSL_LOCKS_EXCLUDED(mu_) {
    const MutexLock lock(&mu_);
    if (stream_ == stream) then();
  }
  template <class Then>
  void Unbind(const std::shared_ptr<PeerStream>& stream, Then then) ABSL_LOCKS_EXCLUDED(mu_) {
    const MutexLock lock(&mu_);
    if (stream_ != stream) return;
    stream_ = nullptr;
    then();
  }
  void Clear() ABSL_LOCKS_EXCLUDED(mu_) {
    const MutexLock lock(&mu_);
    stream_ = nullptr;
  }

 private:
  std::shared_ptr<PeerStream> Bound() const ABSL_LOCKS_EXCLUDED(mu_) {
    const MutexLock lock(&mu_);
    return stream_;
  }

  mutable Mutex mu_;
  std::shared_ptr<PeerStream> stream_ ABSL_GUARDED_BY(mu_);
};

}  // namespace lvs::services
