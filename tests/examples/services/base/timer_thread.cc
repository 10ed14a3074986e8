#include "services/base/timer_thread.h"

#include <chrono>

namespace lvs::services {
void Example(TimerThread::Time now) { EXAMPLE; }
}  // namespace lvs::services
