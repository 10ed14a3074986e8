// Checks of a cache's files that LevelDB does not make itself.
//
// LevelDB takes a log with a wrong length field for one that a crash cut off, follows a table's footer without a checksum
// wherever it points, and starts an empty database, deleting all tables, where CURRENT is missing. So these are checked
// before LevelDB opens the folder.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lvs::services {

// True where a log (or a MANIFEST, which has the same format) ends in the middle of a record.
bool EndsTorn(std::string_view log);

// What is wrong with CURRENT or the MANIFEST that it names; empty where nothing is.
std::string RootDamage(const std::filesystem::path& db);

// Names, without their folder, of tables whose footer cannot be right, so that nothing in them can be found.
std::vector<std::string> UnsoundTables(const std::filesystem::path& db);

// Names of logs that end torn.
std::vector<std::string> TornLogs(const std::filesystem::path& db);

}  // namespace lvs::services
