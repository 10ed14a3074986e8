#include "services/client/load.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <numeric>
#include <queue>
#include <system_error>
#include <thread>
#include <unordered_map>

#include "nlohmann/json.hpp"

namespace lvs::services {
namespace {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Json = nlohmann::ordered_json;

// The node answers within the time that it is given; the answer needs a little longer.
constexpr std::chrono::milliseconds kReplySlack{500};
constexpr std::chrono::milliseconds kReconnectDelay{200};
constexpr std::chrono::milliseconds kRetryDelayMin{20};
constexpr std::chrono::milliseconds kRetryDelayMax{1'000};
// After Ctrl-C, for what is under way.
constexpr std::chrono::milliseconds kStopGrace{1'000};
constexpr std::chrono::milliseconds kIdle{10};
// At high rates, what is due within so little goes out together.
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
  std::size_t node = 0;  // of the current attempt
};

// One stream to one node, which comes back when it breaks. Two threads: this one writes, the other one reads.
class NodeStream {
 public:
  using OnReply = std::function<void(const v1::ContributeReply&)>;
  // All that was sent and not answered will not be.
  using OnBroken = std::function<void(const grpc::Status&)>;

  NodeStream(const ControlClient& client, OnReply on_reply, OnBroken on_broken)
      : client_(client), on_reply_(std::move(on_reply)), on_broken_(std::move(on_broken)) {
    thread_ = std::thread([this] { Run(); });
  }
  ~NodeStream() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
      if (context_ != nullptr) context_->TryCancel();
      changed_.notify_all();
    }
    thread_.join();
  }
  NodeStream(const NodeStream&) = delete;
  NodeStream& operator=(const NodeStream&) = delete;

  // False while the stream is broken: nothing was sent.
  bool Send(const v1::ContributeRequest& request) {
    const std::lock_guard lock(mutex_);
    if (broken_) return false;
    outbox_.push_back(request);
    changed_.notify_all();
    return true;
  }

 private:
  void Run() {
    while (true) {
      grpc::ClientContext context;
      {
        const std::lock_guard lock(mutex_);
        if (done_) return;
        context_ = &context;
        broken_ = false;
      }
      const auto stream = client_.stub().ContributeStream(&context);
      std::thread reader([&] {
        v1::ContributeReply reply;
        while (stream->Read(&reply)) on_reply_(reply);
        Break();
      });
      v1::ContributeRequest request;
      bool more = false;
      while (Take(&request, &more)) {
        // What another one follows waits for it, and both go out together.
        grpc::WriteOptions options;
        if (more) options.set_buffer_hint();
        if (!stream->Write(request, options)) Break();
      }
      context.TryCancel();
      reader.join();
      const grpc::Status status = stream->Finish();
      {
        std::unique_lock lock(mutex_);
        context_ = nullptr;
        outbox_.clear();
        if (done_) return;
      }
      on_broken_(status);
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kReconnectDelay, [this] { return done_; });
    }
  }

  void Break() {
    const std::lock_guard lock(mutex_);
    broken_ = true;
    changed_.notify_all();
  }

  // Waits for the next request, and says whether another one waits behind it; false once the stream is broken or no
  // longer wanted.
  bool Take(v1::ContributeRequest* request, bool* more) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return done_ || broken_ || !outbox_.empty(); });
    if (done_ || broken_) return false;
    *request = std::move(outbox_.front());
    outbox_.pop_front();
    *more = !outbox_.empty();
    return true;
  }

  const ControlClient& client_;
  const OnReply on_reply_;
  const OnBroken on_broken_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<v1::ContributeRequest> outbox_;
  grpc::ClientContext* context_ = nullptr;
  bool broken_ = false;
  bool done_ = false;
  std::thread thread_;
};

// The caller's thread makes contributions due, repeats what failed and gives up what is late; the streams' threads
// finish what is answered. Lock order: Load::mutex_, then NodeStream::mutex_.
class Load {
 public:
  Load(const std::vector<ControlClient>& clients, const LoadOptions& options)
      : options_(options), node_count_(clients.size()) {
    const std::size_t sessions = options.sessions > 0 ? options.sessions : DefaultSessions(options.rate);
    for (std::size_t i = 0; i < sessions; ++i) sessions_.push_back({RandomSession(), i % node_count_});
    for (std::size_t i = 0; i < node_count_; ++i) {
      streams_.push_back(std::make_unique<NodeStream>(
          clients[i], [this](const v1::ContributeReply& reply) { Answered(reply); },
          [this, i](const grpc::Status& status) { Broken(i, status); }));
    }
  }

  LoadReport Run() {
    const TimePoint start = Clock::now();
    const auto total =
        static_cast<std::uint64_t>(options_.rate * std::chrono::duration<double>(options_.run).count() + 0.5);
    std::uint64_t made = 0;
    TimePoint next_progress = start + std::chrono::seconds(1);
    TimePoint stop_at = TimePoint::max();
    std::unique_lock lock(mutex_);
    while (true) {
      const TimePoint now = Clock::now();
      if (stop_at == TimePoint::max() && options_.stop != nullptr && options_.stop->load()) stop_at = now + kStopGrace;
      const bool offering = made < total && stop_at == TimePoint::max();
      for (; offering && made < total && DueTime(start, made) <= now; ++made) Offer(made, DueTime(start, made));
      while (!retries_.empty() && retries_.top().first <= now) {
        const std::uint64_t id = retries_.top().second;
        retries_.pop();
        if (contributions_.contains(id)) Attempt(id);
      }
      Expire(now);
      if ((!offering && contributions_.empty()) || now >= stop_at) break;
      if (now >= next_progress && options_.on_progress) {
        next_progress += std::chrono::seconds(1);
        report_.seconds = std::chrono::duration<double>(now - start).count();
        options_.on_progress(report_);
      }
      TimePoint wake = now + kIdle;
      if (offering && made < total) wake = std::min(wake, std::max<TimePoint>(DueTime(start, made), now + kTogether));
      if (!retries_.empty()) wake = std::min(wake, retries_.top().first);
      wake_.wait_until(lock, wake);
    }
    while (!contributions_.empty())
      GiveUp(contributions_.begin()->first, static_cast<int>(absl::StatusCode::kCancelled));
    report_.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    lock.unlock();
    streams_.clear();
    for (const auto& [key, expectation] : expectations_) report_.expectations.emplace(key, expectation);
    return std::move(report_);
  }

 private:
  struct Session {
    SessionId id;
    std::size_t node;  // where it goes on
  };
  using Retry = std::pair<TimePoint, std::uint64_t>;

  TimePoint DueTime(TimePoint start, std::uint64_t nth) const {
    return start + std::chrono::duration_cast<Clock::duration>(
                       std::chrono::duration<double>(static_cast<double>(nth) / options_.rate));
  }

  ExpectationKey KeyOf(const Contribution& contribution) const {
    return {sessions_[contribution.session].id, contribution.shard, contribution.slot};
  }

  void Offer(std::uint64_t nth, TimePoint due) {
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

  void Attempt(std::uint64_t id) {
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
    // The attempt is part of the id, so that a late answer to an earlier one is not taken for this one's failure.
    request.set_id(id * kAttemptsMax + contribution.attempts % kAttemptsMax);
    if (streams_[contribution.node]->Send(request)) {
      timeouts_.emplace_back(Clock::now() + options_.attempt_timeout + kReplySlack, request.id());
    } else {
      Failed(id, static_cast<int>(absl::StatusCode::kUnavailable), std::chrono::milliseconds(0));
    }
  }

  // The current attempt failed. Tries again later, elsewhere unless the node only wants us to wait.
  void Failed(std::uint64_t id, int code, std::chrono::milliseconds wait) {
    Contribution& contribution = contributions_.at(id);
    const auto status = static_cast<absl::StatusCode>(code);
    if (status == absl::StatusCode::kInvalidArgument || status == absl::StatusCode::kFailedPrecondition ||
        status == absl::StatusCode::kUnimplemented) {
      return GiveUp(id, code);
    }
    Session& session = sessions_[contribution.session];
    const bool elsewhere = status != absl::StatusCode::kResourceExhausted;
    // Several contributions of one session may fail together: it moves once.
    if (elsewhere && session.node == contribution.node) session.node = (session.node + 1) % node_count_;
    const unsigned doublings = std::min(contribution.attempts - 1, 6u);
    const auto delay = std::max<Clock::duration>(wait, std::min(kRetryDelayMin * (1 << doublings), kRetryDelayMax));
    // The first retry elsewhere is at once.
    const bool at_once = elsewhere && contribution.attempts < node_count_ && wait.count() == 0;
    ++report_.repeated[CodeName(code)];
    last_code_[id] = code;
    contribution.node = node_count_;  // no attempt is under way
    retries_.emplace(at_once ? Clock::now() : Clock::now() + delay, id);
  }

  void GiveUp(std::uint64_t id, int code) {
    const auto last = last_code_.find(id);
    if (last != last_code_.end() && static_cast<absl::StatusCode>(code) == absl::StatusCode::kDeadlineExceeded) {
      code = last->second;
    }
    ++report_.failed[CodeName(code)];
    Forget(id);
  }

  void Forget(std::uint64_t id) {
    contributions_.erase(id);
    last_code_.erase(id);
  }

  void Expire(TimePoint now) {
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

  // Whether the answer is to the attempt that is under way.
  bool IsCurrent(std::uint64_t request_id) const {
    const auto found = contributions_.find(request_id / kAttemptsMax);
    return found != contributions_.end() && found->second.node < node_count_ &&
           found->second.attempts % kAttemptsMax == request_id % kAttemptsMax;
  }

  // ---- From the streams' threads ----

  void Answered(const v1::ContributeReply& reply) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t id = reply.id() / kAttemptsMax;
    const auto found = contributions_.find(id);
    if (found == contributions_.end()) return;
    if (reply.code() == 0) {  // be it to an earlier attempt: it counts
      Expectation& expectation = expectations_[KeyOf(found->second)];
      expectation.acknowledged_uvu = std::max(expectation.acknowledged_uvu, found->second.amount_uvu);
      ++report_.acknowledged;
      report_.latency.Record(
          std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - found->second.due).count());
      Forget(id);
      if (contributions_.empty()) wake_.notify_one();
    } else if (IsCurrent(reply.id())) {
      Failed(id, reply.code(), std::chrono::milliseconds(reply.retry_delay_ms()));
      wake_.notify_one();
    }
  }

  void Broken(std::size_t node, const grpc::Status& status) {
    const std::lock_guard lock(mutex_);
    std::vector<std::uint64_t> lost;
    for (const auto& [id, contribution] : contributions_) {
      if (contribution.node == node) lost.push_back(id);
    }
    // A stream is only ever cancelled because it broke.
    const bool ended = status.ok() || status.error_code() == grpc::StatusCode::CANCELLED;
    const int code = ended ? static_cast<int>(absl::StatusCode::kUnavailable) : status.error_code();
    for (const std::uint64_t id : lost) Failed(id, code, std::chrono::milliseconds(0));
    wake_.notify_one();
  }

  static constexpr std::uint64_t kAttemptsMax = 1'000;  // that the id of a request can tell apart

  const LoadOptions options_;
  const std::size_t node_count_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Session> sessions_;
  std::unordered_map<std::uint64_t, Contribution> contributions_;
  std::unordered_map<std::uint64_t, int> last_code_;
  std::map<ExpectationKey, Expectation> expectations_;
  std::priority_queue<Retry, std::vector<Retry>, std::greater<>> retries_;
  std::deque<std::pair<TimePoint, std::uint64_t>> timeouts_;  // of attempts, by request id
  std::deque<std::pair<TimePoint, std::uint64_t>> expiries_;  // of contributions
  std::uint64_t next_id_ = 1;
  LoadReport report_;
  std::vector<std::unique_ptr<NodeStream>> streams_;  // last: their threads use the rest
};

}  // namespace

std::size_t DefaultSessions(double rate) {
  return std::max<std::size_t>(16, static_cast<std::size_t>(std::ceil(rate / 20)));
}

std::uint64_t LoadReport::Failed() const {
  return std::accumulate(failed.begin(), failed.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const auto& entry) { return sum + entry.second; });
}

LoadReport RunLoad(const std::vector<ControlClient>& clients, const LoadOptions& options) {
  return Load(clients, options).Run();
}

// ---- The ledger of expectations ------------------------------------------------------------------------------------

absl::StatusOr<LoadRecord> RecordBefore(const std::vector<ControlClient>& clients) {
  LoadRecord record;
  for (const ControlClient& client : clients) {
    const absl::StatusOr<v1::NodeStatus> status = client.GetStatus();
    if (!status.ok()) return status.status();
    const auto& totals = status->ledger().total_uvu();
    if (record.before_least_uvu.empty()) {
      record.before_least_uvu.assign(totals.begin(), totals.end());
      record.before_most_uvu = record.before_least_uvu;
    }
    if (static_cast<std::size_t>(totals.size()) != record.before_least_uvu.size()) {
      return absl::FailedPreconditionError("nodes differ in their number of value slots: they are not one cluster");
    }
    for (int slot = 0; slot < totals.size(); ++slot) {
      auto& least = record.before_least_uvu[static_cast<std::size_t>(slot)];
      auto& most = record.before_most_uvu[static_cast<std::size_t>(slot)];
      least = std::min<std::uint64_t>(least, totals[slot]);
      most = std::max<std::uint64_t>(most, totals[slot]);
    }
  }
  return record;
}

absl::Status WriteRecord(const LoadRecord& record, const std::filesystem::path& file) {
  Json entries = Json::array();
  for (const auto& [key, expectation] : record.expectations) {
    entries.push_back({{"session", SessionText(key.session)},
                       {"shard", key.shard},
                       {"slot", key.slot},
                       {"acknowledged_uvu", expectation.acknowledged_uvu},
                       {"sent_uvu", expectation.sent_uvu}});
  }
  const Json json{{"before_least_uvu", record.before_least_uvu},
                  {"before_most_uvu", record.before_most_uvu},
                  {"expectations", std::move(entries)}};
  std::ofstream out(file, std::ios::trunc);
  out << json.dump(1) << "\n" << std::flush;
  if (out) return absl::OkStatus();
  return absl::UnavailableError("cannot write " + file.string() + ": " + std::generic_category().message(errno));
}

absl::StatusOr<LoadRecord> ReadRecord(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) return absl::NotFoundError("cannot read " + file.string() + "; `lvs testnet load --record` writes it");
  const absl::Status wrong = absl::InvalidArgumentError(file.string() + " is not a record of `lvs testnet load`");
  const Json json = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  LoadRecord record;
  try {
    json.at("before_least_uvu").get_to(record.before_least_uvu);
    json.at("before_most_uvu").get_to(record.before_most_uvu);
    if (record.before_least_uvu.size() != record.before_most_uvu.size()) return wrong;
    for (const Json& entry : json.at("expectations")) {
      const absl::StatusOr<SessionId> session = ParseSession(entry.at("session").get<std::string>());
      if (!session.ok()) return wrong;
      ExpectationKey key{*session, entry.at("shard").get<std::uint32_t>(), entry.at("slot").get<std::uint32_t>()};
      if (key.slot >= record.before_least_uvu.size()) return wrong;
      record.expectations[key] = {entry.at("acknowledged_uvu").get<std::uint64_t>(),
                                  entry.at("sent_uvu").get<std::uint64_t>()};
    }
  } catch (const Json::exception&) {
    return wrong;
  }
  return record;
}

absl::StatusOr<std::vector<TotalBounds>> BoundsOf(const std::vector<LoadRecord>& records) {
  std::vector<TotalBounds> bounds;
  for (const LoadRecord& record : records) {
    if (bounds.empty()) {
      for (std::size_t slot = 0; slot < record.before_least_uvu.size(); ++slot) {
        bounds.push_back({record.before_least_uvu[slot], record.before_most_uvu[slot]});
      }
    }
    if (bounds.size() != record.before_least_uvu.size()) {
      return absl::InvalidArgumentError("the records are of clusters with different numbers of value slots");
    }
    for (const auto& [key, expectation] : record.expectations) {
      bounds[key.slot].least_uvu += expectation.acknowledged_uvu;
      bounds[key.slot].most_uvu += expectation.sent_uvu;
    }
  }
  return bounds;
}

}  // namespace lvs::services
