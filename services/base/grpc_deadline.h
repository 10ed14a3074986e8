// Deadlines of gRPC in time from now. gRPC counts them by the monotonic clock, but its interface for std::chrono takes
// them on the wall clock: one that is set between two lines of code would move them.
//
//   context.set_deadline(DeadlineIn(std::chrono::seconds(2)));
//   const std::chrono::milliseconds left = TimeUntil(context.raw_deadline(), /*at_most=*/std::chrono::minutes(1));
//
// Any thread.
#pragma once

#include <algorithm>
#include <chrono>

#include "grpc/support/time.h"

namespace lvs::services {

inline gpr_timespec DeadlineIn(std::chrono::milliseconds time) {
  return gpr_time_from_millis(time.count(), GPR_TIMESPAN);
}

// Below 0 where the deadline is over.
inline std::chrono::milliseconds TimeUntil(gpr_timespec deadline, std::chrono::milliseconds at_most) {
  const gpr_timespec left = gpr_convert_clock_type(deadline, GPR_TIMESPAN);
  const gpr_timespec most = gpr_time_from_millis(at_most.count(), GPR_TIMESPAN);
  if (gpr_time_cmp(left, most) >= 0) return at_most;
  return std::chrono::milliseconds(gpr_time_to_millis(left));
}

}  // namespace lvs::services
