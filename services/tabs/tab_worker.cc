#include "services/tabs/tab_worker.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <utility>

#include "services/base/build.h"
#include "services/base/cycle_clock.h"
#include "services/net/grpc_stream.h"
#include "services/tabs/idle_tab.h"
#include "shard/random.h"

namespace lvs::services {
namespace {

constexpr std::uint64_t kSlices = 10;  // of a cycle
constexpr double kLookSeconds = 1;
constexpr double kGoodbyeShare = 0.7;
// A contribution that is not everywhere by then is looked for no more.
constexpr std::uint64_t kWatchCycles = 3000;

}  // namespace

void ShardExtent::Add(const float* at, std::size_t coordinates) {
  for (std::size_t c = 0; c < coordinates; ++c) {
    low[c] = replicas == 0 ? at[c] : std::min(low[c], at[c]);
    high[c] = replicas == 0 ? at[c] : std::max(high[c], at[c]);
  }
  ++replicas;
}

void ShardExtent::Merge(const ShardExtent& other, std::size_t coordinates) {
  if (other.replicas == 0) return;
  const std::uint64_t sum = replicas + other.replicas;
  Add(other.low.data(), coordinates);
  Add(other.high.data(), coordinates);
  replicas = sum;
}

TabWorker::TabWorker(std::size_t index, const TabLoadOptions& options, const TabTerms& terms,
                     std::shared_ptr<Mail> mail, WebDialler* dialler, ContributionBook* book)
    : index_(index),
      options_(options),
      terms_(terms),
      count_(options.count / options.workers + (index < options.count % options.workers ? 1 : 0)),
      mail_(std::move(mail)),
      book_(book),
      letters_(options.workers),
      place_{mail_, dialler, book, &options_.hubs, &sums_, &letters_},
      draws_(shard::Mix(options.seed * 1'000'003 + index)) {}

void TabWorker::Start(double start_s) {
  start_s_ = contributed_s_ = start_s;
  thread_ = std::thread([this] { Run(); });
}

void TabWorker::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

WorkerLook TabWorker::look() const {
  const MutexLock lock(&mu_);
  return look_;
}

// A tab ticks in its slice of each cycle, so that all of them do not tick at once.
TabWorker::Clock TabWorker::Read() const {
  const auto since =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now() - kCycleEpoch);
  const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(0, since.count()));
  return {{SteadySeconds(), us / terms_.period_us}, us * kSlices / terms_.period_us};
}

void TabWorker::Run() {
  const std::chrono::microseconds slice{std::max<std::uint64_t>(1, terms_.period_us / kSlices)};
  last_slice_ = Read().slice;
  while (!stop_) {
    const Clock clock = Read();
    if (clock.slice > last_slice_) {
      Slice(clock);
    } else {
      std::this_thread::sleep_for(slice / 4);
    }
  }
}

void TabWorker::Slice(const Clock& clock) {
  const tab::Now& now = clock.now;
  Deliver(now);
  Depart(now);
  Spawn(now);
  const std::uint64_t slices = std::min(clock.slice - last_slice_, kSlices);
  last_slice_ = clock.slice;
  const bool scatter = scatter_.exchange(false);
  for (const auto& [key, member] : members_) {
    // Behind by this many slices or fewer.
    if ((clock.slice + kSlices - key / options_.workers % kSlices) % kSlices < slices) member->Tick(now);
  }
  for (LoadTab* const tab : whole_) {
    if (scatter) tab->Scatter();
  }
  Contribute(now);
  Watch(now);
  for (std::size_t worker = 0; worker < letters_.size(); ++worker) mail_->Post(worker, &letters_[worker]);
  if (now.s < next_look_s_) return;
  next_look_s_ = now.s + kLookSeconds;
  WorkerLook look = LookNow(now);
  const MutexLock lock(&mu_);
  look_ = std::move(look);
}

void TabWorker::Deliver(const tab::Now& now) {
  for (Letter& letter : mail_->Take(index_)) {
    const auto member = members_.find(letter.to);
    if (member != members_.end()) member->second->Take(std::move(letter), now);
  }
}

// ---- Who comes and goes ----

TabPlan TabWorker::Plan(const tab::Now& now) {
  TabPlan plan;
  plan.key = index_ + options_.workers * ++born_;
  tab::TabConfig& config = plan.config;
  config.node.shards = terms_.shards;
  config.node.period_us = terms_.period_us;
  config.node.shard.shape = terms_.shape;
  config.node.build = BuildString();
  config.node.session = {draws_.Next(), draws_.Next() | 1};
  config.node.seed = draws_.Next();
  if (!options_.regions.empty()) config.node.region = options_.regions[plan.key % options_.regions.size()];
  config.micro_nodes = options_.micro_nodes_min + draws_.Below(options_.micro_nodes_max - options_.micro_nodes_min + 1);
  config.hubs = static_cast<std::uint32_t>(options_.hubs.size());
  plan.direct = draws_.Unit() >= options_.relayed;
  if (draws_.Unit() < options_.hostile) {
    const auto& kinds = options_.hostile_kinds;
    plan.hostile =
        kinds.empty() ? static_cast<Hostile>(hostile_born_++ % kHostileKinds) : kinds[hostile_born_++ % kinds.size()];
  }
  if (options_.churn_s > 0) plan.leaves_s = now.s - std::log(1 - draws_.Unit()) * options_.churn_s;
  plan.says_goodbye = draws_.Unit() < kGoodbyeShare;
  return plan;
}

void TabWorker::Spawn(const tab::Now& now) {
  const double share = options_.ramp_s <= 0 ? 1 : std::min(1.0, (now.s - start_s_) / options_.ramp_s);
  const auto wanted = static_cast<std::size_t>(std::ceil(share * static_cast<double>(count_)));
  while (members_.size() < wanted) {
    TabPlan plan = Plan(now);
    const TabKey key = plan.key;
    ++sums_.started;
    if (options_.idle) {
      members_[key] = std::make_unique<IdleTab>(plan, place_, now);
    } else {
      auto tab = std::make_unique<LoadTab>(std::move(plan), place_, now);
      whole_.push_back(tab.get());
      members_[key] = std::move(tab);
    }
  }
}

void TabWorker::Depart(const tab::Now& now) {
  if (options_.churn_s <= 0) return;
  for (auto at = members_.begin(); at != members_.end();) {
    Member& member = *at->second;
    if (member.leaves_s == 0 || now.s < member.leaves_s) {
      ++at;
      continue;
    }
    member.Leave(now);
    ++sums_.left;
    std::erase(whole_, &member);
    at = members_.erase(at);
  }
}

// ---- Contributions ----

void TabWorker::Contribute(const tab::Now& now) {
  const double since_s = now.s - std::exchange(contributed_s_, now.s);
  if (options_.contribute <= 0 || now.s < start_s_ + options_.ramp_s + LoadTab::kSettledSeconds) return;
  due_ += since_s * options_.contribute / static_cast<double>(options_.workers);
  for (; due_ >= 1; due_ -= 1) {
    constexpr int kTries = 8;
    for (int n = 0; n < kTries && !whole_.empty(); ++n) {
      LoadTab* const tab = whole_[draws_.Below(whole_.size())];
      if (tab->hostile() || !tab->settled(now.s)) continue;
      const std::uint64_t id = book_->Begin();
      if (!tab->Contribute(id, options_.amount_uvu, draws_.Next(), now)) book_->Refused(id, "no_shard_ready");
      break;
    }
  }
}

// Looks which tabs are still without a contribution; once a cycle.
void TabWorker::Watch(const tab::Now& now) {
  if (now.cycle <= watched_cycle_) return;
  watched_cycle_ = now.cycle;
  std::vector<MadeContribution> fresh;
  book_->Fetch(&fetched_, &fresh);
  for (const MadeContribution& made : fresh) {
    Watched watched{made, {}};
    for (const LoadTab* const tab : whole_) {
      const bool holds = (tab->core().node().mask() & tab::MaskOfShard(made.shard)) != 0;
      if (!tab->hostile() && tab->settled(now.s) && holds) watched.without.push_back(tab->key);
    }
    watched_.push_back(std::move(watched));
  }
  std::erase_if(watched_, [&](Watched& watched) {
    std::erase_if(watched.without, [&](TabKey key) {
      const auto member = members_.find(key);
      if (member == members_.end()) return true;
      const auto& tab = static_cast<const LoadTab&>(*member->second);
      return (tab.core().node().mask() & tab::MaskOfShard(watched.made.shard)) == 0 || tab.Has(watched.made);
    });
    if (!watched.without.empty()) return now.cycle > watched.made.cycle + kWatchCycles;
    book_->Everywhere(watched.made.id, now.cycle);
    return true;
  });
}

WorkerLook TabWorker::FindContributions() {
  Stop();
  for (const MadeContribution& made : book_->All()) {
    const bool found = std::any_of(whole_.begin(), whole_.end(),
                                   [&](const LoadTab* tab) { return !tab->hostile() && tab->Has(made); });
    if (found) book_->Found(made.id);
  }
  return LookNow(Read().now);
}

// ---- Looking ----

WorkerLook TabWorker::LookNow(const tab::Now& now) {
  WorkerLook look;
  look.tabs = members_.size();
  for (const auto& [key, member] : members_) look.welcome += member->welcome() ? 1 : 0;
  const auto slots = static_cast<std::size_t>(terms_.shape.value_slots);
  const auto free = static_cast<std::size_t>(terms_.shape.free_coordinates);
  for (LoadTab* const tab : whole_) {
    tab->CountEnds();
    if (tab->hostile()) continue;
    look.honest.push_back(tab->Look(now.s));
    if (!look.honest.back().settled) continue;
    ++look.settled;
    for (tab::ShardMask left = look.honest.back().mask; left != 0; left &= left - 1) {
      const auto number = static_cast<std::uint32_t>(std::countr_zero(left));
      const tab::TabShard& held = *tab->core().node().shard(number);
      const shard::Columns& columns = held.host().state().columns();
      for (const tab::TabShard::Replica& replica : held.replicas()) {
        std::array<float, vaultguard::kMaxFreeCoordinates> at{};
        for (std::size_t c = 0; c < free; ++c) at[c] = columns.state[(slots + c) * columns.stride + replica.row];
        look.extents[number].Add(at.data(), free);
      }
    }
  }
  look.sums = sums_;
  return look;
}

}  // namespace lvs::services
