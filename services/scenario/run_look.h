// The reports of hosted server nodes after one cycle, as a look at the network: what the emulator feeds a Measurement.
//
//   Look look = LookAt(cycle, reports, workload.accepted_uvu(), timeline.EndingAt(cycle));
//   measurement.Add(look, &report);
#pragma once

#include <cstdint>
#include <vector>

#include "services/scenario/look.h"
#include "services/scenario/timeline.h"
#include "shard/hosting/messages.h"

namespace lvs::services {

// A tick is a cycle. `reports` by server node, none null; `accepted_uvu` the truth by shard after the cycle. Cycle 0
// is the start, and counts nothing. Replicas are filled in only where they were measured.
Look LookAt(std::uint64_t cycle, const std::vector<hosting::Payload<hosting::NodeReport>>& reports,
            const std::vector<shard::SlotAmounts>& accepted_uvu, const std::vector<Timeline::Ended>& ended);

}  // namespace lvs::services
