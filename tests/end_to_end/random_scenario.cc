#include "tests/end_to_end/random_scenario.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "services/scenario/scenario.h"
#include "shard/random.h"

namespace lvs {
namespace {

constexpr std::int64_t kPeriodsUs[] = {20'000, 50'000, 100'000, 100'000, 250'000};
// After the last event: replicas copy the oldest news to stragglers after 150 cycles, and links repeat what they lost.
constexpr std::uint32_t kQuietCycles = 400;
constexpr std::uint32_t kBusyCyclesMin = 100;
constexpr std::uint32_t kBusyCyclesMax = 300;
constexpr double kLossMax = 0.4;
constexpr std::uint32_t kMicroNodesPerRegionMin = 6;
constexpr std::uint32_t kMicroNodesPerRegionMax = 40;

// Honest networks: with 800 ms between regions, agreement takes about 600 cycles from when all hear each other.
constexpr std::uint32_t kHonestQuietCycles = 1500;
constexpr std::uint32_t kHonestMicroNodesMax = 12;
constexpr double kHonestLossMax = 0.3;
constexpr double kSlowestLinkUs = 800'000;
constexpr double kQuickLinkUs = 100'000;

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : seed_(shard::Mix(seed + 0x5eed)) {}
  // From `least` to `most`, both included.
  std::uint32_t Roll(std::uint32_t least, std::uint32_t most) { return least + shard::Below(Next(), most - least + 1); }
  double Up(double most) { return shard::Unit(Next()) * most; }
  bool Chance(double p) { return shard::Unit(Next()) < p; }

 private:
  std::uint64_t Next() { return shard::Mix(seed_ + ++rolled_); }
  std::uint64_t seed_;
  std::uint64_t rolled_ = 0;
};

std::string RegionName(std::uint32_t n) { return std::string(1, static_cast<char>('a' + n)); }

class Author {
 public:
  explicit Author(std::uint64_t number) : dice_(number) {
    scenario_.set_name("random-" + std::to_string(number));
    scenario_.set_seed(number + 1);
    WriteNetwork();
    WriteCycles();
    WriteLinks();
    WriteWorkload();
    const std::uint32_t events = dice_.Roll(0, 5);
    for (std::uint32_t n = 0; n < events; ++n) WriteEvent();
  }

  const v1::Scenario& scenario() const { return scenario_; }

 private:
  void WriteNetwork() {
    regions_ = dice_.Roll(1, 6);
    v1::State& state = *scenario_.mutable_state();
    state.set_shards(dice_.Roll(1, 12));
    state.set_value_slots(dice_.Roll(1, 8));
    state.set_free_coordinates(dice_.Roll(0, 4));
    state.set_replicas_min(dice_.Roll(1, 5));
    state.set_opening_balance_uvu(dice_.Chance(0.2) ? 0 : 1'000'000 * std::int64_t{dice_.Roll(1, 5000)});
    v1::Population& population = *scenario_.mutable_population();
    population.set_micro_nodes(regions_ * dice_.Roll(kMicroNodesPerRegionMin, kMicroNodesPerRegionMax));
    // Together they hold every shard.
    const std::uint32_t micro_nodes = population.micro_nodes();
    population.set_shards_per_node(dice_.Roll((state.shards() + micro_nodes - 1) / micro_nodes, state.shards()));
    for (std::uint32_t n = 0; n < regions_; ++n) (*population.mutable_regions())[RegionName(n)] = 1.0 / regions_;
    if (dice_.Chance(0.3)) population.set_low_power(dice_.Up(0.5));
    scenario_.mutable_drift()->set_peers(dice_.Roll(2, 16));
  }

  void WriteCycles() {
    busy_ = dice_.Roll(kBusyCyclesMin, kBusyCyclesMax);
    period_us_ = kPeriodsUs[dice_.Roll(0, std::size(kPeriodsUs) - 1)];
    v1::Cycle& cycle = *scenario_.mutable_cycle();
    cycle.set_period_us(period_us_);
    cycle.set_count(busy_ + kQuietCycles);
    cycle.set_settle_us(period_us_ * (kQuietCycles - 50));
  }

  template <class Link>
  void WriteLink(std::int64_t slowest_us, Link* link) {
    link->set_latency_us(static_cast<std::int64_t>(dice_.Up(0.6 * static_cast<double>(slowest_us))));
    link->set_jitter_us(static_cast<std::int64_t>(dice_.Up(0.3 * static_cast<double>(slowest_us))));
    if (dice_.Chance(0.7)) link->set_loss(dice_.Up(kLossMax));
    if (dice_.Chance(0.3)) link->set_duplicate(dice_.Up(0.3));
    if (dice_.Chance(0.3)) link->set_reorder(dice_.Up(0.3));
  }

  void WriteLinks() {
    WriteLink(period_us_, scenario_.mutable_links()->mutable_within());
    if (dice_.Chance(0.8)) WriteLink(300'000, scenario_.mutable_links()->add_between());
  }

  void WriteWorkload() {
    if (dice_.Chance(0.1)) return;
    v1::Workload& workload = *scenario_.mutable_workload();
    workload.set_contributions_per_second(0.5 + dice_.Up(50));
    const std::int64_t least = 1 + dice_.Roll(0, 1'000'000);
    workload.mutable_amount()->set_min_uvu(least);
    workload.mutable_amount()->set_max_uvu(least + dice_.Roll(0, 10'000'000));
    workload.set_acknowledge_nodes(dice_.Roll(1, std::min(3u, regions_)));
  }

  // Within the busy cycles, and a whole number of cycles.
  v1::Event* AddEvent() {
    v1::Event* event = scenario_.add_events();
    const std::uint32_t from = dice_.Roll(0, busy_ - 20);
    event->set_at_us(period_us_ * from);
    event->set_for_us(period_us_ * dice_.Roll(1, busy_ - from));
    return event;
  }

  bool Has(v1::Event::WhatCase what) const {
    return std::any_of(scenario_.events().begin(), scenario_.events().end(),
                       [what](const v1::Event& event) { return event.what_case() == what; });
  }

  void WriteEvent() {
    switch (dice_.Roll(0, 8)) {
      case 0: AddEvent()->mutable_churn()->set_rate(0.001 + dice_.Up(0.2)); break;
      case 1: return WriteAdversaries();
      case 2: return WritePartition();
      case 3:
        // What one region alone knew may go with it: two must have acknowledged, and no cut kept them apart.
        if (regions_ < 3 || Has(v1::Event::kOutage) || Has(v1::Event::kPartition)) return;
        scenario_.mutable_workload()->set_acknowledge_nodes(2);
        AddEvent()->mutable_outage()->set_region(RegionName(dice_.Roll(0, regions_ - 1)));
        break;
      case 4:
        if (Has(v1::Event::kLeave) || Has(v1::Event::kJoin)) return;
        AddEvent()->mutable_leave()->set_keep(4 * regions_ + dice_.Roll(0, 1));
        break;
      case 5:
        if (!Has(v1::Event::kLeave)) AddEvent()->mutable_join()->set_micro_nodes(dice_.Roll(1, 200));
        break;
      case 6: AddEvent()->mutable_low_power()->set_share(0.01 + dice_.Up(0.99)); break;
      case 7:
        if (regions_ > 1) AddEvent()->mutable_corrupt()->set_share(0.01 + dice_.Up(0.5));
        break;
      default: AddEvent()->mutable_degrade()->set_loss(0.01 + dice_.Up(kLossMax));
    }
  }

  void WriteAdversaries() {
    if (Has(v1::Event::kAdversaries)) return;
    v1::Adversaries& liars = *AddEvent()->mutable_adversaries();
    liars.set_attack(static_cast<v1::Attack>(dice_.Roll(1, v1::Attack_ARRAYSIZE - 1)));
    const double share = 0.01 + dice_.Up(0.29);
    if (dice_.Chance(0.5)) {
      liars.set_share(share);
    } else {
      liars.set_count(1 + static_cast<std::uint32_t>(share * scenario_.population().micro_nodes()));
    }
  }

  void WritePartition() {
    if (regions_ < 2 || Has(v1::Event::kOutage)) return;
    v1::Partition& partition = *AddEvent()->mutable_partition();
    v1::RegionGroup* groups[2] = {partition.add_groups(), partition.add_groups()};
    for (std::uint32_t n = 0; n < regions_; ++n) {
      // Both groups have somebody.
      groups[n < 2 ? n : dice_.Roll(0, 1)]->add_regions(RegionName(n));
    }
  }

  Dice dice_;
  v1::Scenario scenario_;
  std::uint32_t regions_ = 1;
  std::uint32_t busy_ = 0;
  std::int64_t period_us_ = 0;
};

v1::Scenario Complete(v1::Scenario scenario) {
  services::FillDefaults(&scenario);
  const absl::Status valid = services::ValidateScenario(scenario);
  if (!valid.ok()) throw std::runtime_error(std::string(valid.message()) + "\n" + scenario.DebugString());
  return scenario;
}

// Nobody lies, and nothing is contributed: what is left of a network is its shape and what keeps it apart.
class HonestAuthor {
 public:
  explicit HonestAuthor(std::uint64_t number) : dice_(number + 0x40e57) {
    scenario_.set_name("honest-" + std::to_string(number));
    scenario_.set_seed(number + 1);
    WriteNetwork();
    WriteLinks();
    busy_ = dice_.Roll(kBusyCyclesMin, kBusyCyclesMax);
    scenario_.mutable_cycle()->set_period_us(kPeriodUs);
    scenario_.mutable_cycle()->set_count(busy_ + kHonestQuietCycles);
    if (regions_ < 2) return;
    // Every second network is cut from the first cycle on, before anybody has heard anybody.
    if (dice_.Chance(0.5)) WritePartition(0);
    if (dice_.Chance(0.5)) WritePartition(dice_.Roll(1, busy_ - 20));
    if (dice_.Chance(0.5)) WriteRestart();
  }

  const v1::Scenario& scenario() const { return scenario_; }

 private:
  static constexpr std::int64_t kPeriodUs = 100'000;

  void WriteNetwork() {
    regions_ = dice_.Roll(1, 8);
    v1::State& state = *scenario_.mutable_state();
    state.set_shards(dice_.Roll(1, 2));
    state.set_value_slots(dice_.Roll(1, 2));
    state.set_free_coordinates(dice_.Roll(1, 4));
    state.set_replicas_min(1);
    const bool even = dice_.Chance(0.5);
    std::vector<std::uint32_t> sizes;
    std::uint32_t all = 0;
    for (std::uint32_t n = 0; n < regions_; ++n) {
      sizes.push_back(even && n > 0 ? sizes[0] : dice_.Roll(regions_ == 1 ? 2 : 1, kHonestMicroNodesMax));
      all += sizes.back();
    }
    v1::Population& population = *scenario_.mutable_population();
    population.set_micro_nodes(all);
    population.set_shards_per_node(state.shards());
    for (std::uint32_t n = 0; n < regions_; ++n) (*population.mutable_regions())[RegionName(n)] = 1.0 * sizes[n] / all;
    scenario_.mutable_drift()->set_peers(dice_.Roll(3, 16));
  }

  void WriteLinks() {
    v1::Links& links = *scenario_.mutable_links();
    links.mutable_within()->set_latency_us(static_cast<std::int64_t>(dice_.Up(60'000)));
    links.mutable_within()->set_loss(dice_.Up(kHonestLossMax));
    v1::RegionLink& between = *links.add_between();
    const double most_us = dice_.Up(dice_.Chance(0.5) ? kSlowestLinkUs : kQuickLinkUs);
    between.set_latency_us(static_cast<std::int64_t>(0.85 * most_us));
    between.set_jitter_us(static_cast<std::int64_t>(0.15 * most_us));
    between.set_loss(dice_.Up(kHonestLossMax));
  }

  v1::Event* AddEvent(std::uint32_t from) {
    v1::Event* event = scenario_.add_events();
    event->set_at_us(kPeriodUs * from);
    event->set_for_us(kPeriodUs * dice_.Roll(1, busy_ - from));
    return event;
  }

  void WritePartition(std::uint32_t from) {
    v1::Partition& partition = *AddEvent(from)->mutable_partition();
    const std::uint32_t groups = dice_.Roll(2, regions_);
    for (std::uint32_t n = 0; n < groups; ++n) partition.add_groups();
    for (std::uint32_t n = 0; n < regions_; ++n) {
      const std::uint32_t group = n < groups ? n : dice_.Roll(0, groups - 1);
      partition.mutable_groups(static_cast<int>(group))->add_regions(RegionName(n));
    }
  }

  // One region's server node, or all in turn; their memory is lost.
  void WriteRestart() {
    v1::Event* event = AddEvent(dice_.Roll(1, busy_ - 20));
    if (dice_.Chance(0.5)) {
      event->mutable_outage()->set_region(RegionName(dice_.Roll(0, regions_ - 1)));
    } else {
      event->mutable_restart()->set_down_us(kPeriodUs * dice_.Roll(1, 30));
    }
  }

  Dice dice_;
  v1::Scenario scenario_;
  std::uint32_t regions_ = 1;
  std::uint32_t busy_ = 0;
};

}  // namespace

v1::Scenario RandomHonestNetwork(std::uint64_t number) { return Complete(HonestAuthor(number).scenario()); }

v1::Scenario RandomScenario(std::uint64_t number) { return Complete(Author(number).scenario()); }

std::uint64_t MicroNodesAtTheEnd(const v1::Scenario& scenario) {
  std::uint64_t micro_nodes = scenario.population().micro_nodes();
  for (const v1::Event& event : scenario.events()) {
    if (event.has_leave()) micro_nodes = event.leave().keep();
    micro_nodes += event.join().micro_nodes();
  }
  return micro_nodes;
}

}  // namespace lvs
