// A file format as a person reads it, from the schema and its comments: what `lvs scenario explain` prints.
#pragma once

#include <string>

#include "google/protobuf/descriptor.h"

namespace lvs::services {

// For each key the comment of the schema, what the key takes, and whether it is required; indented by nesting. Comments
// are known for the schemas that services/base/CMakeLists.txt embeds.
std::string DescribeYaml(const google::protobuf::Descriptor& type);

}  // namespace lvs::services
