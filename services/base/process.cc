#include "services/base/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "services/base/files.h"
#include "services/base/owned_fd.h"
#include "services/base/text.h"

extern char** environ;

namespace lvs::services {
namespace {

namespace fs = std::filesystem;

// posix_spawnp takes words that it does not change as if it did.
std::vector<char*> ArgvOf(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  return argv;
}

fs::path ProcOf(pid_t pid) { return fs::path("/proc") / std::to_string(pid); }

// The state letter of /proc/PID/stat, behind the name in parentheses; 0 where there is no such process.
char StateOf(const fs::path& process) {
  const std::string stat = ReadFileOrEmpty(process / "stat");
  const std::size_t name_end = stat.rfind(") ");
  return name_end == std::string::npos || name_end + 2 >= stat.size() ? '\0' : stat[name_end + 2];
}

// A file in memory with this content, to be read from its start; -1 where there is no room. Unlike a pipe it holds any
// amount, and a command that does not read it raises no SIGPIPE here.
int FileInMemory(std::string_view content) {
  OwnedFd file(::memfd_create("input", MFD_CLOEXEC));
  while (!content.empty() && file.get() >= 0) {
    const ssize_t written = ::write(file.get(), content.data(), content.size());
    if (written < 0 && errno != EINTR) return -1;
    if (written > 0) content.remove_prefix(static_cast<std::size_t>(written));
  }
  return ::lseek(file.get(), 0, SEEK_SET) == 0 ? file.Release() : -1;
}

std::string ReadAll(int fd) {
  std::string all;
  std::array<char, 4096> buffer;
  for (ssize_t n; (n = ::read(fd, buffer.data(), buffer.size())) != 0;) {
    if (n > 0) all.append(buffer.data(), static_cast<std::size_t>(n));
    if (n < 0 && errno != EINTR) break;
  }
  return all;
}

}  // namespace

absl::StatusOr<pid_t> SpawnDaemon(const std::vector<std::string>& words, const fs::path& log) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, words[0].c_str(), &files, &attributes, ArgvOf(words).data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) return absl::UnavailableError("cannot start " + words[0] + ": " + ErrnoText(error));
  return pid;
}

absl::StatusOr<std::string> RunCommand(const std::vector<std::string>& words, std::string_view input) {
  std::array<int, 2> ends{-1, -1};
  const OwnedFd in(FileInMemory(input));
  if (in.get() < 0 || ::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return absl::UnavailableError("cannot run " + words[0] + ": " + ErrnoText(errno));
  }
  const OwnedFd out(ends[0]);
  OwnedFd out_of_command(ends[1]);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, in.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, out_of_command.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, out_of_command.get(), STDERR_FILENO);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, words[0].c_str(), &files, nullptr, ArgvOf(words).data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot run ", words[0], ": ", ErrnoText(error), "; is it installed?"));
  }
  out_of_command.Close();
  std::string said = ReadAll(out.get());
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return said;
  while (!said.empty() && said.back() == '\n') said.pop_back();
  return absl::FailedPreconditionError(absl::StrCat("`", absl::StrJoin(words, " "), "`: ", said));
}

bool ProcessHasWords(pid_t pid, const std::vector<std::string>& words) {
  // A NUL byte ends each word; the one before the first keeps "--xconfig" from matching "--config".
  std::string wanted(1, '\0');
  for (const std::string& word : words) wanted += word + '\0';
  return (std::string(1, '\0') + ReadFileOrEmpty(ProcOf(pid) / "cmdline")).find(wanted) != std::string::npos;
}

std::optional<pid_t> FindProcess(const std::vector<std::string>& words) {
  std::error_code error;
  for (fs::directory_iterator entry("/proc", error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    pid_t pid = 0;
    const auto [last, wrong] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (wrong != std::errc() || last != name.data() + name.size() || pid == ::getpid()) continue;
    if (ProcessHasWords(pid, words)) return pid;
  }
  return std::nullopt;
}

bool ProcessEnded(pid_t pid) {
  ::waitpid(pid, nullptr, WNOHANG);
  const fs::path process = ProcOf(pid);
  const char state = StateOf(process);
  if (state != 'Z' && state != 'X') return state == '\0';
  // The first thread has ended; others may still run.
  const absl::StatusOr<std::vector<fs::path>> threads = FolderEntries(process / "task");
  return !threads.ok() || threads->size() <= 1;
}

}  // namespace lvs::services
