#include "services/base/poll.h"

#include "services/base/process.h"

namespace lvs::services {
void Example() { EXAMPLE; }
}  // namespace lvs::services
