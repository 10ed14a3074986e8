// What the commands print with: numbers for people, tables, errors with their exit code, and whether a terminal looks
// on. Free of shared state: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "nlohmann/json.hpp"

namespace lvs::services {

using Json = nlohmann::ordered_json;

// ---- Text ----------------------------------------------------------------------------------------------------------

std::string Short(double number, const char* format = "%.3g");
std::string Grouped(std::uint64_t number);                        // 1234567 -> "1,234,567"
std::string Count(std::uint64_t number, const std::string& one);  // 2, "node" -> "2 nodes"
std::string Megabytes(std::uint64_t bytes);                       // 1500000 -> "1.5 MB"
std::string PercentText(double share);                            // 0.05 -> "5%"
std::string ValueText(std::int64_t uvu);                          // 2500000 -> "2.5VU"
std::string ShellWord(const std::string& word);                   // quoted where a shell would split it

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
