#include "services/base/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/text.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;

// 0, or the errno of the write that failed.
int WriteAll(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written >= 0) {
      content.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

absl::StatusOr<std::ifstream> OpenToRead(const fs::path& file) {
  std::error_code error;
  const fs::file_status status = fs::status(file, error);
  const std::string name = file.string();
  if (status.type() == fs::file_type::not_found) return absl::NotFoundError(name + ": no such file");
  if (status.type() == fs::file_type::directory) {
    return absl::FailedPreconditionError(name + ": is a directory; name a file in it");
  }
  std::ifstream in(file, std::ios::binary);
  if (in) return in;
  const int reason = errno;
  const std::string text = name + ": cannot be read (" + ErrnoText(reason) + ")";
  return reason == ENOENT ? absl::NotFoundError(text) : absl::PermissionDeniedError(text);
}

}  // namespace

absl::Status FileError(const char* what, const fs::path& file, int error) {
  return absl::Status(absl::ErrnoToStatusCode(error),
                      absl::StrCat("cannot ", what, " ", file.string(), ": ", ErrnoText(error)));
}

absl::StatusOr<std::string> ReadTextFile(const fs::path& file) {
  absl::StatusOr<std::ifstream> in = OpenToRead(file);
  if (!in.ok()) return in.status();
  std::string text(kTextFileBytesMax + 1, '\0');
  in->read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in->bad()) return absl::PermissionDeniedError(file.string() + ": cannot be read");
  text.resize(static_cast<std::size_t>(in->gcount()));
  if (text.size() > kTextFileBytesMax) {
    return absl::FailedPreconditionError(
        absl::StrCat(file.string(), ": is larger than ", kTextFileBytesMax, " bytes; this is not a file for people"));
  }
  return text;
}

absl::StatusOr<std::string> ReadWholeFile(const fs::path& file) {
  absl::StatusOr<std::ifstream> in = OpenToRead(file);
  if (!in.ok()) return in.status();
  std::ostringstream text;
  // Unlike istreambuf_iterator, this does not throw when a read fails. It fails on an empty file, too.
  if (in->peek() != std::ifstream::traits_type::eof()) text << in->rdbuf();
  if (in->bad() || text.fail()) return absl::PermissionDeniedError(file.string() + ": cannot be read");
  return std::move(text).str();
}

absl::StatusOr<std::vector<fs::path>> FolderEntries(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    entries.push_back(entry->path());
  }
  if (error) return FileError("list", folder, error.value());
  std::sort(entries.begin(), entries.end());
  return entries;
}

absl::StatusOr<fs::path> AbsolutePath(const fs::path& path) {
  std::error_code error;
  fs::path absolute = fs::absolute(path, error);
  if (error) {
    return absl::Status(absl::ErrnoToStatusCode(error.value()),
                        absl::StrCat("cannot find ", path.string(), ": the working folder is gone (",
                                     ErrnoText(error.value()), "); cd to another one, or give the path from the root"));
  }
  return absolute;
}

std::string ReadFileOrEmpty(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();  // unlike istreambuf_iterator, does not throw when a read fails
  return text.str();
}

absl::Status SyncFolder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError("open", folder, errno);
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  return error == 0 ? absl::OkStatus() : FileError("sync", folder, error);
}

absl::StatusOr<StagedFile> StagedFile::Write(const fs::path& file, std::string_view content) {
  StagedFile staged(file, absl::StrCat(file.string(), ".tmp.", ::getpid()));
  const fs::path& temporary = staged.temporary_;
  // O_NOFOLLOW: whoever may write to the folder must not redirect the content by a symbolic link.
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0) {
    const int error = errno;
    absl::Status failed = FileError("create", temporary, error);
    staged.temporary_.clear();
    return failed;
  }
  int error = WriteAll(fd, content);
  if (error == 0 && ::fsync(fd) != 0) error = errno;
  if (::close(fd) != 0 && error == 0) error = errno;
  if (error != 0) return FileError("write", temporary, error);
  return staged;
}

absl::Status StagedFile::Commit() {
  if (::rename(temporary_.c_str(), file_.c_str()) != 0) return FileError("replace", file_, errno);
  temporary_.clear();
  return absl::OkStatus();
}

StagedFile::StagedFile(fs::path file, fs::path temporary) : file_(std::move(file)), temporary_(std::move(temporary)) {}

StagedFile::StagedFile(StagedFile&& other) noexcept
    : file_(std::move(other.file_)), temporary_(std::exchange(other.temporary_, {})) {}

StagedFile::~StagedFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

absl::Status WriteFileAtomically(const fs::path& file, std::string_view content) {
  absl::StatusOr<StagedFile> staged = StagedFile::Write(file, content);
  if (!staged.ok()) return staged.status();
  if (absl::Status committed = staged->Commit(); !committed.ok()) return committed;
  // Not every file system can sync a folder; the file is whole either way.
  SyncFolder(file.has_parent_path() ? file.parent_path() : fs::path(".")).IgnoreError();
  return absl::OkStatus();
}

}  // namespace lvs::services
