#include "services/net/web_socket.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "services/net/web_link.h"

namespace lvs::services {

namespace {

constexpr std::uint16_t kLastStatusCode = static_cast<std::uint16_t>(absl::StatusCode::kUnauthenticated);

// Bytes of the UTF-8 character that begins the text; 0 where none does.
std::size_t CharacterBytes(std::string_view text) {
  const auto byte = [&](std::size_t n) { return static_cast<unsigned char>(text[n]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : 4;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return 0;
  for (std::size_t n = 1; n < size; ++n) {
    if ((byte(n) & 0xc0) != 0x80) return 0;
  }
  // No overlong forms, surrogates or characters above U+10FFFF.
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f)) return 0;
  if ((first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f)) return 0;
  return size;
}

absl::StatusCode CodeOfClose(std::uint16_t code) {
  if (code > kCloseOfStatus && code <= kCloseOfStatus + kLastStatusCode) {
    return static_cast<absl::StatusCode>(code - kCloseOfStatus);
  }
  switch (code) {
    case 1002:
    case kCloseText:
    case 1007:
    case 1009: return absl::StatusCode::kInvalidArgument;
    case 1008: return absl::StatusCode::kPermissionDenied;
    case 1011: return absl::StatusCode::kInternal;
    case 1013: return absl::StatusCode::kResourceExhausted;
    default: return absl::StatusCode::kUnavailable;
  }
}

}  // namespace

std::uint16_t CloseCodeOf(const absl::Status& status) {
  if (status.ok()) return kCloseNormal;
  return static_cast<std::uint16_t>(kCloseOfStatus + static_cast<int>(status.code()));
}

std::string CloseWordsOf(const absl::Status& status) {
  const std::string message(status.message());
  std::string words;
  for (std::string_view rest = message; !rest.empty();) {
    const std::size_t size = CharacterBytes(rest);
    if (words.size() + std::max<std::size_t>(size, 1) > kCloseWordsMax) break;
    words += size == 0 ? std::string_view("?") : rest.substr(0, size);
    rest.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return words;
}

absl::Status StatusOfClose(std::uint16_t code, std::string_view words) {
  const absl::StatusCode status = CodeOfClose(code);
  if (!words.empty()) return {status, std::string(words)};
  return {status, absl::StrCat("the peer closed the WebSocket with code ", code, " and no words")};
}

void WebSocketCarrier::Read() { link_->Read(); }
void WebSocketCarrier::Write(MessageBytes message) { link_->Write(std::move(message)); }
void WebSocketCarrier::End(const absl::Status& why) { link_->End(why); }
void WebSocketCarrier::Abort() { link_->PostAbort(); }

}  // namespace lvs::services
