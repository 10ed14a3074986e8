#include "tests/structure/source_text.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>

namespace lvs {

namespace fs = std::filesystem;

std::string TextOf(const fs::path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<std::string> SourcesIn(const fs::path& root, std::string_view folder) {
  std::vector<std::string> sources;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / folder)) {
    const fs::path extension = entry.path().extension();
    if (extension == ".h" || extension == ".cc") sources.push_back(fs::relative(entry.path(), root).generic_string());
  }
  std::sort(sources.begin(), sources.end());
  return sources;
}

std::string CodeOf(const std::string& text) {
  std::string code = text;
  const auto blank = [&](std::size_t from, std::size_t to) {
    for (std::size_t at = from; at < std::min(to, code.size()); ++at) {
      if (code[at] != '\n') code[at] = ' ';
    }
    return to;
  };
  const auto after = [&](std::string_view what, std::size_t from) {
    const std::size_t found = text.find(what, from);
    return found == std::string::npos ? text.size() : found + what.size();
  };
  std::vector<bool> in_else;
  bool line_begins = true;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '\n') {
      line_begins = true;
      ++at;
    } else if (line_begins && text[at] == '#') {
      std::size_t end = at;
      do end = std::min(text.find('\n', end + 1), text.size());
      while (end < text.size() && text[end - 1] == '\\');
      const std::string line = text.substr(at, end - at);
      if (line.starts_with("#if")) in_else.push_back(false);
      if (line.starts_with("#el") && !in_else.empty()) in_else.back() = true;
      if (line.starts_with("#endif") && !in_else.empty()) in_else.pop_back();
      at = blank(at, end);
    } else if (std::find(in_else.begin(), in_else.end(), true) != in_else.end()) {
      line_begins = line_begins && std::isspace(static_cast<unsigned char>(text[at])) != 0;
      at = blank(at, at + 1);
    } else if (text.compare(at, 2, "//") == 0) {
      at = blank(at, std::min(text.find('\n', at), text.size()));
    } else if (text.compare(at, 2, "/*") == 0) {
      at = blank(at, after("*/", at + 2));
    } else if (text.compare(at, 2, "R\"") == 0) {
      const std::size_t open = text.find('(', at);
      at = blank(at, after(")" + text.substr(at + 2, open - at - 2) + "\"", open));
    } else if (text[at] == '"' ||
               (text[at] == '\'' &&
                (at == 0 || std::isalnum(static_cast<unsigned char>(text[at - 1])) == 0))) {  // not 1'000
      const char quote = text[at];
      std::size_t end = at + 1;
      while (end < text.size() && text[end] != quote) end += text[end] == '\\' ? 2 : 1;
      at = blank(at, end + 1);
      line_begins = false;
    } else {
      line_begins = line_begins && std::isspace(static_cast<unsigned char>(text[at])) != 0;
      ++at;
    }
  }
  return code;
}

}  // namespace lvs
