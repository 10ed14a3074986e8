#include "services/node/journal_soundness.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <system_error>

#include "services/base/files.h"

namespace lvs::services {

namespace fs = std::filesystem;

namespace {

bool TableFooterIsSound(const fs::path& file) {
  constexpr std::size_t kFooter = 48;
  constexpr std::string_view kMagic("\x57\xfb\x80\x8b\x24\x75\x47\xdb", 8);
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  const auto size = static_cast<std::int64_t>(in.tellg());
  if (!in || size < static_cast<std::int64_t>(kFooter)) return false;
  std::string footer(kFooter, '\0');
  in.seekg(size - static_cast<std::int64_t>(kFooter));
  in.read(footer.data(), kFooter);
  if (!in || !footer.ends_with(kMagic)) return false;
  // Offset and size of the index of the index, then of the index.
  std::size_t at = 0;
  std::array<std::uint64_t, 4> handles{};
  for (std::uint64_t& number : handles) {
    for (int shift = 0;; shift += 7) {
      if (at >= kFooter - kMagic.size() || shift > 42) return false;
      const auto byte = static_cast<unsigned char>(footer[at++]);
      number |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
  }
  const std::uint64_t end = static_cast<std::uint64_t>(size) - kFooter;
  return handles[0] + handles[1] + 5 <= end && handles[2] + handles[3] + 5 <= end;
}

// The files of a folder that fulfil a condition, by name; none where the folder cannot be listed.
template <typename Condition>
std::vector<std::string> NamesWhere(const fs::path& folder, const Condition& holds) {
  std::vector<std::string> names;
  const absl::StatusOr<std::vector<fs::path>> entries = FolderEntries(folder);
  if (!entries.ok()) return names;
  for (const fs::path& entry : *entries) {
    if (holds(entry)) names.push_back(entry.filename().string());
  }
  return names;
}

}  // namespace

bool EndsTorn(std::string_view log) {
  constexpr std::size_t kBlock = 32768;
  constexpr std::size_t kHeader = 4 + 2 + 1;
  constexpr int kFull = 1;
  constexpr int kLast = 4;
  bool open_record = false;
  for (std::size_t at = 0; at < log.size();) {
    const std::size_t block_left = kBlock - at % kBlock;
    if (block_left < kHeader) {
      at += block_left;
      continue;
    }
    if (log.size() - at < kHeader) return true;
    const auto length = static_cast<std::size_t>(static_cast<unsigned char>(log[at + 4])) |
                        static_cast<std::size_t>(static_cast<unsigned char>(log[at + 5])) << 8;
    const int type = static_cast<unsigned char>(log[at + 6]);
    if (type == 0 || kHeader + length > block_left || kHeader + length > log.size() - at) return true;
    open_record = type != kFull && type != kLast;
    at += kHeader + length;
  }
  return open_record;
}

std::string RootDamage(const fs::path& db) {
  std::error_code error;
  if (!fs::exists(db / "CURRENT", error)) return "CURRENT is missing";
  const std::string current = ReadFileOrEmpty(db / "CURRENT");
  if (!current.starts_with("MANIFEST-") || current.find_first_not_of("0123456789", 9) != current.size() - 1 ||
      !current.ends_with('\n')) {
    return "CURRENT is damaged";
  }
  const std::string manifest = current.substr(0, current.size() - 1);
  if (!fs::is_regular_file(db / manifest, error)) return manifest + " is missing";
  return EndsTorn(ReadFileOrEmpty(db / manifest)) ? manifest + " is cut off" : "";
}

std::vector<std::string> UnsoundTables(const fs::path& db) {
  return NamesWhere(db, [](const fs::path& file) { return file.extension() == ".ldb" && !TableFooterIsSound(file); });
}

std::vector<std::string> TornLogs(const fs::path& db) {
  return NamesWhere(db,
                    [](const fs::path& file) { return file.extension() == ".log" && EndsTorn(ReadFileOrEmpty(file)); });
}

}  // namespace lvs::services
