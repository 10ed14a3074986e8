#include "services/scenario/checker.h"

namespace lvs::services {
void Example(const v1::Scenario& scenario, const YamlOrigin& origin) {
  const v1::State& state = scenario.state();
  EXAMPLE;
}
}  // namespace lvs::services
