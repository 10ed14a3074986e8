// The default run directory and the printed verdict of `lvs run` and `lvs testnet report`.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>

#include "lvs/v1/report.pb.h"

namespace lvs::services {

// Returns runs/NAME-UTC_TIME, with a number appended where two runs start in the same second.
std::filesystem::path NewRunDirectory(const std::string& name);

// Prints the thresholds, the verdict and the path of the report.
void PrintVerdict(const v1::Summary& summary, const std::filesystem::path& directory, std::ostream& out);

}  // namespace lvs::services
