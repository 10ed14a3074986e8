// The contributions of clients, from the request to the answer: checks, rate limits, deadlines, how far each one came.
//
//   Contributions contributions(limits);
//   if (const absl::Status status = CheckContribution(request, limits); !status.ok()) ...        // refuse it
//   const std::optional<double> wait_s = contributions.Take(request, link, now, deadline, cycle, std::move(done));
//   if (wait_s) ...                                        // too many: refuse it with SetTooMany
//   tick.contributions = contributions.TakeArrived();      // to the shards, with the next cycle
//   contributions.Answered(answer, &due, &for_disk);       // a shard accepted, refused or spread it
//   contributions.OnDisk(for_disk, &due);                  // the cache has written what they wait for
//   for (DueReply& late : contributions.Expire(now)) ...   // their time is over
//   for (const DueReply& reply : due) reply.Send();        // without a lock
//
// A contribution is answered once: as soon as it is as durable as asked, when it is refused, or at its deadline with
// what was reached by then. The same contribution again is idempotent, so a client may always retry.
//
// Bounded: kPendingMax contributions wait at a time. Memory of the rate limits is constant, however many clients come.
//
// Pure: no threads, no clock, no gRPC. Time is any steady clock's. Not thread-safe; the functions outside the class are.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "lvs/v1/control.pb.h"
#include "services/base/token_bucket.h"
#include "services/node/control_backend.h"
#include "shard/hosting/messages.h"
#include "vaultguard/refusals.h"

namespace lvs::services {

struct ContributionLimits {
  std::uint32_t shards = 1;
  std::uint32_t value_slots = 1;
  std::uint32_t nodes_max = 1;  // that durability NODES may ask for
  bool disk = false;            // the node has a cache, so that durability DISK can be reached
  std::chrono::microseconds period{100'000};
  double per_second_link = 1;  // also the burst
  double per_second_session = 1;
};

// An answer that is to be sent.
struct DueReply {
  ControlBackend::OnReply done;
  v1::ContributeReply reply;

  void Send() const { done(reply); }
};

// What a request must be. INVALID_ARGUMENT otherwise, or FAILED_PRECONDITION where it asks for a cache and the node has
// none; the message is for the client.
absl::Status CheckContribution(const v1::ContributeRequest& request, const ContributionLimits& limits);

// Writes an error into a reply; the client waits `retry_ms` before it tries again.
void SetError(const absl::Status& status, std::int64_t retry_ms, v1::ContributeReply* reply);
// The error of a contribution that Take did not take in; `wait_s` is what Take returned.
void SetTooMany(double wait_s, v1::ContributeReply* reply);
// The error of a contribution whose deadline is over: how far it came.
void SetLate(std::chrono::microseconds period, v1::ContributeReply* reply);

class Contributions {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Above so many that wait, clients are told to come again.
  static constexpr std::size_t kPendingMax = 65'536;

  explicit Contributions(const ContributionLimits& limits)
      : limits_(limits),
        limit_link_({limits.per_second_link, limits.per_second_link}),
        limit_session_({limits.per_second_session, limits.per_second_session}) {}

  // Takes in a request that CheckContribution accepts, to be answered by `deadline`; `cycle` is the newest one. Where
  // there are too many, returns the seconds after which the client should come again (possibly 0), and leaves `done` as
  // it was.
  std::optional<double> Take(const v1::ContributeRequest& request, std::string_view link, Time now, Time deadline,
                             std::uint64_t cycle, ControlBackend::OnReply&& done);

  // What came in since the last call.
  std::vector<hosting::Contribution> TakeArrived() { return std::exchange(arrived_, {}); }

  // A shard's answer. The reply goes to `due` where it is final. The id goes to `for_disk` where the contribution waits
  // for the cache: the caller writes the shard's changes and then calls OnDisk. Unknown ids are ignored: their deadline
  // was earlier.
  void Answered(const hosting::Answer& answer, std::vector<DueReply>* due, std::vector<std::uint64_t>* for_disk);
  void OnDisk(const std::vector<std::uint64_t>& ids, std::vector<DueReply>* due);

  // Those whose deadline is over; their replies lack the error still (SetLate).
  std::vector<DueReply> Expire(Time now);
  // All that wait; their replies lack the error still. For the end of the node.
  std::vector<DueReply> TakeAll();

  // The earliest deadline; Time::max() where nothing waits.
  Time next_deadline() const { return deadlines_.empty() ? Time::max() : deadlines_.begin()->first; }
  std::size_t waiting() const { return pending_.size(); }
  // Nothing waits for an answer or for the shards.
  bool idle() const { return pending_.empty() && arrived_.empty(); }
  std::uint64_t accepted() const { return accepted_; }
  std::uint64_t refused() const { return refused_; }

 private:
  struct Pending {
    v1::Durability durability = v1::MEMORY;
    Time deadline;
    DueReply reply;
  };
  using PendingById = std::unordered_map<std::uint64_t, Pending>;

  void Finish(PendingById::iterator at, std::vector<DueReply>* due);

  const ContributionLimits limits_;
  TokenBuckets limit_link_;
  TokenBuckets limit_session_;
  std::uint64_t last_id_ = 0;
  PendingById pending_;
  std::multimap<Time, std::uint64_t> deadlines_;  // one a pending contribution
  std::vector<hosting::Contribution> arrived_;
  std::uint64_t accepted_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace lvs::services
