// The graph of includes between folders, checked from the sources (docs/architecture.md, "Folders").
//
// kRooms lists every folder that holds sources, what each may include of the others, and which libraries. A folder that
// is not listed fails the test, and so does a header that no rule allows: the lists allow, nothing is merely forbidden.
// Tests may include everything, and nothing but a test includes a test.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/structure/source_text.h"

namespace lvs {
namespace {

namespace fs = std::filesystem;

struct Room {
  std::string_view folder;
  std::vector<std::string_view> below;      // rooms that it may include, and with each whatever that one may include
  std::vector<std::string_view> headers;    // single headers of other rooms
  std::vector<std::string_view> libraries;  // prefixes of header names; "posix": the system's own headers
  bool pure = false;                        // only kPureHeaders, hwy/ and rooms below: compiles for the browser
};

// Lowest first.
const std::vector<Room>& Rooms() {
  static const std::vector<Room> kRooms = {
      {"proto", {}, {}, {"absl/", "google/protobuf/", "nlohmann/"}},
      {"vaultguard", {}, {}, {"hwy/"}, true},
      // Budgets of links and of messages; the header is as pure as these folders.
      {"shard", {"vaultguard"}, {"services/base/token_bucket.h"}, {"hwy/"}, true},
      {"shard/hosting", {"shard"}, {}, {"hwy/"}, true},
      {"shard/tab", {"shard/hosting"}, {"services/base/token_bucket.h"}, {"hwy/"}, true},
      {"shard/wasm", {"shard/tab"}, {}, {"hwy/"}, true},
      // Plain limits and enums that files and the log are read against; no class of LVS.
      {"services/base",
       {},
       {"lvs/v1/units.pb.h", "lvs/v1/config.pb.h", "vaultguard/limits.h"},
       {"absl/", "google/protobuf/", "yaml-cpp/", "nlohmann/", "grpc/", "posix"}},
      {"actors", {"shard/hosting", "services/base", "proto"}, {}, {"caf/", "hwy/", "absl/"}},
      {"services/peering", {"shard", "services/base", "proto"}, {}, {"absl/", "google/protobuf/"}},
      // The hub of tabs; whatever carries the bytes is in services/net.
      {"services/web", {"services/peering", "shard/tab"}, {}, {"absl/", "google/protobuf/"}},
      // A carrier hands frames to actors, and takes theirs, through these two. No CAF is behind either.
      {"services/net",
       {"services/peering"},
       {"actors/frame_sink.h", "actors/recycled.h"},
       {"absl/", "boost/", "google/protobuf/", "grpc/", "grpcpp/", "openssl/", "posix"}},
      {"services/scenario", {"shard/hosting", "services/base", "proto"}, {}, {"absl/", "google/protobuf/"}},
      {"services/web/pages", {}, {}, {}},
      {"services/report", {"services/base", "proto"}, {}, {"absl/", "google/protobuf/", "nlohmann/"}},
      {"services/client",
       {"services/base", "proto"},
       {"services/net/grpc_status.h"},
       {"absl/", "google/protobuf/", "grpc/", "grpcpp/", "nlohmann/"}},
      // It hands frames to actors as a carrier does.
      {"services/gateway",
       {"services/net", "services/web", "services/web/pages"},
       {"actors/frame_sink.h", "actors/recycled.h"},
       {"absl/", "google/protobuf/", "nlohmann/", "openssl/"}},
      {"services/node",
       {"actors", "services/gateway"},
       {},
       {"absl/", "google/protobuf/", "grpcpp/", "leveldb/", "prometheus/", "nlohmann/", "posix"}},
      // A run gives the memory that its start took back to the system: malloc_trim.
      {"services/emulator", {"actors", "services/scenario"}, {}, {"absl/", "google/protobuf/", "malloc.h"}},
      // A testnet writes configurations that a node reads.
      {"services/cluster",
       {"services/client", "services/scenario"},
       {"services/node/node_config.h"},
       {"absl/", "google/protobuf/", "nlohmann/", "posix"}},
      {"services/tabs", {"services/net", "shard/tab"}, {}, {"absl/", "google/protobuf/", "nlohmann/", "posix"}},
      {"services/cli",
       {"services/cluster", "services/emulator", "services/node", "services/report", "services/tabs"},
       {},
       {"absl/", "google/protobuf/", "CLI/", "nlohmann/", "posix"}},
      {"bench", {"services/cli"}, {}, {"absl/", "benchmark/", "CLI/", "grpcpp/", "hwy/", "nlohmann/", "posix"}},
      // Programs that LVS is compared with: each stands alone and uses what it likes.
      {"bench/baselines", {}, {}, {"caf/", "simgrid/", "posix"}},
  };
  return kRooms;
}

// No thread, no clock, no file and no memory map among them.
constexpr std::string_view kPureHeaders[] = {
    "algorithm",     "array",   "bit",     "cassert",     "cmath",   "compare",     "concepts",
    "cstddef",       "cstdint", "cstdlib", "cstring",     "deque",   "functional",  "initializer_list",
    "iterator",      "limits",  "map",     "memory",      "numeric", "optional",    "queue",
    "set",           "span",    "string",  "string_view", "tuple",   "type_traits", "unordered_map",
    "unordered_set", "utility", "variant", "vector"};

constexpr std::string_view kPosixFolders[] = {"arpa/", "linux/", "net/", "netinet/", "sys/"};
// An include by macro hides its header; Highway's own re-includes the file that defines it.
constexpr std::string_view kMacroAllowed = "HWY_TARGET_INCLUDE";

struct Violation {
  std::string file;  // relative to the root
  int line = 0;
  std::string header;
  std::string rule;
};

std::ostream& operator<<(std::ostream& out, const Violation& v) {
  return out << v.file << ":" << v.line << " includes " << v.header << ": " << v.rule;
}

struct Findings {
  std::vector<Violation> violations;
  std::map<std::string, int, std::less<>> files;  // that were read, by folder
};

bool IsSource(const fs::path& path) {
  static const std::set<std::string> kExtensions = {".h", ".cc", ".hpp", ".cpp", ".c", ".inc"};
  return kExtensions.contains(path.extension().string());
}

std::string_view FolderOf(std::string_view file) {
  const auto slash = file.rfind('/');
  return slash == std::string_view::npos ? "" : file.substr(0, slash);
}

const Room* RoomAt(std::string_view folder) {
  for (const Room& room : Rooms()) {
    if (room.folder == folder) return &room;
  }
  return nullptr;
}

// The room of a header that LVS owns; nullptr for a library's.
const Room* RoomOfHeader(std::string_view header) {
  if (header.starts_with("lvs/v1/") || header.starts_with("grpc/health/v1/")) return RoomAt("proto");
  return RoomAt(FolderOf(header));
}

bool Reaches(const Room& from, const Room& to) {
  return &from == &to || std::any_of(from.below.begin(), from.below.end(), [&](std::string_view folder) {
    const Room* below = RoomAt(folder);
    return below != nullptr && Reaches(*below, to);
  });
}

bool StartsWithOneOf(std::string_view text, const auto& prefixes) {
  return std::any_of(std::begin(prefixes), std::end(prefixes),
                     [&](std::string_view prefix) { return text.starts_with(prefix); });
}

bool Contains(const auto& list, std::string_view text) {
  return std::find(std::begin(list), std::end(list), text) != std::end(list);
}

// The rule that `header`, included from a file of `room`, breaks; empty when none.
std::string BrokenRule(const Room& room, std::string_view header) {
  const std::string folder(room.folder);
  if (header.find("..") != std::string_view::npos) return "headers are named from the root of the tree";
  if (header.starts_with("HWY_") || header.find_first_of("./") == std::string_view::npos) {
    if (header == kMacroAllowed) return Contains(room.libraries, "hwy/") ? "" : folder + "/ does not use hwy/";
    if (std::isupper(static_cast<unsigned char>(header[0]))) return "an include by macro hides its header";
    return !room.pure || Contains(kPureHeaders, header) ? "" : folder + "/ is pure, and this header is not on its list";
  }
  const std::string top(header.substr(0, header.find('/')));
  if (const Room* target = RoomOfHeader(header)) {
    if (header.ends_with(".grpc.pb.h") && !Contains(room.libraries, "grpcpp/")) return folder + "/ does not use gRPC";
    if (Reaches(room, *target) || Contains(room.headers, header)) return "";
    return folder + "/ may not include " + std::string(target->folder) + "/";
  }
  for (const Room& any : Rooms()) {
    if (top == any.folder.substr(0, any.folder.find('/')) || top == "tests") {
      return std::string(FolderOf(header)) + "/ is no folder that " + folder + "/ may include";
    }
  }
  if (StartsWithOneOf(header, room.libraries)) return "";
  if (header.find('/') == std::string_view::npos || StartsWithOneOf(header, kPosixFolders)) {
    return Contains(room.libraries, "posix") ? "" : folder + "/ does not use the system's own headers";
  }
  return folder + "/ does not use " + top + "/";
}

// Whether a source in this folder may include the header.
bool Allowed(std::string_view folder, std::string_view header) { return BrokenRule(*RoomAt(folder), header).empty(); }

// The header that a line includes, or the macro that stands for it; empty for any other line.
std::string IncludedHeader(std::string_view line) {
  const auto skip_blanks = [&] { line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size())); };
  skip_blanks();
  for (const std::string_view word : {"#", "include"}) {
    if (!line.starts_with(word)) return "";
    line.remove_prefix(word.size());
    skip_blanks();
  }
  if (line.empty()) return "";
  if (line[0] != '<' && line[0] != '"') return std::string(line.substr(0, line.find_first_of(" \t/")));
  const auto end = line.find(line[0] == '<' ? '>' : '"', 1);
  return end == std::string_view::npos ? "" : std::string(line.substr(1, end - 1));
}

void CheckFile(const fs::path& root, const fs::path& path, Findings& findings) {
  const std::string file = fs::relative(path, root).generic_string();
  const std::string folder(FolderOf(file));
  const Room* room = RoomAt(folder);
  if (room == nullptr) {
    findings.violations.push_back({file, 0, "", folder + "/ is no room of layering_test.cc"});
    return;
  }
  ++findings.files[folder];
  std::ifstream in(path);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const std::string header = IncludedHeader(line);
    const std::string rule = header.empty() ? "" : BrokenRule(*room, header);
    if (!rule.empty()) findings.violations.push_back({file, number, header, rule});
  }
}

Findings CheckTree(const fs::path& root) {
  Findings findings;
  for (const fs::directory_entry& top : fs::directory_iterator(root)) {
    const std::string name = top.path().filename().string();
    if (!top.is_directory() || name[0] == '.' || name == "build" || name == "runs" || name == "tests") continue;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(top)) {
      if (entry.is_regular_file() && IsSource(entry.path())) CheckFile(root, entry.path(), findings);
    }
  }
  return findings;
}

// A tree that a test plants files in; gone with the test.
class PlantedTree : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(::testing::TempDir()) /
            ("lvs_layering_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  void Plant(const std::string& file, const std::string& text) {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }

  // What the checker says about a tree of this one file.
  std::vector<Violation> CheckAlone(const std::string& file, const std::string& text) {
    fs::remove_all(root_);
    Plant(file, text);
    return CheckTree(root_).violations;
  }

  fs::path root_;
};

using Arch_LayeringSelfTest = PlantedTree;

TEST_F(Arch_LayeringSelfTest, TheGraphHasNoCycleAndNamesOnlyRoomsAboveIt) {
  std::set<std::string_view> seen;
  for (const Room& room : Rooms()) {
    for (const std::string_view folder : room.below) {
      EXPECT_TRUE(seen.contains(folder)) << room.folder << " is listed before " << folder;
    }
    EXPECT_TRUE(seen.insert(room.folder).second) << room.folder;
  }
}

TEST_F(Arch_LayeringSelfTest, FlagsEveryIncludeAgainstTheGraph) {
  for (const Room& from : Rooms()) {
    for (const Room& to : Rooms()) {
      EXPECT_EQ(Allowed(from.folder, std::string(to.folder) + "/thing.h"), Reaches(from, to))
          << from.folder << " includes " << to.folder;
    }
    EXPECT_FALSE(Allowed(from.folder, "tests/allocations.h")) << from.folder;
    EXPECT_FALSE(Allowed(from.folder, "services/elsewhere/thing.h")) << from.folder;
  }
  // The graph itself, in a few words.
  EXPECT_FALSE(Allowed("shard", "shard/hosting/swarm.h"));
  EXPECT_FALSE(Allowed("shard/hosting", "actors/interfaces.h"));
  EXPECT_FALSE(Allowed("actors", "services/node/node.h"));
  EXPECT_FALSE(Allowed("services/peering", "services/net/peer_stream.h"));
  EXPECT_FALSE(Allowed("services/net", "services/node/node.h"));
  EXPECT_FALSE(Allowed("services/client", "services/net/peer_stream.h"));
  EXPECT_FALSE(Allowed("services/cluster", "services/node/node.h"));
  EXPECT_FALSE(Allowed("services/node", "services/scenario/scenario.h"));
  EXPECT_TRUE(Allowed("services/node", "vaultguard/limits.h"));
}

TEST_F(Arch_LayeringSelfTest, SingleHeadersAreAllowedOneByOne) {
  EXPECT_TRUE(Allowed("services/net", "actors/frame_sink.h"));
  EXPECT_FALSE(Allowed("services/net", "actors/interfaces.h"));
  EXPECT_TRUE(Allowed("services/cluster", "services/node/node_config.h"));
  EXPECT_TRUE(Allowed("services/base", "lvs/v1/units.pb.h"));
  EXPECT_FALSE(Allowed("services/base", "lvs/v1/peer.pb.h"));
}

TEST_F(Arch_LayeringSelfTest, NamesFileLineAndHeader) {
  const auto found = CheckAlone("shard/core.cc", "#include <vector>\n\n  #  include \"actors/interfaces.h\"  // why\n");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].file, "shard/core.cc");
  EXPECT_EQ(found[0].line, 3);
  EXPECT_EQ(found[0].header, "actors/interfaces.h");
  EXPECT_EQ(found[0].rule, "shard/ may not include actors/");
}

TEST_F(Arch_LayeringSelfTest, FlagsAFolderThatIsNoRoom) {
  EXPECT_EQ(CheckAlone("shard/deep/core.cc", "").size(), 1u);
  EXPECT_EQ(CheckAlone("services/new.cc", "").size(), 1u);
  EXPECT_EQ(CheckAlone("elsewhere/new.h", "").size(), 1u);
}

TEST_F(Arch_LayeringSelfTest, LibrariesStayInTheirRooms) {
  const std::map<std::string, std::set<std::string_view>> allowed = {
      {"caf/all.hpp", {"actors", "bench/baselines"}},
      {"leveldb/db.h", {"services/node"}},
      {"openssl/x509.h", {"services/net", "services/gateway"}},
      {"prometheus/registry.h", {"services/node"}},
      {"yaml-cpp/yaml.h", {"services/base"}},
      {"CLI/CLI.hpp", {"services/cli", "bench"}},
      {"simgrid/s4u.hpp", {"bench/baselines"}},
      {"lvs/v1/peer.grpc.pb.h", {"services/net", "services/client", "services/node", "bench"}},
      {"boost/any.hpp", {"services/net"}},
  };
  for (const auto& [header, rooms] : allowed) {
    for (const Room& room : Rooms()) {
      EXPECT_EQ(Allowed(room.folder, header), rooms.contains(room.folder)) << room.folder << " " << header;
    }
  }
}

TEST_F(Arch_LayeringSelfTest, PureFoldersTakeOnlyWhatIsListed) {
  const std::vector<std::string> impure = {"thread",
                                           "mutex",
                                           "iostream",
                                           "fstream",
                                           "chrono",
                                           "future",
                                           "ctime",
                                           "filesystem",
                                           "random",
                                           "shared_mutex",
                                           "atomic",
                                           "stop_token",
                                           "sys/mman.h",
                                           "unistd.h",
                                           "time.h",
                                           "cstdio",
                                           "condition_variable",
                                           "grpcpp/grpcpp.h",
                                           "caf/all.hpp",
                                           "absl/time/time.h",
                                           "absl/status/status.h",
                                           "lvs/v1/messages.pb.h",
                                           "google/protobuf/io/coded_stream.h",
                                           "services/base/mutex.h"};
  for (const Room& room : Rooms()) {
    if (!room.pure) continue;
    for (const std::string& header : impure) EXPECT_FALSE(Allowed(room.folder, header)) << room.folder << header;
    for (const std::string_view header : kPureHeaders) EXPECT_TRUE(Allowed(room.folder, header)) << header;
    EXPECT_TRUE(Allowed(room.folder, "hwy/highway.h"));
  }
  EXPECT_TRUE(Allowed("services/node", "chrono"));
}

TEST_F(Arch_LayeringSelfTest, FlagsWaysAroundTheNames) {
  EXPECT_FALSE(Allowed("shard", "../actors/interfaces.h"));
  EXPECT_EQ(CheckAlone("shard/a.cc", "#include LVS_HIDDEN\n").size(), 1u);
  EXPECT_EQ(CheckAlone("services/node/a.cc", "#include LVS_HIDDEN\n").size(), 1u);
}

TEST_F(Arch_LayeringSelfTest, LeavesHonestSourcesAlone) {
  Plant("shard/a.cc",
        "#include \"shard/a.h\"\n#include <vector>\n#include <hwy/highway.h>\n#include HWY_TARGET_INCLUDE\n"
        "#include \"vaultguard/limits.h\"\n// #include <thread>\n");
  Plant("shard/notes.md", "#include <thread>\n");
  Plant("tests/shard/a_test.cc", "#include \"services/cli/cli.h\"\n#include <thread>\n");
  const Findings findings = CheckTree(root_);
  EXPECT_TRUE(findings.violations.empty()) << findings.violations.front();
  EXPECT_EQ(findings.files.at("shard"), 1);
}

TEST(Arch_Layering, FoldersIncludeOnlyWhatTheGraphAllows) {
  const Findings findings = CheckTree(kRoot);
  for (const Violation& violation : findings.violations) ADD_FAILURE() << violation;
  // Every room has sources: a room that moved away takes its row with it.
  for (const Room& room : Rooms()) {
    const bool has_folder = fs::is_directory(kRoot / room.folder);
    EXPECT_EQ(findings.files.contains(room.folder), has_folder) << "no sources in " << room.folder;
  }
}

}  // namespace
}  // namespace lvs
