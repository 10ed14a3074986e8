#include "services/node/journal_format.h"

#include <leveldb/write_batch.h>

#include <optional>
#include <string>

namespace lvs::services {
void Example(leveldb::WriteBatch& batch, const CacheRecord& record, const std::string& value, const CacheShape& shape) {
  EXAMPLE;
}
}  // namespace lvs::services
