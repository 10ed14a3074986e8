#include "services/base/file_lock.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <utility>

namespace lvs::services {
namespace {

namespace fs = std::filesystem;

TEST(FileLock, HasOneHolder) {
  std::string pattern = (fs::temp_directory_path() / "lvs-lock-XXXXXX").string();
  const fs::path folder = mkdtemp(pattern.data());
  {
    auto lock = FileLock::Take(folder / "lock");
    ASSERT_TRUE(lock.ok()) << lock.status();
    const FileLock moved = *std::move(lock);
    EXPECT_EQ(FileLock::Take(folder / "lock").status().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_TRUE(FileLock::Take(folder / "lock").ok());
  EXPECT_EQ(FileLock::Take(folder / "none/lock").status().code(), absl::StatusCode::kNotFound);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace lvs::services
