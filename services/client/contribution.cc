#include "services/client/contribution.h"

#include <charconv>
#include <random>

#include "services/base/text.h"

namespace lvs::services {

SessionId RandomSession() {
  std::random_device random;
  const auto word = [&random] { return (std::uint64_t{random()} << 32) | random(); };
  SessionId session{word(), word()};
  while (session == SessionId{}) session = {word(), word()};
  return session;
}

std::string SessionText(const SessionId& session) { return FormatHex(session.high) + FormatHex(session.low); }

std::string ValueText(std::int64_t uvu) { return FormatMillionths(uvu) + "VU"; }

absl::StatusOr<SessionId> ParseSession(std::string_view text) {
  SessionId session;
  const auto read = [](std::string_view digits, std::uint64_t* word) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), *word, 16);
    return error == std::errc() && end == digits.data() + digits.size();
  };
  if (text.size() != 32 || !read(text.substr(0, 16), &session.high) || !read(text.substr(16), &session.low)) {
    return absl::InvalidArgumentError(std::string(text) + " is not a session; write its 32 hexadecimal digits");
  }
  if (session == SessionId{}) return absl::InvalidArgumentError("session id 0 is reserved; draw 128 random bits");
  return session;
}

absl::Status ParseDurability(std::string_view text, v1::ContributeRequest* request) {
  constexpr std::string_view kNodes = "nodes:";
  if (text == "memory") {
    request->set_durability(v1::MEMORY);
  } else if (text == "disk") {
    request->set_durability(v1::DISK);
  } else {
    std::uint32_t nodes = 0;
    const char* last = text.data() + text.size();
    const std::from_chars_result read =
        text.starts_with(kNodes) ? std::from_chars(text.data() + kNodes.size(), last, nodes) : std::from_chars_result{};
    if (!text.starts_with(kNodes) || read.ec != std::errc() || read.ptr != last || nodes == 0) {
      return absl::InvalidArgumentError(std::string(text) + " is not a durability; write memory, disk or nodes:2");
    }
    request->set_durability(v1::NODES);
    request->set_nodes(nodes);
  }
  return absl::OkStatus();
}

std::string DurabilityText(v1::Durability durability, std::uint32_t nodes) {
  switch (durability) {
    case v1::DISK: return "disk";
    case v1::NODES: return "nodes:" + std::to_string(nodes);
    default: return "memory";
  }
}

}  // namespace lvs::services
