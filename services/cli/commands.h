// The commands of `lvs`, one source file a family. Each Add function declares its commands on the command line and says
// what runs them; cli.cc parses, picks and calls.
//
//   CLI::App app;
//   Commands commands;
//   AddCompare(app, commands);
//   app.parse(argc, argv);
//   for (const Command& command : commands) {
//     if (command.app->parsed()) return command.run(out, err);
//   }
//
// The arguments of a command live as long as its `run`, which returns an exit code of cli.h.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
class Validator;
}  // namespace CLI

namespace lvs::services {

struct Command {
  CLI::App* app;
  std::function<int(std::ostream& out, std::ostream& err)> run;
};
using Commands = std::vector<Command>;

void AddRun(CLI::App& app, Commands& commands);
void AddScenario(CLI::App& app, Commands& commands);
void AddCompare(CLI::App& app, Commands& commands);
void AddNode(CLI::App& app, Commands& commands);
void AddOperate(CLI::App& app, Commands& commands);
void AddTestnet(CLI::App& app, Commands& commands);
void AddTabs(CLI::App& app, Commands& commands);
void AddLimits(CLI::App& app, Commands& commands);

// Takes whole numbers, written in digits: CLI11 would take -1, and numbers of 30 digits, for 2^64 - 1, and 010 for 8.
CLI::Validator WholeNumber();
// Takes numbers from `min` to `max`. CLI::Range would take NaN, which is neither less than one nor more than the other.
CLI::Validator NumberBetween(double min, double max);

// Declares `--format table|json`, which every command that prints a result takes.
CLI::Option* AddFormat(CLI::App* command, std::string& format);

}  // namespace lvs::services
