#include "services/base/yaml_schema.h"

#include <algorithm>
#include <cctype>

#include "services/base/yaml_proto.h"

namespace lvs::services {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::OneofDescriptor;

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
    return std::string(UnitWord(unit)) + ": " + std::string(UnitExamples(unit));
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

}  // namespace lvs::services
