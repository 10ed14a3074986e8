#include "shard/wasm/playground.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "shard/entropy_engine.h"
#include "shard/hosting/ambassadors.h"
#include "shard/hosting/monitor.h"
#include "shard/hosting/node_host.h"
#include "shard/hosting/shard_host.h"
#include "shard/hosting/swarm.h"
#include "shard/hosting/virtual_link.h"
#include "shard/news.h"
#include "shard/random.h"
#include "vaultguard/limits.h"

namespace lvs::playground {

namespace {

using hosting::Attack;
using shard::Draw;
using shard::Mix;
using shard::Stream;

constexpr shard::Shape kShape = {2, 2, static_cast<int>(kPeers)};
constexpr std::int64_t kOpeningBalanceUvu = 600 * vaultguard::kMicroPerVu;  // a slot
constexpr std::uint32_t kMicroNodesOfARegionMin = 8;
constexpr std::uint32_t kFirstMe = 7;  // the visitor's slot at the start
constexpr double kPeriodMs = 100;
constexpr hosting::LinkQuality kBetweenRegions = {80, 10, 0, 0, 0};
// Unacknowledged news is sent again after a round trip of two cycles, and some.
constexpr std::uint32_t kResendCycles = 22;
constexpr std::uint32_t kRoundTripCycles = 2;
// States drawn from a range have this deviation, in ranges: 1 / sqrt(12).
constexpr double kRandomDeviation = 0.28867513459481287;
// Contributions that the visitor's clients and forgers make are told apart by their numbers.
constexpr std::uint64_t kMine = 1;
constexpr std::uint64_t kForged = 2;
constexpr std::int64_t kForgedUvu = std::int64_t{1} << 50;
// A liar that claims what is no number is drawn so far outside, each one elsewhere.
constexpr double kNonsenseRanges = 6;
constexpr double kPerMille = 1000;

float MeanEntropyOf(std::uint32_t word) {
  float sum = 0;
  for (int c = 0; c < kShape.dimensions(); ++c) sum += std::abs(shard::EntropyComponent(word, c));
  return std::min(1.0f, sum / static_cast<float>(kShape.dimensions()));
}

double TotalVu(const shard::StateShard& shard) {
  std::int64_t total = 0;
  for (int slot = 0; slot < kShape.value_slots; ++slot) total += shard.ledger().total_uvu(slot);
  return static_cast<double>(total) / static_cast<double>(vaultguard::kMicroPerVu);
}

std::vector<std::uint32_t> Shares(std::uint32_t micro_nodes, std::uint32_t regions) {
  std::vector<std::uint32_t> shares(regions, micro_nodes / regions);
  for (std::uint32_t n = 0; n < micro_nodes % regions; ++n) ++shares[n];
  return shares;
}

}  // namespace

// One server node, with its micro-nodes and its links.
struct Playground::Region {
  Region(hosting::NodeHostConfig config, hosting::Swarm swarm, std::size_t link_count)
      : host(config, std::move(swarm), /*shards=*/1, link_count), monitor(/*shards=*/1) {}

  hosting::NodeHost host;
  hosting::Monitor monitor;
  hosting::ShardLayout layout;
  std::unique_ptr<hosting::ShardHost> shard;
  std::vector<hosting::VirtualLink> links;  // by region; the own one is unused
  std::uint32_t first_slot = 0;
  std::uint32_t slots = 0;
  std::vector<std::uint32_t> row_of_slot;  // kNoSlot: nobody
  std::vector<std::uint32_t> slot_of_row;  // from the first local row on
  bool alive = true;
  shard::CycleCounts counts;
};

Playground::Playground(PlaygroundConfig config) : config_(config) {
  config_.regions = std::clamp(config_.regions, 1u, kRegionsMax);
  config_.micro_nodes = std::clamp(config_.micro_nodes, kMicroNodesOfARegionMin * config_.regions, kMicroNodesMax);
  const std::vector<std::uint32_t> populations = Shares(config_.micro_nodes, config_.regions);
  for (std::uint32_t region = 0; region < config_.regions; ++region) StartRegion(region, populations);
  me_ = kFirstMe;
  Look();
}

Playground::~Playground() = default;

void Playground::StartRegion(std::uint32_t region, const std::vector<std::uint32_t>& populations) {
  const std::uint32_t nodes = config_.regions;
  const std::uint64_t node_seed = Draw(config_.seed, Stream::kRegion, region, 0);
  hosting::Swarm swarm({.shards = 1, .shards_per_node = 1, .seed = node_seed});
  swarm.Populate(populations[region]);
  std::vector<std::uint32_t> ambassadors;
  for (const std::uint32_t population : populations) {
    ambassadors.push_back(hosting::AmbassadorsOf(population, nodes));
  }
  const hosting::ShardLayout layout = hosting::LayOut(region, ambassadors);
  swarm.SetFirstRows({layout.first_local});

  hosting::ShardHostConfig shard;
  shard.node = region;
  shard.nodes = nodes;
  shard.layout = layout;
  shard.seed = config_.seed;
  shard.replicas = populations[region];
  shard.opening_balance_uvu = kOpeningBalanceUvu;
  shard.ambassadors = nodes > 1 ? ambassadors[region] : 0;
  shard.resend_cycles.assign(nodes, kResendCycles);
  shard.round_trip_cycles.assign(nodes, kRoundTripCycles);
  shard.shard.shape = kShape;
  shard.shard.seed = Draw(config_.seed, Stream::kInitialState, std::uint64_t{region} << 32, ~0ull);
  shard.shard.remote_share = 1 - static_cast<double>(populations[region]) / static_cast<double>(config_.micro_nodes);

  auto started =
      std::make_unique<Region>(hosting::NodeHostConfig{.node = region, .seed = node_seed}, std::move(swarm), nodes - 1);
  started->layout = layout;
  started->shard = std::make_unique<hosting::ShardHost>(std::move(shard));
  started->first_slot = slots();
  started->slots = populations[region];
  started->row_of_slot.assign(started->slots, kNoSlot);
  for (std::uint32_t to = 0; to < nodes; ++to) {
    started->links.emplace_back(hosting::VirtualLinkConfig{
        .from = region, .to = to, .seed = config_.seed, .period_ms = kPeriodMs, .quality = kBetweenRegions});
  }
  regions_.push_back(std::move(started));

  const std::size_t all = points_.x.size() + populations[region];
  for (std::vector<float>* column :
       {&points_.x, &points_.y, &points_.behind, &points_.drift, &points_.entropy, &points_.trust}) {
    column->resize(all);
  }
  points_.age.resize(all);
  points_.kind.resize(all);
  points_.region.resize(all, static_cast<std::uint8_t>(region));
  links_.to.resize(all * kPeers, kNoSlot);
  links_.trust.resize(all * kPeers);
}

// ---- What is done to the network ----

bool Playground::Do(const Action& action) {
  const auto within = [](std::int64_t number, std::int64_t least, std::int64_t most) {
    return least <= number && number <= most;
  };
  const std::int64_t last_region = config_.regions - 1;
  using Kind = Action::Kind;
  switch (action.kind) {
    case Kind::kContribute:
      if (!within(action.a, 1, kContributionUvuMax)) return false;
      contribution_uvu_ = std::min(contribution_uvu_ + action.a, kContributionUvuMax);
      return true;
    case Kind::kThrow: throw_me_ = true; return true;
    case Kind::kScatter: scatter_ = true; return true;
    case Kind::kCut:
      if (!within(action.a, 0, (std::int64_t{1} << config_.regions) - 1)) return false;
      cut_ = static_cast<std::uint32_t>(action.a);
      return true;
    case Kind::kLoss:
      if (!within(action.a, 0, 1000)) return false;
      loss_ = static_cast<double>(action.a) / kPerMille;
      return true;
    case Kind::kAttack:
      if (!within(action.a, 0, hosting::kAttacks - 1) || !within(action.b, 0, 1000)) return false;
      if (!AttackIsOn() && action.a != 0) {
        home_ = middle_;
        figures_.lies_since = static_cast<double>(cycle_);
      }
      attack_ = {static_cast<Attack>(action.a), static_cast<double>(action.b) / kPerMille, 0};
      attack_changed_ = true;
      return true;
    case Kind::kKill:
    case Kind::kStart:
      if (!within(action.a, 0, last_region)) return false;
      regions_[static_cast<std::size_t>(action.a)]->alive = action.kind == Kind::kStart;
      return true;
    case Kind::kChurn:
      if (!within(action.a, 0, 1000)) return false;
      churn_ = static_cast<double>(action.a) / kPerMille;
      return true;
    case Kind::kCount: break;
  }
  return false;
}

bool Playground::IsSevered(std::uint32_t a, std::uint32_t b) const {
  const bool apart = cut_ != 0 && (cut_ >> a & 1) != (cut_ >> b & 1);
  return apart || !regions_[a]->alive || !regions_[b]->alive;
}

hosting::NodeTick Playground::TickFor(std::uint32_t region) {
  hosting::NodeTick tick;
  tick.cycle = cycle_;
  tick.alive = regions_[region]->alive;
  tick.loss = loss_;
  tick.churn_share = churn_;
  tick.scatter = scatter_;
  if (AttackIsOn()) tick.attacks_active.push_back(attack_);
  tick.attacks_end = attack_changed_;  // every attack ends, and those that are active begin
  for (std::uint32_t to = 0; to < config_.regions; ++to) {
    tick.links.push_back({.cycle = cycle_, .severed = IsSevered(region, to), .extra_loss = loss_});
  }
  AddContributions(region, &tick);
  return tick;
}

std::optional<std::uint32_t> Playground::ContributionRegion() const {
  const std::uint32_t mine = points_.region[me_];
  for (std::uint32_t n = 0; n < config_.regions; ++n) {
    const std::uint32_t region = (mine + n) % config_.regions;
    if (regions_[region]->alive && regions_[region]->shard->state().replicas() > 0) return region;
  }
  return std::nullopt;
}

void Playground::AddContributions(std::uint32_t region, hosting::NodeTick* tick) {
  if (contribution_uvu_ > 0 && ContributionRegion() == region) {
    // A session tells its cumulative amount, so what a dead region took with it is told again.
    asked_uvu_ = mine_uvu_ + std::exchange(contribution_uvu_, 0);
    hosting::Contribution mine;
    mine.id = kMine;
    mine.entry.session = {Mix(config_.seed + 77), Mix(config_.seed) | 1};
    mine.entry.opened_cycle = hosting::kOpensNow;
    mine.entry.amount_uvu[0] = asked_uvu_;
    tick->contributions.push_back(mine);
  }
  if (attack_.attack != Attack::kForgedLedger || !regions_[region]->alive) return;
  hosting::Contribution forged;
  forged.id = kForged;
  forged.entry.session = {Mix(config_.seed + cycle_), Mix(region + 1) | 1};
  forged.entry.opened_cycle = hosting::kOpensNow;
  forged.entry.amount_uvu[0] = kForgedUvu;
  tick->contributions.push_back(forged);
}

// ---- A cycle ----

void Playground::Step() {
  ++cycle_;
  for (std::uint32_t region = 0; region < config_.regions; ++region) StepRegion(region);
  attack_changed_ = scatter_ = throw_me_ = false;
  // Nobody was there to take it.
  if (std::exchange(contribution_uvu_, 0) > 0) {
    figures_.answer = 2 + static_cast<double>(vaultguard::Refusal::kUnknownShard);
    ++figures_.answers;
  }
  Look();
}

void Playground::StepRegion(std::uint32_t at) {
  Region& region = *regions_[at];
  region.counts = {};
  if (region.host.Begin(std::make_shared<hosting::NodeTick>(TickFor(at)))) {
    hosting::ShardTick tick;
    region.host.FillTick(0, &tick);
    const bool mine = me_ >= region.first_slot && me_ < region.first_slot + region.slots;
    const std::uint32_t my_row = mine ? region.row_of_slot[me_ - region.first_slot] : kNoSlot;
    if (throw_me_ && my_row != kNoSlot) tick.rows.push_back({hosting::RowCommand::Kind::kScatter, my_row});
    auto verdict = std::make_shared<hosting::Verdict>();
    StepShard(&region, &tick, verdict.get());
    if (region.host.Take(std::move(verdict))) Flush(at);
  }
  hosting::NodeReport report;
  region.host.FillReport(&report);
  figures_.entered += static_cast<double>(report.online);
  figures_.left += static_cast<double>(report.offline);
}

void Playground::StepShard(Region* region, hosting::ShardTick* tick, hosting::Verdict* verdict) {
  auto report = std::make_shared<hosting::ShardReport>();
  region->shard->Tick(*tick, report.get());
  for (hosting::ShardHost::Said& said : region->shard->said()) region->links[said.to].Take(std::move(said.frame));
  region->counts = report->counts;
  TakeAnswers(report->answers);
  if (region->monitor.Take(std::move(report))) region->monitor.Judge(verdict);
  figures_.anomalies += static_cast<double>(verdict->anomalies.size());
}

void Playground::TakeAnswers(const std::vector<hosting::Answer>& answers) {
  for (const hosting::Answer& answer : answers) {
    if (answer.id == kForged) {
      figures_.claims_refused += answer.accepted ? 0 : 1;
    } else if (answer.final) {
      ++figures_.answers;
      figures_.answer = answer.accepted ? 1 : 2 + static_cast<double>(*answer.refused);
      if (answer.accepted) mine_uvu_ = asked_uvu_;
    }
  }
}

void Playground::Flush(std::uint32_t at) {
  Region& region = *regions_[at];
  for (std::uint32_t to = 0; to < config_.regions; ++to) {
    if (to == at) continue;
    hosting::LinkFlush flush;
    region.host.FillFlush(to, &flush);
    const hosting::LinkReport report = region.links[to].Flush(flush);
    for (hosting::VirtualLink::Delivery& delivery : region.links[to].delivered()) {
      regions_[to]->shard->Receive(delivery.frame);
    }
    region.host.Take(report);
  }
}

// ---- The picture ----

void Playground::Look() {
  double most_vu = 0;
  for (const std::unique_ptr<Region>& region : regions_) {
    if (region->alive) most_vu = std::max(most_vu, TotalVu(region->shard->state()));
    Assign(region.get());
  }
  for (std::uint32_t region = 0; region < config_.regions; ++region) LookAtRegion(region, most_vu);
  for (const std::unique_ptr<Region>& region : regions_) LookAtLinks(*region);
  figures_.cycle = static_cast<double>(cycle_);
  figures_.total_vu = most_vu;
  figures_.mine_vu = static_cast<double>(mine_uvu_) / static_cast<double>(vaultguard::kMicroPerVu);
  FindMe();
  figures_.me = me_;
  Measure();
}

// Gives the replicas that entered the slots of those that left.
void Playground::Assign(Region* region) {
  const shard::Columns& columns = region->shard->state().columns();
  const auto first = static_cast<std::uint32_t>(columns.first_local);
  region->slot_of_row.assign(columns.end - first, kNoSlot);
  for (std::uint32_t k = 0; k < region->slots; ++k) {
    std::uint32_t& row = region->row_of_slot[k];
    const std::uint32_t slot = region->first_slot + k;
    if (row != kNoSlot && region->alive && row < columns.end && columns.Alive(row)) {
      ++points_.age[slot];
      region->slot_of_row[row - first] = slot;
    } else {
      row = kNoSlot;
    }
  }
  if (!region->alive) return;
  std::uint32_t unused = 0;
  for (std::uint32_t row = first; row < columns.end; ++row) {
    if (!columns.Alive(row) || region->slot_of_row[row - first] != kNoSlot) continue;
    while (unused < region->slots && region->row_of_slot[unused] != kNoSlot) ++unused;
    if (unused == region->slots) return;
    region->row_of_slot[unused] = row;
    region->slot_of_row[row - first] = region->first_slot + unused;
    points_.age[region->first_slot + unused] = 0;
  }
}

void Playground::LookAtRegion(std::uint32_t at, double most_vu) {
  const Region& region = *regions_[at];
  const shard::StateShard& state = region.shard->state();
  const shard::Columns& columns = state.columns();
  const double total_vu = region.alive ? TotalVu(state) : 0;
  figures_.region_vu[at] = total_vu;
  std::vector<double> behind(region.slot_of_row.size());
  std::vector<double> part(shard::News::kBehindRows);
  for (int slot = 0; slot < kShape.value_slots; ++slot) {
    for (std::size_t row = 0; region.alive && row < behind.size(); row += shard::News::kBehindRows) {
      const std::size_t n = std::min(shard::News::kBehindRows, behind.size() - row);
      const std::size_t first = columns.first_local + row;
      state.news().Behind(columns, first, n, state.news().Lacked(columns, first, n), static_cast<std::size_t>(slot),
                          part.data());
      for (std::size_t k = 0; k < n; ++k) behind[row + k] += part[k];
    }
  }
  for (std::uint32_t k = 0; k < region.slots; ++k) {
    const std::uint32_t slot = region.first_slot + k;
    const std::uint32_t row = region.row_of_slot[k];
    if (row != kNoSlot) {
      LookAtPoint(region, slot, row, behind[row - columns.first_local] + most_vu - total_vu);
    } else if (points_.kind[slot] != static_cast<std::uint8_t>(PointKind::kNobody)) {
      // A slot without a replica: its region is dead, or waits for the ledger. The point stays where it died.
      points_.kind[slot] = static_cast<std::uint8_t>(PointKind::kGone);
    }
  }
}

void Playground::LookAtPoint(const Region& region, std::uint32_t slot, std::uint32_t row, double behind_vu) {
  const shard::StateShard& state = region.shard->state();
  const shard::Columns& columns = state.columns();
  const bool lies = (columns.flags[row] & shard::kAdversary) != 0;
  const double range = state.config().coordinate_range;
  float at[2];
  for (std::size_t c = 0; c < 2; ++c) {
    const std::size_t coordinate = static_cast<std::size_t>(kShape.value_slots) + c;
    at[c] = lies ? state.said(row)[coordinate] : columns.state[coordinate * columns.stride + row];
  }
  if (!(std::abs(at[0]) <= vaultguard::kMaxDistance && std::abs(at[1]) <= vaultguard::kMaxDistance)) {
    const double draw = shard::Unit(Draw(config_.seed, Stream::kAttack, slot, 0));
    at[0] = static_cast<float>(range * (0.5 + kNonsenseRanges * (2 * draw - 1)));
    at[1] = static_cast<float>(range * (0.5 + ((slot & 1) != 0 ? kNonsenseRanges : -kNonsenseRanges)));
  }
  points_.x[slot] = at[0];
  points_.y[slot] = at[1];
  points_.behind[slot] = static_cast<float>(behind_vu);
  points_.drift[slot] = columns.bound_free[row];
  points_.entropy[slot] = MeanEntropyOf(state.said_entropy(row));
  points_.kind[slot] = static_cast<std::uint8_t>(lies ? PointKind::kLiar : PointKind::kMember);
}

void Playground::LookAtLinks(const Region& region) {
  const shard::Columns& columns = region.shard->state().columns();
  const auto slot_of = [&](std::uint32_t neighbour) -> std::uint32_t {
    if (neighbour >= columns.first_local) {
      const std::size_t local = neighbour - columns.first_local;
      return local < region.slot_of_row.size() ? region.slot_of_row[local] : kNoSlot;
    }
    for (std::uint32_t far = 0; far < config_.regions; ++far) {
      const std::uint32_t number = neighbour - region.layout.halo_first[far];
      if (neighbour < region.layout.halo_first[far] || number >= region.layout.halo_count[far]) continue;
      const std::vector<std::uint32_t>& rows = regions_[far]->shard->ambassadors();
      const std::size_t first = regions_[far]->shard->state().columns().first_local;
      const std::size_t local = number < rows.size() && rows[number] >= first ? rows[number] - first : kNoSlot;
      return local < regions_[far]->slot_of_row.size() ? regions_[far]->slot_of_row[local] : kNoSlot;
    }
    return kNoSlot;
  };
  for (std::uint32_t k = 0; k < region.slots; ++k) {
    const std::uint32_t slot = region.first_slot + k;
    const std::uint32_t row = region.row_of_slot[k];
    float trust = 0;
    for (std::size_t peer = 0; peer < kPeers; ++peer) {
      const std::uint32_t link = row == kNoSlot ? 0 : columns.link[peer * columns.stride + row];
      const float of_one = static_cast<float>(shard::TrustOf(link)) / 255;
      links_.to[slot * kPeers + peer] = row == kNoSlot ? kNoSlot : slot_of(shard::NeighbourOf(link));
      links_.trust[slot * kPeers + peer] = of_one;
      trust += of_one / kPeers;
    }
    points_.trust[slot] = trust;
  }
}

// The visitor is an honest micro-node. When it leaves or is made to lie, the visitor goes on as the next one of the
// region; in a dead region, the visitor waits.
void Playground::FindMe() {
  const Region& region = *regions_[points_.region[me_]];
  for (std::uint32_t n = 0; n < region.slots; ++n) {
    const std::uint32_t slot = region.first_slot + (me_ - region.first_slot + n) % region.slots;
    if (points_.kind[slot] != static_cast<std::uint8_t>(PointKind::kMember)) continue;
    me_ = slot;
    return;
  }
}

void Playground::Measure() {
  shard::Moments free[2];
  figures_.value_error = figures_.honest = figures_.knowing = figures_.liars = figures_.regions_up = 0;
  figures_.heard = figures_.lost = figures_.strikes = figures_.bytes = 0;
  double range = 1;
  for (const std::unique_ptr<Region>& region : regions_) {
    if (!region->alive) continue;
    ++figures_.regions_up;
    shard::Measure measure;
    region->shard->state().MeasureHonest(&measure);
    figures_.value_error = std::max(figures_.value_error, measure.worst_value_vu);
    for (std::size_t c = 0; c < 2; ++c) {
      free[c].Merge(measure.moments[static_cast<std::size_t>(kShape.value_slots) + c]);
    }
    range = region->shard->state().config().coordinate_range;
    const shard::StepCounts& step = region->counts.step;
    figures_.heard += static_cast<double>(step.heard);
    figures_.lost += static_cast<double>(step.lost);
    figures_.strikes += static_cast<double>(step.strikes_up + step.strikes_down);
    figures_.bytes += static_cast<double>(region->counts.sent.Total());
  }
  double variance = 0;
  for (const shard::Moments& m : free) variance = std::max(variance, m.count > 0 ? m.m2 / m.count : 0);
  figures_.spread = std::sqrt(variance) / (range * kRandomDeviation);
  middle_ = {free[0].mean, free[1].mean};
  const double dx = middle_[0] - home_[0];
  const double dy = middle_[1] - home_[1];
  figures_.carried = figures_.lies_since < 0 ? 0 : std::sqrt(dx * dx + dy * dy);
  for (std::uint32_t slot = 0; slot < slots(); ++slot) {
    const auto kind = static_cast<PointKind>(points_.kind[slot]);
    figures_.liars += kind == PointKind::kLiar ? 1 : 0;
    if (kind != PointKind::kMember) continue;
    ++figures_.honest;
    figures_.knowing += points_.behind[slot] < 1e-7f ? 1 : 0;
  }
}

std::uint64_t Playground::StateHash() const {
  std::uint64_t hash = Mix(cycle_);
  for (const std::unique_ptr<Region>& region : regions_) {
    hash = Mix(hash ^ (region->alive ? region->shard->state().StateHash() : 1)) + 0x9e3779b97f4a7c15ull;
  }
  return hash;
}

}  // namespace lvs::playground
