#include "services/cli/cli.h"

#include <gtest/gtest.h>

#include <sstream>

namespace lvs::services {
void Example() { EXAMPLE; }
}  // namespace lvs::services
