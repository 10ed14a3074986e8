#include <string>

#include "services/scenario/checker.h"
#include "services/scenario/scenario.h"

namespace lvs::services {

std::string EventKind(const v1::Event& event) {
  const auto* field = event.GetReflection()->GetOneofFieldDescriptor(event, v1::Event::descriptor()->oneof_decl(0));
  return field == nullptr ? "" : YamlKey(*field);
}

std::string DescribeEvent(const v1::Event& event) {
  std::string text = EventKind(event);
  switch (event.what_case()) {
    case v1::Event::kChurn: return text + " " + PercentText(event.churn().rate()) + "/s";
    case v1::Event::kAdversaries: {
      const v1::Adversaries& adversaries = event.adversaries();
      const std::string who =
          adversaries.count() > 0 ? std::to_string(adversaries.count()) : PercentText(adversaries.share());
      return text + " " + who + ", " + EnumWord(*v1::Attack_descriptor()->FindValueByNumber(adversaries.attack()));
    }
    case v1::Event::kPartition:
      for (int g = 0; g < event.partition().groups_size(); ++g) {
        text += g == 0 ? "" : " |";
        for (const std::string& region : event.partition().groups(g).regions()) text += " " + region;
      }
      return text;
    case v1::Event::kOutage: return text + " " + event.outage().region();
    case v1::Event::kLeave: return text + ", keeping " + std::to_string(event.leave().keep());
    case v1::Event::kJoin: return text + " of " + std::to_string(event.join().micro_nodes()) + " micro-nodes";
    case v1::Event::kLowPower: return text + " " + PercentText(event.low_power().share());
    case v1::Event::kCorrupt: return text + " " + PercentText(event.corrupt().share());
    case v1::Event::kDegrade: return text + ", " + PercentText(event.degrade().loss()) + " more loss";
    case v1::Event::kRestart: return text + " of all regions, " + FormatDurationUs(event.restart().down_us()) + " each";
    case v1::Event::WHAT_NOT_SET: break;
  }
  return text;
}

}  // namespace lvs::services
