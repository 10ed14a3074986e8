#include "services/cli/output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "services/cli/cli.h"

namespace lvs::services {

std::string JsonText(const Json& json, int indent) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

void PrintTable(std::ostream& out, const Rows& rows, const std::string& indent) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line = indent;
    for (std::size_t i = 0; i < row.size(); ++i) line += row[i] + std::string(widths[i] - row[i].size() + 2, ' ');
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << "\n";
  }
}

int Fail(std::ostream& err, const absl::Status& status) {
  err << "lvs: " << std::string(status.message()) << "\n";
  return absl::IsInvalidArgument(status) ? kExitUsage : kExitCouldNotRun;
}

bool IsTerminal(const std::ostream& stream) {
  return (&stream == &std::cerr && isatty(STDERR_FILENO) == 1) || (&stream == &std::cout && isatty(STDOUT_FILENO) == 1);
}

std::size_t TerminalColumns() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 80;
  return size.ws_col;
}

}  // namespace lvs::services
