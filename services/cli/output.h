// Output helpers of the commands: tables, errors with their exit code, and terminal detection. services/base/text.h
// formats numbers and words.
//
//   PrintTable(std::cout, {{"node", "state"}, {"127.0.0.1:7401", "SERVING"}});
//
// Stateless: any thread.
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

// The text of a JSON value. Bytes that are no UTF-8, which names of files may have, become replacement characters.
std::string JsonText(const Json& json, int indent = -1);

// ---- Tables and errors ---------------------------------------------------------------------------------------------

using Rows = std::vector<std::vector<std::string>>;

// Prints left-aligned columns, two spaces apart. The first row is the heading.
void PrintTable(std::ostream& out, const Rows& rows, const std::string& indent = "");

// Prints the error and returns the exit code: kExitUsage for INVALID_ARGUMENT, otherwise kExitCouldNotRun.
int Fail(std::ostream& err, const absl::Status& status);

// ---- Terminals -----------------------------------------------------------------------------------------------------

// True where the stream is std::cout or std::cerr and writes to a terminal; false for every other stream.
bool IsTerminal(const std::ostream& stream);
std::size_t TerminalColumns();  // 80 where the width is unknown

}  // namespace lvs::services
