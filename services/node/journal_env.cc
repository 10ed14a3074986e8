#include "services/node/journal_env.h"

#include <fcntl.h>
#include <leveldb/env.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "services/base/mutex.h"
#include "services/base/text.h"

namespace lvs::services {

namespace {

// What was written, by device and inode.
struct WrittenFile {
  dev_t device = 0;
  ino_t inode = 0;
  std::uint64_t size = 0;  // that was synced
};

// Files without which entries are missing, or LevelDB does not open. Not its own log, LOG, nor its lock.
bool IsOfDatabase(std::string_view name) {
  const std::string_view file = name.substr(name.rfind('/') + 1);
  return file == "CURRENT" || file.starts_with("MANIFEST-") || file.ends_with(".log") || file.ends_with(".ldb") ||
         file.ends_with(".sst");
}

// All zero where it cannot be seen.
WrittenFile Seen(const std::string& name) {
  struct stat now {};
  if (stat(name.c_str(), &now) != 0) return {};
  return {now.st_dev, now.st_ino, static_cast<std::uint64_t>(now.st_size)};
}

leveldb::Status SyncFolderOf(const std::string& name) {
  const std::string folder = name.substr(0, name.rfind('/'));
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return leveldb::Status::IOError(folder, ErrnoText(errno));
  const int failed = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  return failed == 0 ? leveldb::Status::OK() : leveldb::Status::IOError(folder, ErrnoText(failed));
}

// A table, read by system calls. LevelDB maps its tables into memory, where a disk that fails, or a file that is cut off,
// ends the process by SIGBUS. Any thread.
class ReadFile final : public leveldb::RandomAccessFile {
 public:
  ReadFile(std::string name, int fd) : name_(std::move(name)), fd_(fd) {}
  ~ReadFile() override { close(fd_); }

  leveldb::Status Read(std::uint64_t offset, std::size_t n, leveldb::Slice* result, char* scratch) const override {
    std::size_t got = 0;
    while (got < n) {
      const ssize_t some = pread(fd_, scratch + got, n - got, static_cast<off_t>(offset + got));
      if (some < 0 && errno == EINTR) continue;
      if (some < 0) return leveldb::Status::IOError(name_, ErrnoText(errno));
      if (some == 0) break;  // the end of the file
      got += static_cast<std::size_t>(some);
    }
    *result = leveldb::Slice(scratch, got);
    return leveldb::Status::OK();
  }

 private:
  const std::string name_;
  const int fd_;
};

}  // namespace

class CacheEnv::Impl final : public leveldb::EnvWrapper {
 public:
  explicit Impl(std::string db) : EnvWrapper(leveldb::Env::Default()), db_(std::move(db)) {}

  leveldb::Status NewRandomAccessFile(const std::string& name, leveldb::RandomAccessFile** out) override {
    *out = nullptr;
    const int fd = open(name.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      const int reason = errno;
      const std::string why = ErrnoText(reason);
      return reason == ENOENT ? leveldb::Status::NotFound(name, why) : leveldb::Status::IOError(name, why);
    }
    *out = new ReadFile(name, fd);
    return leveldb::Status::OK();
  }
  leveldb::Status NewWritableFile(const std::string& name, leveldb::WritableFile** out) override {
    return Make(name, out, [&] { return target()->NewWritableFile(name, out); });
  }
  leveldb::Status NewAppendableFile(const std::string& name, leveldb::WritableFile** out) override {
    return Make(name, out, [&] { return target()->NewAppendableFile(name, out); });
  }
  leveldb::Status RemoveFile(const std::string& name) override {
    const MutexLock lock(&mu_);
    files_.erase(name);
    return target()->RemoveFile(name);
  }
  leveldb::Status RenameFile(const std::string& from, const std::string& to) override {
    const MutexLock lock(&mu_);
    leveldb::Status status = target()->RenameFile(from, to);
    if (!status.ok()) return status;
    files_.erase(from);
    if (!IsOfDatabase(to)) return status;
    files_[to] = Seen(to);
    return SyncFolderOf(to);
  }

  void AddPresent() {
    std::vector<std::string> names;
    const MutexLock lock(&mu_);
    if (!target()->GetChildren(db_, &names).ok()) return;
    for (const std::string& file : names) {
      const std::string name = db_ + "/" + file;
      if (IsOfDatabase(name)) files_.try_emplace(name, Seen(name));
    }
  }
  void Forget() {
    const MutexLock lock(&mu_);
    files_.clear();
  }
  // `size` bytes of a file are on disk.
  void Synced(const std::string& name, std::uint64_t size) {
    const MutexLock lock(&mu_);
    const auto file = files_.find(name);
    if (file != files_.end()) file->second.size = std::max(file->second.size, size);
  }

  Finding Look() const {
    const MutexLock lock(&mu_);
    for (const auto& [name, written] : files_) {
      struct stat now {};
      if (stat(name.c_str(), &now) != 0) {
        const int reason = errno;
        if (reason == ENOENT || reason == ENOTDIR) return {Fault::kGone, name + " was deleted"};
        return {Fault::kUnreachable, name + ": " + ErrnoText(reason)};
      }
      if (now.st_dev != written.device || now.st_ino != written.inode) return {Fault::kGone, name + " was replaced"};
      if (static_cast<std::uint64_t>(now.st_size) < written.size) return {Fault::kGone, name + " was cut off"};
    }
    return {};
  }

 private:
  class File;

  template <class MakeIt>
  leveldb::Status Make(const std::string& name, leveldb::WritableFile** out, MakeIt make_it);

  const std::string db_;
  mutable Mutex mu_;  // also held while names change, so that Look never sees half a change
  std::map<std::string, WrittenFile> files_ ABSL_GUARDED_BY(mu_);
};

// A file that tells how much of it is on disk.
class CacheEnv::Impl::File final : public leveldb::WritableFile {
 public:
  File(std::string name, std::uint64_t size, std::unique_ptr<leveldb::WritableFile> file, Impl* env)
      : name_(std::move(name)), size_(size), file_(std::move(file)), env_(env) {}

  leveldb::Status Append(const leveldb::Slice& data) override {
    leveldb::Status status = file_->Append(data);
    if (status.ok()) size_ += data.size();
    return status;
  }
  leveldb::Status Close() override { return file_->Close(); }
  leveldb::Status Flush() override { return file_->Flush(); }
  leveldb::Status Sync() override {
    leveldb::Status status = file_->Sync();
    if (status.ok() && !named_) status = SyncFolderOf(name_);
    if (!status.ok()) return status;
    named_ = true;
    env_->Synced(name_, size_);
    return status;
  }

 private:
  const std::string name_;
  std::uint64_t size_;
  bool named_ = false;  // the name is on disk
  const std::unique_ptr<leveldb::WritableFile> file_;
  Impl* const env_;
};

template <class MakeIt>
leveldb::Status CacheEnv::Impl::Make(const std::string& name, leveldb::WritableFile** out, MakeIt make_it) {
  const MutexLock lock(&mu_);
  leveldb::Status status = make_it();
  if (!status.ok() || !IsOfDatabase(name)) return status;
  files_[name] = Seen(name);
  *out = new File(name, files_[name].size, std::unique_ptr<leveldb::WritableFile>(*out), this);
  return status;
}

CacheEnv::CacheEnv(const std::filesystem::path& db) : impl_(std::make_unique<Impl>(db.string())) {}
CacheEnv::~CacheEnv() = default;

leveldb::Env* CacheEnv::env() const { return impl_.get(); }
void CacheEnv::AddPresent() { impl_->AddPresent(); }
void CacheEnv::Forget() { impl_->Forget(); }
CacheEnv::Finding CacheEnv::Look() const { return impl_->Look(); }

}  // namespace lvs::services
