#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "services/scenario/checker.h"
#include "services/scenario/scenario.h"

namespace lvs::services {
namespace {

std::vector<std::string> EventKinds() {
  std::vector<std::string> kinds;
  const auto& what = *v1::Event::descriptor()->oneof_decl(0);
  for (int i = 0; i < what.field_count(); ++i) kinds.push_back(YamlKey(*what.field(i)));
  return kinds;
}

void CheckAdversaries(Checker& check, const v1::Adversaries& adversaries, const std::string& path) {
  const bool share = adversaries.share() > 0 || check.origin().Has(path + ".share");
  const bool count = adversaries.count() > 0 || check.origin().Has(path + ".count");
  check.Require(share || count, path, "share and count are both missing; add share: 20% or count: 1");
  check.Require(!(share && count), path, "gives both share and count; keep one of them");
  if (share) {
    check.Share(adversaries.share(), path + ".share");
    check.Require(adversaries.share() > 0, path + ".share", "0% adds no adversary; write a share above 0%");
    check.Require(adversaries.share() < 1, path + ".share", "100% leaves no honest micro-node to judge; write less");
  }
  if (count) {
    check.Require(adversaries.count() >= 1, path + ".count", "0 adds no adversary; write at least 1");
    check.Require(adversaries.count() < check.scenario().population().micro_nodes(), path + ".count",
                  "leaves no honest micro-node to judge; write less than " +
                      std::to_string(check.scenario().population().micro_nodes()));
  }
  check.Require(adversaries.attack() != v1::ATTACK_UNSPECIFIED, path,
                "no attack is given; add attack: with one of " + JoinWords(EnumWords(*v1::Attack_descriptor())));
}

void CheckPartition(Checker& check, const v1::Partition& partition, const std::string& path) {
  check.Require(partition.groups_size() > 0, path + ".groups", "names no region; write groups: [[eu], [us, asia]]");
  std::map<std::string, int> group_of;
  for (int g = 0; g < partition.groups_size(); ++g) {
    const std::string group = Indexed(path + ".groups", g);
    check.Require(!partition.groups(g).regions().empty(), group, "names no region; write for example [eu]");
    for (int k = 0; k < partition.groups(g).regions_size(); ++k) {
      const std::string& region = partition.groups(g).regions(k);
      check.Region(region, Indexed(group, k));
      check.Require(group_of.emplace(region, g).second, Indexed(group, k),
                    region + " is named twice; a region can be in one group only");
    }
  }
  check.Require(partition.groups_size() > 1 || group_of.size() < check.regions().size(), path + ".groups",
                "one group with every region cuts nothing; write at least two groups, such as [[eu], [us, asia]]");
}

void CheckEvent(Checker& check, const v1::Event& event, const std::string& path) {
  const std::int64_t run_us = RunLengthUs(check.scenario());
  check.Require(event.at_us() >= 0 && event.at_us() < run_us, path + ".at",
                FormatDurationUs(event.at_us()) + " is not before the end of the run (" + check.RunText() +
                    "); start it earlier or raise cycle.count");
  check.Require(event.for_us() > 0, path + ".for",
                "0s is too short; write for example 10s, or leave the key out for the rest of the run");
  check.Require(event.at_us() + event.for_us() <= run_us, path + ".for",
                "the event would end at " + FormatDurationUs(event.at_us() + event.for_us()) +
                    ", after the end of the run (" + check.RunText() +
                    "); shorten it, leave the key out for the rest of the run, or raise cycle.count");
  const std::string what = path + "." + EventKind(event);
  switch (event.what_case()) {
    case v1::Event::kChurn:
      check.Require(event.churn().rate() > 0 && event.churn().rate() <= 1, what + ".rate",
                    "must be above 0%/s and at most 100%/s; write for example 2%/s");
      check.Require(event.churn().rate() * static_cast<double>(check.scenario().cycle().period_us()) <= 1e6,
                    what + ".rate",
                    PercentText(event.churn().rate()) + "/s is more than every micro-node in each cycle of " +
                        FormatDurationUs(check.scenario().cycle().period_us()) + "; write at most " +
                        PercentText(1e6 / static_cast<double>(check.scenario().cycle().period_us())) +
                        "/s, or a shorter cycle.period");
      break;
    case v1::Event::kAdversaries: CheckAdversaries(check, event.adversaries(), what); break;
    case v1::Event::kPartition: CheckPartition(check, event.partition(), what); break;
    case v1::Event::kOutage:
      check.Region(event.outage().region(), what + ".region");
      check.Require(
          check.regions().size() > 1, what + ".region",
          "this is the only region, and everything would be lost with it; give population.regions a second one");
      break;
    case v1::Event::kLeave:
      check.Require(event.leave().keep() >= 1, what + ".keep", "0 leaves nobody to rebuild from; write at least 1");
      break;
    case v1::Event::kJoin:
      check.Between<std::uint32_t>(event.join().micro_nodes(), 1, kScenarioLimits.micro_nodes_max,
                                   what + ".micro_nodes");
      break;
    case v1::Event::kLowPower: check.PositiveShare(event.low_power().share(), what + ".share"); break;
    case v1::Event::kCorrupt:
      check.PositiveShare(event.corrupt().share(), what + ".share");
      check.Require(check.regions().size() > 1, what,
                    "one region sends no frames that could be corrupt; give population.regions a second one");
      break;
    case v1::Event::kDegrade: check.PositiveShare(event.degrade().loss(), what + ".loss"); break;
    case v1::Event::kRestart:
      check.Require(
          event.restart().down_us() >= check.scenario().cycle().period_us() && event.restart().down_us() < run_us,
          what + ".down", "must be at least one cycle and shorter than the run; write for example 2s");
      check.Require(
          check.regions().size() > 1, what,
          "there is only one region, and everything would be lost with it; give population.regions a second one");
      break;
    case v1::Event::WHAT_NOT_SET: check.Require(false, path, "needs one of " + JoinWords(EventKinds())); break;
  }
}

}  // namespace

void CheckEvents(Checker& check) {
  const v1::Scenario& scenario = check.scenario();
  for (int i = 0; i < scenario.events_size(); ++i) CheckEvent(check, scenario.events(i), Indexed("events", i));
}

}  // namespace lvs::services
