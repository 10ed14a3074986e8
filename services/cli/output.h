// What the commands print with: tables, errors with their exit code, and whether a terminal looks on. Numbers and words
// are formatted by services/base/text.h.
//
//   PrintTable(std::cout, {{"node", "state"}, {"127.0.0.1:7401", "SERVING"}});
//
// Free of shared state: any thread.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"
#include "services/base/text.h"

namespace lvs::services {

using Json = nlohmann::ordered_json;

// ---- Tables and errors ---------------------------------------------------------------------------------------------

using Rows = std::vector<std::vector<std::string>>;

// Left-aligned columns, two spaces apart; the first row is the heading.
void PrintTable(std::ostream& out, const Rows& rows, const std::string& indent = "");

// Says what went wrong and returns the exit code: kExitUsage for INVALID_ARGUMENT, otherwise kExitCouldNotRun.
int Fail(std::ostream& err, const absl::Status& status);

// ---- Terminals -----------------------------------------------------------------------------------------------------

// True for std::cout and std::cerr where they are one. Other streams never are.
bool IsTerminal(const std::ostream& stream);
std::size_t TerminalColumns();  // 80 where nobody knows

}  // namespace lvs::services
