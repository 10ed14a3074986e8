#include "tests/wasm/throughput.h"

#include "shard/random.h"

namespace lvs::wasm {

Throughput::Throughput(std::uint32_t shards, std::uint32_t replicas) {
  for (std::uint32_t n = 0; n < shards; ++n) {
    shard::StateShardConfig config;
    config.shard = n;
    config.seed = shard::Mix(1 + n);
    shards_.push_back(std::make_unique<shard::StateShard>(config));
    shards_.back()->Start(replicas, 100 * vaultguard::kMicroPerVu);
  }
}

std::uint64_t Throughput::Cycles(std::uint32_t cycles) {
  shard::CycleCounts counts;
  for (std::uint32_t n = 0; n < cycles; ++n) {
    ++cycle_;
    for (const std::unique_ptr<shard::StateShard>& shard : shards_) {
      // A contribution every fifth cycle keeps the replicas on the move.
      if (cycle_ % 5 == 0) {
        const std::uint64_t draw = shard::Draw(1, shard::Stream::kWorkload, shard->config().shard, cycle_);
        shard::LedgerEntry entry;
        entry.session = {draw, shard::Mix(draw)};
        entry.opened_cycle = cycle_;
        entry.amount_uvu[0] = vaultguard::kMicroPerVu;
        shard->Contribute(entry, cycle_);
      }
      shard->Advance(cycle_, /*loss=*/0.01, &counts);
    }
  }
  return counts.step.updated;
}

std::uint64_t Throughput::Hash() const {
  std::uint64_t hash = 0;
  for (const std::unique_ptr<shard::StateShard>& shard : shards_) hash = shard::Mix(hash ^ shard->StateHash()) + 1;
  return hash;
}

}  // namespace lvs::wasm
