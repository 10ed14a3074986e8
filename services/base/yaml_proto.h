// Reads a YAML file into a protobuf message, strictly. The schema is the whole description of the format: keys, units
// and required fields are the (lvs.v1.yaml) options of proto/lvs/v1/units.proto, found by reflection.
//
//   v1::Scenario scenario;
//   absl::StatusOr<YamlOrigin> origin = ReadYaml("phase2.yaml", &scenario);
//   if (!origin.ok()) return origin.status();             // "phase2.yaml:5: cycle.period: 100 has no unit; write ..."
//   if (scenario.cycle().count() == 0) return origin->Error("cycle.count", "must be at least 1");
//
// Refused are unknown keys, keys given twice, numbers without their unit, wrong types, words that an enum does not have,
// values outside a unit's range, NaN and infinity, missing required keys, and two members of one oneof or none. Each
// error names file, line, path and the mend. A message whose only field is a list may be written as that list.
//
// Errors: INVALID_ARGUMENT where the file must be mended; NOT_FOUND, PERMISSION_DENIED, FAILED_PRECONDITION (not a
// regular file, or larger than kYamlBytesMax) where it cannot be read. The message is left half filled after an error.
// Stateless and free of shared state: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "services/base/files.h"
#include "services/base/text.h"
#include "services/base/yaml_schema.h"
#include "services/base/yaml_units.h"

namespace lvs::services {

inline constexpr std::size_t kYamlBytesMax = kTextFileBytesMax;

// ---- Where things stand in the file --------------------------------------------------------------------------------

// Maps a path ("events[2].partition.groups[0]", "population.regions.eu", in the words of the file) to its line.
struct YamlOrigin {
  std::string file;                             // as errors name it; empty for a message that was made in code
  std::map<std::string, int> lines;             // 1-based
  std::map<std::string, Dimension> dimensions;  // of UNIT_OF_METRIC fields, by path

  // True where the file gives this key, be it with the value that means "absent" in the proto (0, an empty list).
  bool Has(std::string_view path) const { return lines.contains(std::string(path)); }
  // The line of the path, or of the nearest parent that the file gives; 1 if there is none, 0 without a file.
  int Line(std::string_view path) const;
  // INVALID_ARGUMENT "file:line: path: message", or "path: message" without a file.
  absl::Status Error(std::string_view path, std::string_view message) const;
};

// ---- Reading -------------------------------------------------------------------------------------------------------

// Fills `message` from the text; `name` is what errors call it. The text must be one YAML document, in UTF-8.
absl::StatusOr<YamlOrigin> ParseYaml(std::string_view text, std::string_view name, google::protobuf::Message* message);

// ReadTextFile, then ParseYaml.
absl::StatusOr<YamlOrigin> ReadYaml(const std::filesystem::path& file, google::protobuf::Message* message);

}  // namespace lvs::services
