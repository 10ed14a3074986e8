#include "services/node/journal_env.h"

#include <leveldb/options.h>

namespace lvs::services {
void Example(const std::filesystem::path& dir, leveldb::Options options) { EXAMPLE; }
}  // namespace lvs::services
