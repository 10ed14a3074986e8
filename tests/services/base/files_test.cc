#include "services/base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "lvs-files-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::size_t FilesInFolder() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_;
};

TEST_F(Files, WhatIsWrittenIsReadBack) {
  const std::string bytes("a\0b\n", 4);
  ASSERT_TRUE(WriteFileAtomically(folder_ / "file", bytes).ok());
  EXPECT_EQ(*ReadTextFile(folder_ / "file"), bytes);
  EXPECT_EQ(ReadFileOrEmpty(folder_ / "file"), bytes);
  ASSERT_TRUE(WriteFileAtomically(folder_ / "file", "").ok());
  EXPECT_EQ(*ReadTextFile(folder_ / "file"), "");
  EXPECT_EQ(FilesInFolder(), 1u) << "no temporary file is left";
}

TEST_F(Files, StagedContentReplacesNothingBeforeItIsCommitted) {
  const fs::path file = folder_ / "file";
  ASSERT_TRUE(WriteFileAtomically(file, "old").ok());
  {
    auto staged = StagedFile::Write(file, "new");
    ASSERT_TRUE(staged.ok()) << staged.status();
    EXPECT_EQ(*ReadTextFile(file), "old");
    EXPECT_EQ(FilesInFolder(), 2u);
  }
  EXPECT_EQ(FilesInFolder(), 1u) << "given up: the temporary file is removed";
  auto staged = StagedFile::Write(file, "new");
  ASSERT_TRUE(staged.ok()) << staged.status();
  ASSERT_TRUE(staged->Commit().ok());
  EXPECT_EQ(*ReadTextFile(file), "new");
}

TEST_F(Files, AWriteThatFailsSaysWhereAndLeavesNothing) {
  const absl::Status missing = WriteFileAtomically(folder_ / "none/file", "x");
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("none/file"));
  EXPECT_THAT(std::string(missing.message()), HasSubstr("No such file or directory"));

  fs::create_directory(folder_ / "folder");
  std::ofstream(folder_ / "folder/inside") << "x";
  EXPECT_FALSE(WriteFileAtomically(folder_ / "folder", "x").ok());
  EXPECT_EQ(FilesInFolder(), 1u);

  fs::create_symlink(folder_ / "elsewhere", folder_ / ("link.tmp." + std::to_string(getpid())));
  EXPECT_FALSE(WriteFileAtomically(folder_ / "link", "x").ok()) << "a temporary name is not followed";
  EXPECT_FALSE(fs::exists(folder_ / "elsewhere"));
}

TEST_F(Files, AFileOfAnySizeIsReadWhole) {
  const std::string large(kTextFileBytesMax + 7, 'x');
  ASSERT_TRUE(WriteFileAtomically(folder_ / "large", large).ok());
  EXPECT_EQ(*ReadWholeFile(folder_ / "large"), large);
  ASSERT_TRUE(WriteFileAtomically(folder_ / "empty", "").ok());
  EXPECT_EQ(*ReadWholeFile(folder_ / "empty"), "");
  EXPECT_EQ(ReadWholeFile(folder_ / "none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadWholeFile(folder_).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(ReadWholeFile("/proc/self/mem").ok()) << "a read that fails throws nothing";
}

TEST_F(Files, AFolderIsListedByNameOrSaysWhyNot) {
  for (const char* name : {"b", "a", "c"}) ASSERT_TRUE(WriteFileAtomically(folder_ / name, "").ok());
  EXPECT_EQ(*FolderEntries(folder_), (std::vector<fs::path>{folder_ / "a", folder_ / "b", folder_ / "c"}));
  EXPECT_EQ(FolderEntries(folder_ / "none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(FolderEntries(folder_ / "a").status().message()), HasSubstr("Not a directory"));
}

TEST_F(Files, ARelativePathNeedsAWorkingFolder) {
  const fs::path before = fs::current_path();
  EXPECT_EQ(*AbsolutePath("x"), before / "x");
  fs::create_directory(folder_ / "gone");
  fs::current_path(folder_ / "gone");
  fs::remove(folder_ / "gone");
  const absl::StatusOr<fs::path> relative = AbsolutePath("x");
  const absl::StatusOr<fs::path> absolute = AbsolutePath("/x");
  fs::current_path(before);
  EXPECT_EQ(relative.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(relative.status().message()), HasSubstr("the working folder is gone"));
  EXPECT_EQ(*absolute, "/x");
}

TEST_F(Files, WhatCannotBeReadSaysWhy) {
  EXPECT_EQ(ReadTextFile(folder_ / "none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(ReadTextFile(folder_ / "none").status().message()),
              StartsWith((folder_ / "none").string() + ": no such file"));
  EXPECT_EQ(ReadTextFile(folder_).status().code(), absl::StatusCode::kFailedPrecondition);
  std::ofstream(folder_ / "large") << std::string(kTextFileBytesMax + 1, 'x');
  EXPECT_EQ(ReadTextFile(folder_ / "large").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReadFileOrEmpty(folder_ / "none"), "");
  EXPECT_EQ(ReadFileOrEmpty(folder_), "");
  EXPECT_NE(ReadFileOrEmpty("/proc/self/stat"), "");
}

TEST_F(Files, FoldersAreSynced) {
  EXPECT_TRUE(SyncFolder(folder_).ok());
  EXPECT_EQ(SyncFolder(folder_ / "none").code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace lvs::services
