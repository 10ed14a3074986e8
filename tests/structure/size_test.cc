// How long a file, a class and a function may be (docs/architecture.md, "Sizes"): short ones can be read whole.
//
// Sizes are lines from the head to the closing brace, comments and blank lines included. Braces are counted outside
// comments and literals; what a macro's body or an #else branch holds is not looked at.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/structure/source_text.h"

namespace lvs {
namespace {

constexpr int kFileLinesMax = 500;
constexpr int kClassLinesMax = 300;
constexpr int kFunctionLinesMax = 80;
constexpr std::string_view kFoldersOfSources[] = {"proto", "vaultguard", "shard", "actors", "services"};

struct Sized {
  std::string where;
  int line = 0;  // the first
  int lines = 0;
  int lines_max = 0;
};

std::ostream& operator<<(std::ostream& out, const Sized& s) {
  return out << s.where << " has " << s.lines << " lines, from line " << s.line << "; at most " << s.lines_max;
}

// Reads one source, scope by scope. Functions are looked for in namespaces and classes only: a lambda counts to the
// function that it stands in.
class Reader {
 public:
  Reader(std::string file, const std::string& text) : file_(std::move(file)), code_(CodeOf(text)) {}

  std::vector<Sized> Read() {
    ReadScope();
    const int lines = static_cast<int>(std::count(code_.begin(), code_.end(), '\n'));
    if (file_.starts_with("services/")) found_.push_back({file_, 1, lines, kFileLinesMax});
    return std::move(found_);
  }

 private:
  // The contents of a namespace or class, up to its closing brace.
  void ReadScope() {
    std::size_t head = at_;  // where the statement began
    for (; at_ < code_.size() && code_[at_] != '}'; ++at_) {
      if (code_[at_] == ';') {
        head = at_ + 1;
      } else if (code_[at_] == '{') {
        if (ReadBraces(head)) head = at_ + 1;
      }
    }
  }

  // At an opening brace; ends at the closing one. False where the statement goes on: the braces initialise a member.
  bool ReadBraces(std::size_t head_begin) {
    const auto skip_blanks = [&] {
      while (std::isspace(static_cast<unsigned char>(code_[head_begin])) != 0) ++head_begin;
    };
    skip_blanks();
    for (const std::string_view access : {"public:", "protected:", "private:"}) {
      if (code_.compare(head_begin, access.size(), access) == 0) head_begin += access.size();
      skip_blanks();
    }
    const std::string head = code_.substr(head_begin, at_ - head_begin);
    ++at_;
    if (HasWord(head, "namespace") || head.starts_with("extern")) {
      ReadScope();
      return true;
    }
    if (const std::string name = ClassIn(head); !name.empty()) {
      ReadScope();
      if (file_.starts_with("services/")) Add(name, head_begin, kClassLinesMax);
      return true;
    }
    SkipToClosing();
    std::size_t next = at_ + 1;
    while (next < code_.size() && std::isspace(static_cast<unsigned char>(code_[next])) != 0) ++next;
    if (next < code_.size() && (code_[next] == ',' || code_[next] == '{')) return false;
    if (const std::string name = FunctionIn(head); !name.empty()) Add(name, head_begin, kFunctionLinesMax);
    return true;
  }

  void SkipToClosing() {
    for (int depth = 1; at_ < code_.size(); ++at_) {
      if (code_[at_] == '{') ++depth;
      if (code_[at_] == '}' && --depth == 0) return;
    }
  }

  void Add(const std::string& name, std::size_t from, int lines_max) {
    const auto line_of = [&](std::size_t at) {
      return 1 + static_cast<int>(std::count(code_.begin(), code_.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
    };
    found_.push_back({file_ + ": " + name, line_of(from), line_of(at_) - line_of(from) + 1, lines_max});
  }

  static bool IsWordChar(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

  static bool HasWord(std::string_view text, std::string_view word) {
    for (std::size_t at = 0; (at = text.find(word, at)) != std::string_view::npos; at += word.size()) {
      const std::size_t end = at + word.size();
      if ((at == 0 || !IsWordChar(text[at - 1])) && (end == text.size() || !IsWordChar(text[end]))) return true;
    }
    return false;
  }

  // The name of the class, struct, union or enum that a head begins; empty for anything else.
  static std::string ClassIn(std::string head) {
    if (head.starts_with("template")) {
      // "template <class T> struct S": what stands in the angle brackets defines nothing.
      int depth = 0;
      std::size_t at = head.find('<');
      for (; at < head.size(); ++at) {
        if (head[at] == '<') ++depth;
        if (head[at] == '>' && --depth == 0) break;
      }
      head = head.substr(std::min(at + 1, head.size()));
    }
    std::istringstream words(head);
    for (std::string word; words >> word;) {
      if (word != "class" && word != "struct" && word != "union" && word != "enum") {
        if (word.find('(') != std::string::npos && !std::isupper(static_cast<unsigned char>(word[0]))) return "";
        continue;
      }
      std::string name;
      while (words >> word && word != ":" && word != "final") {
        if (word != "class" && word.find('(') == std::string::npos) name = word;
      }
      return name.empty() ? "(unnamed)" : name;
    }
    return "";
  }

  // The name of the function that a head begins; empty where it initialises something.
  static std::string FunctionIn(const std::string& head) {
    std::size_t open = head.find('(');
    if (open == std::string::npos) return "";
    if (head.find("TEST") != 0) {
      // Attributes and macros such as HWY_ATTR or ABSL_LOCKS_EXCLUDED(mu_) are not the name: the first that is no macro is.
      while (open != std::string::npos) {
        std::size_t end = open;
        while (end > 0 && head[end - 1] == ' ') --end;
        std::size_t begin = end;
        while (begin > 0 && (IsWordChar(head[begin - 1]) || head[begin - 1] == ':' || head[begin - 1] == '~')) --begin;
        const std::string name = head.substr(begin, end - begin);
        const bool is_macro = name.find('_') != std::string::npos && std::none_of(name.begin(), name.end(), [](char c) {
                                return std::islower(static_cast<unsigned char>(c)) != 0;
                              });
        if (!name.empty() && !is_macro) return name;
        if (name.empty() && head.find("operator") != std::string::npos) return "operator";
        open = head.find('(', open + 1);
      }
    }
    return head.substr(0, head.find('\n'));
  }

  std::string file_;
  std::string code_;
  std::size_t at_ = 0;
  std::vector<Sized> found_;
};

// What is longer than it may be.
std::vector<std::string> TooLong(const std::vector<Sized>& sizes) {
  std::vector<std::string> complaints;
  for (const Sized& sized : sizes) {
    if (sized.lines <= sized.lines_max) continue;
    std::ostringstream complaint;
    complaint << sized;
    complaints.push_back(complaint.str());
  }
  return complaints;
}

std::vector<Sized> SizesOf(const std::filesystem::path& root) {
  std::vector<Sized> sizes;
  for (const std::string_view folder : kFoldersOfSources) {
    for (const std::string& file : SourcesIn(root, folder)) {
      const std::vector<Sized> found = Reader(file, TextOf(root / file)).Read();
      sizes.insert(sizes.end(), found.begin(), found.end());
    }
  }
  return sizes;
}

// The sizes of a source, as "name lines".
std::vector<std::string> Named(const std::string& text) {
  std::vector<std::string> names;
  for (const Sized& sized : Reader("services/a.cc", text).Read()) {
    const std::size_t colon = sized.where.find(": ");
    const std::string name = colon == std::string::npos ? "file" : sized.where.substr(colon + 2);
    names.push_back(name + " " + std::to_string(sized.lines));
  }
  return names;
}

TEST(Arch_SizesSelfTest, FindsFunctionsAndClasses) {
  EXPECT_THAT(Named("namespace lvs {\n"
                    "class A : public B {\n public:\n  A() : a_{1}, b_{2} {\n  }\n  int a_{0};\n  int b_ = 1;\n};\n"
                    "template <class T>\nstruct S final {\n};\n"
                    "enum class E { kA, kB };\n"
                    "int F(int x) {\n  if (x) {\n    return 1;\n  }\n  return [&] { return 2; }();\n}\n"
                    "bool A::operator==(const A& o) const {\n  return true;\n}\n"
                    "constexpr int kTable[] = {\n  1,\n  2};\n"
                    "HWY_ATTR void G() ABSL_LOCKS_EXCLUDED(mu_) {\n\n}\n"
                    "}  // namespace lvs\n"),
              testing::ElementsAre("A 2", "A 7", "S 3", "E 1", "F 6", "operator 3", "G 3", "file 28"));
}

TEST(Arch_SizesSelfTest, IsNotMisledByCommentsLiteralsAndBranches) {
  EXPECT_THAT(Named("void F() {\n  // }\n  /* } */\n  const char c = '}';\n  const int n = 1'000;\n  G(\"}\\\"}\");\n"
                    "  H(R\"x(} )\" })x\");\n#if A\n  if (a) {\n#else\n  if (b) {\n#endif\n  }\n}\nvoid I() {\n}\n"),
              testing::ElementsAre("F 14", "I 2", "file 16"));
}

TEST(Arch_SizesSelfTest, ComplainsOfWhatIsTooLong) {
  const auto function_of = [](int lines) {
    std::string function = "void F() {\n";
    for (int n = 2; n < lines; ++n) function += "  G();\n";
    return Reader("services/a.cc", function + "}\n").Read();
  };
  EXPECT_EQ(TooLong(function_of(80)).size(), 0u);
  EXPECT_EQ(TooLong(function_of(81)).size(), 1u);
  EXPECT_EQ(TooLong(Reader("services/a.cc", std::string(501, '\n')).Read()).size(), 1u);
  EXPECT_EQ(TooLong(Reader("services/a.cc", "class A {\n" + std::string(300, '\n') + "};\n").Read()).size(), 1u);
}

TEST(Arch_Sizes, FilesClassesAndFunctionsAreShort) {
  const std::vector<Sized> sizes = SizesOf(kRoot);
  EXPECT_GT(sizes.size(), 1000u);
  for (const std::string& complaint : TooLong(sizes)) ADD_FAILURE() << complaint;
}

}  // namespace
}  // namespace lvs
