// The folders' order, checked from the sources (docs/architecture.md): a lower folder never includes a higher one, only
// actors/ knows CAF, and the pure folders know no threads, no files and no clock.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace lvs {
namespace {

namespace fs = std::filesystem;

// Lowest first.
constexpr std::array<std::string_view, 6> kFolders = {"proto", "vaultguard", "shard", "actors", "services", "bench"};
// Programs that LVS is compared with: they stand alone and use what they like.
constexpr std::string_view kBaselines = "bench/baselines/";
constexpr std::array<std::string_view, 2> kPureFolders = {"vaultguard", "shard"};
constexpr std::array<std::string_view, 11> kImpure = {"thread", "mutex",    "shared_mutex", "condition_variable",
                                                      "future", "iostream", "fstream",      "filesystem",
                                                      "chrono", "ctime",    "stop_token"};
constexpr std::array<std::string_view, 5> kImpureLibraries = {"caf/", "grpc/", "grpcpp/", "absl/time/",
                                                              "absl/synchronization/"};

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

// Position in kFolders; -1 for anything else.
int LevelOf(std::string_view name) {
  const auto found = std::find(kFolders.begin(), kFolders.end(), name);
  return found == kFolders.end() ? -1 : static_cast<int>(found - kFolders.begin());
}

bool IsSource(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".h" || extension == ".cc" || extension == ".hpp" || extension == ".cpp" || extension == ".inc";
}

// The rule that `header`, included from `file` in `folder`, breaks; empty when none.
std::string BrokenRule(std::string_view folder, std::string_view file, std::string_view header) {
  if (header.find("..") != std::string_view::npos) return "headers are named from the root of the tree";
  const std::string_view target = header.substr(0, header.find('/'));
  const bool from_folder = header.find('/') != std::string_view::npos && (LevelOf(target) >= 0 || target == "lvs");
  if (file.starts_with(kBaselines)) {
    return from_folder && !header.starts_with(kBaselines) ? "a baseline includes nothing of LVS" : "";
  }
  if (header.starts_with("caf/") && folder != "actors") return "only actors/ may include CAF";
  if (std::find(kPureFolders.begin(), kPureFolders.end(), folder) != kPureFolders.end()) {
    const bool impure = std::find(kImpure.begin(), kImpure.end(), header) != kImpure.end() ||
                        std::any_of(kImpureLibraries.begin(), kImpureLibraries.end(),
                                    [&](std::string_view library) { return header.starts_with(library); });
    if (impure) return std::string(folder) + "/ is pure: no actors, no I/O, no clock";
  }
  if (folder == "actors" && header.starts_with("services/base/")) return "";  // base knows no word of LVS
  if (from_folder && LevelOf(target) > LevelOf(folder)) {
    return std::string(folder) + "/ is below " + std::string(target) + "/";
  }
  return "";
}

// The header that a line includes by name; empty for any other line.
std::string IncludedHeader(std::string_view line) {
  const auto skip_blanks = [&] { line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size())); };
  skip_blanks();
  for (const std::string_view word : {"#", "include"}) {
    if (!line.starts_with(word)) return "";
    line.remove_prefix(word.size());
    skip_blanks();
  }
  if (line.empty() || (line[0] != '<' && line[0] != '"')) return "";
  const auto end = line.find(line[0] == '<' ? '>' : '"', 1);
  return end == std::string_view::npos ? "" : std::string(line.substr(1, end - 1));
}

Findings CheckTree(const fs::path& root) {
  Findings findings;
  for (const std::string_view folder : kFolders) {
    if (!fs::is_directory(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (!entry.is_regular_file() || !IsSource(entry.path())) continue;
      ++findings.files[std::string(folder)];
      std::ifstream in(entry.path());
      std::string line;
      for (int number = 1; std::getline(in, line); ++number) {
        const std::string header = IncludedHeader(line);
        const std::string file = fs::relative(entry.path(), root).generic_string();
        const std::string rule = header.empty() ? "" : BrokenRule(folder, file, header);
        if (rule.empty()) continue;
        findings.violations.push_back({file, number, header, rule});
      }
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

TEST_F(Arch_LayeringSelfTest, FlagsEveryUpwardInclude) {
  int flagged = 0;
  for (const std::string_view from : kFolders) {
    for (const std::string_view to : kFolders) {
      const std::string text = "#include \"" + std::string(to) + "/thing.h\"\n";
      const bool upward = LevelOf(to) > LevelOf(from);
      EXPECT_EQ(CheckAlone(std::string(from) + "/a.h", text).size(), upward ? 1u : 0u) << from << " includes " << to;
      flagged += upward ? 1 : 0;
    }
  }
  EXPECT_EQ(flagged, 15);
}

TEST_F(Arch_LayeringSelfTest, NamesFileLineAndHeader) {
  const auto found =
      CheckAlone("shard/deep/core.cc", "#include <vector>\n\n  #  include \"actors/emulator.h\"  // why\n");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].file, "shard/deep/core.cc");
  EXPECT_EQ(found[0].line, 3);
  EXPECT_EQ(found[0].header, "actors/emulator.h");
  EXPECT_EQ(found[0].rule, "shard/ is below actors/");
}

TEST_F(Arch_LayeringSelfTest, FlagsCafOutsideActors) {
  for (const std::string_view folder : kFolders) {
    const auto found = CheckAlone(std::string(folder) + "/a.cc", "#include <caf/all.hpp>\n");
    EXPECT_EQ(found.size(), folder == "actors" ? 0u : 1u) << folder;
  }
}

TEST_F(Arch_LayeringSelfTest, BaselinesStandAlone) {
  for (const std::string header : {"caf/all.hpp", "thread", "bench/baselines/work.h", "simgrid/s4u.hpp"}) {
    EXPECT_EQ(CheckAlone("bench/baselines/a.cc", "#include \"" + header + "\"\n").size(), 0u) << header;
  }
  for (const std::string header : {"shard/drift_core.h", "lvs/v1/scenario.pb.h", "bench/other.h"}) {
    EXPECT_EQ(CheckAlone("bench/baselines/a.cc", "#include \"" + header + "\"\n").size(), 1u) << header;
  }
}

TEST_F(Arch_LayeringSelfTest, FlagsImpureHeadersInPureFoldersOnly) {
  const std::vector<std::string> impure = {"thread", "mutex",      "iostream",        "fstream",
                                           "chrono", "future",     "grpcpp/grpcpp.h", "grpc/grpc.h",
                                           "ctime",  "filesystem", "absl/time/time.h"};
  for (const std::string& header : impure) {
    const std::string text = "#include <" + header + ">\n";
    EXPECT_EQ(CheckAlone("vaultguard/a.h", text).size(), 1u) << header;
    EXPECT_EQ(CheckAlone("shard/a.cc", text).size(), 1u) << header;
    EXPECT_EQ(CheckAlone("services/a.cc", text).size(), 0u) << header;
  }
}

TEST_F(Arch_LayeringSelfTest, FlagsWaysAroundTheRoot) {
  EXPECT_EQ(CheckAlone("shard/a.cc", "#include \"../actors/emulator.h\"\n").size(), 1u);
}

TEST_F(Arch_LayeringSelfTest, LeavesHonestSourcesAlone) {
  Plant("shard/a.cc",
        "#include \"shard/a.h\"\n#include <vector>\n#include <hwy/highway.h>\n#include HWY_TARGET_INCLUDE\n"
        "#include \"vaultguard/limits.h\"\n#include \"lvs/v1/messages.pb.h\"\n// #include <thread>\n");
  Plant("shard/notes.md", "#include <thread>\n");
  const Findings findings = CheckTree(root_);
  EXPECT_TRUE(findings.violations.empty()) << findings.violations.front();
  EXPECT_EQ(findings.files.at("shard"), 1);
}

TEST(Arch_Layering, FoldersIncludeOnlyLowerOnes) {
  const Findings findings = CheckTree(LVS_SOURCE_DIR);
  for (const Violation& violation : findings.violations) ADD_FAILURE() << violation;
  // A check of nothing passes for nothing: each folder that a build needs was read.
  for (const std::string_view folder : {"proto", "vaultguard", "shard", "actors", "services"}) {
    EXPECT_TRUE(findings.files.contains(folder)) << "no sources in " << LVS_SOURCE_DIR << "/" << folder;
  }
}

}  // namespace
}  // namespace lvs
