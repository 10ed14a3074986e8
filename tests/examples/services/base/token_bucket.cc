#include "services/base/token_bucket.h"

#include <cstdint>

namespace lvs::services {
void Resume();
void Example(double now_s, double bytes, std::uint64_t key) { EXAMPLE; }
}  // namespace lvs::services
