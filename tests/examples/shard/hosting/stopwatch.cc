#include "shard/hosting/stopwatch.h"

#include <cstdint>

#include "shard/hosting/messages.h"

namespace lvs::hosting {
std::uint64_t SteadyNanoseconds();
void Example(ShardReport* report) { EXAMPLE; }
}  // namespace lvs::hosting
