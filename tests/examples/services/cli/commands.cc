#include "services/cli/commands.h"

#include <CLI/CLI.hpp>
#include <ostream>

#include "services/cli/cli.h"

namespace lvs::services {
int Example(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  EXAMPLE;
  return kExitUsage;
}
}  // namespace lvs::services
