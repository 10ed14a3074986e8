#include "services/cli/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <exception>
#include <ostream>
#include <string>
#include <system_error>
#include <vector>

#include "services/base/build.h"
#include "services/base/descriptor_buffer.h"
#include "services/base/fatal.h"
#include "services/base/text.h"
#include "services/base/yaml_proto.h"
#include "services/base/yaml_units.h"
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

CLI::Validator WholeNumber() {
  const auto check = [](const std::string& text) {
    const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
    if (!digits) return Quoted(text) + " is not a whole number; write one such as 16";
    if (text.size() > 1 && text.front() == '0') return Quoted(text) + " begins with 0; write the number without it";
    std::uint64_t number = 0;  // CLI11 takes the largest one for all that are larger
    const std::from_chars_result read = std::from_chars(text.data(), text.data() + text.size(), number);
    return read.ec == std::errc() ? std::string() : Quoted(text) + " is out of range; write a smaller number";
  };
  return {check, "", "whole_number"};
}

CLI::Validator NumberBetween(double min, double max) {
  const auto check = [min, max](const std::string& text) {
    const absl::StatusOr<Quantity> number = ParseQuantity(text, v1::UNIT_NONE);
    if (!number.ok()) return std::string(number.status().message());
    const bool holds = number->value >= min && number->value <= max;
    return holds ? std::string()
                 : text + " is out of range; write " + FormatNumber(min, 9) + " to " + FormatNumber(max, 9);
  };
  return {check, "", "number_between"};
}

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
  AddTabs(app, commands);
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
