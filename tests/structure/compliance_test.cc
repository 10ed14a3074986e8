// docs/compliance.md says, requirement by requirement, which code answers it and which test shows it. This holds the
// page to the tree: a file or a test that it names must be there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path kRoot = LVS_SOURCE_DIR;

std::string TextOf(const fs::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// Every "Suite.Name" that tests/ defines: with GoogleTest, or as a command of CTest.
std::set<std::string> DefinedTests() {
  std::set<std::string> names;
  const std::regex definition(R"((?:(?:TEST|TEST_F|TEST_P)\(\s*(\w+),\s*|add_test\(NAME (\w+)\.)(\w+))");
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(kRoot / "tests")) {
    if (entry.path().extension() != ".cc" && entry.path().filename() != "CMakeLists.txt") continue;
    const std::string text = TextOf(entry.path());
    for (std::sregex_iterator at(text.begin(), text.end(), definition), end; at != end; ++at) {
      names.insert((*at)[1].str() + (*at)[2].str() + "." + (*at)[3].str());
    }
  }
  return names;
}

struct Row {
  std::string id;
  std::vector<std::string> quoted;  // everything between backquotes
};

std::vector<Row> RowsOf(const std::string& page) {
  std::vector<Row> rows;
  const std::regex id(R"(^\| ((?:SPEC|ARCH|PAPER|TEST|CHAIN)-[0-9.]+(?: to [0-9.]+)?) \|)");
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

TEST(Spec14_Compliance, EveryRowNamesCodeAndATestThatExist) {
  const std::vector<Row> rows = RowsOf(TextOf(kRoot / "docs/compliance.md"));
  ASSERT_GE(rows.size(), 40u);
  const std::set<std::string> tests = DefinedTests();
  const std::regex test_name(R"(\w+\.\w+)");
  for (const Row& row : rows) {
    int files = 0;
    int shown = 0;
    for (const std::string& name : row.quoted) {
      if (name.find('/') != std::string::npos) {
        EXPECT_TRUE(fs::exists(kRoot / name)) << row.id << " names " << name;
        ++files;
      } else if (std::regex_match(name, test_name)) {
        EXPECT_TRUE(tests.contains(name)) << row.id << " names the test " << name;
        ++shown;
      }
    }
    EXPECT_GT(files, 0) << row.id << " names no code";
    EXPECT_GT(shown, 0) << row.id << " names no test";
  }
}

TEST(Spec14_Compliance, NoRequirementHasTwoRows) {
  std::set<std::string> ids;
  for (const Row& row : RowsOf(TextOf(kRoot / "docs/compliance.md"))) EXPECT_TRUE(ids.insert(row.id).second) << row.id;
}

TEST(Spec14_ComplianceSelfTest, APageThatNamesNothingHasRowsWithoutProof) {
  const std::vector<Row> rows = RowsOf("| SPEC-1 | nothing | | |\n| SPEC-2 | a | `shard/x.cc` | `A.B` |\nno row\n");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_TRUE(rows[0].quoted.empty());
  EXPECT_THAT(rows[1].quoted, testing::ElementsAre("shard/x.cc", "A.B"));
  EXPECT_FALSE(DefinedTests().contains("A.B"));
  EXPECT_TRUE(DefinedTests().contains("Bench.Page"));
}

}  // namespace
