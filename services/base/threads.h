// Whether this process may start threads.
//
//   if (absl::Status can = CheckThreads(8); !can.ok()) return can;
//
// A library that starts several threads leaves no way back where only some of them start. So whoever is about to start
// such a library asks first.
#pragma once

#include "absl/status/status.h"

namespace lvs::services {

// Starts `count` threads at once, and ends them. RESOURCE_EXHAUSTED where they cannot all be started; the message says
// which limits to raise. Any thread.
absl::Status CheckThreads(unsigned count);

}  // namespace lvs::services
