#include "services/peering/membership.h"

#include <cstdint>
#include <string>

namespace lvs::services {
void Dial(const std::string& address);
void Send(LinkId link, const v1::PeerExchange& sample);
void Close(LinkId link, const absl::Status& why);
void Example(std::uint64_t seed, const shard::SessionId& session, double now) { EXAMPLE; }
}  // namespace lvs::services
