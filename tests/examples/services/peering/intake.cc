#include "services/peering/intake.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace lvs::services {
void Example(std::string_view bytes, const NodeTerms& terms, std::uint64_t cycle, double now_s,
             std::optional<vaultguard::Refusal> refusal, bool behind) {
  shard::Frame frame;
  EXAMPLE;
}
}  // namespace lvs::services
