#include "services/cli/testnet_commands.h"

#include <CLI/CLI.hpp>
#include <cstddef>
#include <ostream>

namespace lvs::services::example {
EXAMPLE;
}  // namespace lvs::services::example
