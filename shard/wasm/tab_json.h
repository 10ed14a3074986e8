// One JSON object, written field by field. Texts are valid UTF-8, as the codec has checked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lvs::wasm {

class JsonObject {
 public:
  JsonObject& Text(std::string_view name, std::string_view value) {
    Name(name);
    Quote(value);
    return *this;
  }
  JsonObject& Number(std::string_view name, std::uint64_t value) {
    Name(name);
    text_ += std::to_string(value);
    return *this;
  }
  JsonObject& Bool(std::string_view name, bool value) {
    Name(name);
    text_ += value ? "true" : "false";
    return *this;
  }
  // `json` is a value.
  JsonObject& Value(std::string_view name, std::string_view json) {
    Name(name);
    text_ += json;
    return *this;
  }
  std::string Done() const { return text_ + "}"; }

 private:
  void Name(std::string_view name) {
    if (text_.size() > 1) text_ += ',';
    Quote(name);
    text_ += ':';
  }
  void Quote(std::string_view value) {
    constexpr std::string_view kHex = "0123456789abcdef";
    text_ += '"';
    for (const char c : value) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x20) {
        text_ += "\\u00";
        text_ += kHex[byte >> 4];
        text_ += kHex[byte & 15];
        continue;
      }
      if (c == '"' || c == '\\') text_ += '\\';
      text_ += c;
    }
    text_ += '"';
  }

  std::string text_ = "{";
};

}  // namespace lvs::wasm
