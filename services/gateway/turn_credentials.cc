#include "services/gateway/turn_credentials.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace lvs::services {

TurnCredential MakeTurnCredential(std::string_view secret, std::int64_t expires_unix_s) {
  TurnCredential credential{.username = absl::StrCat(expires_unix_s, ":lvs"), .password = ""};
  std::array<unsigned char, EVP_MAX_MD_SIZE> code{};
  unsigned int size = 0;
  HMAC(EVP_sha1(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(credential.username.data()), credential.username.size(), code.data(),
       &size);
  absl::Base64Escape({reinterpret_cast<const char*>(code.data()), size}, &credential.password);
  return credential;
}

}  // namespace lvs::services
