#include "shard/hosting/messages.h"

#include <cstdint>
#include <memory>
#include <utility>

namespace lvs::hosting {
void Example(std::uint32_t row) { EXAMPLE; }
}  // namespace lvs::hosting
