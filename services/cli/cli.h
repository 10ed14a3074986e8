// The `lvs` command line. main.cc calls Main; tests call it in-process.
//
//   std::ostringstream out, err;
//   const char* argv[] = {"lvs", "scenario", "validate", "phase2.yaml"};
//   EXPECT_EQ(Main(4, argv, out, err), kExitPassed);
//
// Results go to `out`, progress and errors to `err`. With `--format json` `out` carries one JSON value and nothing
// else. Live progress is a line that redraws where `err` is a terminal, otherwise one JSON object a line, about one a
// second.
#pragma once

#include <iosfwd>
#include <string>

namespace lvs::services {

// Exit codes, the same for every command.
inline constexpr int kExitPassed = 0;
inline constexpr int kExitCouldNotRun = 1;  // unreadable file, run directory not writable, no memory, interrupted
inline constexpr int kExitUsage = 2;        // wrong arguments, or a scenario that must be mended
inline constexpr int kExitUnhealthy = 10;   // a node is unhealthy or cannot be reached, or ledgers differ
inline constexpr int kExitBreached = 99;    // the run was complete and a threshold did not hold

// Installs handlers for SIGINT and SIGTERM only while a scenario runs: the first signal ends the run after the current
// cycle, with a partial report; the second one kills.
int Main(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

}  // namespace lvs::services
