#include "services/client/load.h"

#include <vector>

namespace lvs::services {
void Example(const std::vector<ControlClient>& clients) { EXAMPLE; }
}  // namespace lvs::services
