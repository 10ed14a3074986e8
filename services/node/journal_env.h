// The files of a cache's database as LevelDB makes, renames and removes them, and whether they are still there.
//
// A process that holds a deleted file open goes on writing and syncing it without an error, and LevelDB never looks at
// names again. So each file is remembered by device and inode: what lies on disk counts only while its name leads to it.
//
//   CacheEnv files(dir / "db");
//   files.AddPresent();                           // what is there already, before LevelDB opens it
//   options.env = files.env();
//   ...                                           // open, write, sync
//   const CacheEnv::Finding found = files.Look(); // costs a system call a file
//   if (found.fault == CacheEnv::Fault::kNone) ...// what was synced is on disk
//
// LevelDB does not sync the folder for a new log nor for the new name of CURRENT; this does, so that a name is as durable
// as the content.
//
// Tables are read by system calls: LevelDB would map them into memory, where a disk that fails ends the process.
//
// LevelDB is built without RTTI, so whatever derives from its classes is, too: only journal_env.cc.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace leveldb {
class Env;
}

namespace lvs::services {

class CacheEnv {
 public:
  enum class Fault : std::uint8_t {
    kNone,
    kUnreachable,  // the file system does not say; the files may be there
    kGone,         // a file was deleted, replaced or cut off
  };
  struct Finding {
    Fault fault = Fault::kNone;
    std::string what;  // empty for kNone
  };

  explicit CacheEnv(const std::filesystem::path& db);
  ~CacheEnv();
  CacheEnv(const CacheEnv&) = delete;
  CacheEnv& operator=(const CacheEnv&) = delete;

  leveldb::Env* env() const;

  // Counts the files of the database that are there now as written; those that are known stay as they are.
  void AddPresent();
  // The database is another one now.
  void Forget();
  // The first file that is not what was written. Any thread.
  Finding Look() const;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace lvs::services
