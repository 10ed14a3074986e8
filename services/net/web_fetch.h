// Fetches one small page of a node's web server, and waits for it: how a tool learns what network a hub is of.
//
//   absl::StatusOr<WebUrl> url = ParseWebUrl("wss://hub.example/peer");
//   url->target = "/config.json";
//   absl::StatusOr<std::string> page = FetchPage(*url, /*ca_file=*/"", std::chrono::seconds(5));
//
// Any thread.
#pragma once

#include <chrono>
#include <string>

#include "absl/status/statusor.h"
#include "services/net/web_client.h"

namespace lvs::services {

inline constexpr std::size_t kPageBytesMax = 1 << 20;

// UNAVAILABLE, DEADLINE_EXCEEDED or UNAUTHENTICATED where the server cannot be reached, NOT_FOUND where it has no such
// page; the words say what to do.
absl::StatusOr<std::string> FetchPage(const WebUrl& url, const std::string& ca_file,
                                      std::chrono::milliseconds patience);

}  // namespace lvs::services
