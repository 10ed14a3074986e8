// Which addresses a configured one stands for: a host name may be that of many nodes.
#pragma once

#include <string>
#include <vector>

#include "lvs/v1/peer.pb.h"

namespace lvs::services {

// Asks the system's resolver for each host:port whose host is a name; addresses that are written as numbers are left
// out, as are names that nobody knows. At most 32 in all. Blocks for as long as the resolver does.
v1::PeerExchange LookUpNames(const std::vector<std::string>& addresses);

}  // namespace lvs::services
