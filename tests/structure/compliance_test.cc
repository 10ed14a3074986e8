// docs/compliance.md says, requirement by requirement, which code answers it and which test shows it. These tests hold
// the page to the tree and to ctest: every requirement has a row or is said to be open, a file that a row names exists,
// and a test that it names is one that ctest runs. compliance_ran.py holds it to what a run of the tests did.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "nlohmann/json.hpp"
#include "tests/structure/source_text.h"

namespace lvs {
namespace {

namespace fs = std::filesystem;

// What the founding documents ask for.
constexpr std::string_view kRequirements[] = {
    "SPEC-2",   "SPEC-3.1", "SPEC-3.2", "SPEC-4",   "SPEC-5.1",  "SPEC-5.2",  "SPEC-5.3",  "SPEC-5.4",
    "SPEC-6.1", "SPEC-6.2", "SPEC-6.3", "SPEC-7.1", "SPEC-7.2",  "SPEC-7.3",  "SPEC-8.1",  "SPEC-8.2",
    "SPEC-8.3", "SPEC-9.1", "SPEC-9.2", "SPEC-9.3", "SPEC-9.4",  "SPEC-10",   "SPEC-11.4", "SPEC-11.5",
    "SPEC-12",  "SPEC-13",  "SPEC-14",  "ARCH-2.1", "ARCH-2.2",  "ARCH-2.4",  "ARCH-2.5",  "ARCH-3",
    "ARCH-4",   "ARCH-6.5", "ARCH-7",   "ARCH-9",   "PAPER-4.3", "PAPER-4.4", "PAPER-4.5", "PAPER-5",
    "PAPER-6",  "PAPER-8",  "PAPER-11", "TEST-3.1", "TEST-3.2",  "TEST-4.1",  "TEST-4.2",  "TEST-4.3",
    "TEST-4.4", "TEST-5.1", "TEST-5.2", "TEST-5.3", "TEST-6",    "TEST-7",    "TEST-8",    "TEST-10",
    "TEST-11",  "CHAIN-1",  "CHAIN-2",  "CHAIN-3",  "CHAIN-4",   "CHAIN-5",   "CHAIN-6",   "CHAIN-7"};

std::string Page() { return TextOf(kRoot / "docs/compliance.md"); }

// The text of a page from a heading to the next of the same level; empty where it has no such heading.
std::string Section(const std::string& page, const std::string& heading) {
  const std::size_t begin = page.find("\n## " + heading + "\n");
  if (begin == std::string::npos) return "";
  return page.substr(begin, page.find("\n## ", begin + 1) - begin);
}

// How ctest knows the tests of this build: by the name as a row has it, whether it runs.
struct Known {
  std::map<std::string, bool> runs;
  bool all_built = true;
};

// "Shipped/Suite.Name/phase1", a test with a parameter, is the row's "Suite.Name".
std::string WithoutParameters(std::string name) {
  const std::size_t dot = name.find('.');
  if (const std::size_t slash = name.find('/', dot); slash != std::string::npos) name.resize(slash);
  if (const std::size_t slash = name.rfind('/', dot); slash != std::string::npos) name.erase(0, slash + 1);
  return name;
}

Known KnownTo(const std::string& ctest_json) {
  Known known;
  const nlohmann::json listed = nlohmann::json::parse(ctest_json);
  for (const nlohmann::json& test : listed.at("tests")) {
    const std::string name = WithoutParameters(test.at("name").get<std::string>());
    bool runs = name.find("DISABLED_") == std::string::npos;
    for (const nlohmann::json& property : test.value("properties", nlohmann::json::array())) {
      if (property.at("name") == "DISABLED") runs = runs && !property.at("value").get<bool>();
    }
    if (name.ends_with("_NOT_BUILT")) known.all_built = false;
    const auto [at, is_new] = known.runs.try_emplace(name, runs);
    if (!is_new) at->second = at->second || runs;
  }
  return known;
}

std::string CtestJson() {
  std::string text;
  FILE* pipe = popen("'" LVS_CTEST "' --test-dir '" LVS_BUILD_DIR "' --show-only=json-v1", "r");
  if (pipe == nullptr) return text;
  std::array<char, 4096> buffer{};
  while (const std::size_t n = fread(buffer.data(), 1, buffer.size(), pipe)) text.append(buffer.data(), n);
  pclose(pipe);
  return text;
}

struct Row {
  std::string id;
  std::vector<std::string> quoted;  // everything between backquotes
};

std::vector<Row> RowsOf(const std::string& page) {
  std::vector<Row> rows;
  const std::regex id(R"(^\| ((?:SPEC|ARCH|PAPER|TEST|CHAIN)-[0-9.]+) \|)");
  const std::regex quoted("`([^`]+)`");
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (!std::regex_search(line, match, id)) continue;
    Row row{match[1].str(), {}};
    for (std::sregex_iterator at(line.begin(), line.end(), quoted), end; at != end; ++at)
      row.quoted.push_back((*at)[1].str());
    rows.push_back(row);
  }
  return rows;
}

// What is wrong with a row; `root` is the tree that its files are looked for in.
std::vector<std::string> Complaints(const Row& row, const Known& known, const fs::path& root) {
  std::vector<std::string> complaints;
  const std::regex test_name(R"(\w+\.\w+)");
  int files = 0;
  int tests = 0;
  for (const std::string& name : row.quoted) {
    if (name.find('/') != std::string::npos) {
      if (!fs::exists(root / name)) complaints.push_back(row.id + " names " + name + ", which does not exist");
      ++files;
    } else if (std::regex_match(name, test_name)) {
      const auto found = known.runs.find(name);
      if (found == known.runs.end()) complaints.push_back(row.id + " names " + name + ", which ctest does not know");
      if (found != known.runs.end() && !found->second) complaints.push_back(row.id + " names " + name + ": disabled");
      ++tests;
    }
  }
  if (files == 0) complaints.push_back(row.id + " names no code");
  if (tests == 0) complaints.push_back(row.id + " names no test");
  return complaints;
}

TEST(Spec14_Compliance, EveryRowNamesCodeThatExistsAndATestThatRuns) {
  const Known known = KnownTo(CtestJson());
  if (!known.all_built) GTEST_SKIP() << "ctest lists the tests of this build only once all of them are built";
  const std::vector<Row> rows = RowsOf(Page());
  ASSERT_GE(rows.size(), 40u);
  for (const Row& row : rows) {
    for (const std::string& complaint : Complaints(row, known, kRoot)) ADD_FAILURE() << complaint;
  }
}

TEST(Spec14_Compliance, EveryRequirementHasOneRowOrIsOpen) {
  std::multiset<std::string> ids;
  for (const Row& row : RowsOf(Page())) ids.insert(row.id);
  const std::string open = Section(Page(), "Open");
  for (const std::string_view id : kRequirements) {
    const std::string line = "\n* **" + std::string(id) + "**:";
    const std::size_t times = ids.count(std::string(id)) + (open.find(line) == std::string::npos ? 0u : 1u);
    EXPECT_EQ(times, 1u) << id;
  }
  for (const std::string& id : ids) {
    EXPECT_NE(std::find(std::begin(kRequirements), std::end(kRequirements), id), std::end(kRequirements)) << id;
  }
}

TEST(Spec14_ComplianceSelfTest, APageThatNamesNothingHasRowsWithoutProof) {
  const std::vector<Row> rows = RowsOf("| SPEC-1 | nothing | | |\n| SPEC-2 | a | `shard/x.cc` | `A.B` |\nno row\n");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_TRUE(rows[0].quoted.empty());
  EXPECT_THAT(rows[1].quoted, testing::ElementsAre("shard/x.cc", "A.B"));
  EXPECT_EQ(Complaints(rows[0], {}, kRoot).size(), 2u);
}

TEST(Spec14_ComplianceSelfTest, ATestThatDoesNotRunIsNoProof) {
  const Known known = KnownTo(R"({"tests": [
      {"name": "A.Runs"}, {"name": "P/A.Takes/phase1"},
      {"name": "A.Off", "properties": [{"name": "DISABLED", "value": true}]}, {"name": "A.DISABLED_Off"}]})");
  EXPECT_TRUE(known.all_built);
  const auto complaints = [&](const std::string& test) {
    return Complaints({"SPEC-1", {"docs/compliance.md", test}}, known, kRoot).size();
  };
  EXPECT_EQ(complaints("A.Runs"), 0u);
  EXPECT_EQ(complaints("A.Takes"), 0u);
  EXPECT_EQ(complaints("A.Off"), 1u);
  EXPECT_EQ(complaints("A.DISABLED_Off"), 1u);
  EXPECT_EQ(complaints("A.Absent"), 1u);
  EXPECT_EQ(Complaints({"SPEC-1", {"docs/absent.md", "A.Runs"}}, known, kRoot).size(), 1u);
  EXPECT_FALSE(KnownTo(R"({"tests": [{"name": "lvs_cli_test_NOT_BUILT"}]})").all_built);
}

TEST(Spec14_ComplianceSelfTest, CtestKnowsTheTestsOfThisProgram) {
  const Known known = KnownTo(CtestJson());
  EXPECT_TRUE(known.runs.contains("Spec14_ComplianceSelfTest.CtestKnowsTheTestsOfThisProgram"));
  EXPECT_TRUE(known.runs.contains("Structure.Format"));
}

}  // namespace
}  // namespace lvs
