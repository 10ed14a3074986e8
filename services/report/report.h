// The run directory: what `lvs run` and `lvs testnet report` leave behind (issue 2, section 7; TEST-4.4, TEST-6).
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
// Errors carry a sentence for the user: what is wrong, where, and what to do. Functions may be called from any thread;
// two writers of one directory at a time are not supported.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "lvs/v1/report.pb.h"

namespace lvs::services {

// Creates the directory with its parents and proves that files can be written there, so that a run does not fail at its
// end. An empty directory and an earlier run are accepted (its files are replaced by WriteRunDirectory and stay until
// then); FAILED_PRECONDITION for a path that is a file, or a directory with other files and no summary.json.
absl::Status PrepareRunDirectory(const std::filesystem::path& directory);

// Writes the three files into a directory that exists. At any moment a file is complete or absent under its name: all
// three are written beside their names and synced first, then renamed, summary.json last. On failure the old files stay.
absl::Status WriteRunDirectory(const v1::RunReport& report, const std::filesystem::path& directory);

// Reads summary.json of a run directory, or a file of that form. Keys that are unknown here (a newer build) are
// skipped. NOT_FOUND without the file, INVALID_ARGUMENT where it is not a summary.
absl::StatusOr<v1::Summary> ReadSummary(const std::filesystem::path& run_directory_or_file);

// Indented JSON with the proto's field names, every field present, 64-bit integers as numbers, doubles that read back
// to the same bits; NaN and infinity become null (and read back as NaN).
std::string SummaryJson(const v1::Summary& summary);

// Any message on one line, otherwise as SummaryJson; fixed64 fields, which hold ids and digests, as 16 hexadecimal digits.
std::string MessageJson(const google::protobuf::Message& message);

// A header and one row for each sample; NaN and infinity are empty cells. Only testnets have the columns of a testnet; those
// of its nodes come last.
std::string TimeseriesCsv(const v1::RunReport& report);

// The page. Text of the report is data in it, never markup. Beyond 2,000 samples, rows in turn are combined.
std::string ReportHtml(const v1::RunReport& report);

}  // namespace lvs::services
