#include "vaultguard/drain_detector.h"

namespace lvs::vaultguard {
void Report();
void Example(DrainDetector& detector, double weight) { EXAMPLE; }
}  // namespace lvs::vaultguard
