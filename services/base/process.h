// Other processes of this machine: started, run to their end, found again, and waited for.
//
//   absl::StatusOr<std::string> routes = RunCommand({"ip", "-4", "route"});
//   absl::StatusOr<pid_t> node = SpawnDaemon({"lvs", "node", "--config", "node.yaml"}, "log");
//   if (node.ok()) ::kill(*node, SIGTERM);
//   bool ended = PollUntil([&] { return ProcessEnded(*node); }, std::chrono::seconds(10), std::chrono::milliseconds(5));
//
// Commands are looked for in PATH and get their words as they are: no shell splits or expands them. Any thread.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/base/poll.h"

namespace lvs::services {

// Starts a process that outlives this one: in a session of its own, with signals at their defaults, no input, and both
// outputs appended to `log`. Every other file of this process is closed in it. UNAVAILABLE where it cannot be started.
absl::StatusOr<pid_t> SpawnDaemon(const std::vector<std::string>& words, const std::filesystem::path& log);

// Runs a command to its end, with `input` on its standard input, and returns what it wrote to both outputs.
// FAILED_PRECONDITION where the command cannot be run or fails; the message quotes the command and what it wrote.
absl::StatusOr<std::string> RunCommand(const std::vector<std::string>& words, std::string_view input = "");

// True where a process with this id runs and its command line has `words` in a row. A process that has ended but was not
// waited for has no command line, and nor has a new process between fork and exec.
bool ProcessHasWords(pid_t pid, const std::vector<std::string>& words);

// A process with these words in its command line, other than this one.
std::optional<pid_t> FindProcess(const std::vector<std::string>& words);

// True once a process has released everything it held: locks, ports, memory. A process that is killed while a thread of
// it writes loses its command line first and ends later. Waits for a child of this process, so that it is no zombie.
bool ProcessEnded(pid_t pid);

}  // namespace lvs::services
