#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <iostream>

#include "services/base/descriptor_buffer.h"
#include "services/base/fatal.h"
#include "services/cli/cli.h"

namespace {

// Where standard input, output or error is closed, the next file that is opened would take its place, and get what is
// written to it. Output that was closed stays one that cannot be written; errors go nowhere.
void OpenStandardDescriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) < 0) static_cast<void>(open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY));
  }
}

}  // namespace

int main(int argc, char** argv) {
  OpenStandardDescriptors();
  lvs::services::HandleFatalErrors();
  // A reader that goes away, or a file that grows beyond `ulimit -f`, is a failed write, and no reason to end at once.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  lvs::services::DescriptorBuffer standard_output(STDOUT_FILENO);
  std::streambuf* const before = std::cout.rdbuf(&standard_output);
  const int exit_code = lvs::services::Main(argc, argv, std::cout, std::cerr);
  std::cout.rdbuf(before);
  return exit_code;
}
