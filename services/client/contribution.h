// Sessions, amounts and durability in the text form of command lines and files.
//
//   const SessionId session = RandomSession();
//   std::string line = SessionText(session) + " has earned " + ValueText(2'500'000);   // "... has earned 2.5VU"
//
// Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lvs/v1/control.pb.h"

namespace lvs::services {

// The 128 random bits that identify a client's session for the client's lifetime (SPEC-4). Session id 0 is reserved.
struct SessionId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend auto operator<=>(const SessionId&, const SessionId&) = default;
};

SessionId RandomSession();  // from the system's source of randomness

// Session ids are written as 32 hexadecimal digits. INVALID_ARGUMENT for any other text, and for zero.
std::string SessionText(const SessionId& session);
absl::StatusOr<SessionId> ParseSession(std::string_view text);

// Formats an amount of micro-VU: 2500000 -> "2.5VU".
std::string ValueText(std::int64_t uvu);

// Parses "memory", "disk" or "nodes:2" into `request`. INVALID_ARGUMENT for any other text.
absl::Status ParseDurability(std::string_view text, v1::ContributeRequest* request);

// The inverse of ParseDurability; `nodes` matters for NODES only.
std::string DurabilityText(v1::Durability durability, std::uint32_t nodes);

}  // namespace lvs::services
