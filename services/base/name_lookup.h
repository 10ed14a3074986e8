// Which addresses a configured address stands for: a host name may be that of many nodes.
//
//   LookUpNames({"nodes.example:7400"});   // {"10.0.0.7:7400", "[2001:db8::7]:7400"}
//
// Any thread.
#pragma once

#include <string>
#include <vector>

namespace lvs::services {

// Asks the system's resolver for each host:port whose host is a name. Hosts that are numeric addresses already, names
// that nobody knows and texts that are no address add nothing. At most 32 in all. Blocks for as long as the resolver
// does.
std::vector<std::string> LookUpNames(const std::vector<std::string>& addresses);

}  // namespace lvs::services
