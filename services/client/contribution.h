// Sessions and durability as a command line and a file write them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lvs/v1/control.pb.h"

namespace lvs::services {

// 128 random bits that live as long as a client does (SPEC-4); never zero.
struct SessionId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend auto operator<=>(const SessionId&, const SessionId&) = default;
};

SessionId RandomSession();  // from the system's source of randomness; any thread

// 32 hexadecimal digits. INVALID_ARGUMENT for anything else, and for zero.
std::string SessionText(const SessionId& session);
absl::StatusOr<SessionId> ParseSession(std::string_view text);

// "memory", "disk" or "nodes:2" into `request`. INVALID_ARGUMENT for anything else.
absl::Status ParseDurability(std::string_view text, v1::ContributeRequest* request);

}  // namespace lvs::services
