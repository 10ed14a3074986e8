#include "services/client/load.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <numeric>
#include <queue>
#include <unordered_map>

#include "services/base/mutex.h"
#include "services/client/contribution_stream.h"

namespace lvs::services {
namespace {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

constexpr std::chrono::milliseconds kRetryDelayMin{20};
constexpr std::chrono::milliseconds kRetryDelayMax{1'000};
// Grace period after Ctrl-C for contributions in flight.
constexpr std::chrono::milliseconds kStopGrace{1'000};
constexpr std::chrono::milliseconds kIdle{10};
// At high rates, contributions that are due within this time are sent together.
constexpr std::chrono::microseconds kTogether{500};

std::string CodeName(int code) { return std::string(absl::StatusCodeToString(static_cast<absl::StatusCode>(code))); }

// One contribution that is due and not finished.
struct Contribution {
  std::size_t session = 0;
  std::uint32_t shard = 0;
  std::uint32_t slot = 0;
  std::uint64_t amount_uvu = 0;
  TimePoint due;
  unsigned attempts = 0;
  std::size_t node = 0;  // node of the current attempt
};

// The caller's thread makes contributions due, repeats those that failed and gives up those that are late; the threads
// of the streams finish those that are answered. Lock order: Load::mutex_, then ContributionStream::mutex_.
class Load {
 public:
  Load(const std::vector<ControlClient>& clients, const LoadOptions& options)
      : options_(options), node_count_(clients.size()) {
    const std::size_t sessions = options.sessions > 0 ? options.sessions : DefaultSessions(options.rate);
    const MutexLock lock(&mutex_);
    for (std::size_t i = 0; i < sessions; ++i) sessions_.push_back({RandomSession(), i % node_count_});
    for (std::size_t i = 0; i < node_count_; ++i) {
      streams_.push_back(std::make_unique<ContributionStream>(
          clients[i], [this](const v1::ContributeReply& reply) { Answered(reply); },
          [this, i](const grpc::Status& status) { Broken(i, status); }));
    }
  }

  LoadReport Run() {
    const TimePoint start = Clock::now();
    {
      const MutexLock lock(&mutex_);
      Offering(start);
      while (!contributions_.empty()) {
        GiveUp(contributions_.begin()->first, static_cast<int>(absl::StatusCode::kCancelled));
      }
      report_.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    }
    streams_.clear();  // without the lock: their threads take it before they end
    const MutexLock lock(&mutex_);
    for (const auto& [key, expectation] : expectations_) report_.expectations.emplace(key, expectation);
    return std::move(report_);
  }

 private:
  struct Session {
    SessionId id;
    std::size_t node;  // node of its next contribution
  };
  using Retry = std::pair<TimePoint, std::uint64_t>;

  // Offers contributions as they become due. Returns once all are finished, or kStopGrace after the stop.
  void Offering(TimePoint start) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::uint64_t total = LoadSize(options_);
    std::uint64_t made = 0;
    TimePoint next_progress = start + std::chrono::seconds(1);
    TimePoint stop_at = TimePoint::max();
    while (true) {
      const TimePoint now = Clock::now();
      if (stop_at == TimePoint::max() && options_.stop != nullptr && options_.stop->load()) stop_at = now + kStopGrace;
      const bool offering = made < total && stop_at == TimePoint::max();
      for (; offering && made < total && DueTime(start, made) <= now; ++made) Offer(made, DueTime(start, made));
      RetryWhatIsDue(now);
      Expire(now);
      if ((!offering && contributions_.empty()) || now >= stop_at) return;
      if (now >= next_progress && options_.on_progress) {
        next_progress += std::chrono::seconds(1);
        report_.seconds = std::chrono::duration<double>(now - start).count();
        options_.on_progress(report_);
      }
      TimePoint wake = now + kIdle;
      if (offering && made < total) wake = std::min(wake, std::max<TimePoint>(DueTime(start, made), now + kTogether));
      if (!retries_.empty()) wake = std::min(wake, retries_.top().first);
      wake_.WaitUntil(&mutex_, wake);
    }
  }

  void RetryWhatIsDue(TimePoint now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    while (!retries_.empty() && retries_.top().first <= now) {
      const std::uint64_t id = retries_.top().second;
      retries_.pop();
      if (contributions_.contains(id)) Attempt(id);
    }
  }

  TimePoint DueTime(TimePoint start, std::uint64_t nth) const {
    return start + std::chrono::duration_cast<Clock::duration>(
                       std::chrono::duration<double>(static_cast<double>(nth) / options_.rate));
  }

  ExpectationKey KeyOf(const Contribution& contribution) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return {sessions_[contribution.session].id, contribution.shard, contribution.slot};
  }

  void Offer(std::uint64_t nth, TimePoint due) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ++report_.offered;
    if (contributions_.size() >= options_.in_flight_max) {
      ++report_.not_sent;
      return;
    }
    Contribution contribution;
    contribution.session = nth % sessions_.size();
    const std::uint64_t turn = nth / sessions_.size() + contribution.session;
    contribution.slot = static_cast<std::uint32_t>(turn % options_.slots);
    contribution.shard = static_cast<std::uint32_t>(turn / options_.slots % options_.shards);
    Expectation& expectation = expectations_[KeyOf(contribution)];
    expectation.sent_uvu += options_.step_uvu;
    contribution.amount_uvu = expectation.sent_uvu;
    contribution.due = due;
    const std::uint64_t id = next_id_++;
    contributions_.emplace(id, contribution);
    expiries_.emplace_back(due + options_.give_up_after, id);
    Attempt(id);
  }

  void Attempt(std::uint64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Contribution& contribution = contributions_.at(id);
    const Session& session = sessions_[contribution.session];
    ++contribution.attempts;
    contribution.node = session.node;
    v1::ContributeRequest request;
    request.set_session_high(session.id.high);
    request.set_session_low(session.id.low);
    request.set_shard(contribution.shard);
    request.set_slot(contribution.slot);
    request.set_amount_uvu(contribution.amount_uvu);
    request.set_durability(options_.durability);
    request.set_nodes(options_.nodes);
    request.set_timeout_ms(static_cast<std::uint32_t>(options_.attempt_timeout.count()));
    // The attempt is part of the id, so that a late answer to an earlier attempt cannot fail this one.
    request.set_id(id * kAttemptsMax + contribution.attempts % kAttemptsMax);
    if (streams_[contribution.node]->Send(request)) {
      timeouts_.emplace_back(Clock::now() + options_.attempt_timeout + kReplySlack, request.id());
    } else {
      Failed(id, static_cast<int>(absl::StatusCode::kUnavailable), std::chrono::milliseconds(0));
    }
  }

  // Handles a failed attempt. A retry follows later: at the same node after back-pressure, otherwise at the next one.
  void Failed(std::uint64_t id, int code, std::chrono::milliseconds wait) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Contribution& contribution = contributions_.at(id);
    const auto status = static_cast<absl::StatusCode>(code);
    if (status == absl::StatusCode::kInvalidArgument || status == absl::StatusCode::kFailedPrecondition ||
        status == absl::StatusCode::kUnimplemented) {
      return GiveUp(id, code);
    }
    Session& session = sessions_[contribution.session];
    const bool elsewhere = status != absl::StatusCode::kResourceExhausted;
    // A session moves only once, even when several of its contributions fail together.
    if (elsewhere && session.node == contribution.node) session.node = (session.node + 1) % node_count_;
    const unsigned doublings = std::min(contribution.attempts - 1, 6u);
    const auto delay = std::max<Clock::duration>(wait, std::min(kRetryDelayMin * (1 << doublings), kRetryDelayMax));
    // The first retry at each other node is immediate.
    const bool at_once = elsewhere && contribution.attempts < node_count_ && wait.count() == 0;
    ++report_.repeated[CodeName(code)];
    last_code_[id] = code;
    contribution.node = node_count_;  // no attempt is in flight
    retries_.emplace(at_once ? Clock::now() : Clock::now() + delay, id);
  }

  void GiveUp(std::uint64_t id, int code) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto last = last_code_.find(id);
    if (last != last_code_.end() && static_cast<absl::StatusCode>(code) == absl::StatusCode::kDeadlineExceeded) {
      code = last->second;
    }
    ++report_.failed[CodeName(code)];
    Forget(id);
  }

  void Forget(std::uint64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    contributions_.erase(id);
    last_code_.erase(id);
  }

  void Expire(TimePoint now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (; !timeouts_.empty() && timeouts_.front().first <= now; timeouts_.pop_front()) {
      const std::uint64_t id = timeouts_.front().second / kAttemptsMax;
      if (IsCurrent(timeouts_.front().second)) {
        Failed(id, static_cast<int>(absl::StatusCode::kDeadlineExceeded), std::chrono::milliseconds(0));
      }
    }
    for (; !expiries_.empty() && expiries_.front().first <= now; expiries_.pop_front()) {
      const std::uint64_t id = expiries_.front().second;
      if (contributions_.contains(id)) GiveUp(id, static_cast<int>(absl::StatusCode::kDeadlineExceeded));
    }
  }

  // True if the answer belongs to the attempt in flight.
  bool IsCurrent(std::uint64_t request_id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto found = contributions_.find(request_id / kAttemptsMax);
    return found != contributions_.end() && found->second.node < node_count_ &&
           found->second.attempts % kAttemptsMax == request_id % kAttemptsMax;
  }

  // ---- From the streams' threads ----

  void Answered(const v1::ContributeReply& reply) {
    const MutexLock lock(&mutex_);
    const std::uint64_t id = reply.id() / kAttemptsMax;
    const auto found = contributions_.find(id);
    if (found == contributions_.end()) return;
    if (reply.code() == 0) {  // counts even for an earlier attempt
      Expectation& expectation = expectations_[KeyOf(found->second)];
      expectation.acknowledged_uvu = std::max(expectation.acknowledged_uvu, found->second.amount_uvu);
      ++report_.acknowledged;
      report_.latency.Record(
          std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - found->second.due).count());
      Forget(id);
      if (contributions_.empty()) wake_.NotifyOne();
    } else if (IsCurrent(reply.id())) {
      Failed(id, reply.code(), std::chrono::milliseconds(reply.retry_delay_ms()));
      wake_.NotifyOne();
    }
  }

  void Broken(std::size_t node, const grpc::Status& status) {
    const MutexLock lock(&mutex_);
    std::vector<std::uint64_t> lost;
    for (const auto& [id, contribution] : contributions_) {
      if (contribution.node == node) lost.push_back(id);
    }
    // Streams are cancelled only after they broke.
    const bool ended = status.ok() || status.error_code() == grpc::StatusCode::CANCELLED;
    const int code = ended ? static_cast<int>(absl::StatusCode::kUnavailable) : status.error_code();
    for (const std::uint64_t id : lost) Failed(id, code, std::chrono::milliseconds(0));
    wake_.NotifyOne();
  }

  static constexpr std::uint64_t kAttemptsMax = 1'000;  // attempts that a request id can tell apart

  const LoadOptions options_;
  const std::size_t node_count_;
  Mutex mutex_;
  CondVar wake_;
  std::vector<Session> sessions_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<std::uint64_t, Contribution> contributions_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<std::uint64_t, int> last_code_ ABSL_GUARDED_BY(mutex_);
  std::map<ExpectationKey, Expectation> expectations_ ABSL_GUARDED_BY(mutex_);
  std::priority_queue<Retry, std::vector<Retry>, std::greater<>> retries_ ABSL_GUARDED_BY(mutex_);
  // Deadlines of attempts, by request id, and of contributions, by id.
  std::deque<std::pair<TimePoint, std::uint64_t>> timeouts_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::pair<TimePoint, std::uint64_t>> expiries_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  LoadReport report_ ABSL_GUARDED_BY(mutex_);
  // The streams are declared last, so that their threads, which use the members above, end before those are destroyed.
  std::vector<std::unique_ptr<ContributionStream>> streams_;
};

}  // namespace

std::size_t DefaultSessions(double rate) {
  return std::max<std::size_t>(16, static_cast<std::size_t>(std::ceil(rate / 20)));
}

std::uint64_t LoadSize(const LoadOptions& options) {
  return static_cast<std::uint64_t>(options.rate * std::chrono::duration<double>(options.run).count() + 0.5);
}

std::uint64_t LoadReport::Failed() const {
  return std::accumulate(failed.begin(), failed.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const auto& entry) { return sum + entry.second; });
}

absl::Status FitToCluster(const ControlClient& client, LoadOptions* options) {
  const absl::StatusOr<v1::ShardList> shards = client.ListShards();
  if (!shards.ok()) return shards.status();
  if (shards->shards().empty()) return absl::FailedPreconditionError(client.address() + " has no shards");
  const auto known = static_cast<std::uint32_t>(shards->shards_size());
  if (options->shards > known) {
    return absl::InvalidArgumentError("--shards: the cluster has only " + std::to_string(known));
  }
  if (options->shards == 0) options->shards = known;
  options->slots = std::max(1u, static_cast<std::uint32_t>(shards->shards(0).total_uvu_size()));
  return absl::OkStatus();
}

v1::LoadFigures FiguresOf(const LoadReport& report, const LoadOptions& options) {
  const auto known = [&](double ms) { return report.acknowledged > 0 ? ms : std::numeric_limits<double>::quiet_NaN(); };
  const auto ms = [&](double share) { return known(static_cast<double>(report.latency.Quantile(share)) / 1e3); };
  v1::LoadFigures figures;
  figures.set_rate(options.rate);
  figures.set_durability(DurabilityText(options.durability, options.nodes));
  figures.set_seconds(report.seconds);
  figures.set_offered(report.offered);
  figures.set_acknowledged(report.acknowledged);
  figures.set_not_sent(report.not_sent);
  figures.set_failed(report.Failed());
  for (const auto& [code, count] : report.repeated) {
    figures.set_repeated_attempts(figures.repeated_attempts() + count);
  }
  figures.set_p50_ms(ms(0.5));
  figures.set_p90_ms(ms(0.9));
  figures.set_p99_ms(ms(0.99));
  figures.set_p999_ms(ms(0.999));
  figures.set_max_ms(known(static_cast<double>(report.latency.MaxUs()) / 1e3));
  figures.set_mean_ms(known(report.latency.MeanUs() / 1e3));
  return figures;
}

LoadReport RunLoad(const std::vector<ControlClient>& clients, const LoadOptions& options) {
  return Load(clients, options).Run();
}

}  // namespace lvs::services
