// A protobuf schema as the keys and words of a file: what yaml_proto.h reads and yaml_describe.h explains.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "lvs/v1/units.pb.h"

namespace lvs::services {

// A_LITTLE_IS_ENOUGH -> "a-little-is-enough".
std::string EnumWord(const google::protobuf::EnumValueDescriptor& value);

// The words that a file may use for this enum (those that end in _UNSPECIFIED are not for files).
std::vector<std::string> EnumWords(const google::protobuf::EnumDescriptor& type);

// The key of a field in a file, and the keys that may stand in a message.
std::string YamlKey(const google::protobuf::FieldDescriptor& field);
std::vector<std::string> YamlKeys(const google::protobuf::Descriptor& type);
std::vector<std::string> OneofKeys(const google::protobuf::OneofDescriptor& oneof);

// The field that a file calls `key`; null if there is none.
const google::protobuf::FieldDescriptor* FindField(const google::protobuf::Descriptor& type, std::string_view key);

// The (lvs.v1.yaml) options: key, unit, required.
const v1::Yaml& OptionsOf(const google::protobuf::FieldDescriptor& field);

// True for a message whose only field is a list: a file may write it as that list.
bool IsPlainList(const google::protobuf::Descriptor& type);

// What the entries of a list are: "words", "numbers", "lists of words".
std::string Several(const google::protobuf::FieldDescriptor& field);

// What a key takes: "a duration: 100ms, 2s, 5m or 1h", "one of info, warning".
std::string Takes(const google::protobuf::FieldDescriptor& field, v1::Unit unit);

}  // namespace lvs::services
