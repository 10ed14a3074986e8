#include "services/node/journal_env.h"

#include <gtest/gtest.h>
#include <leveldb/env.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

namespace lvs::services {
namespace {

namespace fs = std::filesystem;

class CacheEnvTest : public ::testing::Test {
 protected:
  CacheEnvTest() {
    std::string name = (fs::temp_directory_path() / "lvs-env-XXXXXX").string();
    dir_ = mkdtemp(name.data());
    files_ = std::make_unique<CacheEnv>(dir_);
  }
  ~CacheEnvTest() override { fs::remove_all(dir_); }

  std::string Path(const std::string& file) const { return (dir_ / file).string(); }

  void Write(const std::string& file, const std::string& content) {
    leveldb::WritableFile* raw = nullptr;
    ASSERT_TRUE(files_->env()->NewWritableFile(Path(file), &raw).ok());
    const std::unique_ptr<leveldb::WritableFile> out(raw);
    EXPECT_TRUE(out->Append(content).ok());
    EXPECT_TRUE(out->Sync().ok());
    EXPECT_TRUE(out->Close().ok());
  }

  CacheEnv::Fault Fault() const { return files_->Look().fault; }

  fs::path dir_;
  std::unique_ptr<CacheEnv> files_;
};

TEST_F(CacheEnvTest, WhatLevelDbRemovesAndRenamesIsNotMissing) {
  Write("000001.log", "abc");
  Write("000002.dbtmp", "MANIFEST-000003");
  EXPECT_TRUE(files_->env()->RenameFile(Path("000002.dbtmp"), Path("CURRENT")).ok());
  EXPECT_EQ(Fault(), CacheEnv::Fault::kNone);
  EXPECT_TRUE(files_->env()->RemoveFile(Path("000001.log")).ok());
  EXPECT_EQ(Fault(), CacheEnv::Fault::kNone);
}

TEST_F(CacheEnvTest, WhatSomebodyElseDoesIsFound) {
  Write("000001.log", "abc");
  fs::resize_file(Path("000001.log"), 2);
  EXPECT_EQ(Fault(), CacheEnv::Fault::kGone);
  fs::resize_file(Path("000001.log"), 4);
  EXPECT_EQ(Fault(), CacheEnv::Fault::kNone) << "more than was synced may be there";
  fs::rename(Path("000001.log"), Path("moved"));
  EXPECT_EQ(files_->Look().what, Path("000001.log") + " was deleted");
  std::ofstream(Path("000001.log")) << "abcd";
  EXPECT_EQ(files_->Look().what, Path("000001.log") + " was replaced");
  fs::rename(Path("moved"), Path("000001.log"));
  EXPECT_EQ(Fault(), CacheEnv::Fault::kNone);
}

TEST_F(CacheEnvTest, WhatWasThereBeforeCountsOnceItIsAdded) {
  std::ofstream(Path("000005.ldb")) << "table";
  std::ofstream(Path("LOG")) << "LevelDB's own";
  EXPECT_EQ(Fault(), CacheEnv::Fault::kNone);
  files_->AddPresent();
  fs::remove(Path("LOG"));
  EXPECT_EQ(Fault(), CacheEnv::Fault::kNone);
  fs::remove(Path("000005.ldb"));
  EXPECT_EQ(Fault(), CacheEnv::Fault::kGone);
  files_->AddPresent();
  EXPECT_EQ(Fault(), CacheEnv::Fault::kGone) << "it is known and still missing";
  files_->Forget();
  EXPECT_EQ(Fault(), CacheEnv::Fault::kNone);
}

// A mapped file would end the process.
TEST_F(CacheEnvTest, ATableThatIsCutOffWhileItIsReadIsShort) {
  std::ofstream(Path("000005.ldb")) << std::string(1 << 16, 'x');
  leveldb::RandomAccessFile* raw = nullptr;
  ASSERT_TRUE(files_->env()->NewRandomAccessFile(Path("000005.ldb"), &raw).ok());
  const std::unique_ptr<leveldb::RandomAccessFile> table(raw);
  std::array<char, 8> bytes{};
  leveldb::Slice read;
  EXPECT_TRUE(table->Read(40'000, bytes.size(), &read, bytes.data()).ok());
  EXPECT_EQ(read.ToString(), "xxxxxxxx");
  fs::resize_file(Path("000005.ldb"), 0);
  EXPECT_TRUE(table->Read(40'000, bytes.size(), &read, bytes.data()).ok());
  EXPECT_EQ(read.ToString(), "");
  EXPECT_TRUE(files_->env()->NewRandomAccessFile(Path("none"), &raw).IsNotFound());
}

}  // namespace
}  // namespace lvs::services
