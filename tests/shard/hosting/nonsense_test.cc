#include "shard/hosting/nonsense.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <vector>

#include "shard/frame.h"
#include "shard/ledger.h"
#include "tests/shard/hosting/good_frame.h"

namespace lvs::hosting {
namespace {

using shard::Frame;
using vaultguard::Refusal;

std::optional<Refusal> Check(const Frame& frame) { return CheckFrame(frame, kShape, 3, kHaloRows, kCycle + 1); }

TEST(Nonsense, EveryKindIsRefusedForItsReason) {
  const std::map<int, Refusal> frames = {
      {0, Refusal::kNotFinite},      {1, Refusal::kNotFinite},      {2, Refusal::kWrongDimension},
      {3, Refusal::kColumnLengths},  {4, Refusal::kUnknownShard},   {5, Refusal::kFutureCycle},
      {6, Refusal::kUnknownHaloRow}, {7, Refusal::kWrongDimension}, {9, Refusal::kTooLarge}};
  const std::map<int, Refusal> entries = {{10, Refusal::kRateExceeded}, {11, Refusal::kBadEntry}};
  for (const std::uint32_t rows : {0u, 1u, 16u}) {
    const Frame good = Good(rows);
    ASSERT_EQ(Check(good), std::nullopt);
    for (int kind = 0; kind < kNonsenseKinds; ++kind) {
      const Frame bad = Nonsense(good, kind);
      if (frames.contains(kind)) {
        ASSERT_TRUE(Check(bad).has_value()) << kind;
        EXPECT_EQ(*Check(bad), frames.at(kind)) << kind;
        continue;
      }
      EXPECT_EQ(Check(bad), std::nullopt) << kind;
      shard::Ledger ledger(kShape.value_slots, {});
      for (const shard::LedgerEntry& entry : good.entries) ASSERT_FALSE(ledger.Merge(entry, kCycle).refused);
      const std::uint64_t digest = ledger.digest();
      std::vector<Refusal> refused;
      for (const shard::LedgerEntry& entry : bad.entries) {
        if (const auto why = ledger.Merge(entry, kCycle).refused) refused.push_back(*why);
      }
      EXPECT_EQ(ledger.digest(), digest) << kind << " changed the ledger";
      if (kind == 8) {
        EXPECT_TRUE(refused.empty());
        EXPECT_EQ(bad.cycle, good.cycle) << "said before: not newer than what was said";
      } else {
        ASSERT_TRUE(entries.contains(kind)) << "kind " << kind << " is new here";
        EXPECT_EQ(refused, std::vector<Refusal>{entries.at(kind)}) << kind;
      }
    }
  }
}

TEST(Nonsense, IsRefusedForEveryShape) {
  for (const shard::Shape shape : {shard::Shape{1, 0, 8}, shard::Shape{8, 4, 8}}) {
    Frame good;
    good.shard = 3;
    good.cycle = kCycle;
    good.value_slots = shape.value_slots;
    for (int kind = 0; kind < 10; ++kind) {
      if (kind == 8) continue;
      EXPECT_TRUE(CheckFrame(Nonsense(good, kind), shape, 3, kHaloRows, kCycle).has_value()) << kind;
    }
  }
}

}  // namespace
}  // namespace lvs::hosting
