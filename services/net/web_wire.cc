#include "services/net/web_wire.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include "services/base/poll.h"

namespace lvs::services {

namespace {

// Time for connections that were aborted to report their end.
constexpr std::chrono::seconds kAbortPatience{2};

}  // namespace

void WebLoop::Start() {
  thread_ = std::thread([this] {
    const auto work = boost::asio::make_work_guard(context_);
    Sweep();
    context_.run();
  });
}

void WebLoop::Stop(std::chrono::milliseconds patience) {
  if (!thread_.joinable()) return;
  const auto idle = [this] { return count_ == 0; };
  if (!PollUntil(idle, patience, std::chrono::milliseconds(2))) {
    boost::asio::post(context_, [this] {
      const std::vector<std::shared_ptr<Watched>> all = watched_;
      for (const auto& one : all) one->Abort();
    });
    PollUntil(idle, kAbortPatience, std::chrono::milliseconds(2));
  }
  context_.stop();
  thread_.join();
}

void WebLoop::Watch(std::shared_ptr<Watched> one) {
  one->place_ = watched_.size();
  watched_.push_back(std::move(one));
  count_ = watched_.size();
}

void WebLoop::Unwatch(Watched* one) {
  const std::size_t place = one->place_;
  const std::shared_ptr<Watched> held = std::move(watched_[place]);  // until this call returns
  watched_[place] = std::move(watched_.back());
  if (watched_[place] != nullptr) watched_[place]->place_ = place;
  watched_.pop_back();
  count_ = watched_.size();
}

void WebLoop::Sweep() {
  const double now_s = SteadySeconds();
  for (std::size_t n = watched_.size(); n-- > 0;) {
    if (n >= watched_.size()) continue;  // a look ended others too
    const std::shared_ptr<Watched> one = watched_[n];
    one->Look(now_s);
  }
  timer_.expires_after(sweep_);
  timer_.async_wait([this](WebError error) {
    if (!error) Sweep();
  });
}

}  // namespace lvs::services
