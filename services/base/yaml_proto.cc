#include "services/base/yaml_proto.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>
#include <sstream>
#include <utility>

#include "google/protobuf/descriptor.h"

namespace lvs::services {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::OneofDescriptor;
using google::protobuf::Reflection;

template <typename Integer>
absl::StatusOr<Integer> ParseWhole(std::string_view text) {
  Integer number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  const std::string range = "between " + std::to_string(std::numeric_limits<Integer>::min()) + " and " +
                            std::to_string(std::numeric_limits<Integer>::max());
  const bool digits = text.size() > (text.starts_with('-') ? 1u : 0u) &&
                      text.find_first_not_of("0123456789", text.starts_with('-') ? 1 : 0) == std::string_view::npos;
  if (digits) return absl::InvalidArgumentError(std::string(text) + " is out of range; it must be " + range);
  const bool separators = !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) &&
                          text.find_first_not_of("0123456789,_'") == std::string_view::npos;
  if (separators)
    return absl::InvalidArgumentError(Quoted(text) + " is not a whole number; write the digits without separators");
  const bool number_with_unit = !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) &&
                                std::isalpha(static_cast<unsigned char>(text.back()));
  if (number_with_unit) return absl::InvalidArgumentError(Quoted(text) + " is not a whole number; it takes no unit");
  return absl::InvalidArgumentError(Quoted(text) + " is not a whole number; write one such as 16");
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
    const bool is_text = field.cpp_type() == FieldDescriptor::CPPTYPE_STRING;
    if (!node.IsScalar()) {
      // What YAML makes of [::1]:7400, a list with a value.
      const bool address = is_text && node.IsMap() && node.size() == 1 && node.begin()->first.IsSequence();
      return Error(path, "expected " + Takes(field, unit) + ", found " + Found(node) +
                             (address ? "; put quotes around an address with brackets, \"[::1]:7400\"" : ""));
    }
    const std::string& text = node.Scalar();
    const bool quoted = node.Tag() == "!";
    if (quoted && !is_text && unit == v1::UNIT_NONE) {
      return Error(path, Quoted(text) + " is text; write " + text + " without quotes");
    }
    absl::Status status = Store(text, path, unit, message, field);
    return status.ok() ? status : Error(path, std::string(status.message()));
  }

  // Stores one scalar, appending where the field is a list. Errors do not name file and path.
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
        if (text.empty()) return absl::InvalidArgumentError("has no value; write a word or leave the key out");
        if (field.is_repeated()) {
          reflection.AddString(&message, &field, text);
        } else {
          reflection.SetString(&message, &field, text);
        }
        return absl::OkStatus();
      case FieldDescriptor::CPPTYPE_BOOL:
        if (text != "true" && text != "false")
          return absl::InvalidArgumentError(Quoted(text) + " is neither true nor false");
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
      return absl::InvalidArgumentError(Quoted(text) + " is not known; " +
                                        (near.empty() ? "" : "did you mean " + near + "? ") + "Write one of " +
                                        JoinWords(words));
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
// that nothing opened, LoadAll takes the same empty document again and again, until memory ends.
int LineBehindDocument(const std::string& text) {
  std::istringstream in(text);
  YAML::Parser parser(in);
  DocumentProbe probe;
  if (!parser.HandleNextDocument(probe) || !parser.HandleNextDocument(probe)) return 0;
  return probe.line();
}

// A mend for a line that YAML cannot read, where its text suggests one; empty otherwise.
std::string MendOfLine(std::string_view text, int line) {
  for (; line > 1 && text.find('\n') != std::string_view::npos; --line) text.remove_prefix(text.find('\n') + 1);
  text = text.substr(0, text.find('\n'));
  if (text.substr(0, text.find_first_not_of(" \t")).find('\t') != std::string_view::npos) {
    return "; the line is indented with a tab, which YAML does not allow: use spaces";
  }
  const std::size_t bracket = text.find("]:");
  if (bracket != std::string_view::npos && bracket + 2 < text.size() && text[bracket + 2] >= '0' &&
      text[bracket + 2] <= '9') {
    return "; put quotes around an address with brackets, \"[::1]:7400\"";
  }
  return "";
}

std::string AtLine(std::string_view name, int line) { return std::string(name) + ":" + std::to_string(line) + ": "; }

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
                                      std::to_string(error.mark.column + 1) + ": " + error.msg +
                                      MendOfLine(text, error.mark.line + 1));
  }
  return origin;
}

absl::StatusOr<YamlOrigin> ReadYaml(const std::filesystem::path& file, Message* message) {
  const absl::StatusOr<std::string> text = ReadTextFile(file);
  if (!text.ok()) return text.status();
  return ParseYaml(*text, file.string(), message);
}

}  // namespace lvs::services