#include "services/cli/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <ostream>
#include <string>
#include <vector>

#include "services/base/build.h"
#include "services/base/descriptor_buffer.h"
#include "services/base/fatal.h"
#include "services/base/text.h"
#include "services/base/yaml_proto.h"
#include "services/cli/commands.h"

namespace lvs::services {
namespace {

// CLI11 reports "a command is required" for an unknown command, so this function names the unknown word instead.
std::string UsageProblem(const CLI::App& command, const CLI::ParseError& error) {
  const std::vector<std::string> unknown = command.remaining();
  std::vector<std::string> known;
  for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; })) {
    known.push_back(sub->get_name());
  }
  if (unknown.empty()) return error.what();
  if (unknown.front().starts_with('-')) return unknown.front() + " is not an option";
  if (known.empty()) return error.what();
  const std::string near = Nearest(unknown.front(), known);
  return unknown.front() + " is not a command; " +
         (near.empty() ? "write one of " + JoinWords(known) : "did you mean " + near + "?");
}

}  // namespace

CLI::Option* AddFormat(CLI::App* command, std::string& format) {
  return command->add_option("--format", format, "table for people, json for programs")
      ->check(CLI::IsMember({"table", "json"}))
      ->option_text("table|json");
}

namespace {

// Parses the command line and runs the command that it names.
int RunCommandLine(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  CLI::App app{"LVS: a deterministic swarm of micro-nodes that agree by drift, with a verdict", "lvs"};
  app.set_version_flag("--version", "lvs " + BuildString(), "Print the build and exit");
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.require_subcommand(1);
  app.footer("Examples:\n  lvs scenario list\n  lvs run phase2\n  lvs run --help");

  Commands commands;
  AddRun(app, commands);
  AddScenario(app, commands);
  AddCompare(app, commands);
  AddNode(app, commands);
  AddOperate(app, commands);
  AddTestnet(app, commands);
  AddLimits(app, commands);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success, out, err);
  } catch (const CLI::ParseError& error) {
    const CLI::App* command = &app;
    while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
    std::string name;
    for (const CLI::App* at = command; at != nullptr; at = at->get_parent()) {
      name = at->get_name() + (name.empty() ? "" : " " + name);
    }
    if (argc <= 1) {
      err << app.help();
    } else {
      const std::string problem = UsageProblem(*command, error);
      err << "lvs: " << problem << (problem.ends_with('?') ? " See `" : "; see `") << name << " --help`\n";
    }
    return kExitUsage;
  }
  const auto chosen =
      std::find_if(commands.begin(), commands.end(), [](const Command& command) { return command.app->parsed(); });
  return chosen->run(out, err);
}

}  // namespace

int Main(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  int exit_code = kExitCouldNotRun;
  try {
    exit_code = RunCommandLine(argc, argv, out, err);
  } catch (const std::exception& error) {
    err << "lvs: " << ExceptionText(error) << "\n";
  }
  out.flush();
  if (out) return exit_code;
  const auto* const buffer = dynamic_cast<const DescriptorBuffer*>(out.rdbuf());
  err << "lvs: standard output could not be written"
      << (buffer == nullptr || buffer->error() == 0 ? "" : ": " + ErrnoText(buffer->error()))
      << "; the result is incomplete\n";
  return kExitCouldNotRun;
}

}  // namespace lvs::services
