#include "services/base/host_port.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstring>
#include <optional>

#include "absl/status/status.h"

namespace lvs::services {
namespace {

constexpr std::size_t kNameBytesMax = 253;
constexpr std::size_t kLabelBytesMax = 63;
constexpr std::size_t kQuotedBytesMax = 256;

absl::Status Bad(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError("\"" + std::string(text.substr(0, kQuotedBytesMax)) + "\" " + std::string(why));
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool AreDigits(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), IsDigit); }

std::optional<std::array<unsigned char, 4>> Ipv4(std::string_view host) {
  std::array<unsigned char, 4> bytes{};
  if (inet_pton(AF_INET, std::string(host).c_str(), bytes.data()) != 1) return std::nullopt;
  return bytes;
}

std::optional<std::array<unsigned char, 16>> Ipv6(std::string_view host) {
  std::array<unsigned char, 16> bytes{};
  if (inet_pton(AF_INET6, std::string(host).c_str(), bytes.data()) != 1) return std::nullopt;
  return bytes;
}

// The IPv4 address of the host, also where it is written as ::ffff:127.0.0.1.
std::optional<std::array<unsigned char, 4>> Ipv4OrMapped(std::string_view host) {
  if (const auto v4 = Ipv4(host)) return v4;
  const auto v6 = Ipv6(host);
  if (!v6 || !std::all_of(v6->begin(), v6->begin() + 10, [](unsigned char b) { return b == 0; })) return std::nullopt;
  if ((*v6)[10] != 0xff || (*v6)[11] != 0xff) return std::nullopt;
  return std::array<unsigned char, 4>{(*v6)[12], (*v6)[13], (*v6)[14], (*v6)[15]};
}

bool IsName(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty() || host.size() > kNameBytesMax) return false;
  std::size_t label = 0;
  char before = '.';
  for (const char c : host) {
    if (c == '.') {
      if (label == 0 || before == '-') return false;
      label = 0;
    } else {
      if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_') return false;
      if ((label == 0 && c == '-') || ++label > kLabelBytesMax) return false;
    }
    before = c;
  }
  return label > 0 && before != '-';
}

// "[v6]:port": the host, and the rest of the text as the port.
absl::Status SplitBracketed(std::string_view text, std::string* host, std::string_view* port) {
  const std::size_t close = text.find(']');
  if (close == std::string_view::npos) return Bad(text, "has no ] behind its IPv6 address; write [::1]:7400");
  *host = text.substr(1, close - 1);
  if (!Ipv6(*host)) {
    return Bad(text, "has no IPv6 address between its brackets; write for example [2001:db8::7]:7400");
  }
  if (close + 1 >= text.size() || text[close + 1] != ':') return Bad(text, "has no port; write [" + *host + "]:7400");
  *port = text.substr(close + 2);
  return absl::OkStatus();
}

absl::Status MissingHost(std::string_view text, const std::string& port) {
  return Bad(text, "has no host; write 127.0.0.1:" + port + " for this machine only, or 0.0.0.0:" + port +
                       " to listen on all its addresses");
}

// What somebody meant who wrote an IPv6 address without brackets: with a port, where it has one behind its last colon.
std::string InBrackets(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  const std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const bool has_port = port.size() > 2 && AreDigits(port) && Ipv6(host);
  if (has_port) return "[" + std::string(host) + "]:" + std::string(port);
  return (Ipv6(text) ? "[" + std::string(text) + "]" : "[2001:db8::7]") + ":7400";
}

// "host:port" without brackets.
absl::Status SplitPlain(std::string_view text, std::string* host, std::string_view* port) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    if (AreDigits(text)) return MissingHost(text, std::string(text.substr(0, kQuotedBytesMax)));
    return Bad(text, "has no port; write host:port, for example " +
                         (text.empty() ? "10.0.0.7" : std::string(text.substr(0, kQuotedBytesMax))) + ":7400");
  }
  *host = text.substr(0, colon);
  *port = text.substr(colon + 1);
  if (host->find(':') != std::string::npos) {
    return Bad(text, "has more than one colon; write an IPv6 address in brackets, " + InBrackets(text));
  }
  if (host->empty()) return MissingHost(text, std::string(port->substr(0, kQuotedBytesMax)));
  const bool numeric = std::all_of(host->begin(), host->end(), [](char c) { return IsDigit(c) || c == '.'; });
  if (numeric && !Ipv4(*host)) {
    return Bad(text, "is not an IPv4 address; it has four numbers of 0 to 255, as in 10.0.0.7:7400");
  }
  if (!numeric && !IsName(*host)) {
    return Bad(
        text,
        "is not host:port; a host is an IPv4 address, an IPv6 address in brackets, or a name of letters, digits, "
        "- and dots");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<HostPort> ParseHostPort(std::string_view text) {
  if (text.find("://") != std::string_view::npos) {
    return Bad(text, "is a URL; write host:port alone, for example 10.0.0.7:7400");
  }
  HostPort at;
  std::string_view port;
  const absl::Status split =
      text.starts_with('[') ? SplitBracketed(text, &at.host, &port) : SplitPlain(text, &at.host, &port);
  if (!split.ok()) return split;
  // One port is written in one way: without leading zeros.
  const bool plain = AreDigits(port) && (port.size() == 1 || port.front() != '0');
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), at.port);
  if (!plain || error != std::errc() || end != port.data() + port.size()) {
    return Bad(text,
               "has no port of 0 to 65535 behind its last colon; write for example " + FormatHostPort({at.host, 7400}));
  }
  return at;
}

absl::StatusOr<HostPort> ParseTarget(std::string_view text) {
  absl::StatusOr<HostPort> at = ParseHostPort(text);
  if (!at.ok()) return at;
  if (at->port == 0) {
    return absl::InvalidArgumentError(std::string(text) + " has port 0, which nobody can connect to; write 1 to 65535");
  }
  if (IsWildcard(at->host)) {
    return absl::InvalidArgumentError(
        std::string(text) +
        " stands for every address of a machine, and nobody can connect to that; write one address or a name");
  }
  return at;
}

bool IsIpv4(std::string_view host) { return Ipv4(host).has_value(); }
bool IsIpv6(std::string_view host) { return Ipv6(host).has_value(); }

std::string FormatHostPort(const HostPort& at) {
  const bool v6 = at.host.find(':') != std::string::npos;
  return (v6 ? "[" + at.host + "]" : at.host) + ":" + std::to_string(at.port);
}

bool IsLoopback(std::string_view host) {
  if (const auto v4 = Ipv4OrMapped(host)) return (*v4)[0] == 127;
  if (const auto v6 = Ipv6(host)) {
    return v6->back() == 1 && std::all_of(v6->begin(), v6->end() - 1, [](unsigned char b) { return b == 0; });
  }
  if (host.ends_with('.')) host.remove_suffix(1);
  constexpr std::string_view kLocal = "localhost";
  return std::equal(host.begin(), host.end(), kLocal.begin(), kLocal.end(),
                    [](unsigned char a, char b) { return std::tolower(a) == b; });
}

bool IsWildcard(std::string_view host) {
  if (const auto v4 = Ipv4OrMapped(host)) return *v4 == std::array<unsigned char, 4>{};
  const auto v6 = Ipv6(host);
  return v6 && *v6 == std::array<unsigned char, 16>{};
}

}  // namespace lvs::services
