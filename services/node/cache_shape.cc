#include "services/node/cache_shape.h"

#include <optional>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "services/base/files.h"

namespace lvs::services {
namespace {

constexpr const char* kShapeFile = "shape";

std::string TextOfShape(const CacheShape& shape) {
  return absl::StrCat("shards ", shape.shards, "\nvalue_slots ", shape.value_slots, "\n");
}

std::optional<CacheShape> ShapeInText(const std::string& text) {
  std::istringstream words(text);
  std::string shards, value_slots;
  CacheShape shape;
  if (!(words >> shards >> shape.shards >> value_slots >> shape.value_slots)) return std::nullopt;
  return shards == "shards" && value_slots == "value_slots" ? std::optional(shape) : std::nullopt;
}

}  // namespace

absl::Status CheckCacheShape(const std::filesystem::path& dir, const CacheShape& wanted) {
  const std::optional<CacheShape> stored = ShapeInText(ReadFileOrEmpty(dir / kShapeFile));
  return !stored || *stored == wanted ? absl::OkStatus() : OtherCacheShape(dir, *stored, wanted);
}

void NoteCacheShape(const std::filesystem::path& dir, const CacheShape& shape) {
  const std::filesystem::path file = dir / kShapeFile;
  const std::string text = TextOfShape(shape);
  if (ReadFileOrEmpty(file) != text) WriteFileAtomically(file, text).IgnoreError();
}

absl::Status OtherCacheShape(const std::filesystem::path& dir, const CacheShape& stored, const CacheShape& wanted) {
  const auto text = [](const CacheShape& shape) {
    return absl::StrCat(shape.shards, " shards of ", shape.value_slots, " value slots");
  };
  return absl::FailedPreconditionError(
      absl::StrCat(dir.string(), " holds a cache of ", text(stored), ", and this node has ", text(wanted),
                   "; set state: to what it was, or name another cache_dir (the entries come from peers then)"));
}

}  // namespace lvs::services
