#include "services/base/yaml_proto.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "lvs/v1/units.pb.h"

namespace lvs::services {

std::string_view FileSchemas();  // cmake/EmbedBytes.cmake: a FileDescriptorSet with comments

namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::OneofDescriptor;
using google::protobuf::Reflection;

// Whole numbers with a unit stay exact in a double and two of them can be added without overflow: 285 years of
// microseconds, nine billion VU.
constexpr double kScaledMax = 9007199254740992.0;

// ---- Units ---------------------------------------------------------------------------------------------------------

struct Suffix {
  std::string_view text;
  double factor;  // stored value = written number * factor
  Dimension dimension = Dimension::kNone;
};

struct UnitRule {
  std::vector<Suffix> suffixes;
  std::string_view examples;  // "write 100ms, 2s, 5m or 1h"
  std::string_view word;      // "a duration"
  double max;                 // of the stored value
  std::string_view range;     // shown when max is passed
};

const UnitRule& RuleOf(v1::Unit unit) {
  static const UnitRule duration{{{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"h", 3600e6}},
                                 "100ms, 2s, 5m or 1h",
                                 "a duration",
                                 kScaledMax,
                                 "at most 2500000h"};
  static const UnitRule share{{{"%", 0.01}}, "1% or 0.5%", "a share", 1.0, "between 0% and 100%"};
  static const UnitRule share_rate{{{"%/s", 0.01}}, "2%/s", "a share a second", 1.0, "between 0%/s and 100%/s"};
  static const UnitRule value{
      {{"VU", 1e6}, {"uVU", 1}}, "0.1VU or 250uVU", "a value", kScaledMax, "at most 9000000000VU"};
  static const UnitRule value_rate{
      {{"VU/s", 1e6}, {"uVU/s", 1}}, "100VU/s", "a value a second", kScaledMax, "at most 9000000000VU/s"};
  static const UnitRule of_metric{{{"", 1},
                                   {"h", 3600, Dimension::kTime},
                                   {"m", 60, Dimension::kTime},
                                   {"s", 1, Dimension::kTime},
                                   {"ms", 1e-3, Dimension::kTime},
                                   {"us", 1e-6, Dimension::kTime},
                                   {"B", 1, Dimension::kBytes},
                                   {"KB", 1e3, Dimension::kBytes},
                                   {"MB", 1e6, Dimension::kBytes},
                                   {"GB", 1e9, Dimension::kBytes},
                                   {"%", 0.01, Dimension::kShare},
                                   {"VU", 1e6, Dimension::kValue},
                                   {"uVU", 1, Dimension::kValue}},
                                  "5s, 50KB, 1%, 2VU or a plain number such as 1e-6",
                                  "a limit",
                                  std::numeric_limits<double>::max(),
                                  "a finite number"};
  static const UnitRule none{
      {{"", 1}}, "a plain number", "a number", std::numeric_limits<double>::max(), "a finite number"};
  switch (unit) {
    case v1::UNIT_DURATION_US: return duration;
    case v1::UNIT_SHARE: return share;
    case v1::UNIT_SHARE_PER_SECOND: return share_rate;
    case v1::UNIT_VALUE_UVU: return value;
    case v1::UNIT_VALUE_UVU_PER_SECOND: return value_rate;
    case v1::UNIT_OF_METRIC: return of_metric;
    default: return none;
  }
}

std::string Quoted(std::string_view text) {
  std::string shown(text.substr(0, 60));
  if (text.size() > 60) shown += "...";
  return "\"" + shown + "\"";
}

absl::Status Invalid(const std::string& message) { return absl::InvalidArgumentError(message); }

// The number at the start of `text` and whatever follows it.
absl::StatusOr<std::pair<double, std::string_view>> SplitNumber(std::string_view text, const UnitRule& rule) {
  const std::string mend = "; write " + std::string(rule.examples);
  if (text.empty()) return Invalid("has no value" + mend);
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const std::size_t sign = lower.find_first_not_of("+-");
  const std::string_view unsigned_part = sign == std::string::npos ? "" : std::string_view(lower).substr(sign);
  if (unsigned_part.starts_with(".inf") || unsigned_part.starts_with("inf") || unsigned_part.starts_with(".nan") ||
      unsigned_part.starts_with("nan")) {
    return Invalid(std::string(text) + " is not a finite number" + mend);
  }
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::result_out_of_range) return Invalid(std::string(text) + " is out of range" + mend);
  if (error != std::errc()) return Invalid(Quoted(text) + " is not " + std::string(rule.word) + mend);
  std::string_view rest(end, text.data() + text.size() - end);
  if (rest.starts_with(' ')) rest.remove_prefix(1);
  return std::pair(number, rest);
}

struct Quantity {
  double value;
  Dimension dimension;
};

// A number and its unit, in the stored unit and within the unit's range. Callers that store whole numbers round.
absl::StatusOr<Quantity> ParseQuantity(std::string_view text, v1::Unit unit) {
  const UnitRule& rule = RuleOf(unit);
  const std::string mend = "; write " + std::string(rule.examples);
  const auto split = SplitNumber(text, rule);
  if (!split.ok()) return split.status();
  const auto [number, suffix] = *split;
  const auto found = std::find_if(rule.suffixes.begin(), rule.suffixes.end(),
                                  [rest = suffix](const Suffix& known) { return known.text == rest; });
  if (found == rule.suffixes.end()) {
    if (suffix.empty()) return Invalid(std::string(text) + " has no unit" + mend);
    if (unit == v1::UNIT_NONE) return Invalid(std::string(text) + " takes no unit; write a plain number");
    return Invalid(std::string(text) + ": " + Quoted(suffix) + " is not a unit of " + std::string(rule.word) + mend);
  }
  // Dividing by 100 is exact where multiplying by 0.01 is not: 35% must be 0.35.
  const double value = found->factor == 0.01 ? number / 100 : number * found->factor;
  const bool signed_allowed = unit == v1::UNIT_NONE || unit == v1::UNIT_OF_METRIC;
  if (std::signbit(number) && number != 0 && !signed_allowed) {
    return Invalid(std::string(text) + " is negative; " + std::string(rule.word) + " is " +
                   (rule.max == 1.0 ? std::string(rule.range) : "0 or more"));
  }
  if (value > rule.max) return Invalid(std::string(text) + " is out of range; it must be " + std::string(rule.range));
  return Quantity{value, found->dimension};
}

// As ParseQuantity, for fields that store a whole number of the small unit.
absl::StatusOr<std::int64_t> ParseWholeQuantity(std::string_view text, v1::Unit unit) {
  const absl::StatusOr<Quantity> quantity = ParseQuantity(text, unit);
  if (!quantity.ok()) return quantity.status();
  const double rounded = std::round(quantity->value);
  if (std::abs(quantity->value - rounded) > 1e-9 * std::max(1.0, rounded)) {
    const std::string_view small = unit == v1::UNIT_DURATION_US ? "1us" : "1uVU";
    return Invalid(std::string(text) + " is finer than " + std::string(small) + ", the smallest step; round it");
  }
  return static_cast<std::int64_t>(rounded);
}

template <typename Integer>
absl::StatusOr<Integer> ParseWhole(std::string_view text) {
  Integer number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  const std::string range = "between " + std::to_string(std::numeric_limits<Integer>::min()) + " and " +
                            std::to_string(std::numeric_limits<Integer>::max());
  const bool digits = text.size() > (text.starts_with('-') ? 1u : 0u) &&
                      text.find_first_not_of("0123456789", text.starts_with('-') ? 1 : 0) == std::string_view::npos;
  if (digits) return Invalid(std::string(text) + " is out of range; it must be " + range);
  const bool separators = !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) &&
                          text.find_first_not_of("0123456789,_'") == std::string_view::npos;
  if (separators) return Invalid(Quoted(text) + " is not a whole number; write the digits without separators");
  const bool number_with_unit = !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) &&
                                std::isalpha(static_cast<unsigned char>(text.back()));
  if (number_with_unit) return Invalid(Quoted(text) + " is not a whole number; it takes no unit");
  return Invalid(Quoted(text) + " is not a whole number; write one such as 16");
}

// ---- Schema --------------------------------------------------------------------------------------------------------

const v1::Yaml& OptionsOf(const FieldDescriptor& field) { return field.options().GetExtension(v1::yaml); }

bool IsPlainList(const Descriptor& type) { return type.field_count() == 1 && type.field(0)->is_repeated(); }

const FieldDescriptor* FindField(const Descriptor& type, std::string_view key) {
  for (int i = 0; i < type.field_count(); ++i) {
    if (YamlKey(*type.field(i)) == key) return type.field(i);
  }
  return nullptr;
}

std::vector<std::string> OneofKeys(const OneofDescriptor& oneof) {
  std::vector<std::string> keys;
  for (int i = 0; i < oneof.field_count(); ++i) keys.push_back(YamlKey(*oneof.field(i)));
  return keys;
}

// What the entries of a list are.
std::string Several(const FieldDescriptor& field) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) return "words";
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return "numbers";
  const Descriptor& type = *field.message_type();
  return IsPlainList(type) ? "lists of " + Several(*type.field(0)) : "entries";
}

// What a key takes, for messages and for DescribeYaml.
std::string Takes(const FieldDescriptor& field, v1::Unit unit) {
  if (unit != v1::UNIT_NONE) {
    const UnitRule& rule = RuleOf(unit);
    return std::string(rule.word) + ": " + std::string(rule.examples);
  }
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM: return "one of " + JoinWords(EnumWords(*field.enum_type()));
    case FieldDescriptor::CPPTYPE_BOOL: return "true or false";
    case FieldDescriptor::CPPTYPE_STRING: return "a word";
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT: return "a number";
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (IsPlainList(*field.message_type())) return "a list of " + Several(*field.message_type()->field(0));
      return "a group of keys: " + JoinWords(YamlKeys(*field.message_type()));
    default: return "a whole number";
  }
}

// ---- The reader ----------------------------------------------------------------------------------------------------

class Reader {
 public:
  explicit Reader(YamlOrigin& origin) : origin_(origin) {}

  absl::Status ReadMessage(const YAML::Node& node, const std::string& path, Message& message) {
    const Descriptor& type = *message.GetDescriptor();
    if (node.IsSequence() && IsPlainList(type)) return ReadList(node, path, message, *type.field(0));
    if (!node.IsMap()) {
      const std::string expected = IsPlainList(type) ? "a list, such as [" + YamlKey(*type.field(0)) + "]"
                                                     : "a group of keys (" + JoinWords(YamlKeys(type)) + ")";
      return Error(path, "expected " + expected + ", found " + Found(node));
    }
    std::map<std::string, int> seen;                       // key -> line
    std::map<const OneofDescriptor*, std::string> chosen;  // oneof -> key
    for (const auto& entry : node) {
      const absl::StatusOr<std::string> key = ReadKey(entry.first, path, seen);
      if (!key.ok()) return key.status();
      const FieldDescriptor* field = FindField(type, *key);
      const std::string field_path = Join(path, *key);
      if (field == nullptr) return UnknownKey(field_path, *key, type);
      if (const OneofDescriptor* oneof = field->real_containing_oneof()) {
        const auto [other, first] = chosen.emplace(oneof, *key);
        if (!first) {
          return Error(field_path, "cannot stand beside " + other->second + " (line " +
                                       std::to_string(seen[other->second]) + "); only one of " +
                                       JoinWords(OneofKeys(*oneof)) + " may be given, so write a second entry");
        }
      }
      if (absl::Status status = ReadField(entry.second, field_path, message, *field); !status.ok()) return status;
    }
    return CheckPresence(type, path, seen, chosen);
  }

 private:
  absl::Status Error(const std::string& path, const std::string& message) const { return origin_.Error(path, message); }

  static std::string Join(const std::string& path, const std::string& key) {
    return path.empty() ? key : path + "." + key;
  }

  static std::string Found(const YAML::Node& node) {
    if (node.IsSequence()) return "a list";
    if (node.IsMap()) return "a group of keys";
    if (!node.IsDefined() || node.IsNull()) return "nothing";
    return Quoted(node.Scalar());
  }

  absl::StatusOr<std::string> ReadKey(const YAML::Node& node, const std::string& path,
                                      std::map<std::string, int>& seen) {
    const int line = node.Mark().line + 1;
    if (!node.IsScalar()) return Error(path, "a key must be a word, found " + Found(node));
    const std::string& key = node.Scalar();
    const auto [earlier, first] = seen.emplace(key, line);
    origin_.lines[Join(path, key)] = line;
    if (!first) {
      return Error(Join(path, key),
                   "given twice, first on line " + std::to_string(earlier->second) + "; remove one of them");
    }
    return key;
  }

  absl::Status UnknownKey(const std::string& path, const std::string& key, const Descriptor& type) const {
    const std::vector<std::string> known = YamlKeys(type);
    const std::string near = Nearest(key, known);
    return Error(path, "unknown key" + (near.empty() ? std::string() : "; did you mean " + near + "?") +
                           (near.empty() ? "; keys here: " : " Keys here: ") + JoinWords(known));
  }

  absl::Status CheckPresence(const Descriptor& type, const std::string& path, const std::map<std::string, int>& seen,
                             const std::map<const OneofDescriptor*, std::string>& chosen) const {
    for (int i = 0; i < type.real_oneof_decl_count(); ++i) {
      const OneofDescriptor& oneof = *type.oneof_decl(i);
      if (!chosen.contains(&oneof)) return Error(path, "needs one of " + JoinWords(OneofKeys(oneof)));
    }
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor& field = *type.field(i);
      const std::string key = YamlKey(field);
      if (!OptionsOf(field).required() || seen.contains(key)) continue;
      return Error(path, "the key " + key + " is missing; add " + key + ": with " +
                             (field.is_repeated() ? "a list" : Takes(field, OptionsOf(field).unit())));
    }
    return absl::OkStatus();
  }

  absl::Status ReadField(const YAML::Node& node, const std::string& path, Message& message,
                         const FieldDescriptor& field) {
    if (field.is_map()) return ReadMap(node, path, message, field);
    if (field.is_repeated()) return ReadList(node, path, message, field);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      return ReadMessage(node, path, *message.GetReflection()->MutableMessage(&message, &field));
    }
    return ReadScalar(node, path, OptionsOf(field).unit(), message, field);
  }

  absl::Status ReadList(const YAML::Node& node, const std::string& path, Message& message,
                        const FieldDescriptor& field) {
    if (!node.IsSequence()) {
      return Error(path, "expected a list, found " + Found(node) +
                             (node.IsScalar() ? "; write [" + node.Scalar() + "]" : "; start each entry with \"- \""));
    }
    int index = 0;
    for (const YAML::Node& entry : node) {
      const std::string entry_path = path + "[" + std::to_string(index++) + "]";
      origin_.lines[entry_path] = entry.Mark().line + 1;
      absl::Status status = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE
                                ? ReadMessage(entry, entry_path, *message.GetReflection()->AddMessage(&message, &field))
                                : ReadScalar(entry, entry_path, OptionsOf(field).unit(), message, field);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  // A map<string, scalar>: the unit of the field is that of its values.
  absl::Status ReadMap(const YAML::Node& node, const std::string& path, Message& message,
                       const FieldDescriptor& field) {
    const FieldDescriptor& value = *field.message_type()->map_value();
    const v1::Unit unit = OptionsOf(field).unit();
    if (!node.IsMap()) {
      return Error(path, "expected names with " + Takes(value, unit) + " each, found " + Found(node));
    }
    std::map<std::string, int> seen;
    for (const auto& entry : node) {
      const absl::StatusOr<std::string> key = ReadKey(entry.first, path, seen);
      if (!key.ok()) return key.status();
      Message& row = *message.GetReflection()->AddMessage(&message, &field);
      row.GetReflection()->SetString(&row, field.message_type()->map_key(), *key);
      if (absl::Status status = ReadScalar(entry.second, Join(path, *key), unit, row, value); !status.ok()) {
        return status;
      }
    }
    return absl::OkStatus();
  }

  absl::Status ReadScalar(const YAML::Node& node, const std::string& path, v1::Unit unit, Message& message,
                          const FieldDescriptor& field) {
    if (!node.IsScalar()) return Error(path, "expected " + Takes(field, unit) + ", found " + Found(node));
    const std::string& text = node.Scalar();
    const bool quoted = node.Tag() == "!";
    const bool is_text = field.cpp_type() == FieldDescriptor::CPPTYPE_STRING;
    if (quoted && !is_text && unit == v1::UNIT_NONE) {
      return Error(path, Quoted(text) + " is text; write " + text + " without quotes");
    }
    absl::Status status = Store(text, path, unit, message, field);
    return status.ok() ? status : Error(path, std::string(status.message()));
  }

  // Stores one scalar, appending where the field is a list. Errors come back without file and path.
  absl::Status Store(const std::string& text, const std::string& path, v1::Unit unit, Message& message,
                     const FieldDescriptor& field) {
    const Reflection& reflection = *message.GetReflection();
    const auto store = [&](auto set, auto add, const auto& value) {
      if (field.is_repeated()) {
        (reflection.*add)(&message, &field, value);
      } else {
        (reflection.*set)(&message, &field, value);
      }
      return absl::OkStatus();
    };
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        if (text.empty()) return Invalid("has no value; write a word or leave the key out");
        if (field.is_repeated()) {
          reflection.AddString(&message, &field, text);
        } else {
          reflection.SetString(&message, &field, text);
        }
        return absl::OkStatus();
      case FieldDescriptor::CPPTYPE_BOOL:
        if (text != "true" && text != "false") return Invalid(Quoted(text) + " is neither true nor false");
        return store(&Reflection::SetBool, &Reflection::AddBool, text == "true");
      case FieldDescriptor::CPPTYPE_ENUM: return StoreEnum(text, message, field);
      case FieldDescriptor::CPPTYPE_DOUBLE:
      case FieldDescriptor::CPPTYPE_FLOAT: {
        const absl::StatusOr<Quantity> quantity = ParseQuantity(text, unit);
        if (!quantity.ok()) return quantity.status();
        if (unit == v1::UNIT_OF_METRIC) origin_.dimensions[path] = quantity->dimension;
        if (field.cpp_type() == FieldDescriptor::CPPTYPE_FLOAT) {
          return store(&Reflection::SetFloat, &Reflection::AddFloat, static_cast<float>(quantity->value));
        }
        return store(&Reflection::SetDouble, &Reflection::AddDouble, quantity->value);
      }
      case FieldDescriptor::CPPTYPE_INT64: {
        const auto number = unit == v1::UNIT_NONE ? ParseWhole<std::int64_t>(text) : ParseWholeQuantity(text, unit);
        if (!number.ok()) return number.status();
        return store(&Reflection::SetInt64, &Reflection::AddInt64, *number);
      }
      case FieldDescriptor::CPPTYPE_UINT64: {
        const auto number = ParseWhole<std::uint64_t>(text);
        if (!number.ok()) return number.status();
        return store(&Reflection::SetUInt64, &Reflection::AddUInt64, *number);
      }
      case FieldDescriptor::CPPTYPE_INT32: {
        const auto number = ParseWhole<std::int32_t>(text);
        if (!number.ok()) return number.status();
        return store(&Reflection::SetInt32, &Reflection::AddInt32, *number);
      }
      case FieldDescriptor::CPPTYPE_UINT32: {
        const auto number = ParseWhole<std::uint32_t>(text);
        if (!number.ok()) return number.status();
        return store(&Reflection::SetUInt32, &Reflection::AddUInt32, *number);
      }
      case FieldDescriptor::CPPTYPE_MESSAGE: break;
    }
    return absl::InternalError("a message is not a scalar");
  }

  static absl::Status StoreEnum(const std::string& text, Message& message, const FieldDescriptor& field) {
    std::string word = text;
    std::replace(word.begin(), word.end(), '_', '-');
    const EnumDescriptor& type = *field.enum_type();
    const std::vector<std::string> words = EnumWords(type);
    if (std::find(words.begin(), words.end(), word) == words.end()) {
      const std::string near = Nearest(word, words);
      return Invalid(Quoted(text) + " is not known; " + (near.empty() ? "" : "did you mean " + near + "? ") +
                     "Write one of " + JoinWords(words));
    }
    for (int i = 0; i < type.value_count(); ++i) {
      if (EnumWord(*type.value(i)) != word) continue;
      const Reflection& reflection = *message.GetReflection();
      if (field.is_repeated()) {
        reflection.AddEnum(&message, &field, type.value(i));
      } else {
        reflection.SetEnum(&message, &field, type.value(i));
      }
      break;
    }
    return absl::OkStatus();
  }

  YamlOrigin& origin_;
};

// The line (from 1) of the first byte that is not UTF-8; 0 if the text is sound.
int FirstLineNotUtf8(std::string_view text) {
  int line = 1;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead == '\n') ++line;
    const std::size_t length = lead < 0x80                   ? 1
                               : lead >= 0xc2 && lead < 0xe0 ? 2
                               : lead >= 0xe0 && lead < 0xf0 ? 3
                               : lead >= 0xf0 && lead < 0xf5 ? 4
                                                             : 0;
    if (length == 0 || i + length > text.size() || lead == 0) return line;
    for (std::size_t k = 1; k < length; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return line;
    }
    i += length;
  }
  return 0;
}

// Notes where documents start, and nothing else.
class DocumentProbe : public YAML::EventHandler {
 public:
  int line() const { return line_; }

  void OnDocumentStart(const YAML::Mark& mark) override { line_ = mark.line + 1; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

 private:
  int line_ = 0;
};

// The line where something stands behind the first document; 0 if nothing does. YAML::LoadAll cannot tell: at a bracket
// that nothing opened it takes the same empty document again and again, until memory ends.
int LineBehindDocument(const std::string& text) {
  std::istringstream in(text);
  YAML::Parser parser(in);
  DocumentProbe probe;
  if (!parser.HandleNextDocument(probe) || !parser.HandleNextDocument(probe)) return 0;
  return probe.line();
}

std::string AtLine(std::string_view name, int line) { return std::string(name) + ":" + std::to_string(line) + ": "; }

// The comments of the schema, which the descriptors that are compiled in do not keep.
class SchemaComments {
 public:
  SchemaComments() {
    google::protobuf::FileDescriptorSet schemas;
    const std::string_view bytes = FileSchemas();
    if (!schemas.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
    for (const auto& file : schemas.file()) pool_.BuildFile(file);
  }

  // The comment above the field, by line; where it has none, the one above its message.
  std::vector<std::string> Of(const FieldDescriptor& field) const {
    const FieldDescriptor* known = pool_.FindFieldByName(field.full_name());
    if (known == nullptr) return {};
    google::protobuf::SourceLocation location;
    if (known->GetSourceLocation(&location) && !location.leading_comments.empty()) {
      return Lines(location.leading_comments);
    }
    const Descriptor* type = known->is_map() ? nullptr : known->message_type();
    return type != nullptr && type->GetSourceLocation(&location) ? Lines(location.leading_comments)
                                                                 : std::vector<std::string>();
  }

  // The comment above a word of an enum.
  std::vector<std::string> Of(const EnumValueDescriptor& value) const {
    const EnumValueDescriptor* known = pool_.FindEnumValueByName(value.full_name());
    google::protobuf::SourceLocation location;
    return known != nullptr && known->GetSourceLocation(&location) ? Lines(location.leading_comments)
                                                                   : std::vector<std::string>();
  }

 private:
  static std::vector<std::string> Lines(const std::string& comment) {
    std::vector<std::string> lines;
    std::istringstream in(comment);
    for (std::string line; std::getline(in, line);) {
      lines.push_back(line.starts_with(' ') ? line.substr(1) : line);
    }
    return lines;
  }

  google::protobuf::DescriptorPool pool_;
};

void Describe(const Descriptor& type, int depth, const SchemaComments& comments, std::ostringstream& out) {
  constexpr std::size_t kColumn = 32;
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const std::string indent(2 * static_cast<std::size_t>(depth), ' ');
    const bool group = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field.is_map() &&
                       !(field.is_repeated() && IsPlainList(*field.message_type()));
    std::string what;
    if (field.is_map()) {
      what = "names, each with " + Takes(*field.message_type()->map_value(), OptionsOf(field).unit());
    } else if (group) {
      what = field.is_repeated() ? "a list; each entry has:" : "";
    } else if (field.is_repeated()) {
      what = "a list of " + Several(field);
    } else {
      what = Takes(field, OptionsOf(field).unit());
    }
    if (OptionsOf(field).required()) what = what.empty() ? "(required)" : what + " (required)";
    for (const std::string& line : comments.Of(field)) out << indent << "# " << line << "\n";
    for (int k = 0; field.enum_type() != nullptr && k < field.enum_type()->value_count(); ++k) {
      std::string word = EnumWord(*field.enum_type()->value(k)) + ": ";
      for (const std::string& line : comments.Of(*field.enum_type()->value(k))) {
        out << indent << "#   " << std::exchange(word, "") << line << "\n";
      }
    }
    std::string head = indent + YamlKey(field) + ":";
    if (!what.empty()) head.resize(std::max(head.size() + 1, kColumn), ' ');
    out << head << what << "\n";
    if (group) Describe(*field.message_type(), depth + 1, comments, out);
    if (depth == 0 && i + 1 < type.field_count()) out << "\n";
  }
}

}  // namespace

int YamlOrigin::Line(std::string_view path) const {
  if (file.empty()) return 0;
  std::string at(path);
  while (!at.empty()) {
    if (const auto found = lines.find(at); found != lines.end()) return found->second;
    const std::size_t cut = at.find_last_of(".[");
    at.resize(cut == std::string::npos ? 0 : cut);
  }
  return 1;
}

absl::Status YamlOrigin::Error(std::string_view path, std::string_view message) const {
  std::string text = file.empty() ? "" : AtLine(file, Line(path));
  if (!path.empty()) text += std::string(path) + ": ";
  return absl::InvalidArgumentError(text + std::string(message));
}

absl::StatusOr<YamlOrigin> ParseYaml(std::string_view text, std::string_view name, Message* message) {
  if (const int line = FirstLineNotUtf8(text)) {
    return absl::InvalidArgumentError(AtLine(name, line) + "is not UTF-8 text; save the file as UTF-8");
  }
  YamlOrigin origin;
  origin.file = name;
  try {
    const std::string all(text);
    if (const int line = LineBehindDocument(all)) {
      return absl::InvalidArgumentError(AtLine(name, line) +
                                        "the document ends before this: keep one document a file, and look for a "
                                        "bracket or quote that nothing opened");
    }
    const YAML::Node document = YAML::Load(all);
    if (!document.IsDefined() || document.IsNull()) {
      return origin.Error("", "is empty; give at least its required keys. Keys here: " +
                                  JoinWords(YamlKeys(*message->GetDescriptor())));
    }
    absl::Status status = Reader(origin).ReadMessage(document, "", *message);
    if (!status.ok()) return status;
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(AtLine(name, error.mark.line + 1) + "is not valid YAML at column " +
                                      std::to_string(error.mark.column + 1) + ": " + error.msg);
  }
  return origin;
}

absl::StatusOr<YamlOrigin> ReadYaml(const std::filesystem::path& file, Message* message) {
  const absl::StatusOr<std::string> text = ReadTextFile(file);
  if (!text.ok()) return text.status();
  return ParseYaml(*text, file.string(), message);
}

absl::StatusOr<std::int64_t> ParseDurationUs(std::string_view text) {
  return ParseWholeQuantity(text, v1::UNIT_DURATION_US);
}

absl::StatusOr<std::int64_t> ParseValueUvu(std::string_view text) {
  return ParseWholeQuantity(text, v1::UNIT_VALUE_UVU);
}

absl::StatusOr<double> ParseShare(std::string_view text) {
  const absl::StatusOr<Quantity> quantity = ParseQuantity(text, v1::UNIT_SHARE);
  if (!quantity.ok()) return quantity.status();
  return quantity->value;
}

std::string EnumWord(const EnumValueDescriptor& value) {
  std::string word = value.name();
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return c == '_' ? '-' : static_cast<char>(std::tolower(c)); });
  return word;
}

std::vector<std::string> EnumWords(const EnumDescriptor& type) {
  std::vector<std::string> words;
  for (int i = 0; i < type.value_count(); ++i) {
    if (!type.value(i)->name().ends_with("_UNSPECIFIED")) words.push_back(EnumWord(*type.value(i)));
  }
  return words;
}

std::string YamlKey(const FieldDescriptor& field) {
  const std::string& key = OptionsOf(field).key();
  return key.empty() ? field.name() : key;
}

std::vector<std::string> YamlKeys(const Descriptor& type) {
  std::vector<std::string> keys;
  for (int i = 0; i < type.field_count(); ++i) keys.push_back(YamlKey(*type.field(i)));
  return keys;
}

std::string DescribeYaml(const Descriptor& type) {
  std::ostringstream out;
  Describe(type, 0, SchemaComments(), out);
  return out.str();
}

}  // namespace lvs::services
