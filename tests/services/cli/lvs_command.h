// The command line in-process: what it printed, and how it ended.
//
//   const Outcome status = Lvs({"status", "--node", address});
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include "services/cli/cli.h"

namespace lvs::services {

struct Outcome {
  int exit_code;
  std::string out, err;
};

inline Outcome Lvs(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "lvs");
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  std::ostringstream out, err;
  const int exit_code = Main(static_cast<int>(argv.size()), argv.data(), out, err);
  return {exit_code, out.str(), err.str()};
}

}  // namespace lvs::services
