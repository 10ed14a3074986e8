// A peer link's rows in a shard's halo, and how a link that drains or repeats itself loses weight.
#include "shard/halo_link.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "shard/random.h"

namespace lvs::shard {
namespace {

using vaultguard::Refusal;

constexpr std::uint32_t kFirstRow = 3;  // of the link's part of the halo
constexpr std::uint32_t kLinkedRows = 40;
constexpr float kBoundVu = 1.0f;

class ALink : public testing::TestWithParam<Shape> {
 protected:
  static StateShardConfig Config() {
    StateShardConfig config;
    config.shape = GetParam();
    config.halo_rows = kFirstRow + kLinkedRows;
    return config;
  }

  Frame Say(float value_vu, std::uint64_t published_cycle) {
    Frame frame;
    frame.cycle = cycle_;
    frame.value_slots = GetParam().value_slots;
    const auto dims = static_cast<std::size_t>(GetParam().dimensions());
    {
      RowWriter rows(&frame, kLinkedRows + 5, static_cast<int>(dims));  // room for more rows than are written
      for (std::uint32_t n = 0; n < kLinkedRows; ++n) {
        std::vector<float> diff(dims, 0.25f);
        diff[n % static_cast<std::size_t>(frame.value_slots)] = value_vu;
        rows.Add(n, static_cast<std::uint32_t>(published_cycle), 200, static_cast<std::uint32_t>(Mix(++words_)),
                 diff.data());
      }
    }
    return frame;
  }
  HaloLink::Raised Hear(const Frame& frame) {
    return link_.Hear(frame, kFirstRow, cycle_++, kBoundVu, &shard_, &refused_);
  }
  std::uint32_t WeightHeard(std::uint32_t n) const { return shard_.said_meta(kFirstRow + n) >> 24; }

  StateShard shard_{Config()};
  HaloLink link_;
  vaultguard::RefusalCounts refused_;
  std::uint64_t cycle_ = 1000;
  std::uint64_t words_ = 0;
};

TEST_P(ALink, Spec6_2SaysItsRowsIntoItsPartOfTheHalo) {
  const Frame frame = Say(0.5f, cycle_);
  ASSERT_EQ(frame.halo_row.size(), kLinkedRows) << "rows that were not written are not said";
  Hear(frame);
  for (std::uint32_t n = 0; n < kLinkedRows; ++n) {
    const std::vector<float> said(shard_.said(kFirstRow + n), shard_.said(kFirstRow + n) + GetParam().dimensions());
    const float* diff = frame.diff.data() + n * static_cast<std::size_t>(GetParam().dimensions());
    EXPECT_EQ(said, std::vector<float>(diff, diff + GetParam().dimensions())) << n;
    EXPECT_EQ(shard_.said_meta(kFirstRow + n), Meta(1000, 200) | kMetaPacket);
    EXPECT_EQ(shard_.said_entropy(kFirstRow + n), frame.entropy[n]);
  }
  for (std::uint32_t row = 0; row < kFirstRow; ++row) EXPECT_EQ(shard_.said_meta(row), 0u) << "another link's";
  EXPECT_EQ(refused_.Total(), 0u);
  // Older publications of the same rows, and an empty frame, change nothing.
  cycle_ = 1001;
  Hear(Say(0.75f, 999));
  Frame empty = frame;
  ClearRows(&empty);
  Hear(empty);
  for (std::uint32_t n = 0; n < kLinkedRows; ++n) {
    EXPECT_EQ(shard_.said_meta(kFirstRow + n), Meta(1000, 200) | kMetaPacket) << n;
    EXPECT_EQ(shard_.said_entropy(kFirstRow + n), frame.entropy[n]) << n;
  }
}

TEST_P(ALink, Spec8_3WhatIsTooOldIsRefused) {
  Hear(Say(0.5f, cycle_ - vaultguard::kSilenceCycles));
  EXPECT_EQ(refused_.Total(), 0u);
  cycle_ += 1000;
  const Frame old = Say(0.75f, cycle_ - vaultguard::kSilenceCycles - 1);
  Hear(old);
  EXPECT_EQ(refused_.Of(Refusal::kStale), kLinkedRows);
  EXPECT_EQ(shard_.said(kFirstRow)[0], 0.5f);
}

// SPEC-8.3: a link that pulls down weighs less and less, and recovers its weight once it has behaved for long.
TEST_P(ALink, Spec8_3ADrainWeighsLessUntilItBehaves) {
  std::uint64_t drains = 0;
  for (int n = 0; n < 60; ++n) drains += Hear(Say(-5.0f, cycle_)).drains;
  EXPECT_GE(drains, 1u);
  EXPECT_LE(WeightHeard(0), 200u / 16 + 1);
  EXPECT_GT(WeightHeard(0), 0u);
  for (int n = 0; n < 200; ++n) EXPECT_EQ(Hear(Say(0.0f, cycle_)).drains, 0u);
  EXPECT_EQ(WeightHeard(0), 200u);
}

TEST_P(ALink, Spec8_3WhoLiesUpwardsIsNoDrain) {
  for (int n = 0; n < 60; ++n) EXPECT_EQ(Hear(Say(5.0f, cycle_)).drains, 0u);
  EXPECT_EQ(WeightHeard(0), 200u);
}

// SPEC-10: repeated packets are not used; the rows' earlier words stay, and their states are still heard.
TEST_P(ALink, Spec10_StuckEntropyIsNotUsed) {
  for (int n = 0; n < 20; ++n) Hear(Say(0.5f, cycle_));
  EXPECT_EQ(refused_.Total(), 0u);
  const std::uint32_t last_good = shard_.said_entropy(kFirstRow + kLinkedRows - 1);
  Frame stuck = Say(0.75f, cycle_);
  stuck.entropy.assign(kLinkedRows, 0x07070707);
  EXPECT_EQ(Hear(stuck).entropy, 1u);
  EXPECT_GT(refused_.Of(Refusal::kEntropyRepeated), kLinkedRows / 2);
  EXPECT_EQ(shard_.said_entropy(kFirstRow + kLinkedRows - 1), last_good);
  EXPECT_EQ(
      shard_.said(kFirstRow + kLinkedRows - 1)[(kLinkedRows - 1) % static_cast<std::uint32_t>(GetParam().value_slots)],
      0.75f);
}

INSTANTIATE_TEST_SUITE_P(Shapes, ALink, testing::Values(Shape{2, 2, 8}, Shape{1, 0, 8}, Shape{1, 2, 8}, Shape{3, 4, 8}),
                         [](const auto& of) {
                           return std::to_string(of.param.value_slots) + "_" +
                                  std::to_string(of.param.free_coordinates);
                         });

}  // namespace
}  // namespace lvs::shard
