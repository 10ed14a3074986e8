#include "services/node/node_core.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace lvs::services {

namespace {

using std::chrono::microseconds;

ContributionLimits LimitsOf(const v1::NodeConfig& config) {
  ContributionLimits limits;
  limits.shards = config.state().shards();
  limits.value_slots = config.state().value_slots();
  limits.nodes_max = config.limits().links() + 1;
  limits.disk = !config.cache_dir().empty();
  limits.period = microseconds(config.period_us());
  limits.per_second_link = config.limits().contributions_per_second_link();
  limits.per_second_session = config.limits().contributions_per_second_session();
  return limits;
}

double Seconds(CyclePace::Time::duration time) { return std::chrono::duration<double>(time).count(); }

void FillClock(const CyclePace& pace, CyclePace::Time now, v1::ClockStatus* clock) {
  clock->set_ahead_s(Seconds(pace.ahead()));
  clock->set_before_epoch(pace.before_epoch());
  clock->set_set_back(pace.set_back());
  clock->set_set_forward(pace.set_forward());
  if (pace.set_back() + pace.set_forward() == 0) return;
  clock->set_set_by_s(Seconds(pace.set_by()));
  clock->set_set_ago_s(Seconds(now - pace.set_at()));
}

}  // namespace

NodeCore::NodeCore(const v1::NodeConfig& config)
    : limits_(LimitsOf(config)),
      pace_(limits_.period),
      drain_(microseconds(config.drain().grace_us()), microseconds(config.drain().deadline_us())),
      contributions_(limits_),
      figures_(config.state().shards(), {.value_slots = static_cast<int>(config.state().value_slots()),
                                         .free_coordinates = static_cast<int>(config.state().free_coordinates())}) {}

// ---- Contributions ----

void NodeCore::Contribute(const v1::ContributeRequest& request, std::string_view link, Time now, Time deadline,
                          ControlBackend::OnReply done) {
  v1::ContributeReply reply;
  reply.set_id(request.id());
  if (const absl::Status status = CheckContribution(request, limits_); !status.ok()) {
    SetError(status, 0, &reply);
    return done(reply);
  }
  bool takes_work = false;
  std::optional<double> wait_s;
  {
    const MutexLock lock(&mu_);
    takes_work = state_ == v1::SERVING || drain_.TakesWork(now);
    if (takes_work) {
      const Time due = contributions_.next_deadline();
      wait_s = contributions_.Take(request, link, now, deadline, pace_.cycle(), std::move(done));
      if (contributions_.next_deadline() < due) wake_.NotifyAll();
    }
  }
  if (takes_work && !wait_s) return;
  if (takes_work) {
    SetTooMany(*wait_s, &reply);
  } else {
    SetError(absl::UnavailableError("this node is not serving; try another one"), 1000, &reply);
  }
  done(reply);  // whole: Take moves from it only what it takes in
}

void NodeCore::OnDisk(const std::vector<std::uint64_t>& ids) {
  std::vector<DueReply> due;
  {
    const MutexLock lock(&mu_);
    contributions_.OnDisk(ids, &due);
  }
  for (const DueReply& reply : due) reply.Send();
}

void NodeCore::Expire(Time now) {
  std::vector<DueReply> late;
  {
    const MutexLock lock(&mu_);
    late = contributions_.Expire(now);
  }
  for (DueReply& reply : late) {
    SetLate(limits_.period, &reply.reply);
    reply.Send();
  }
}

// ---- Cycles ----

void NodeCore::Start(const ClockReading& clock) {
  const MutexLock lock(&mu_);
  pace_.Start(clock);
}

NodeCore::Time NodeCore::NextDue() const { return std::min(contributions_.next_deadline(), drain_.next_look()); }

bool NodeCore::Sleep(const ClockReading& clock) {
  const MutexLock lock(&mu_);
  const Time until = std::min(pace_.WakeAt(clock), NextDue());
  while (!stop_ && NextDue() >= until) {
    if (!wake_.WaitUntil(&mu_, until)) break;
  }
  return !stop_;
}

microseconds NodeCore::ahead() const {
  const MutexLock lock(&mu_);
  return pace_.ahead();
}

CyclePace::Turned NodeCore::Turn(const ClockReading& clock) {
  const MutexLock lock(&mu_);
  return pace_.Turn(clock);
}

hosting::NodeTick NodeCore::NextTick(std::uint64_t cycle, Time now) {
  hosting::NodeTick tick;
  tick.cycle = cycle;
  const MutexLock lock(&mu_);
  tick.measure = figures_.MeasureNow(cycle, now);
  tick.scatter = std::exchange(scatter_, false);
  if (tick.scatter) figures_.Scattered();
  tick.contributions = contributions_.TakeArrived();
  tick.leaving = drain_.draining();
  tick.hand_over = tick.leaving && !drain_.TakesWork(now);
  if (state_ == v1::STARTING) state_ = v1::SYNCING;
  return tick;
}

void NodeCore::Scatter() {
  const MutexLock lock(&mu_);
  scatter_ = true;
}

NodeCore::Outcome NodeCore::Take(const hosting::NodeReport& report) {
  Outcome outcome;
  const MutexLock lock(&mu_);
  pace_.ReportIn();
  figures_.Take(report);
  if (report.verdict != nullptr) {
    for (const auto& shard : report.verdict->shards) {
      for (const hosting::Answer& answer : shard->answers) {
        contributions_.Answered(answer, &outcome.due, &outcome.for_disk);
      }
    }
  }
  outcome.has_compared = !compared_ && figures_.Compared();
  compared_ = compared_ || outcome.has_compared;
  outcome.began_to_serve = state_ == v1::SYNCING && report.alive > 0;
  if (outcome.began_to_serve) state_ = v1::SERVING;
  return outcome;
}

// ---- The end ----

bool NodeCore::Drain(std::string_view reason, Time now) {
  const MutexLock lock(&mu_);
  if (!drain_.Begin(reason, state_ == v1::SERVING, now)) return false;
  state_ = v1::DRAINING;
  wake_.NotifyAll();
  return true;
}

bool NodeCore::draining() const {
  const MutexLock lock(&mu_);
  return drain_.draining();
}

bool NodeCore::idle() const {
  const MutexLock lock(&mu_);
  return contributions_.idle();
}

bool NodeCore::serving() const {
  const MutexLock lock(&mu_);
  return state_ == v1::SERVING && !stop_;
}

NodeCore::DrainLook NodeCore::LookAtDrain(bool safe, bool alone, Time now) {
  DrainLook look;
  const MutexLock lock(&mu_);
  look.handed_over = safe || figures_.HandedOver();
  look.reason = drain_.reason();
  look.action = drain_.Look({.handed_over = look.handed_over, .alone = alone, .idle = contributions_.idle()}, now);
  if (drain_.ended()) ended_.NotifyAll();
  return look;
}

bool NodeCore::WaitForEnd(Time end) const {
  const MutexLock lock(&mu_);
  while (!drain_.ended()) {
    if (!ended_.WaitUntil(&mu_, end)) return drain_.ended();
  }
  return true;
}

bool NodeCore::drained_whole() const {
  const MutexLock lock(&mu_);
  return drain_.complete();
}

void NodeCore::Stop() {
  {
    const MutexLock lock(&mu_);
    stop_ = true;
  }
  wake_.NotifyAll();
}

void NodeCore::RefuseRest() {
  std::vector<DueReply> rest;
  {
    const MutexLock lock(&mu_);
    state_ = v1::DRAINING;
    rest = contributions_.TakeAll();
  }
  for (DueReply& reply : rest) {
    SetError(absl::UnavailableError("this node ends; send the same again to another one"), 0, &reply.reply);
    reply.Send();
  }
}

// ---- Figures ----

void NodeCore::Fill(v1::NodeStatus* status, vaultguard::RefusalCounts* refused, ProblemFacts* facts, Time now) const {
  const MutexLock lock(&mu_);
  status->set_state(state_);
  status->set_cycles_skipped(pace_.skipped());
  FillClock(pace_, now, status->mutable_clock());
  figures_.Fill(status);
  status->mutable_ledger()->set_accepted(contributions_.accepted());
  status->mutable_ledger()->set_refused(contributions_.refused());
  status->mutable_ledger()->set_waiting(contributions_.waiting());
  *refused += figures_.refused();
  facts->drain_reason = drain_.reason();
  facts->skipped_share = pace_.skipped_share();
  facts->sessions_by_shard = figures_.Sessions();
  facts->compared_by_shard = figures_.ComparedByShard();
}

v1::ShardList NodeCore::Shards(Time now) {
  const MutexLock lock(&mu_);
  return figures_.Shards(now);
}

}  // namespace lvs::services
