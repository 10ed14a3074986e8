#include "services/cli/testnet_reporter.h"

#include <chrono>
#include <ostream>

#include "services/cli/output.h"

namespace lvs::services {
int Example(std::ostream& out, std::ostream& err) { EXAMPLE; }
}  // namespace lvs::services
