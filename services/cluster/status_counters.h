// What a node counted between two of its statuses. A status holds counters since the node's start; a report wants what
// happened during the recording.
//
//   v1::NodeStatus since;
//   AddCounters(before, now, &since);       // again for each look; `since` holds nothing but sums
//   Counted counted = CountedOf(since);
//
// Stateless: any thread.
#pragma once

#include "lvs/v1/control.pb.h"
#include "services/scenario/look.h"

namespace lvs::services {

// Adds the difference of the counters of two statuses of one process. `before` is empty for a process that has just
// started. Counters never fall: what fell is a gauge, and adds nothing.
void AddCounters(const v1::NodeStatus& before, const v1::NodeStatus& now, v1::NodeStatus* sum);

// The sums as a measurement counts them.
Counted CountedOf(const v1::NodeStatus& sum);

}  // namespace lvs::services
