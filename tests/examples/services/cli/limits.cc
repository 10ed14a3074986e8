#include "services/cli/limits.h"

#include <iostream>

namespace lvs::services {
void Example() { EXAMPLE; }
}  // namespace lvs::services
