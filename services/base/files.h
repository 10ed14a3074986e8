// Files read whole and written whole.
//
//   absl::StatusOr<std::string> text = ReadTextFile("node.yaml");
//   absl::Status written = WriteFileAtomically("record.json", "{}\n");
//
// A writer never shows half a file: the content goes to a temporary file beside it, reaches the disk, and then takes the
// name. A process that is killed in between leaves FILE.tmp.PID and the old content.
//
// Errors: of reading NOT_FOUND, PERMISSION_DENIED, or FAILED_PRECONDITION for what is not a text file of reasonable size;
// of writing the status of the errno (absl::ErrnoToStatusCode), with the name of the file in the message.
// Any thread; two writers of one file in one process at the same time are the caller's to avoid.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lvs::services {

// More than any file that a person writes.
inline constexpr std::size_t kTextFileBytesMax = 1 << 20;

// "cannot WHAT FILE: REASON", with the status code of an errno.
absl::Status FileError(const char* what, const std::filesystem::path& file, int error);

// The text of a regular file of at most kTextFileBytesMax bytes. The message of an error begins with the file's name.
absl::StatusOr<std::string> ReadTextFile(const std::filesystem::path& file);

// The bytes of a file of any size; empty where it cannot be read. For /proc, whose files have no size and may vanish
// between open and read, and for files whose absence means the same as their being empty.
std::string ReadFileOrEmpty(const std::filesystem::path& file);

// The bytes of a regular file of any size. Errors are those of ReadTextFile.
absl::StatusOr<std::string> ReadWholeFile(const std::filesystem::path& file);

// What is in a folder, by name; each entry is the folder's path and a name. NOT_FOUND where the folder is not there.
absl::StatusOr<std::vector<std::filesystem::path>> FolderEntries(const std::filesystem::path& folder);

// The path from the root. NOT_FOUND where a relative path has no start, because the working folder was removed.
absl::StatusOr<std::filesystem::path> AbsolutePath(const std::filesystem::path& path);

// A rename is on disk once its folder is. Fails where the file system cannot sync a folder.
absl::Status SyncFolder(const std::filesystem::path& folder);

// Content that waits beside a file to replace it. Several staged files may be committed together, once all of them are
// written: then a full disk replaces none. Destroyed without Commit: the temporary file is removed.
//
//   absl::StatusOr<StagedFile> page = StagedFile::Write("run/report.html", "<html>");
//   if (page.ok()) page->Commit().IgnoreError();
class StagedFile {
 public:
  // Writes FILE.tmp.PID and syncs it.
  static absl::StatusOr<StagedFile> Write(const std::filesystem::path& file, std::string_view content);

  StagedFile(StagedFile&& other) noexcept;
  StagedFile& operator=(StagedFile&&) = delete;
  ~StagedFile();

  // Renames it over the file. The caller syncs the folder, once for all files in it.
  absl::Status Commit();

 private:
  StagedFile(std::filesystem::path file, std::filesystem::path temporary);

  std::filesystem::path file_;
  std::filesystem::path temporary_;  // empty: nothing to remove
};

// Stages, commits and syncs the folder where the file system can.
absl::Status WriteFileAtomically(const std::filesystem::path& file, std::string_view content);

}  // namespace lvs::services
