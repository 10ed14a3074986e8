// What pages name exists: files between backquotes, and the targets of links, anchors included.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/structure/source_text.h"

namespace lvs {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> Pages() {
  std::vector<fs::path> pages = {kRoot / "README.md", kRoot / "bench/baselines/README.md"};
  for (const fs::directory_entry& entry : fs::directory_iterator(kRoot / "docs")) {
    if (entry.path().extension() == ".md") pages.push_back(entry.path());
  }
  return pages;
}

// Every first group, or the whole match of a pattern without groups.
std::vector<std::string> AllIn(const std::string& text, const std::regex& pattern) {
  std::vector<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), pattern), end; at != end; ++at) {
    found.push_back((*at)[at->size() - 1].str());
  }
  return found;
}

// Paths below the source folders that a page names between backquotes.
std::vector<std::string> FilesNamedIn(const std::string& page) {
  static const std::regex kFile("`((?:proto|vaultguard|shard|actors|services|bench|tests|deploy|docs)/[^`\\s]*)`");
  return AllIn(page, kFile);
}

// A path as pages write it: a file, a folder, or a header and its source without their extension; "*" is any name.
bool Exists(const fs::path& root, const std::string& named) {
  if (named.find('*') != std::string::npos) return fs::exists((root / named).parent_path());
  return fs::exists(root / named) || fs::exists(root / (named + ".h")) || fs::exists(root / (named + ".proto"));
}

// Anchors of a page as GitHub makes them of its headings.
std::set<std::string> AnchorsOf(const std::string& page) {
  std::set<std::string> anchors;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t text = line.find_first_not_of('#');
    if (text == 0 || text == std::string::npos || line[text] != ' ') continue;
    std::string anchor;
    for (const char c : line.substr(text + 1)) {
      if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-') {
        anchor += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      } else if (c == ' ') {
        anchor += '-';
      }
    }
    anchors.insert(anchor);
  }
  return anchors;
}

// Links of a page that lead nowhere.
std::vector<std::string> BrokenLinksIn(const fs::path& file) {
  static const std::regex kLink(R"(\]\(([^)\s]+)\))");
  std::vector<std::string> broken;
  for (const std::string& link : AllIn(TextOf(file), kLink)) {
    if (link.find("://") != std::string::npos) continue;
    const std::size_t hash = link.find('#');
    const fs::path target = hash == 0 ? file : file.parent_path() / link.substr(0, hash);
    const bool anchored = hash != std::string::npos && target.extension() == ".md";
    if (!fs::exists(target) || (anchored && !AnchorsOf(TextOf(target)).contains(link.substr(hash + 1)))) {
      broken.push_back(link);
    }
  }
  return broken;
}

TEST(Docs, FilesThatPagesNameExist) {
  int files = 0;
  for (const fs::path& page : Pages()) {
    for (const std::string& file : FilesNamedIn(TextOf(page))) {
      EXPECT_TRUE(Exists(kRoot, file)) << page << " names " << file;
      ++files;
    }
  }
  EXPECT_GT(files, 100);
}

TEST(Docs, LinksLeadSomewhere) {
  for (const fs::path& page : Pages()) EXPECT_THAT(BrokenLinksIn(page), testing::IsEmpty()) << page;
}

TEST(DocsSelfTest, FindsWhatIsNotThere) {
  EXPECT_THAT(FilesNamedIn("`shard/a.h`, `shard/b` and `lvs run x/y`, `tests/`"),
              testing::ElementsAre("shard/a.h", "shard/b", "tests/"));
  EXPECT_TRUE(Exists(kRoot, "shard/drift_core"));
  EXPECT_FALSE(Exists(kRoot, "shard/absent"));
  EXPECT_THAT(AnchorsOf("# One, two\n## What `it` costs: a_b\ntext # no\n"),
              testing::UnorderedElementsAre("one-two", "what-it-costs-a_b"));
  const fs::path page = fs::path(::testing::TempDir()) / "lvs_docs_page.md";
  std::ofstream(page) << ("# Here\n[a](#here) [b](#there) [c](absent.md) [d](https://example.net/x)\n");
  EXPECT_THAT(BrokenLinksIn(page), testing::ElementsAre("#there", "absent.md"));
  fs::remove(page);
}

}  // namespace
}  // namespace lvs
