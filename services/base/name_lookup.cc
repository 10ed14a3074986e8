#include "services/base/name_lookup.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include "absl/strings/str_cat.h"

namespace lvs::services {

namespace {

constexpr int kAddressesMax = 32;

void LookUp(const std::string& address, v1::PeerExchange* found) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos || address.front() == '[') return;
  const std::string host = address.substr(0, colon);
  in_addr literal{};
  if (inet_pton(AF_INET, host.c_str(), &literal) == 1) return;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* results = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &results) != 0) return;
  for (const addrinfo* at = results; at != nullptr && found->peers_size() < kAddressesMax; at = at->ai_next) {
    char text[INET6_ADDRSTRLEN] = {};
    if (at->ai_family == AF_INET) {
      inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(at->ai_addr)->sin_addr, text, sizeof text);
      found->add_peers()->set_address(absl::StrCat(text, address.substr(colon)));
    } else if (at->ai_family == AF_INET6) {
      inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(at->ai_addr)->sin6_addr, text, sizeof text);
      found->add_peers()->set_address(absl::StrCat("[", text, "]", address.substr(colon)));
    }
  }
  freeaddrinfo(results);
}

}  // namespace

v1::PeerExchange LookUpNames(const std::vector<std::string>& addresses) {
  v1::PeerExchange found;
  for (const std::string& address : addresses) LookUp(address, &found);
  return found;
}

}  // namespace lvs::services
