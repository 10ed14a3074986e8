// A second implementation of one drift cycle, plain and scalar, written from docs/protocol.md alone: what the kernel's
// SIMD code is compared with, bit for bit. One replica at a time, one link at a time, in the words and the order of the
// page. tests/vectors/protocol.py is a third one, in Python; tests/vectors/step.json holds all three to the same bits.
#pragma once

#include <cstdint>
#include <vector>

#include "shard/drift_core.h"

namespace lvs::shard {

// TC of a slot after a cycle in which it was heard, 1/255 (SPEC-5.2, step 4 of the page): x 0.8 where its diff lay well
// outside the bound, otherwise + 0.02.
constexpr std::uint8_t TrustAfter(std::uint8_t trust, bool struck) {
  if (struck) return static_cast<std::uint8_t>((trust * 205u) >> 8);
  return trust > 250 ? 255 : static_cast<std::uint8_t>(trust + 5);
}

struct ReferenceLink {
  std::uint32_t neighbour = 0;
  std::uint8_t trust = 255;
  std::uint8_t last_hash = 0;  // of its last entropy packet
  std::uint8_t run = 0;        // how often that hash came in a row
};

struct ReferenceReplica {
  std::vector<float> v;  // k value slots, then f free coordinates
  float tau_value = 0;
  float tau_free = 0;
  float slow_free = 0;
  float b = 0;
  std::uint8_t flags = 0;
  std::vector<ReferenceLink> links;
};

// The newest publication of a row.
struct ReferenceSaid {
  std::vector<float> v;
  std::uint32_t meta = 0;
  std::uint32_t entropy = 0;
};

// Five bits of an entropy word, for the repetition count test of a slot.
constexpr std::uint8_t ReferenceHash(std::uint32_t word) {
  return static_cast<std::uint8_t>((word * 0x9e3779b1u) >> 27);
}

// One cycle of replica `row`. `heard` is what every row said last; the result is what this row has said now.
ReferenceSaid ReferenceCycle(const Shape& shape, const DriftParameters& parameters, const StepInput& input,
                             const std::vector<ReferenceSaid>& heard, std::uint32_t row, ReferenceReplica* replica,
                             StepCounts* counts);

}  // namespace lvs::shard
