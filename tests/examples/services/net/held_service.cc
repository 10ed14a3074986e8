#include "services/net/held_service.h"

#include "google/protobuf/wrappers.pb.h"

namespace lvs::services {
using Ping = google::protobuf::StringValue;
using Pong = google::protobuf::StringValue;
using EchoReactor = EndedCall<Ping, Pong>;
void Example() { EXAMPLE; }
}  // namespace lvs::services
