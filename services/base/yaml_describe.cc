#include "services/base/yaml_describe.h"

#include <algorithm>
#include <cstddef>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "google/protobuf/descriptor.pb.h"
#include "services/base/yaml_schema.h"

namespace lvs::services {

std::string_view FileSchemas();  // cmake/EmbedBytes.cmake: a FileDescriptorSet with comments

namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;

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

std::string DescribeYaml(const Descriptor& type) {
  std::ostringstream out;
  Describe(type, 0, SchemaComments(), out);
  return out.str();
}

}  // namespace lvs::services
