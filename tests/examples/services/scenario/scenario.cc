#include "services/scenario/scenario.h"

#include <iostream>

#include "services/emulator/emulator.h"

namespace lvs::services {
void Example() { EXAMPLE; }
}  // namespace lvs::services
