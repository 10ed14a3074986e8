#include "shard/halo_link.h"

#include <algorithm>

#include "vaultguard/limits.h"

namespace lvs::shard {

using vaultguard::Refusal;

HaloLink::Raised HaloLink::Hear(const Frame& frame, std::uint32_t first_row, std::uint64_t cycle, float bound_vu,
                                StateShard* shard, vaultguard::RefusalCounts* refused) {
  const std::size_t rows = frame.halo_row.size();
  const auto slots = static_cast<std::size_t>(frame.value_slots);
  const std::size_t dims = rows == 0 ? 0 : frame.diff.size() / rows;
  const double weight = drain_.verdict().weight;
  const bool weighs_less = weight < 1;
  const std::uint64_t faults_before = entropy_.faults();
  vaultguard::DrainSample sample;
  const auto count_out_of_bound = [&](float down, float up) {
    if (down > bound_vu && down >= up) {
      ++sample.out_of_bound_downward;
      sample.downward_pull_uvu += static_cast<std::uint64_t>(std::min(1e15f, down * 1e6f));
    } else if (up > bound_vu) {
      ++sample.out_of_bound_upward;
    }
  };
  // Local copies of the pointers, which no write below may alias: the vectors' own would be reloaded for each row.
  const std::uint32_t* const halo_row = frame.halo_row.data();
  const std::uint32_t* const published = frame.published_cycle.data();
  const std::uint32_t* const entropy = frame.entropy.data();
  const std::uint8_t* const drift_weight = frame.drift_weight.data();
  const float* diff = frame.diff.data();
  for (std::size_t n = 0; n < rows; ++n, diff += dims) {
    const std::uint32_t published_cycle = published[n];
    if (published_cycle + std::uint64_t{vaultguard::kSilenceCycles} < cycle) [[unlikely]] {
      refused->Add(Refusal::kStale);
      continue;
    }
    ++sample.diffs;
    float down = std::max(0.0f, -diff[0]);
    float up = std::max(0.0f, diff[0]);
    for (std::size_t s = 1; s < slots; ++s) {
      down = std::max(down, -diff[s]);
      up = std::max(up, diff[s]);
    }
    if (std::max(down, up) > bound_vu) [[unlikely]]
      count_out_of_bound(down, up);
    const std::uint32_t row = first_row + halo_row[n];
    // An unfit entropy word leaves the previous one in place.
    const std::uint32_t before = shard->said_entropy(row);
    std::uint32_t word = entropy[n];
    if (word != before && !entropy_.Take(word)) [[unlikely]] {
      refused->Add(Refusal::kEntropyRepeated);
      word = before;
    }
    shard->SetHalo(row, published_cycle,
                   weighs_less ? static_cast<std::uint8_t>(drift_weight[n] * weight) : drift_weight[n], diff, word);
  }
  const vaultguard::DrainVerdict& verdict = drain_.Observe(sample);
  return {.drains = verdict.raised_bits != 0 ? 1u : 0u, .entropy = entropy_.faults() - faults_before};
}

}  // namespace lvs::shard
