#include "services/scenario/timeline.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "services/scenario/scenario.h"

namespace lvs::services {

namespace {

using hosting::LinkFlush;
using hosting::NodeTick;

// The numbers of both enumerations are the same.
hosting::Attack ToHosting(v1::Attack attack) {
  static_assert(static_cast<int>(hosting::Attack::kNone) == v1::ATTACK_UNSPECIFIED);
  static_assert(static_cast<int>(hosting::Attack::kStubborn) == v1::STUBBORN);
  static_assert(static_cast<int>(hosting::Attack::kDrain) == v1::DRAIN);
  static_assert(static_cast<int>(hosting::Attack::kNoise) == v1::NOISE);
  static_assert(static_cast<int>(hosting::Attack::kStealth) == v1::STEALTH);
  static_assert(static_cast<int>(hosting::Attack::kAlternate) == v1::ALTERNATE);
  static_assert(static_cast<int>(hosting::Attack::kALittleIsEnough) == v1::A_LITTLE_IS_ENOUGH);
  static_assert(static_cast<int>(hosting::Attack::kEntropyFlood) == v1::ENTROPY_FLOOD);
  static_assert(static_cast<int>(hosting::Attack::kReplay) == v1::REPLAY);
  static_assert(static_cast<int>(hosting::Attack::kForgedLedger) == v1::FORGED_LEDGER);
  static_assert(static_cast<int>(hosting::Attack::kRangeEdge) == v1::RANGE_EDGE);
  static_assert(static_cast<int>(hosting::Attack::kJustInside) == v1::JUST_INSIDE);
  static_assert(static_cast<int>(hosting::Attack::kFastAhead) == v1::FAST_AHEAD);
  static_assert(static_cast<int>(hosting::Attack::kSlowAhead) == v1::SLOW_AHEAD);
  static_assert(static_cast<int>(hosting::Attack::kTwoCamps) == v1::TWO_CAMPS);
  static_assert(static_cast<int>(hosting::Attack::kFeignedReciprocity) == v1::FEIGNED_RECIPROCITY);
  static_assert(v1::Attack_ARRAYSIZE == hosting::kAttacks, "a new attack: add it to shard/hosting/attack.h");
  return static_cast<hosting::Attack>(attack);
}

// The part of `total` that falls into cycle `cycle` of [from, to): an even spread whose parts add up exactly.
std::uint32_t Share(std::uint64_t total, std::uint64_t cycle, std::uint64_t from, std::uint64_t to) {
  if (cycle < from || cycle >= to) return 0;
  const std::uint64_t n = to - from;
  return static_cast<std::uint32_t>(total * (cycle - from + 1) / n - total * (cycle - from) / n);
}

// `total` split in proportion to the weights; the parts add up exactly.
std::vector<std::uint64_t> Split(std::uint64_t total, const std::vector<std::uint32_t>& weights) {
  std::uint64_t sum = 0;
  for (const std::uint32_t w : weights) sum += w;
  std::vector<std::uint64_t> parts;
  std::uint64_t before = 0;
  std::uint64_t given = 0;
  for (const std::uint32_t w : weights) {
    before += w;
    const std::uint64_t until = sum == 0 ? 0 : total * before / sum;
    parts.push_back(until - given);
    given = until;
  }
  return parts;
}

std::string Percent(double share) { return absl::StrCat(share * 100, "%"); }

std::string Label(const v1::Event& event) {
  switch (event.what_case()) {
    case v1::Event::kChurn: return absl::StrCat("churn ", Percent(event.churn().rate()), "/s");
    case v1::Event::kAdversaries: {
      std::string attack = v1::Attack_Name(event.adversaries().attack());
      std::transform(attack.begin(), attack.end(), attack.begin(),
                     [](char c) { return c == '_' ? '-' : static_cast<char>(std::tolower(c)); });
      return absl::StrCat(event.adversaries().count() > 0 ? absl::StrCat(event.adversaries().count())
                                                          : Percent(event.adversaries().share()),
                          " ", attack);
    }
    case v1::Event::kPartition:
      return absl::StrCat("partition ", absl::StrJoin(event.partition().groups(), " | ",
                                                      [](std::string* out, const v1::RegionGroup& g) {
                                                        absl::StrAppend(out, absl::StrJoin(g.regions(), "+"));
                                                      }));
    case v1::Event::kOutage: return absl::StrCat("outage ", event.outage().region());
    case v1::Event::kLeave: return absl::StrCat("leave, keep ", event.leave().keep());
    case v1::Event::kJoin: return absl::StrCat("join ", event.join().micro_nodes());
    case v1::Event::kLowPower: return absl::StrCat("low power ", Percent(event.low_power().share()));
    case v1::Event::kCorrupt: return absl::StrCat("corrupt ", Percent(event.corrupt().share()));
    case v1::Event::kDegrade: return absl::StrCat("loss +", Percent(event.degrade().loss()));
    case v1::Event::kRestart: return "rolling restart";
    case v1::Event::WHAT_NOT_SET: break;
  }
  return "";
}

}  // namespace

Timeline::Timeline(const v1::Scenario& scenario, std::vector<std::string> regions,
                   std::vector<std::uint32_t> population)
    : scenario_(scenario),
      regions_(std::move(regions)),
      population_(std::move(population)),
      period_us_(scenario.cycle().period_us()) {}

Timeline::Span Timeline::SpanOf(const v1::Event& event) const {
  const std::uint64_t from = std::max<std::uint64_t>(1, CycleOf(event.at_us()));
  if (event.for_us() <= 0) return {from, scenario_.cycle().count() + 1};
  // An event that lasts up to the end of the run lasts through its last cycle, and never ends.
  const std::uint64_t to = CycleOf(event.at_us() + event.for_us());
  return {from, to >= scenario_.cycle().count() ? scenario_.cycle().count() + 1 : std::max(from + 1, to)};
}

std::uint32_t Timeline::RegionIndex(const std::string& name) const {
  return static_cast<std::uint32_t>(std::find(regions_.begin(), regions_.end(), name) - regions_.begin());
}

bool Timeline::Severed(std::uint64_t cycle, std::uint32_t a, std::uint32_t b) const {
  for (const v1::Event& event : scenario_.events()) {
    const Span span = SpanOf(event);
    if (!event.has_partition() || !span.Contains(cycle)) continue;
    const auto group = [&](std::uint32_t region) {
      for (int g = 0; g < event.partition().groups_size(); ++g) {
        for (const std::string& name : event.partition().groups(g).regions()) {
          if (name == regions_[region]) return g;
        }
      }
      return -1 - static_cast<int>(region);  // in no group: alone
    };
    if (group(a) != group(b)) return true;
  }
  return false;
}

void Timeline::Ask(std::uint64_t cycle, std::vector<NodeTick>* ticks) const {
  for (NodeTick& tick : *ticks) {
    tick.cycle = cycle;
    tick.links.resize(ticks->size());
  }
  LinkFaults faults;
  for (const v1::Event& event : scenario_.events()) AskFor(event, cycle, ticks, &faults);
  AskForLowPower(cycle, ticks);
  SetLinks(cycle, faults, ticks);
}

// Of the low-power events that are on, the one that began last counts, so that a short one inside a long one ends
// nothing but itself.
void Timeline::AskForLowPower(std::uint64_t cycle, std::vector<NodeTick>* ticks) const {
  double share = scenario_.population().low_power();
  std::uint64_t newest = 0;
  bool changes = cycle == 1 && share > 0;
  for (const v1::Event& event : scenario_.events()) {
    if (!event.has_low_power()) continue;
    const Span span = SpanOf(event);
    changes = changes || cycle == span.from || cycle == span.to;
    if (!span.Contains(cycle) || span.from < newest) continue;
    newest = span.from;
    share = event.low_power().share();
  }
  for (NodeTick& tick : *ticks) {
    tick.low_power_level = share;
    if (changes) tick.low_power = share;
  }
}

void Timeline::AskFor(const v1::Event& event, std::uint64_t cycle, std::vector<NodeTick>* ticks,
                      LinkFaults* faults) const {
  const Span span = SpanOf(event);
  const bool active = span.Contains(cycle);
  switch (event.what_case()) {
    case v1::Event::kChurn:
      for (NodeTick& tick : *ticks) {
        if (active) tick.churn_share += event.churn().rate() * static_cast<double>(period_us_) * 1e-6;
      }
      break;
    case v1::Event::kAdversaries: AskForAttacks(event, span, cycle, ticks); break;
    case v1::Event::kOutage:
      if (active) (*ticks)[RegionIndex(event.outage().region())].alive = false;
      break;
    case v1::Event::kLeave: {
      const std::vector<std::uint64_t> keep = Split(event.leave().keep(), population_);
      for (std::size_t n = 0; active && n < ticks->size(); ++n) {
        (*ticks)[n].leave.push_back({static_cast<std::uint32_t>(keep[n]), span.to - cycle});
      }
      break;
    }
    case v1::Event::kJoin: {
      const std::vector<std::uint64_t> enter = Split(event.join().micro_nodes(), population_);
      const std::uint64_t to = event.for_us() > 0 ? span.to : span.from + 1;
      for (std::size_t n = 0; n < ticks->size(); ++n) (*ticks)[n].enter += Share(enter[n], cycle, span.from, to);
      break;
    }
    case v1::Event::kCorrupt:
      if (active) faults->corrupt = std::max(faults->corrupt, event.corrupt().share());
      break;
    case v1::Event::kDegrade:
      if (active) faults->extra_loss = std::max(faults->extra_loss, event.degrade().loss());
      break;
    case v1::Event::kLowPower:   // AskForLowPower
    case v1::Event::kRestart:    // goes by what the server nodes hold: the caller knows who is out
    case v1::Event::kPartition:  // SetLinks asks Severed
    case v1::Event::WHAT_NOT_SET: break;
  }
}

void Timeline::AskForAttacks(const v1::Event& event, Span span, std::uint64_t cycle,
                             std::vector<NodeTick>* ticks) const {
  const std::vector<std::uint64_t> counts = Split(event.adversaries().count(), population_);
  for (std::size_t n = 0; n < ticks->size(); ++n) {
    const NodeTick::AttackOrder order = {ToHosting(event.adversaries().attack()), event.adversaries().share(),
                                         static_cast<std::uint32_t>(counts[n])};
    if (span.Contains(cycle)) (*ticks)[n].attacks_active.push_back(order);
    if (cycle == span.from) (*ticks)[n].attacks_begin.push_back(order);
    if (cycle == span.to) (*ticks)[n].attacks_end = true;
  }
}

void Timeline::SetLinks(std::uint64_t cycle, const LinkFaults& faults, std::vector<NodeTick>* ticks) const {
  const auto nodes = static_cast<std::uint32_t>(ticks->size());
  for (std::uint32_t a = 0; a < nodes; ++a) {
    (*ticks)[a].loss = std::min(1.0, scenario_.links().within().loss() + faults.extra_loss);
    for (std::uint32_t b = 0; b < nodes; ++b) {
      if (a == b) continue;
      LinkFlush& link = (*ticks)[a].links[b];
      link.cycle = cycle;
      link.severed = !(*ticks)[a].alive || !(*ticks)[b].alive || Severed(cycle, a, b);
      link.extra_loss = faults.extra_loss;
      link.corrupt = faults.corrupt;
    }
  }
}

std::vector<Timeline::Ended> Timeline::EndingAt(std::uint64_t cycle) const {
  std::vector<Ended> ended;
  for (const v1::Event& event : scenario_.events()) {
    if (event.for_us() > 0 && SpanOf(event).to == cycle) ended.push_back({EventKind(event), cycle});
  }
  return ended;
}

std::string Timeline::ActiveFaults(std::uint64_t cycle) const {
  std::vector<std::string> active;
  for (const v1::Event& event : scenario_.events()) {
    if (SpanOf(event).Contains(cycle)) active.push_back(Label(event));
  }
  return absl::StrJoin(active, ", ");
}

std::vector<v1::FaultBand> Timeline::Bands() const {
  std::vector<v1::FaultBand> bands;
  const double period_s = static_cast<double>(period_us_) * 1e-6;
  for (const v1::Event& event : scenario_.events()) {
    const Span span = SpanOf(event);
    v1::FaultBand band;
    band.set_kind(EventKind(event));
    band.set_label(Label(event));
    band.set_from_seconds(static_cast<double>(span.from) * period_s);
    band.set_to_seconds(static_cast<double>(std::min<std::uint64_t>(span.to, scenario_.cycle().count())) * period_s);
    bands.push_back(std::move(band));
  }
  return bands;
}

bool Timeline::ForgingAt(std::uint64_t cycle) const {
  return std::any_of(scenario_.events().begin(), scenario_.events().end(), [&](const v1::Event& event) {
    return event.has_adversaries() && event.adversaries().attack() == v1::FORGED_LEDGER &&
           SpanOf(event).Contains(cycle);
  });
}

}  // namespace lvs::services
