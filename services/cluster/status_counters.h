// The counts of a node between two of its statuses. Statuses count from the node's start, but reports cover only the
// recording.
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

// Adds the difference between the counters of two statuses of one process. `before` is empty for a process that has
// just started. Counters never fall, so a number that fell is a gauge and adds nothing.
void AddCounters(const v1::NodeStatus& before, const v1::NodeStatus& now, v1::NodeStatus* sum);

// Converts the sums to the counts that a measurement takes.
Counted CountedOf(const v1::NodeStatus& sum);

}  // namespace lvs::services
