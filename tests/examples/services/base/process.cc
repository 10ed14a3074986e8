#include "services/base/process.h"

#include <csignal>

#include "services/base/poll.h"

namespace lvs::services {
void Example() { EXAMPLE; }
}  // namespace lvs::services
