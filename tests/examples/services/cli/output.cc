#include "services/cli/output.h"

#include <iostream>

namespace lvs::services {
void Example() { EXAMPLE; }
}  // namespace lvs::services
