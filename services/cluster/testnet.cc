#include "services/cluster/testnet.h"

#include <google/protobuf/util/json_util.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "services/base/files.h"
#include "services/base/text.h"
#include "services/base/yaml_proto.h"
#include "services/cluster/testnet_network.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kProcessPoll{5};
// The deadline after SIGKILL covers only a delay of the kernel.
constexpr std::chrono::milliseconds kKillDeadline{5'000};
constexpr std::chrono::milliseconds kExecDeadline{2'000};
constexpr std::string_view kStateFile = "testnet.json";
constexpr std::string_view kFolderPrefix = "node-";

// Returns an empty message where the file cannot be read.
template <typename Message>
Message ReadJson(const fs::path& file) {
  Message message;
  const auto status = google::protobuf::util::JsonStringToMessage(ReadFileOrEmpty(file), &message);
  return status.ok() ? message : Message();
}

absl::Status WriteJson(const fs::path& file, const google::protobuf::Message& message) {
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(message, &text).ok()) {
    return absl::InternalError(message.GetTypeName() + " to JSON");
  }
  return WriteFileAtomically(file, text + "\n");
}

// The number of a node's folder.
std::optional<std::size_t> NumberOf(const fs::path& folder) {
  const std::string name = folder.filename().string();
  if (!name.starts_with(kFolderPrefix)) return std::nullopt;
  std::size_t number = 0;
  const char* last = name.data() + name.size();
  const auto [end, error] = std::from_chars(name.data() + kFolderPrefix.size(), last, number);
  if (error != std::errc() || end != last || number >= kTestnetNodesMax) return std::nullopt;
  return number;
}

std::optional<pid_t> ReadPid(const fs::path& file) {
  const std::string text = ReadFileOrEmpty(file);
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  return pid > 1 ? std::optional(pid) : std::nullopt;
}

// The command-line words that identify a process as this node's.
std::vector<std::string> WordsOf(const TestnetNode& node) { return {"--config", node.ConfigFile().string()}; }

absl::StatusOr<FileLock> Lock(const fs::path& directory) {
  absl::StatusOr<FileLock> lock = FileLock::Take(directory / "lock");
  if (!absl::IsUnavailable(lock.status())) return lock;
  return absl::FailedPreconditionError("another `lvs testnet` command works in " + directory.string() +
                                       "; wait for its end");
}

absl::StatusOr<fs::path> Absolute(const fs::path& directory) {
  absl::StatusOr<fs::path> absolute = AbsolutePath(directory);
  if (!absolute.ok()) return absolute;
  std::error_code error;
  fs::path canonical = fs::weakly_canonical(*absolute, error);
  return error ? *absolute : canonical;
}

// The folders of nodes in a directory, by number; none where there is no such directory.
absl::StatusOr<std::vector<std::pair<std::size_t, fs::path>>> NodeFolders(const fs::path& directory) {
  const absl::StatusOr<std::vector<fs::path>> entries = FolderEntries(directory);
  if (!entries.ok() && !absl::IsNotFound(entries.status())) return entries.status();
  std::vector<std::pair<std::size_t, fs::path>> folders;
  for (std::size_t n = 0; entries.ok() && n < entries->size(); ++n) {
    const fs::path& folder = (*entries)[n];
    const std::optional<std::size_t> number = NumberOf(folder);
    std::error_code error;
    if (number && fs::exists(folder / "node.yaml", error)) folders.emplace_back(*number, folder);
    if (!number || !error) continue;
    const absl::Status failed = FileError("look into", folder, error.value());
    return absl::Status(failed.code(),
                        std::string(failed.message()) + "; run this as the user that ran `lvs testnet up`");
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

// The numbers of the running nodes as text: "0 and 2".
std::string RunningText(const Testnet& net) {
  std::string text;
  for (std::size_t i = 0; i < net.nodes().size(); ++i) {
    if (net.Pid(i)) text += (text.empty() ? "" : ", ") + std::to_string(i);
  }
  return text;
}

}  // namespace

std::string TestnetHint(const fs::path& directory, std::string_view words) {
  std::string command = "lvs testnet " + std::string(words);
  const absl::StatusOr<fs::path> here = Absolute(directory);
  const absl::StatusOr<fs::path> usual = Absolute(kTestnetDirectoryDefault);
  if (!here.ok() || !usual.ok() || *here != *usual) command += " --dir " + ShellWord(directory.string());
  return command;
}

v1::Faults ReadFaults(const TestnetNode& node) { return ReadJson<v1::Faults>(node.folder / "faults.json"); }

v1::TestnetState ReadTestnetState(const fs::path& directory) {
  return ReadJson<v1::TestnetState>(directory / kStateFile);
}

std::optional<pid_t> ProcessOf(const TestnetNode& node) {
  const std::vector<std::string> words = WordsOf(node);
  if (const std::optional<pid_t> pid = ReadPid(node.folder / "pid"); pid) {
    ::waitpid(*pid, nullptr, WNOHANG);  // reaps a child of this process, which would stay a zombie
    if (ProcessHasWords(*pid, words)) return pid;
  }
  // The pid file may be missing: the starter may have been killed before it wrote the file.
  return FindProcess(words);
}

absl::StatusOr<std::vector<TestnetNode>> ReadTestnet(const fs::path& directory) {
  const absl::StatusOr<fs::path> absolute = Absolute(directory);
  if (!absolute.ok()) return absolute.status();
  const auto folders = NodeFolders(*absolute);
  if (!folders.ok()) return folders.status();
  std::vector<TestnetNode> nodes;
  for (const auto& [number, folder] : *folders) {
    if (number != nodes.size()) {
      return absl::NotFoundError("the folder of node " + std::to_string(nodes.size()) + " is missing in " +
                                 absolute->string() + "; `" + TestnetHint(*absolute, "down") + "`, then `up` again");
    }
    nodes.push_back({folder, {}});
    if (const auto origin = ReadYaml(folder / "node.yaml", &nodes.back().config); !origin.ok()) return origin.status();
  }
  if (nodes.empty()) {
    return absl::NotFoundError("no testnet in " + absolute->string() +
                               "; start one with `lvs testnet up`, or name its "
                               "directory with --dir");
  }
  return nodes;
}

absl::StatusOr<Testnet> Testnet::Open(const fs::path& directory) {
  absl::StatusOr<std::vector<TestnetNode>> nodes = ReadTestnet(directory);
  if (!nodes.ok()) return nodes.status();
  const fs::path absolute = nodes->front().folder.parent_path();
  absl::StatusOr<FileLock> lock = Lock(absolute);
  if (!lock.ok()) return lock.status();
  Testnet net(absolute, *std::move(lock));
  net.nodes_ = *std::move(nodes);
  return net;
}

absl::StatusOr<Testnet> Testnet::Create(const fs::path& directory, const TestnetPlan& plan) {
  if (plan.nodes == 0 || plan.nodes > kTestnetNodesMax) {
    return absl::InvalidArgumentError("a testnet has 1 to " + std::to_string(kTestnetNodesMax) + " nodes");
  }
  const absl::StatusOr<fs::path> found = Absolute(directory);
  if (!found.ok()) return found.status();
  const fs::path& absolute = *found;
  std::error_code error;
  fs::create_directories(absolute, error);
  if (error) return absl::UnavailableError("cannot create " + absolute.string() + ": " + error.message());
  absl::StatusOr<FileLock> lock = Lock(absolute);
  if (!lock.ok()) return lock.status();
  Testnet net(absolute, *std::move(lock));

  // An earlier testnet may have left folders: refuse while one of its nodes runs, then delete the folders that are
  // ours.
  const auto old = NodeFolders(absolute);
  if (!old.ok()) return old.status();
  for (const auto& [number, folder] : *old) net.nodes_.push_back({folder, {}});
  if (const std::string running = RunningText(net); !running.empty()) {
    return absl::FailedPreconditionError("a testnet runs in " + absolute.string() + " (node " + running +
                                         "); end it with `" + TestnetHint(directory, "down") +
                                         "`, or choose another --dir");
  }
  net.nodes_.clear();
  for (const auto& [number, folder] : *old) {
    fs::remove_all(folder, error);
    if (error) return absl::UnavailableError("cannot remove " + folder.string() + ": " + error.message());
  }

  if (absl::Status removed = net.RemoveNamespaces(); !removed.ok()) return removed;
  net.state_.Clear();
  net.state_.set_command(plan.command);
  std::vector<NodeAddresses> addresses;
  if (plan.namespaces) {
    absl::StatusOr<v1::TestnetNetwork> network = PlanNetwork(plan.nodes);
    if (!network.ok()) return network.status();
    addresses = AddressesIn(*network);
    *net.state_.mutable_network() = *std::move(network);
  } else {
    absl::StatusOr<std::vector<NodeAddresses>> free = LoopbackAddresses(plan.nodes, plan.base_port);
    if (!free.ok()) return free.status();
    addresses = *std::move(free);
  }
  // The network is saved before it is made, so that `down` finds it even after a crash.
  if (absl::Status written = WriteJson(absolute / kStateFile, net.state_); !written.ok()) return written;
  for (std::size_t i = 0; i < plan.nodes; ++i) {
    TestnetNode node{absolute / (std::string(kFolderPrefix) + std::to_string(i)), {}};
    fs::create_directories(node.folder, error);
    if (error) return absl::UnavailableError("cannot create " + node.folder.string() + ": " + error.message());
    absl::Status written = WriteFileAtomically(node.ConfigFile(), NodeConfigText(plan, i, node.folder, addresses));
    if (!written.ok()) return written;
    if (const auto origin = ReadYaml(node.ConfigFile(), &node.config); !origin.ok()) return origin.status();
    net.nodes_.push_back(std::move(node));
  }
  absl::Status status = plan.namespaces ? MakeNetwork(net.state_.network()) : absl::OkStatus();
  for (std::size_t i = 0; i < plan.nodes && status.ok(); ++i) status = net.SaveFaults(i, plan.faults);
  if (status.ok()) return net;
  net.RemoveNamespaces().IgnoreError();
  return status;
}

Testnet::Testnet(fs::path directory, FileLock lock)
    : directory_(std::move(directory)), lock_(std::move(lock)), state_(ReadTestnetState(directory_)) {}

absl::Status Testnet::Start(std::size_t i, const fs::path& binary) {
  const TestnetNode& node = nodes_.at(i);
  if (const std::optional<pid_t> pid = Pid(i); pid) {
    return absl::FailedPreconditionError("node " + std::to_string(i) + " runs already (process " +
                                         std::to_string(*pid) + ")");
  }
  std::vector<std::string> words{binary.string(), "node", "--config", node.ConfigFile().string()};
  if (in_namespaces()) {
    if (!NetworkIsThere(state_.network())) {
      return absl::FailedPreconditionError(
          "the network namespaces of the testnet are gone, as they are after a restart of the machine; `" +
          TestnetHint(directory_, "down") + "`, then `up` again");
    }
    // `ip netns exec` replaces itself with the node, so the pid is the node's.
    words.insert(words.begin(), {"ip", "netns", "exec", NamespaceOf(state_.network(), i)});
  }
  const absl::StatusOr<pid_t> pid = SpawnDaemon(words, node.LogFile());
  if (!pid.ok()) return pid.status();
  if (absl::Status written = WriteFileAtomically(node.folder / "pid", std::to_string(*pid) + "\n"); !written.ok()) {
    ::kill(*pid, SIGKILL);
    return written;
  }
  // A process has no command line for a moment after exec, and could not be told from one that ended.
  PollUntil([&] { return ProcessHasWords(*pid, WordsOf(node)) || ::waitpid(*pid, nullptr, WNOHANG) != 0; },
            kExecDeadline, kProcessPoll);
  return absl::OkStatus();
}

absl::Status Testnet::Stop(std::size_t i, int signal, std::chrono::milliseconds deadline) {
  const std::optional<pid_t> pid = Pid(i);
  if (!pid) {
    return absl::FailedPreconditionError("node " + std::to_string(i) + " does not run; `" +
                                         TestnetHint(directory_, "start " + std::to_string(i)) + "` brings it back");
  }
  ::kill(*pid, signal);
  if (!PollUntil([&] { return ProcessEnded(*pid); }, deadline, kProcessPoll)) {
    return absl::DeadlineExceededError("node " + std::to_string(i) + " (process " + std::to_string(*pid) +
                                       ") did not end within " + std::to_string(deadline.count()) +
                                       "ms; end it with --hard");
  }
  std::error_code ignored;
  fs::remove(nodes_[i].folder / "pid", ignored);
  return absl::OkStatus();
}

absl::StatusOr<std::size_t> Testnet::StopAll(std::chrono::milliseconds deadline) {
  std::vector<pid_t> running;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (const std::optional<pid_t> pid = Pid(i); pid) running.push_back(*pid);
  }
  const auto ended = [&running] {
    std::erase_if(running, ProcessEnded);
    return running.empty();
  };
  for (const pid_t pid : running) ::kill(pid, SIGTERM);
  std::size_t killed = 0;
  if (!PollUntil(ended, deadline, kProcessPoll)) {
    killed = running.size();
    for (const pid_t pid : running) ::kill(pid, SIGKILL);
    if (!PollUntil(ended, kKillDeadline, kProcessPoll)) {
      return absl::DeadlineExceededError("process " + std::to_string(running.front()) +
                                         " does not end, not even by SIGKILL");
    }
  }
  for (const TestnetNode& node : nodes_) {
    std::error_code ignored;
    fs::remove(node.folder / "pid", ignored);
  }
  return killed;
}

v1::Faults Testnet::OwnFaults(std::size_t i) const {
  v1::Faults faults = SavedFaults(i);
  if (in_namespaces()) {
    faults.clear_severed();
    faults.clear_loss();
  }
  return faults;
}

absl::Status Testnet::RemoveNamespaces() {
  if (!in_namespaces()) return absl::OkStatus();
  if (absl::Status removed = RemoveNetwork(state_.network()); !removed.ok()) return removed;
  state_.clear_network();
  return WriteJson(directory_ / kStateFile, state_);
}

absl::Status Testnet::SaveFaults(std::size_t i, const v1::Faults& faults) const {
  if (in_namespaces()) {
    NetworkRules rules{.loss = faults.loss()};
    for (std::size_t j = 0; j < nodes_.size(); ++j) {
      const auto& severed = faults.severed();
      if (std::find(severed.begin(), severed.end(), nodes_[j].config.advertise()) != severed.end()) {
        rules.severed.push_back(j);
      }
    }
    if (absl::Status set = SetRules(state_.network(), i, rules); !set.ok()) return set;
  }
  return WriteJson(nodes_.at(i).folder / "faults.json", faults);
}

std::string Testnet::LogTail(std::size_t i, std::size_t lines) const {
  std::ifstream in(nodes_.at(i).LogFile());
  std::deque<std::string> last;
  for (std::string line; std::getline(in, line);) {
    last.push_back(line);
    if (last.size() > lines) last.pop_front();
  }
  std::string text;
  for (const std::string& line : last) text += line + "\n";
  return text;
}

}  // namespace lvs::services
