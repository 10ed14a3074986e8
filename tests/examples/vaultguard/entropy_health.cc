#include "vaultguard/entropy_health.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace lvs::vaultguard {
void Refuse(std::string_view why);
void Example(const std::vector<std::uint8_t>& packet) { EXAMPLE; }
}  // namespace lvs::vaultguard
