// Reads the test vectors of this folder (docs/protocol.md, "Test vectors").
//
//   const nlohmann::json file = vectors::Read("ledger");
//   for (const nlohmann::json& c : vectors::Cases(file, "digests")) {
//     const vectors::Named named(c);                                  // failures say which case it was
//     EXPECT_EQ(ledger.digest(), vectors::Number(c.at("ledger_digest")));
//   }
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <fstream>
#include <string>

#include "nlohmann/json.hpp"

namespace lvs::vectors {

inline nlohmann::json Read(const std::string& name) {
  std::ifstream file(std::string(LVS_VECTORS_DIR) + "/" + name + ".json");
  return nlohmann::json::parse(file);
}

// A group of cases, which must not be empty.
inline const nlohmann::json& Cases(const nlohmann::json& file, const std::string& group) {
  const nlohmann::json& cases = file.at(group);
  EXPECT_FALSE(cases.empty()) << group << " has no cases";
  return cases;
}

// An integer, or text "0x...".
inline std::uint64_t Number(const nlohmann::json& value) {
  return value.is_string() ? std::stoull(value.get<std::string>(), nullptr, 16) : value.get<std::uint64_t>();
}
inline std::uint32_t Word(const nlohmann::json& value) { return static_cast<std::uint32_t>(Number(value)); }
// A float32, written as its bits.
inline float Float(const nlohmann::json& bits) { return std::bit_cast<float>(Word(bits)); }

inline std::string Bytes(const nlohmann::json& hex) {
  const auto text = hex.get<std::string>();
  std::string bytes;
  for (std::size_t n = 0; n + 1 < text.size(); n += 2) {
    bytes.push_back(static_cast<char>(std::stoi(text.substr(n, 2), nullptr, 16)));
  }
  return bytes;
}
inline std::string Hex(const std::string& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    hex += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return hex;
}

// Adds the case to the messages of failures.
class Named {
 public:
  explicit Named(const nlohmann::json& c)
      : trace_(__FILE__, __LINE__, c.contains("name") ? c.at("name").get<std::string>() : c.dump()) {}

 private:
  testing::ScopedTrace trace_;
};

}  // namespace lvs::vectors
