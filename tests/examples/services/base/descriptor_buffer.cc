#include "services/base/descriptor_buffer.h"

#include <ostream>
#include <string>

#include "services/base/text.h"

namespace lvs::services {
void Example() { EXAMPLE; }
}  // namespace lvs::services
