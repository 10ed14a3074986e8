// The `lvs` command line. main.cc calls Main; tests call it in-process.
//
//   std::ostringstream out, err;
//   const char* argv[] = {"lvs", "scenario", "validate", "phase2.yaml"};
//   EXPECT_EQ(Main(4, argv, out, err), kExitPassed);
//
// Results go to `out`, progress and errors to `err`. With `--format json`, `out` carries exactly one JSON value. Live
// progress is one redrawn line where `err` is a terminal, otherwise about one JSON line a second.
#pragma once

#include <iosfwd>
#include <string>

namespace lvs::services {

// Exit codes, the same for every command.
inline constexpr int kExitPassed = 0;
inline constexpr int kExitCouldNotRun = 1;     // unreadable file, run directory not writable, no memory, interrupted
inline constexpr int kExitUsage = 2;           // wrong arguments, or a scenario that must be mended
inline constexpr int kExitUnhealthy = 10;      // a node is unhealthy or cannot be reached, or ledgers differ
inline constexpr int kExitNotHandedOver = 11;  // a node drained, but what only it held is lost
inline constexpr int kExitBreached = 99;       // the run was complete and a threshold did not hold

// Main installs handlers for SIGINT and SIGTERM only while a scenario runs. The first signal ends the run after the
// current cycle, with a partial report; the second one kills the process.
//
// Nothing is thrown: what nobody catches is a message on `err` and kExitCouldNotRun. So is an `out` that cannot be
// written, whatever the command found.
int Main(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

}  // namespace lvs::services
