#include "shard/intake.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace lvs::shard {
void Example(std::string_view bytes, const IntakeTerms& terms, std::uint64_t cycle, double now_s,
             std::optional<vaultguard::Refusal> refusal, bool behind) {
  Frame frame;
  EXAMPLE;
}
}  // namespace lvs::shard
