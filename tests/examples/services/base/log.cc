#include "services/base/log.h"

#include <string>

namespace lvs::services {
void Example(const std::string& address) { EXAMPLE; }
}  // namespace lvs::services
