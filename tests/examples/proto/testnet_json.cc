#include "proto/testnet_json.h"

#include <string_view>
#include <variant>

namespace lvs::proto {
void Take(const v1::EntropyPacket& packet);
absl::Status Example(std::string_view received, const v1::EntropyPacket& packet) {
  EXAMPLE;
  return absl::OkStatus();
}
}  // namespace lvs::proto
