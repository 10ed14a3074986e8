#include "shard/frame_codec.h"

#include <string>

namespace lvs::shard {
void Example(Frame frame, vaultguard::RefusalCounts& refused) { EXAMPLE; }
}  // namespace lvs::shard
