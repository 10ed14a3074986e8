#include "services/cluster/testnet.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <deque>
#include <fstream>
#include <random>
#include <sstream>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "services/base/yaml_proto.h"
#include "services/cluster/testnet_network.h"

extern char** environ;

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPoll{5};
// After SIGKILL only the kernel can be late.
constexpr std::chrono::milliseconds kKillDeadline{5'000};
constexpr std::chrono::milliseconds kExecDeadline{2'000};
constexpr std::string_view kStateFile = "testnet.json";
constexpr std::string_view kFolderPrefix = "node-";
constexpr std::size_t kPortsPerNode = 3;
// In a namespace all ports are free.
constexpr std::size_t kNamespacePort = 7'400;
// Below Linux' ephemeral range: a port there might be taken by a connection, even of another node to this very port.
constexpr std::uint16_t kPortFirst = 20'000;
constexpr std::uint16_t kPortLast = 32'000;

std::string ErrnoText(int error) { return std::generic_category().message(error); }

// ---- Ports ---------------------------------------------------------------------------------------------------------

// A socket bound to the port, so that nobody takes it while others are looked for; -1 where it is taken.
int BindLoopback(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int yes = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);  // what a node does: TIME_WAIT is no obstacle
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // Two sockets with SO_REUSEADDR may share a port until one of them listens.
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && ::listen(fd, 1) == 0) return fd;
  ::close(fd);
  return -1;
}

absl::StatusOr<std::vector<std::uint16_t>> FreePorts(std::size_t count, std::uint16_t base) {
  std::vector<std::uint16_t> ports;
  std::vector<int> held;
  const std::uint32_t span = kPortLast - kPortFirst;
  const std::uint32_t start = std::random_device()() % span;
  absl::Status status;
  for (std::uint32_t tried = 0; ports.size() < count && status.ok(); ++tried) {
    const std::uint32_t port = base != 0 ? std::uint32_t{base} + tried : kPortFirst + (start + tried) % span;
    const int fd = port <= 65'535 ? BindLoopback(static_cast<std::uint16_t>(port)) : -1;
    if (fd >= 0) {
      held.push_back(fd);
      ports.push_back(static_cast<std::uint16_t>(port));
    } else if (base != 0) {
      status = absl::ResourceExhaustedError("port " + std::to_string(port) +
                                            " is taken; choose another --base-port, or "
                                            "leave it out");
    } else if (tried == span) {
      status = absl::ResourceExhaustedError("no free ports between " + std::to_string(kPortFirst) + " and " +
                                            std::to_string(kPortLast));
    }
  }
  for (const int fd : held) ::close(fd);
  if (!status.ok()) return status;
  return ports;
}

// ---- Files ---------------------------------------------------------------------------------------------------------

absl::Status WriteFile(const fs::path& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << text << std::flush;
  if (out) return absl::OkStatus();
  return absl::UnavailableError("cannot write " + file.string() + ": " + ErrnoText(errno));
}

// Empty where it cannot be read: a file of /proc may vanish between open and read.
std::string ReadFile(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();  // unlike istreambuf_iterator, does not throw when a read fails
  return text.str();
}

// Empty where it cannot be read.
template <typename Message>
Message ReadJson(const fs::path& file) {
  Message message;
  const auto status = google::protobuf::util::JsonStringToMessage(ReadFile(file), &message);
  return status.ok() ? message : Message();
}

absl::Status WriteJson(const fs::path& file, const google::protobuf::Message& message) {
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(message, &text).ok()) {
    return absl::InternalError(message.GetTypeName() + " to JSON");
  }
  return WriteFile(file, text + "\n");
}

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
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

// Where a node listens: for peers, for control and for health.
using Addresses = std::array<std::string, kPortsPerNode>;

std::string ConfigText(const TestnetPlan& plan, std::size_t i, const fs::path& folder,
                       const std::vector<Addresses>& addresses) {
  const auto address = [&](std::size_t node, std::size_t listener) { return addresses[node][listener]; };
  std::string boot;
  for (std::size_t node = 0; node < std::min<std::size_t>(plan.nodes, 2); ++node) {
    if (node != i) boot += (boot.empty() ? "" : ", ") + Quoted(address(node, 0));
  }
  std::ostringstream text;
  text << "# Written by `lvs testnet up`.\n"
       << "region: " << Quoted(plan.regions.empty() ? "local" : plan.regions[i % plan.regions.size()]) << "\n"
       << "listen: " << Quoted(address(i, 0)) << "\n"
       << "advertise: " << Quoted(address(i, 0)) << "\n"
       << "control_listen: " << Quoted(address(i, 1)) << "\n"
       << "health_listen: " << Quoted(address(i, 2)) << "\n";
  if (!boot.empty()) text << "boot: [" << boot << "]\n";
  if (plan.micro_nodes > 0) text << "population: {micro_nodes: " << plan.micro_nodes << "}\n";
  if (plan.period_us > 0) text << "period: " << FormatDurationUs(plan.period_us) << "\n";
  if (plan.cache) text << "cache_dir: " << Quoted((folder / "cache").string()) << "\n";
  text << "faults: true\n";
  if (plan.namespaces) text << "insecure: true  # only this machine reaches the addresses\n";
  return text.str();
}

absl::StatusOr<std::vector<Addresses>> LoopbackAddresses(const TestnetPlan& plan) {
  const auto ports = FreePorts(plan.nodes * kPortsPerNode, plan.base_port);
  if (!ports.ok()) return ports.status();
  std::vector<Addresses> addresses(plan.nodes);
  for (std::size_t n = 0; n < ports->size(); ++n) {
    addresses[n / kPortsPerNode][n % kPortsPerNode] = "127.0.0.1:" + std::to_string((*ports)[n]);
  }
  return addresses;
}

std::vector<Addresses> AddressesIn(const v1::TestnetNetwork& network) {
  std::vector<Addresses> addresses(network.nodes());
  for (std::size_t n = 0; n < addresses.size(); ++n) {
    for (std::size_t p = 0; p < kPortsPerNode; ++p) {
      addresses[n][p] = AddressOf(network, n) + ":" + std::to_string(kNamespacePort + p);
    }
  }
  return addresses;
}

// ---- Processes -----------------------------------------------------------------------------------------------------

// Whether the process was started with this configuration file. A process that ended and was not waited for yet has an
// empty command line.
bool RunsWith(pid_t pid, const std::string& config_file) {
  const std::string line = ReadFile(fs::path("/proc") / std::to_string(pid) / "cmdline");
  const std::string wanted = std::string("\0--config\0", 10) + config_file + std::string("\0", 1);
  return line.find(wanted) != std::string::npos;
}

void Reap(pid_t pid) { ::waitpid(pid, nullptr, WNOHANG); }  // where it is a child of this process

// The state letter of /proc/PID/stat, behind the name in parentheses; 0 where there is no such process.
char StateOf(const fs::path& process) {
  const std::string stat = ReadFile(process / "stat");
  const std::size_t name_end = stat.rfind(") ");
  return name_end == std::string::npos || name_end + 2 >= stat.size() ? '\0' : stat[name_end + 2];
}

std::optional<pid_t> ReadPid(const fs::path& file) {
  const std::string text = ReadFile(file);
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  return pid > 1 ? std::optional(pid) : std::nullopt;
}

// True once `ended` is.
template <typename Condition>
bool WaitUntil(const Condition& ended, std::chrono::milliseconds deadline) {
  const Clock::time_point end = Clock::now() + deadline;
  while (!ended()) {
    if (Clock::now() >= end) return false;
    std::this_thread::sleep_for(kPoll);
  }
  return true;
}

// `words` are looked for in PATH.
absl::StatusOr<pid_t> Spawn(std::vector<std::string> words, const fs::path& log) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  posix_spawn_file_actions_addclosefrom_np(&files, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, words[0].c_str(), &files, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) return absl::UnavailableError("cannot start " + words[0] + ": " + ErrnoText(error));
  return pid;
}

absl::StatusOr<int> Lock(const fs::path& directory) {
  const fs::path file = directory / "lock";
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return absl::UnavailableError("cannot write " + file.string() + ": " + ErrnoText(errno));
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  ::close(fd);
  return absl::FailedPreconditionError("another `lvs testnet` command works in " + directory.string() +
                                       "; wait for its end");
}

fs::path Absolute(const fs::path& directory) {
  std::error_code error;
  const fs::path absolute = fs::weakly_canonical(fs::absolute(directory), error);
  return error ? fs::absolute(directory) : absolute;
}

// "0 and 2" of the nodes that run.
std::string RunningText(const Testnet& net) {
  std::string text;
  for (std::size_t i = 0; i < net.nodes().size(); ++i) {
    if (net.Pid(i)) text += (text.empty() ? "" : ", ") + std::to_string(i);
  }
  return text;
}

}  // namespace

v1::Faults ReadFaults(const TestnetNode& node) { return ReadJson<v1::Faults>(node.folder / "faults.json"); }

v1::TestnetState ReadTestnetState(const fs::path& directory) {
  return ReadJson<v1::TestnetState>(Absolute(directory) / kStateFile);
}

std::optional<pid_t> ProcessOf(const TestnetNode& node) {
  const std::string config_file = node.ConfigFile().string();
  if (const std::optional<pid_t> pid = ReadPid(node.folder / "pid"); pid) {
    Reap(*pid);
    if (RunsWith(*pid, config_file)) return pid;
  }
  // Whoever started it may have been killed before it wrote the pid down.
  std::error_code error;
  for (fs::directory_iterator entry("/proc", error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    pid_t pid = 0;
    const auto [last, wrong] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (wrong != std::errc() || last != name.data() + name.size() || pid == ::getpid()) continue;
    if (RunsWith(pid, config_file)) return pid;
  }
  return std::nullopt;
}

bool ProcessEnded(pid_t pid) {
  Reap(pid);
  const fs::path process = fs::path("/proc") / std::to_string(pid);
  const char state = StateOf(process);
  if (state != 'Z' && state != 'X') return state == '\0';
  // The first thread ended; others may still be at it.
  std::error_code error;
  return std::distance(fs::directory_iterator(process / "task", error), fs::directory_iterator()) <= 1;
}

absl::StatusOr<std::vector<TestnetNode>> ReadTestnet(const fs::path& directory) {
  const fs::path absolute = Absolute(directory);
  std::vector<std::pair<std::size_t, fs::path>> folders;
  std::error_code error;
  for (fs::directory_iterator entry(absolute, error), end; !error && entry != end; entry.increment(error)) {
    const std::optional<std::size_t> number = NumberOf(entry->path());
    if (number && fs::exists(entry->path() / "node.yaml")) folders.emplace_back(*number, entry->path());
  }
  std::sort(folders.begin(), folders.end());
  std::vector<TestnetNode> nodes;
  for (const auto& [number, folder] : folders) {
    if (number != nodes.size()) {
      return absl::NotFoundError("the folder of node " + std::to_string(nodes.size()) + " is missing in " +
                                 absolute.string() + "; `lvs testnet down`, then `up` again");
    }
    nodes.push_back({folder, {}});
    if (const auto origin = ReadYaml(folder / "node.yaml", &nodes.back().config); !origin.ok()) return origin.status();
  }
  if (nodes.empty()) {
    return absl::NotFoundError("no testnet in " + absolute.string() +
                               "; start one with `lvs testnet up`, or name its "
                               "directory with --dir");
  }
  return nodes;
}

absl::StatusOr<Testnet> Testnet::Open(const fs::path& directory) {
  absl::StatusOr<std::vector<TestnetNode>> nodes = ReadTestnet(directory);
  if (!nodes.ok()) return nodes.status();
  const fs::path absolute = Absolute(directory);
  const absl::StatusOr<int> lock = Lock(absolute);
  if (!lock.ok()) return lock.status();
  Testnet net(absolute, *lock);
  net.nodes_ = *std::move(nodes);
  return net;
}

absl::StatusOr<Testnet> Testnet::Create(const fs::path& directory, const TestnetPlan& plan) {
  if (plan.nodes == 0 || plan.nodes > kTestnetNodesMax) {
    return absl::InvalidArgumentError("a testnet has 1 to " + std::to_string(kTestnetNodesMax) + " nodes");
  }
  const fs::path absolute = Absolute(directory);
  std::error_code error;
  fs::create_directories(absolute, error);
  if (error) return absl::UnavailableError("cannot create " + absolute.string() + ": " + error.message());
  const absl::StatusOr<int> lock = Lock(absolute);
  if (!lock.ok()) return lock.status();
  Testnet net(absolute, *lock);

  // What an earlier one left: refuse while it runs, then clear away the folders that are ours.
  std::vector<fs::path> old;
  for (fs::directory_iterator entry(absolute, error), end; !error && entry != end; entry.increment(error)) {
    if (NumberOf(entry->path()) && fs::exists(entry->path() / "node.yaml")) old.push_back(entry->path());
  }
  for (const fs::path& folder : old) net.nodes_.push_back({folder, {}});
  if (const std::string running = RunningText(net); !running.empty()) {
    return absl::FailedPreconditionError("a testnet runs in " + absolute.string() + " (node " + running +
                                         "); end it with `lvs testnet down --dir " + directory.string() +
                                         "`, or choose another --dir");
  }
  net.nodes_.clear();
  for (const fs::path& folder : old) {
    fs::remove_all(folder, error);
    if (error) return absl::UnavailableError("cannot remove " + folder.string() + ": " + error.message());
  }

  if (absl::Status removed = net.RemoveNamespaces(); !removed.ok()) return removed;
  net.state_.Clear();
  net.state_.set_command(plan.command);
  std::vector<Addresses> addresses;
  if (plan.namespaces) {
    absl::StatusOr<v1::TestnetNetwork> network = PlanNetwork(plan.nodes);
    if (!network.ok()) return network.status();
    addresses = AddressesIn(*network);
    *net.state_.mutable_network() = *std::move(network);
  } else {
    absl::StatusOr<std::vector<Addresses>> free = LoopbackAddresses(plan);
    if (!free.ok()) return free.status();
    addresses = *std::move(free);
  }
  // Written down before it is made, so that `down` finds it whatever happens.
  if (absl::Status written = WriteJson(absolute / kStateFile, net.state_); !written.ok()) return written;
  for (std::size_t i = 0; i < plan.nodes; ++i) {
    TestnetNode node{absolute / (std::string(kFolderPrefix) + std::to_string(i)), {}};
    fs::create_directories(node.folder, error);
    if (error) return absl::UnavailableError("cannot create " + node.folder.string() + ": " + error.message());
    absl::Status written = WriteFile(node.ConfigFile(), ConfigText(plan, i, node.folder, addresses));
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

Testnet::Testnet(fs::path directory, int lock_fd)
    : directory_(std::move(directory)), lock_fd_(lock_fd), state_(ReadTestnetState(directory_)) {}

Testnet::Testnet(Testnet&& other) noexcept
    : directory_(std::move(other.directory_)),
      lock_fd_(std::exchange(other.lock_fd_, -1)),
      nodes_(std::move(other.nodes_)),
      state_(std::move(other.state_)) {}

Testnet::~Testnet() {
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

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
          "the network namespaces of the testnet are gone, as they are after a restart of the machine; `lvs testnet "
          "down`, then `up` again");
    }
    // It becomes the node: one process, and one pid.
    words.insert(words.begin(), {"ip", "netns", "exec", NamespaceOf(state_.network(), i)});
  }
  const absl::StatusOr<pid_t> pid = Spawn(std::move(words), node.LogFile());
  if (!pid.ok()) return pid.status();
  if (absl::Status written = WriteFile(node.folder / "pid", std::to_string(*pid) + "\n"); !written.ok()) {
    ::kill(*pid, SIGKILL);
    return written;
  }
  // For a moment after exec a process has no command line yet, and could not be told from one that ended.
  WaitUntil([&] { return RunsWith(*pid, node.ConfigFile().string()) || ::waitpid(*pid, nullptr, WNOHANG) != 0; },
            kExecDeadline);
  return absl::OkStatus();
}

absl::Status Testnet::Stop(std::size_t i, int signal, std::chrono::milliseconds deadline) {
  const std::optional<pid_t> pid = Pid(i);
  if (!pid) {
    return absl::FailedPreconditionError("node " + std::to_string(i) + " does not run; `lvs testnet start " +
                                         std::to_string(i) + "` brings it back");
  }
  ::kill(*pid, signal);
  if (!WaitUntil([&] { return ProcessEnded(*pid); }, deadline)) {
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
  if (!WaitUntil(ended, deadline)) {
    killed = running.size();
    for (const pid_t pid : running) ::kill(pid, SIGKILL);
    if (!WaitUntil(ended, kKillDeadline)) {
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

absl::StatusOr<std::vector<std::size_t>> ParsePartition(const std::string& text, std::size_t nodes) {
  constexpr std::size_t kNone = ~std::size_t{0};
  std::vector<std::size_t> group_of(nodes, kNone);
  const auto wrong = [&](const std::string& why) {
    return absl::InvalidArgumentError(text + ": " + why + "; write groups such as 0,1/2, with every node once");
  };
  std::size_t groups = 0;
  std::istringstream in(text);
  for (std::string group; std::getline(in, group, '/'); ++groups) {
    std::istringstream members(group);
    bool any = false;
    if (group.ends_with(',')) return wrong("a number is missing");
    for (std::string word; std::getline(members, word, ','); any = true) {
      std::size_t node = 0;
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), node);
      if (error != std::errc() || end != word.data() + word.size()) return wrong("\"" + word + "\" is not a node");
      if (node >= nodes) return wrong("there is no node " + std::to_string(node));
      if (group_of[node] != kNone) return wrong("node " + std::to_string(node) + " is named twice");
      group_of[node] = groups;
    }
    if (!any) return wrong("a group is empty");
  }
  if (text.ends_with('/')) return wrong("a group is empty");
  if (groups < 2) return wrong("that is one group");
  const auto missing = std::find(group_of.begin(), group_of.end(), kNone);
  if (missing != group_of.end()) return wrong("node " + std::to_string(missing - group_of.begin()) + " is missing");
  return group_of;
}

}  // namespace lvs::services
