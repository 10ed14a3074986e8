#include "services/node/contributions.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "vaultguard/limits.h"

namespace lvs::services {

namespace {

using vaultguard::Refusal;

// The error of a contribution that a shard refused.
void SetRefused(Refusal why, std::chrono::microseconds period, v1::ContributeReply* reply) {
  const std::int64_t period_ms = period / std::chrono::milliseconds(1);
  switch (why) {
    case Refusal::kRateExceeded:
      return SetError(absl::ResourceExhaustedError(
                          "the session has earned all that it may have by now; ask for less, or wait for some cycles"),
                      10 * period_ms, reply);
    case Refusal::kSessionsFull:
      return SetError(
          absl::ResourceExhaustedError("the shard's table of sessions is full; go on with an older session"), 60'000,
          reply);
    case Refusal::kTooLarge:
      return SetError(absl::ResourceExhaustedError("too many contributions wait for other nodes"), 2 * period_ms,
                      reply);
    case Refusal::kUnknownShard:
      return SetError(absl::UnavailableError("no micro-node here holds the shard yet; try again, or another node"),
                      5 * period_ms, reply);
    default:
      return SetError(absl::InvalidArgumentError("the amount exceeds what this session may have earned by now"), 0,
                      reply);
  }
}

}  // namespace

absl::Status CheckContribution(const v1::ContributeRequest& request, const ContributionLimits& limits) {
  if (request.session_high() == 0 && request.session_low() == 0) {
    return absl::InvalidArgumentError("session id 0 is reserved; draw 128 random bits");
  }
  if (request.shard() >= limits.shards) {
    return absl::InvalidArgumentError(
        absl::StrCat("shard ", request.shard(), " does not exist; there are ", limits.shards));
  }
  if (request.slot() >= limits.value_slots) {
    return absl::InvalidArgumentError(
        absl::StrCat("slot ", request.slot(), " does not exist; there are ", limits.value_slots));
  }
  if (request.amount_uvu() == 0 || request.amount_uvu() > static_cast<std::uint64_t>(vaultguard::kMaxEntryUvu)) {
    return absl::InvalidArgumentError("the amount must be above 0 and is cumulative: all that the session has earned");
  }
  if (request.durability() == v1::DISK && !limits.disk) {
    return absl::FailedPreconditionError("this node has no cache; ask for memory or nodes, or configure cache_dir");
  }
  if (request.durability() == v1::NODES && (request.nodes() == 0 || request.nodes() > limits.nodes_max)) {
    return absl::InvalidArgumentError(absl::StrCat("nodes lies between 1 and ", limits.nodes_max, " here"));
  }
  if (!v1::Durability_IsValid(request.durability())) return absl::InvalidArgumentError("no such durability");
  return absl::OkStatus();
}

void SetError(const absl::Status& status, std::int64_t retry_ms, v1::ContributeReply* reply) {
  reply->set_code(static_cast<int>(status.code()));
  reply->set_message(std::string(status.message()));
  reply->set_retry_delay_ms(static_cast<std::uint32_t>(retry_ms));
}

void SetTooMany(double wait_s, v1::ContributeReply* reply) {
  SetError(absl::ResourceExhaustedError("more contributions than this node takes; slow down"),
           std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(wait_s * 1000))), reply);
}

void SetLate(std::chrono::microseconds period, v1::ContributeReply* reply) {
  const char* reached = reply->held() ? "held here, but not yet as durably as asked: " : "not held yet: ";
  SetError(absl::DeadlineExceededError(absl::StrCat(reached, reply->nodes(), " server nodes, disk ",
                                                    reply->disk() ? "yes" : "no",
                                                    "; the same again, anywhere, counts once")),
           2 * period / std::chrono::milliseconds(1), reply);
}

std::optional<double> Contributions::Take(const v1::ContributeRequest& request, std::string_view link, Time now,
                                          Time deadline, std::uint64_t cycle, ControlBackend::OnReply&& done) {
  const shard::SessionId session{request.session_high(), request.session_low()};
  const double now_s = std::chrono::duration<double>(now.time_since_epoch()).count();
  const double wait_s = std::max(limit_link_.Take(std::hash<std::string_view>{}(link), now_s),
                                 limit_session_.Take(session.low ^ session.high, now_s));
  if (wait_s > 0 || pending_.size() >= kPendingMax) {
    ++refused_;
    return wait_s;
  }
  hosting::Contribution contribution;
  contribution.id = ++last_id_;
  contribution.shard = request.shard();
  contribution.needed_nodes = request.durability() == v1::NODES ? request.nodes() : 1;
  contribution.entry.session = session;
  contribution.entry.opened_cycle = hosting::kOpensNow;
  contribution.entry.amount_uvu[request.slot()] = static_cast<std::int64_t>(request.amount_uvu());
  const auto left = std::chrono::duration_cast<std::chrono::microseconds>(deadline - now);
  contribution.expires_cycle = cycle + 2 + static_cast<std::uint64_t>(std::max<std::int64_t>(0, left / limits_.period));
  Pending& pending = pending_[contribution.id];
  pending.durability = request.durability();
  pending.deadline = deadline;
  pending.reply.done = std::move(done);
  pending.reply.reply.set_id(request.id());
  deadlines_.emplace(deadline, contribution.id);
  arrived_.push_back(contribution);
  return std::nullopt;
}

void Contributions::Answered(const hosting::Answer& answer, std::vector<DueReply>* due,
                             std::vector<std::uint64_t>* for_disk) {
  const auto at = pending_.find(answer.id);
  if (at == pending_.end()) return;
  v1::ContributeReply& reply = at->second.reply.reply;
  if (!answer.accepted) {
    ++refused_;
    SetRefused(answer.refused.value_or(Refusal::kBadEntry), limits_.period, &reply);
    return Finish(at, due);
  }
  if (!reply.held()) ++accepted_;
  reply.set_held(true);
  reply.set_nodes(answer.nodes);
  if (at->second.durability == v1::DISK) {
    for_disk->push_back(answer.id);
  } else if (answer.final) {
    Finish(at, due);
  }
}

void Contributions::OnDisk(const std::vector<std::uint64_t>& ids, std::vector<DueReply>* due) {
  for (const std::uint64_t id : ids) {
    const auto at = pending_.find(id);
    if (at == pending_.end()) continue;
    at->second.reply.reply.set_disk(true);
    Finish(at, due);
  }
}

std::vector<DueReply> Contributions::Expire(Time now) {
  std::vector<DueReply> late;
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto at = pending_.find(deadlines_.begin()->second);
    deadlines_.erase(deadlines_.begin());
    late.push_back(std::move(at->second.reply));
    pending_.erase(at);
  }
  return late;
}

std::vector<DueReply> Contributions::TakeAll() {
  std::vector<DueReply> all;
  for (auto& [id, pending] : pending_) all.push_back(std::move(pending.reply));
  pending_.clear();
  deadlines_.clear();
  return all;
}

void Contributions::Finish(PendingById::iterator at, std::vector<DueReply>* due) {
  const auto [first, last] = deadlines_.equal_range(at->second.deadline);
  deadlines_.erase(std::find_if(first, last, [&](const auto& entry) { return entry.second == at->first; }));
  due->push_back(std::move(at->second.reply));
  pending_.erase(at);
}

}  // namespace lvs::services
