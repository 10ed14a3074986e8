#include "actors/recycled.h"

#include <memory>
#include <utility>

#include "actors/interfaces.h"
#include "actors/letter.h"

namespace lvs::actors {
void Example(const ShardActor& shard) { EXAMPLE; }
}  // namespace lvs::actors
