// Credentials for a TURN server that are valid for a while, made from a secret that the server shares: coturn's
// use-auth-secret, after draft-uberti-behave-turn-rest. Tabs that cannot reach each other connect through it.
//
//   const TurnCredential credential = MakeTurnCredential(secret, now_unix_s + 3600);
//
// Stateless: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lvs::services {

struct TurnCredential {
  std::string username;  // "EXPIRES:lvs", in seconds since 1970
  std::string password;  // Base64 of the HMAC-SHA1 of the user name
};

TurnCredential MakeTurnCredential(std::string_view secret, std::int64_t expires_unix_s);

}  // namespace lvs::services
