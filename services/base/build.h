#pragma once

#include <string>

namespace lvs::services {

// `git describe --always --dirty` of the tree at build time; "unknown" without git. Generated: see CMakeLists.txt.
std::string BuildString();

}  // namespace lvs::services
