// Addresses as configurations, peers and tools write them: host:port, with an IPv6 address in brackets. This is the
// only parser of addresses; whoever reads one from text calls it.
//
//   absl::StatusOr<HostPort> at = ParseHostPort("[2001:db8::7]:7400");   // {"2001:db8::7", 7400}
//   FormatHostPort(*at);                                                 // "[2001:db8::7]:7400"
//
// Errors are INVALID_ARGUMENT, quote the text (at most 256 characters of it) and say what to write instead. Purely
// textual: nothing here asks DNS. Stateless: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace lvs::services {

struct HostPort {
  std::string host;  // an IPv4 address, an IPv6 address without its brackets, or a name
  std::uint16_t port = 0;
  bool operator==(const HostPort&) const = default;
};

// To listen on: port 0, which lets the system choose one, and wildcards are accepted.
absl::StatusOr<HostPort> ParseHostPort(std::string_view text);

// To connect to: refuses port 0 and wildcards too.
absl::StatusOr<HostPort> ParseTarget(std::string_view text);

// What ParseHostPort reads back.
std::string FormatHostPort(const HostPort& at);

// Whether the host is an IPv4 or IPv6 address; otherwise the resolver must look it up.
bool IsIpv4(std::string_view host);
bool IsIpv6(std::string_view host);

// 127.0.0.0/8, ::1 and their IPv4-mapped forms, and the name localhost. Any other name counts as not loopback.
bool IsLoopback(std::string_view host);

// 0.0.0.0 and ::, which stand for every address of the machine: to listen on, never to connect to.
bool IsWildcard(std::string_view host);

}  // namespace lvs::services
