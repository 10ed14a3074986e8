// The commands of `lvs testnet`, one source file a small family, each with arguments of its own.
//
//   struct KillArguments : TestnetArguments { std::size_t node = 0; };
//   int Kill(const KillArguments& arguments, std::ostream& out, std::ostream& err);
//
//   void AddTestnetKill(TestnetCommands& commands) {
//     commands.Add<KillArguments>("kill", "End one node", "Example:\n  lvs testnet kill 2\n", Kill,
//                                 [](CLI::App* command, KillArguments& given) { AddNodeNumber(command, given.node); });
//   }
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/cli/commands.h"
#include "services/cli/output.h"
#include "services/cluster/testnet.h"

namespace lvs::services {

// Arguments that every testnet command takes.
struct TestnetArguments {
  std::string directory = kTestnetDirectoryDefault;
  std::string format = "table";
};

// Arguments that decide how a command starts nodes.
struct StartingArguments {
  std::string binary;
  std::string deadline = "20s";
};

class TestnetCommands {
 public:
  TestnetCommands(CLI::App& parent, Commands& commands) : parent_(parent), commands_(commands) {}

  // Adds a subcommand with --dir and --format; `options` declares its further options.
  template <typename Arguments>
  void Add(const char* name, const char* about, const std::string& footer,
           int (*run)(const Arguments&, std::ostream& out, std::ostream& err),
           const std::function<void(CLI::App*, Arguments&)>& options = {}) {
    const auto given = std::make_shared<Arguments>();
    CLI::App* command = parent_.add_subcommand(name, about);
    if (options) options(command, *given);
    command->add_option("--dir", given->directory, "Directory of the testnet (default: " + given->directory + ")")
        ->option_text("DIR");
    AddFormat(command, given->format);
    command->footer(footer);
    commands_.push_back(
        {command, [given, run](std::ostream& out, std::ostream& err) { return run(*given, out, err); }});
  }

 private:
  CLI::App& parent_;
  Commands& commands_;
};

inline constexpr const char* kTestnetExitCodes = "\nExit codes: 0 done, 1 could not, 2 wrong arguments";

// The order of the calls is the order of the help text.
void AddTestnetUp(TestnetCommands& commands);
void AddTestnetStatus(TestnetCommands& commands);
void AddTestnetKill(TestnetCommands& commands);
void AddTestnetStart(TestnetCommands& commands);
void AddTestnetRoll(TestnetCommands& commands);
void AddTestnetFaults(TestnetCommands& commands);  // partition, heal, scatter
void AddTestnetLoad(TestnetCommands& commands);
void AddTestnetReport(TestnetCommands& commands);
void AddTestnetVerify(TestnetCommands& commands);
void AddTestnetDown(TestnetCommands& commands);

// ---- Shared by several commands -------------------------------------------------------------------------------------

void AddNodeNumber(CLI::App* command, std::size_t& node);

// The longest time that an option takes: a year.
inline constexpr std::chrono::hours kTimeOptionMax{24 * 365};

// Parses the time given to an option, rounded up to milliseconds. INVALID_ARGUMENT names the option.
absl::StatusOr<std::chrono::milliseconds> TimeOf(const char* option, const std::string& text,
                                                 std::chrono::milliseconds max = kTimeOptionMax);

// Opens the testnet and checks that the node exists.
absl::StatusOr<Testnet> OpenWithNode(const std::string& directory, std::size_t node);

// Prints `facts` as one JSON value, or `text` as one line.
void PrintDone(const std::string& format, const Json& facts, const std::string& text, std::ostream& out);

}  // namespace lvs::services
