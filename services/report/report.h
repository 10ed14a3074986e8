// The run directory that `lvs run` and `lvs testnet report` write (issue 2, section 7; TEST-4.4, TEST-6).
//
//   if (absl::Status ready = PrepareRunDirectory("runs/phase2"); !ready.ok()) return ready;  // before the long run
//   v1::RunReport report = ...;                                                               // the run
//   absl::Status written = WriteRunDirectory(report, "runs/phase2");
//   absl::StatusOr<v1::Summary> summary = ReadSummary("runs/phase2");                         // later: `lvs compare`
//
//   summary.json    v1::Summary, for programs: CI, `lvs compare`
//   timeseries.csv  one row a v1::Sample, its fields as columns
//   report.html     all of v1::RunReport for people; one file that opens offline and prints
//
// Errors tell the user what is wrong, where, and what to do. Functions may be called from any thread, but a directory
// must not have two writers at a time.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "lvs/v1/report.pb.h"

namespace lvs::services {

// Creates the directory with its parents and proves that files can be written there, so that a run does not fail at its
// end. An empty directory or an earlier run is accepted. The files of an earlier run stay until WriteRunDirectory
// replaces them. FAILED_PRECONDITION for a path that is a file, or a directory with other files and no summary.json.
absl::Status PrepareRunDirectory(const std::filesystem::path& directory);

// Writes the three files into an existing directory. At any moment each file is complete or absent under its name: all
// three are first written under temporary names and synced, then renamed, summary.json last. On failure the old files
// stay.
absl::Status WriteRunDirectory(const v1::RunReport& report, const std::filesystem::path& directory);

// Reads summary.json of a run directory, or a file of that form. Unknown keys (from a newer build) are skipped.
// NOT_FOUND where the file is missing, INVALID_ARGUMENT where it is not a summary.
absl::StatusOr<v1::Summary> ReadSummary(const std::filesystem::path& run_directory_or_file);

// Formats the summary as indented JSON with the proto's field names and every field present. 64-bit integers are
// numbers, and doubles read back to the same bits. NaN and infinity become null, which reads back as NaN.
std::string SummaryJson(const v1::Summary& summary);

// Formats any message like SummaryJson, but on one line. fixed64 fields, which hold ids and digests, are written as 16
// hexadecimal digits.
std::string MessageJson(const google::protobuf::Message& message);

// Formats a header and one row for each sample. NaN and infinity are empty cells. The columns of a testnet are written
// for testnets only; those of its nodes come last.
std::string TimeseriesCsv(const v1::RunReport& report);

// Builds the page. Text of the report is data in the page, never markup. Beyond 2,000 samples, adjacent rows are
// combined.
std::string ReportHtml(const v1::RunReport& report);

}  // namespace lvs::services
