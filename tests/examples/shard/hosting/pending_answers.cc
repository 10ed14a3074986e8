#include "shard/hosting/pending_answers.h"

#include <cstdint>
#include <vector>

#include "shard/ledger.h"
#include "shard/ledger_sync.h"

namespace lvs::hosting {
void Example(const Contribution& contribution, const shard::Ledger& ledger, const shard::LedgerSync& sync,
             std::uint64_t cycle) {
  std::vector<Answer> answers;
  EXAMPLE;
}
}  // namespace lvs::hosting
