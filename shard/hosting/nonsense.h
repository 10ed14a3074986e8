// Frames as a broken or hostile sender might make them: malformed, out of place, repeated, or claiming too much. A
// virtual link sends them where a scenario asks for corruption, and tests send them to prove that each kind is refused.
#pragma once

#include "shard/frame.h"

namespace lvs::hosting {

inline constexpr int kNonsenseKinds = 12;

// Nonsense of one kind, 0..kNonsenseKinds-1, made from a good frame.
shard::Frame Nonsense(const shard::Frame& good, int kind);

}  // namespace lvs::hosting
