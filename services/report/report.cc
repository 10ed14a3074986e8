#include "services/report/report.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/util/json_util.h"
#include "nlohmann/json.hpp"
#include "services/base/files.h"
#include "services/base/text.h"

namespace lvs::services {

std::string_view ReportAsset(std::string_view name);  // embed.cmake

namespace {

namespace fs = std::filesystem;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Json = nlohmann::ordered_json;

constexpr std::string_view kSummaryFile = "summary.json";
constexpr std::string_view kTimeseriesFile = "timeseries.csv";
constexpr std::string_view kPageFile = "report.html";
constexpr std::array kRunFiles = {kSummaryFile, kTimeseriesFile, kPageFile};

// The most samples that report.html shows; timeseries.csv has all of them.
constexpr int kPageSamplesMax = 2000;
// The most lines in one chart that a reader can tell apart.
constexpr std::size_t kPageNodesMax = 8;
// The significant digits of fractions in report.html: more than a reader sees, at a third of the size.
constexpr int kPageDigits = 7;
// Numbers in a browser are doubles, so larger integers are written as strings.
constexpr std::uint64_t kBrowserIntegerMax = std::uint64_t{1} << 53;

// ---- Messages to JSON ----------------------------------------------------------------------------------------------

// ToJson walks the descriptor itself, because protobuf's own JSON writes 64-bit integers as strings.
Json ToJson(const Message& message);

// Converts one value; `index` is -1 for a field that is not repeated.
Json ValueToJson(const Message& message, const FieldDescriptor* field, int index) {
  const auto* reflection = message.GetReflection();
  const auto pick = [&](auto one, auto many) -> Json {
    return index < 0 ? (reflection->*one)(message, field) : (reflection->*many)(message, field, index);
  };
  using R = google::protobuf::Reflection;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL: return pick(&R::GetBool, &R::GetRepeatedBool);
    case FieldDescriptor::CPPTYPE_INT32: return pick(&R::GetInt32, &R::GetRepeatedInt32);
    case FieldDescriptor::CPPTYPE_INT64: return pick(&R::GetInt64, &R::GetRepeatedInt64);
    case FieldDescriptor::CPPTYPE_UINT32: return pick(&R::GetUInt32, &R::GetRepeatedUInt32);
    case FieldDescriptor::CPPTYPE_UINT64: {
      Json number = pick(&R::GetUInt64, &R::GetRepeatedUInt64);
      if (field->type() != FieldDescriptor::TYPE_FIXED64) return number;
      return std::string(absl::StrCat(absl::Hex(number.get<std::uint64_t>(), absl::kZeroPad16)));
    }
    case FieldDescriptor::CPPTYPE_FLOAT: return pick(&R::GetFloat, &R::GetRepeatedFloat);
    case FieldDescriptor::CPPTYPE_DOUBLE: return pick(&R::GetDouble, &R::GetRepeatedDouble);
    case FieldDescriptor::CPPTYPE_STRING: return pick(&R::GetString, &R::GetRepeatedString);
    case FieldDescriptor::CPPTYPE_ENUM:
      return (index < 0 ? reflection->GetEnum(message, field) : reflection->GetRepeatedEnum(message, field, index))
          ->name();
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ToJson(index < 0 ? reflection->GetMessage(message, field)
                              : reflection->GetRepeatedMessage(message, field, index));
  }
  return nullptr;
}

Json MapToJson(const Message& message, const FieldDescriptor* field) {
  std::map<std::string, Json> sorted;  // protobuf's order varies from run to run
  const auto* entry_type = field->message_type();
  for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
    const Message& entry = message.GetReflection()->GetRepeatedMessage(message, field, i);
    const Json key = ValueToJson(entry, entry_type->map_key(), -1);
    sorted[key.is_string() ? key.get<std::string>() : key.dump()] = ValueToJson(entry, entry_type->map_value(), -1);
  }
  Json object = Json::object();
  for (auto& [key, value] : sorted) object[key] = std::move(value);
  return object;
}

Json ToJson(const Message& message) {
  Json object = Json::object();
  const auto* type = message.GetDescriptor();
  for (int f = 0; f < type->field_count(); ++f) {
    const FieldDescriptor* field = type->field(f);
    if (field->is_map()) {
      object[field->name()] = MapToJson(message, field);
    } else if (field->is_repeated()) {
      Json& list = object[field->name()] = Json::array();
      const int size = message.GetReflection()->FieldSize(message, field);
      for (int i = 0; i < size; ++i) list.push_back(ValueToJson(message, field, i));
    } else {
      const bool absent = field->has_presence() && field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE &&
                          !message.GetReflection()->HasField(message, field);
      object[field->name()] = absent ? Json() : ValueToJson(message, field, -1);
    }
  }
  return object;
}

std::string Dump(const Json& json, int indent) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

// ---- The page ------------------------------------------------------------------------------------------------------

void RoundForPage(Json& json) {
  if (json.is_structured()) {
    for (Json& child : json) RoundForPage(child);
  } else if (json.is_number_float() && std::isfinite(json.get<double>())) {
    std::array<char, 32> text;
    const auto end =
        std::to_chars(text.begin(), text.end(), json.get<double>(), std::chars_format::general, kPageDigits);
    double rounded = 0;
    std::from_chars(text.begin(), end.ptr, rounded);
    // Integers print as 2 instead of 2.0.
    if (rounded == std::trunc(rounded) && std::abs(rounded) < 1e6) {
      json = static_cast<std::int64_t>(rounded);
    } else {
      json = rounded;
    }
  } else if (json.is_number_unsigned() && json.get<std::uint64_t>() > kBrowserIntegerMax) {
    json = std::to_string(json.get<std::uint64_t>());
  }
}

// True for the fields of a Sample that count events since the previous row.
bool IsCount(std::string_view field) {
  return field == "online_events" || field == "offline_events" || field == "messages" || field == "refused" ||
         field == "anomalies" || field == "contributions" || field == "node_frames" || field == "node_bytes";
}

// The value of one field of a row; null where the field is optional and absent.
Json Cell(const v1::Sample& sample, const FieldDescriptor* field) {
  if (field->has_presence() && !sample.GetReflection()->HasField(sample, field)) return nullptr;
  return ValueToJson(sample, field, -1);
}

// The columns of a time series: all fields except optional ones that are absent from every row.
std::vector<const FieldDescriptor*> SampleFields(const v1::RunReport& report) {
  std::vector<const FieldDescriptor*> fields;
  const auto* type = v1::Sample::descriptor();
  for (int f = 0; f < type->field_count(); ++f) {
    const FieldDescriptor* field = type->field(f);
    const bool there = std::any_of(report.samples().begin(), report.samples().end(), [&](const v1::Sample& sample) {
      return sample.GetReflection()->HasField(sample, field);
    });
    if (!field->has_presence() || there) fields.push_back(field);
  }
  return fields;
}

int PageStride(const v1::RunReport& report) {
  return std::max(1, (report.samples_size() + kPageSamplesMax - 1) / kPageSamplesMax);
}

// The samples as columns, the form that the charts take. Each group of `stride` rows keeps its last row, with the
// counts of all summed.
Json SampleColumns(const v1::RunReport& report) {
  const int size = report.samples_size();
  const int stride = PageStride(report);
  Json columns = Json::object();
  for (const FieldDescriptor* field : SampleFields(report)) {
    Json& column = columns[field->name()] = Json::array();
    for (int first = 0; first < size; first += stride) {
      const int last = std::min(first + stride, size) - 1;
      Json value = Cell(report.samples(last), field);
      for (int i = first; i < last && value.is_number() && IsCount(field->name()); ++i) {
        const Json more = Cell(report.samples(i), field);
        if (more.is_number()) value = value.get<std::uint64_t>() + more.get<std::uint64_t>();
      }
      column.push_back(std::move(value));
    }
  }
  return columns;
}

// The lines of the first kPageNodesMax nodes of a testnet, thinned to the rows of SampleColumns.
Json NodeColumns(const v1::RunReport& report) {
  const int stride = PageStride(report);
  Json nodes = Json::array();
  for (const v1::NodeSeries& series : report.nodes()) {
    if (nodes.size() == kPageNodesMax) break;
    Json node{{"name", series.name()}, {"region", series.region()}};
    const auto thinned = [&](const auto& values) {
      Json column = Json::array();
      for (int first = 0; first < values.size(); first += stride) {
        column.push_back(values[std::min<int>(first + stride, values.size()) - 1]);
      }
      return column;
    };
    node["effective_vu"] = thinned(series.effective_vu());
    node["distance_relative"] = thinned(series.distance_relative());
    nodes.push_back(std::move(node));
  }
  return nodes;
}

// The dots as columns, so that a field's name is written once and not 300 times.
Json SnapshotColumns(const v1::Snapshot& snapshot) {
  Json json = Json::object();
  json["cycle"] = snapshot.cycle();
  json["seconds"] = snapshot.seconds();
  json["label"] = snapshot.label();
  const auto* type = v1::Dot::descriptor();
  for (int f = 0; f < type->field_count(); ++f) json[type->field(f)->name()] = Json::array();
  for (const v1::Dot& dot : snapshot.dots()) {
    Json row = ToJson(dot);
    for (auto& [name, value] : row.items()) json[name].push_back(std::move(value));
  }
  return json;
}

std::string PageData(const v1::RunReport& report) {
  Json data = Json::object();
  data["summary"] = ToJson(report.summary());
  data["about"] = report.about();
  data["scenario_yaml"] = report.scenario_yaml();
  data["regions"] = Json::array();
  for (const std::string& region : report.regions()) data["regions"].push_back(region);
  data["faults"] = Json::array();
  for (const v1::FaultBand& fault : report.faults()) data["faults"].push_back(ToJson(fault));
  data["samples"] = SampleColumns(report);
  data["nodes"] = NodeColumns(report);
  data["snapshots"] = Json::array();
  for (const v1::Snapshot& snapshot : report.snapshots()) data["snapshots"].push_back(SnapshotColumns(snapshot));
  RoundForPage(data);

  // The text goes into a <script> element, so these characters are escaped. In JSON they occur in strings only.
  const std::string plain = Dump(data, -1);
  std::string safe;
  safe.reserve(plain.size() + plain.size() / 16);
  for (const char c : plain) {
    switch (c) {
      case '<': safe += "\\u003c"; break;
      case '>': safe += "\\u003e"; break;
      case '&': safe += "\\u0026"; break;
      default: safe += c;
    }
  }
  return safe;
}

std::string EscapeHtml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string VerdictWord(const v1::Summary& summary) {
  if (!summary.complete()) return "partial";
  return summary.passed() ? "passed" : "failed";
}

// The text that replaces `{{name}}` in report.html.
std::string PagePart(std::string_view name, const v1::RunReport& report) {
  if (name == "scenario") return EscapeHtml(report.summary().scenario());
  if (name == "verdict") return VerdictWord(report.summary());
  if (name == "data") return PageData(report);
  return std::string(ReportAsset(name));
}

// ---- Files ---------------------------------------------------------------------------------------------------------

constexpr const char* kMend = "; check its permissions and the space on its disk, or choose another --out";

absl::Status Failed(const char* what, const fs::path& path, int error) {
  return absl::Status(absl::ErrnoToStatusCode(error),
                      absl::StrCat("cannot ", what, " ", path.string(), ": ", ErrnoText(error), kMend));
}

// Adds what the user can do to the status of a file operation.
absl::Status WithMend(const absl::Status& status) {
  return status.ok() ? status : absl::Status(status.code(), absl::StrCat(status.message(), kMend));
}

// True for a file of a run, and for a temporary file that a killed run left.
bool IsRunFile(std::string_view name) {
  return std::any_of(kRunFiles.begin(), kRunFiles.end(), [&](std::string_view own) {
    return name == own || (name.starts_with(own) && name.substr(own.size()).starts_with(".tmp."));
  });
}

}  // namespace

std::string SummaryJson(const v1::Summary& summary) { return Dump(ToJson(summary), 2) + "\n"; }

std::string MessageJson(const Message& message) { return Dump(ToJson(message), -1); }

std::string TimeseriesCsv(const v1::RunReport& report) {
  const std::vector<const FieldDescriptor*> fields = SampleFields(report);
  std::string csv;
  for (const FieldDescriptor* field : fields) absl::StrAppend(&csv, csv.empty() ? "" : ",", field->name());
  for (int n = 0; n < report.nodes_size(); ++n) {
    absl::StrAppend(&csv, ",node_", n, "_effective_vu,node_", n, "_distance_relative");
  }
  csv += '\n';
  for (int i = 0; i < report.samples_size(); ++i) {
    std::vector<Json> cells;
    for (const FieldDescriptor* field : fields) cells.push_back(Cell(report.samples(i), field));
    for (const v1::NodeSeries& series : report.nodes()) {
      cells.push_back(i < series.effective_vu_size() ? Json(series.effective_vu(i)) : Json());
      cells.push_back(i < series.distance_relative_size() ? Json(series.distance_relative(i)) : Json());
    }
    for (std::size_t c = 0; c < cells.size(); ++c) {
      const std::string cell = Dump(cells[c], -1);  // null for NaN and infinity too
      absl::StrAppend(&csv, c == 0 ? "" : ",", cell == "null" ? "" : cell);
    }
    csv += '\n';
  }
  return csv;
}

std::string ReportHtml(const v1::RunReport& report) {
  std::string_view rest = ReportAsset("report.html");
  std::string page;
  for (std::size_t open; (open = rest.find("{{")) != rest.npos;) {
    const std::size_t close = rest.find("}}", open);
    page += rest.substr(0, open);
    page += PagePart(rest.substr(open + 2, close - open - 2), report);
    rest.remove_prefix(close + 2);
  }
  page += rest;
  return page;
}

absl::Status PrepareRunDirectory(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  std::error_code ignored;
  const bool is_directory = fs::is_directory(directory, ignored);
  if (!is_directory && fs::exists(fs::symlink_status(directory, ignored))) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory.string(), " is not a directory; choose another --out, or move it away"));
  }
  if (!is_directory) return Failed("create the run directory", directory, error.value());

  std::string foreign;
  const absl::StatusOr<std::vector<fs::path>> entries = FolderEntries(directory);
  if (!entries.ok()) return WithMend(entries.status());
  for (const fs::path& entry : *entries) {
    const std::string name = entry.filename().string();
    if (!IsRunFile(name) && (foreign.empty() || name < foreign)) foreign = name;
  }
  if (!foreign.empty() && !fs::exists(directory / kSummaryFile, error)) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory.string(), " is not empty and is not an earlier run: it holds ", foreign, " and no ",
                     std::string(kSummaryFile), "; choose a new or an empty directory with --out"));
  }

  return WithMend(StagedFile::Write(directory / kSummaryFile, "probe\n").status());
}

absl::Status WriteRunDirectory(const v1::RunReport& report, const fs::path& directory) {
  const std::vector<std::pair<fs::path, std::string>> files = {
      {directory / kPageFile, ReportHtml(report)},
      {directory / kTimeseriesFile, TimeseriesCsv(report)},
      {directory / kSummaryFile, SummaryJson(report.summary())},
  };
  std::vector<StagedFile> staged;
  for (const auto& [path, content] : files) {
    absl::StatusOr<StagedFile> one = StagedFile::Write(path, content);
    if (!one.ok()) return WithMend(one.status());
    staged.push_back(*std::move(one));
  }
  for (StagedFile& one : staged) {
    if (absl::Status committed = one.Commit(); !committed.ok()) return WithMend(committed);
  }
  // Some file systems cannot sync a folder. The error is ignored because the files are complete either way.
  SyncFolder(directory).IgnoreError();
  return absl::OkStatus();
}

absl::StatusOr<v1::Summary> ReadSummary(const fs::path& run_directory_or_file) {
  std::error_code ignored;
  const bool is_directory = fs::is_directory(run_directory_or_file, ignored);
  const fs::path path = is_directory ? run_directory_or_file / kSummaryFile : run_directory_or_file;
  const absl::StatusOr<std::string> text = ReadWholeFile(path);
  if (!text.ok()) {
    return absl::NotFoundError(absl::StrCat("cannot read ", std::string(text.status().message()),
                                            "; name a run directory of `lvs run`, or its summary.json"));
  }
  Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("state_hash")) {
    return absl::InvalidArgumentError(absl::StrCat(path.string(), " is not the summary of a run"));
  }
  const auto restore = [](Json& value, const auto& self) -> void {
    if (value.is_null()) value = "NaN";
    if (!value.is_structured()) return;
    for (Json& child : value) self(child, self);
  };
  restore(json, restore);
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  v1::Summary summary;
  const auto parsed = google::protobuf::util::JsonStringToMessage(Dump(json, -1), &summary, options);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path.string(), " is not the summary of a run: ", parsed.message().as_string()));
  }
  return summary;
}

}  // namespace lvs::services
