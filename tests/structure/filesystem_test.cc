// No call of std::filesystem in services/ and actors/ throws: each one takes an error_code, named `error` or `ignored`,
// and no folder is listed by a range-for, whose increment throws (FolderEntries of services/base/files.h does not).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "tests/structure/source_text.h"

namespace lvs {
namespace {

// From an opening parenthesis to the one that closes it.
std::string InParentheses(const std::string& code, std::size_t open) {
  int depth = 0;
  for (std::size_t at = open; at < code.size(); ++at) {
    depth += code[at] == '(' ? 1 : code[at] == ')' ? -1 : 0;
    if (depth == 0) return code.substr(open, at - open + 1);
  }
  return code.substr(open);
}

// Calls in a text that may throw.
std::vector<std::string> ThrowingCallsIn(const std::string& text) {
  static const std::regex kCall(
      R"((?:\bfs|filesystem)::(?:exists|is_\w+|status|symlink_status|absolute|canonical|weakly_canonical|relative|)"
      R"(proximate|create_\w+|remove|remove_all|rename|copy|copy_file|copy_symlink|file_size|hard_link_count|)"
      R"(last_write_time|read_symlink|current_path|temp_directory_path|space|permissions|resize_file|equivalent|)"
      R"((?:recursive_)?directory_iterator(?:\s+\w+)?)\s*\()");
  static const std::regex kTakesCode(R"(\b(?:error|ignored)\s*\)+$)");
  static const std::regex kLooped(
      R"(for\s*\([^;()]*:\s*(?:std::)?(?:fs|filesystem)::(?:recursive_)?directory_iterator)");
  static const std::regex kStream(R"(\bistreambuf_iterator\b)");
  const std::string code = CodeOf(text);
  std::vector<std::string> calls;
  for (std::sregex_iterator at(code.begin(), code.end(), kCall), end; at != end; ++at) {
    const auto open = static_cast<std::size_t>(at->position() + at->length() - 1);
    const std::string arguments = InParentheses(code, open);
    if (!std::regex_search(arguments, kTakesCode)) calls.push_back(at->str() + arguments.substr(1));
  }
  for (const std::regex* pattern : {&kLooped, &kStream}) {
    for (std::sregex_iterator at(code.begin(), code.end(), *pattern), end; at != end; ++at) calls.push_back(at->str());
  }
  return calls;
}

TEST(Arch_FilesystemSelfTest, FindsCallsThatThrow) {
  EXPECT_THAT(ThrowingCallsIn("if (fs::exists(path / name)) std::filesystem::remove_all(f(x));\n"),
              testing::ElementsAre("fs::exists(path / name)", "filesystem::remove_all(f(x))"));
  EXPECT_EQ(ThrowingCallsIn("for (const auto& entry : fs::directory_iterator(folder, error)) {}\n").size(), 1u);
  EXPECT_EQ(ThrowingCallsIn("std::string text{std::istreambuf_iterator<char>(in), {}};\n").size(), 1u);
  EXPECT_THAT(ThrowingCallsIn("fs::exists(path, error);\nfs::exists(fs::status(f(x), ignored));\nfs::path p(x);\n"
                              "fs::directory_iterator entry(folder, error), end;\n// fs::exists(path)\n"),
              testing::IsEmpty());
}

TEST(Arch_Filesystem, NoCallThrows) {
  int files = 0;
  for (const std::string_view folder : {"services", "actors"}) {
    for (const std::string& file : SourcesIn(kRoot, folder)) {
      ++files;
      EXPECT_THAT(ThrowingCallsIn(TextOf(kRoot / file)), testing::IsEmpty()) << file << ": pass an error_code";
    }
  }
  EXPECT_GT(files, 100);
}

}  // namespace
}  // namespace lvs
