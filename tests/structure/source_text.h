// Sources as text, for tests that hold the tree to its rules.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lvs {

// The root of the sources.
inline const std::filesystem::path kRoot = LVS_SOURCE_DIR;

// The whole file; empty where it cannot be read.
std::string TextOf(const std::filesystem::path& file);

// The text with comments, literals, preprocessor lines and the branches after an #else or #elif blanked: braces in two
// branches of one #if would count twice. Line ends stay, so that lines keep their numbers.
std::string CodeOf(const std::string& text);

// The .h and .cc files below `root`/`folder`, as paths relative to `root`, sorted.
std::vector<std::string> SourcesIn(const std::filesystem::path& root, std::string_view folder);

}  // namespace lvs
