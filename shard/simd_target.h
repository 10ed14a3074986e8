// The SIMD target of all kernels of this folder, chosen for the whole process.
//
//   if (!SelectSimdTarget("SCALAR")) ...   // "auto": the best of this machine
//
// The best target is in use from the start. Every target computes the same bits (drift_core.h). Selecting one is not
// thread-safe: no kernel may run meanwhile.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lvs::shard {

// Targets that this machine has and this build contains, best first.
std::vector<std::string> SimdTargets();
std::string SimdTargetInUse();
// Selects "" or "auto" for the best target, or one of SimdTargets(). False for any other name: the best target is in
// use then.
bool SelectSimdTarget(std::string_view name);

}  // namespace lvs::shard
