#include "proto/testnet_json.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace lvs::proto {
namespace {

using Json = nlohmann::json;
using Floats = google::protobuf::RepeatedField<float>;

constexpr std::uint64_t kMaxSafeInteger = (std::uint64_t{1} << 53) - 1;
constexpr std::uint64_t kMaxUint32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kMicrosPerMilli = 1000;

template <class... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("testnet JSON: ", parts...));
}

// ---- Reading ----

// Reads the keys of one object. The first thing wrong is kept; what is read after it does not matter.
class Reader {
 public:
  explicit Reader(const Json& object) : object_(object) {}

  const absl::Status& status() const { return status_; }

  void ReadVector(const char* key, Floats* out) {
    const Json* value = Required(key);
    if (value == nullptr) return;
    if (!value->is_array()) return Fail("\"", key, "\" must be an array of numbers");
    if (value->empty()) return Fail("\"", key, "\" has dimension 0");
    if (value->size() > static_cast<std::size_t>(kTestnetMaxDimension)) {
      return Fail("\"", key, "\" has dimension ", value->size(), ", at most ", kTestnetMaxDimension, " are allowed");
    }
    for (const Json& element : *value) out->Add(ToFloat(key, element));
  }

  // A number from 0 to 1.
  float ReadShare(const char* key, bool required) {
    const Json* value = required ? Required(key) : Optional(key);
    if (value == nullptr) return 0;
    const float share = ToFloat(key, *value);
    if (!(share >= 0 && share <= 1)) Fail("\"", key, "\" must be from 0 to 1");
    return share;
  }

  std::uint64_t ReadInteger(const char* key, bool required, std::uint64_t max) {
    const Json* value = required ? Required(key) : Optional(key);
    if (value == nullptr) return 0;
    const bool natural = value->is_number_unsigned() || (value->is_number_integer() && value->get<std::int64_t>() >= 0);
    if (!natural || value->get<std::uint64_t>() > max) {
      Fail("\"", key, "\" must be an integer from 0 to ", max);
      return 0;
    }
    return value->get<std::uint64_t>();
  }

  void AllowKeys(std::initializer_list<std::string_view> allowed) {
    for (const auto& item : object_.items()) {
      bool known = false;
      for (const std::string_view key : allowed) known = known || key == item.key();
      if (!known) Fail("unknown key ", Json(item.key()).dump());
    }
  }

 private:
  template <class... Parts>
  void Fail(const Parts&... parts) {
    if (status_.ok()) status_ = Invalid(parts...);
  }

  const Json* Optional(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }

  const Json* Required(const char* key) {
    const Json* value = Optional(key);
    if (value == nullptr) Fail("missing key \"", key, "\"");
    return value;
  }

  float ToFloat(const char* key, const Json& value) {
    if (!value.is_number()) {
      Fail("\"", key, "\" holds ", value.type_name(), " where a number belongs");
      return 0;
    }
    const auto number = static_cast<float>(value.get<double>());
    if (!std::isfinite(number)) Fail("\"", key, "\" holds a number too large for a float");
    return number;
  }

  const Json& object_;
  absl::Status status_;
};

// The parser keeps the last of repeated keys; this finds them.
absl::StatusOr<Json> ParseObject(std::string_view text) {
  if (text.size() > kTestnetMaxBytes) {
    return Invalid("message of ", text.size(), " bytes, at most ", kTestnetMaxBytes, " are allowed");
  }
  std::set<std::string> keys;
  std::string repeated;
  const auto note_keys = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::key && depth == 1 && !keys.insert(parsed.get<std::string>()).second) {
      repeated = parsed.dump();
    }
    return true;
  };
  Json object;
  try {
    object = Json::parse(text.begin(), text.end(), note_keys);
  } catch (const Json::exception& error) {
    return Invalid(error.what());
  }
  if (!object.is_object()) return Invalid("a message is an object, not ", object.type_name());
  if (!repeated.empty()) return Invalid("repeated key ", repeated);
  return object;
}

// ---- Writing ----

// The shortest text that reads back as the same float, also for a reader that goes through a double as browsers do.
void AppendNumber(float value, std::string* out) {
  if (value == 0) {
    out->append(std::signbit(value) ? "-0.0" : "0");  // "-0" would read back as the integer 0
    return;
  }
  std::array<char, 32> text;
  char* end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  double back = 0;
  std::from_chars(text.data(), end, back);
  if (static_cast<float>(back) != value) {
    end = std::to_chars(text.data(), text.data() + text.size(), static_cast<double>(value)).ptr;
  }
  out->append(text.data(), end);
}

absl::Status AppendVector(const char* key, const Floats& values, std::string* out) {
  if (values.empty()) return Invalid("\"", key, "\" has dimension 0");
  if (values.size() > kTestnetMaxDimension) {
    return Invalid("\"", key, "\" has dimension ", values.size(), ", at most ", kTestnetMaxDimension, " are allowed");
  }
  absl::StrAppend(out, ",\"", key, "\":");
  char separator = '[';
  for (const float value : values) {
    if (!std::isfinite(value)) return Invalid("\"", key, "\" holds NaN or infinity");
    out->push_back(separator);
    AppendNumber(value, out);
    separator = ',';
  }
  out->push_back(']');
  return absl::OkStatus();
}

absl::Status AppendShare(const char* key, float share, std::string* out) {
  if (!(share >= 0 && share <= 1)) return Invalid("\"", key, "\" must be from 0 to 1");
  absl::StrAppend(out, ",\"", key, "\":");
  AppendNumber(share, out);
  return absl::OkStatus();
}

absl::Status AppendInteger(const char* key, std::uint64_t value, std::string* out) {
  if (value > kMaxSafeInteger) return Invalid("\"", key, "\" must be an integer from 0 to ", kMaxSafeInteger);
  absl::StrAppend(out, ",\"", key, "\":", value);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TestnetMessage> ParseTestnetJson(std::string_view text) {
  const absl::StatusOr<Json> object = ParseObject(text);
  if (!object.ok()) return object.status();
  const auto type = object->find("type");
  if (type == object->end()) return Invalid("missing key \"type\"");
  Reader reader(*object);
  if (*type == "ep") {
    v1::EntropyPacket packet;
    reader.AllowKeys({"type", "entropy", "ts", "load", "flags"});
    reader.ReadVector("entropy", packet.mutable_entropy_vector());
    packet.set_timestamp_us(reader.ReadInteger("ts", true, kMaxSafeInteger) * kMicrosPerMilli);
    packet.set_local_node_load(reader.ReadShare("load", false));
    const std::uint64_t flags = reader.ReadInteger("flags", false, kMaxUint32);
    if (flags != 0) packet.set_noise_flags(static_cast<std::uint32_t>(flags));
    if (!reader.status().ok()) return reader.status();
    return packet;
  }
  if (*type == "sdm") {
    v1::StateDiff diff;
    reader.AllowKeys({"type", "diff", "w", "shard", "cycle"});
    reader.ReadVector("diff", diff.mutable_diff_vector());
    diff.set_drift_weight(reader.ReadShare("w", true));
    diff.set_shard_id(static_cast<std::uint32_t>(reader.ReadInteger("shard", false, kMaxUint32)));
    diff.set_cycle_id(reader.ReadInteger("cycle", false, kMaxSafeInteger));
    if (!reader.status().ok()) return reader.status();
    return diff;
  }
  return Invalid("unknown type, it must be \"ep\" or \"sdm\"");
}

absl::StatusOr<std::string> ToTestnetJson(const v1::EntropyPacket& packet) {
  std::string out = R"({"type":"ep")";
  absl::Status status = AppendVector("entropy", packet.entropy_vector(), &out);
  status.Update(AppendInteger("ts", packet.timestamp_us() / kMicrosPerMilli, &out));
  if (packet.local_node_load() != 0) status.Update(AppendShare("load", packet.local_node_load(), &out));
  if (packet.noise_flags() != 0) status.Update(AppendInteger("flags", packet.noise_flags(), &out));
  if (!status.ok()) return status;
  return out + "}";
}

absl::StatusOr<std::string> ToTestnetJson(const v1::StateDiff& diff) {
  std::string out = R"({"type":"sdm")";
  absl::Status status = AppendVector("diff", diff.diff_vector(), &out);
  status.Update(AppendShare("w", diff.drift_weight(), &out));
  if (diff.shard_id() != 0) status.Update(AppendInteger("shard", diff.shard_id(), &out));
  if (diff.cycle_id() != 0) status.Update(AppendInteger("cycle", diff.cycle_id(), &out));
  if (!status.ok()) return status;
  return out + "}";
}

}  // namespace lvs::proto
