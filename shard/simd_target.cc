#include "shard/simd_target.h"

#include <hwy/highway.h>

#include <cstdint>

namespace lvs::shard {

namespace {

std::int64_t Targets() { return hwy::SupportedTargets() & HWY_TARGETS; }

// Calls `visit(target, name)` for each target, best first.
template <typename Visit>
void ForEachTarget(const Visit& visit) {
  for (std::int64_t bits = Targets(); bits != 0; bits &= bits - 1) visit(bits & -bits, hwy::TargetName(bits & -bits));
}

}  // namespace

std::vector<std::string> SimdTargets() {
  std::vector<std::string> names;
  ForEachTarget([&](std::int64_t, const char* name) { names.emplace_back(name); });
  return names;
}

std::string SimdTargetInUse() { return hwy::TargetName(Targets() & -Targets()); }

bool SelectSimdTarget(std::string_view name) {
  hwy::DisableTargets(0);
  hwy::SetSupportedTargetsForTest(0);
  std::int64_t chosen = 0;
  ForEachTarget([&](std::int64_t target, const char* known) {
    if (name == known) chosen = target;
  });
  if (chosen != 0) hwy::SetSupportedTargetsForTest(chosen);
  hwy::GetChosenTarget().DeInit();
  return chosen != 0 || name.empty() || name == "auto";
}

}  // namespace lvs::shard
