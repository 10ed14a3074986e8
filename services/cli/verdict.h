// Where a run directory goes by default, and what is printed once it is there: for `lvs run` and `lvs testnet report`.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>

#include "lvs/v1/report.pb.h"

namespace lvs::services {

// runs/NAME-UTC_TIME, with a number behind it where two start in one second.
std::filesystem::path NewRunDirectory(const std::string& name);

// The thresholds, the verdict, and where the report is.
void PrintVerdict(const v1::Summary& summary, const std::filesystem::path& directory, std::ostream& out);

}  // namespace lvs::services
