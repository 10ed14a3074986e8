// The SIMD operations on neighbour slots agree with plain loops.
#include "shard/links.h"

#include <gtest/gtest.h>
#include <hwy/aligned_allocator.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "shard/simd_target.h"
#include "tests/shard/generator.h"

namespace lvs::shard {
namespace {

constexpr std::size_t kHalo = 16, kLocals = 96, kLinkRows = kHalo + kLocals;
constexpr int kPeers = 3;

// LinkRows of which some published long ago and some never, with random slots among them.
class LinkRows {
 public:
  LinkRows(Generator* g, std::uint64_t cycle) : said_(kLinkRows * SaidWords(3) + kSaidPadding) {
    col_.first_local = kHalo;
    col_.end = kLinkRows;
    col_.stride = kLocals;
    col_.said_words = SaidWords(3);
    col_.said = said_.data();
    link_ = hwy::AllocateAligned<std::uint32_t>(kPeers * kLocals);
    col_.link = link_.get() - kHalo;
    for (std::size_t row = 0; row < kLinkRows; ++row) {
      const std::uint64_t age = g->Below(2 * vaultguard::kSilenceCycles);
      col_.SetMeta(row, g->Below(5) == 0 ? 0 : Meta(cycle - age, static_cast<std::uint8_t>(g->Below(256))));
    }
    for (std::size_t n = 0; n < kPeers * kLocals; ++n) {
      const std::uint32_t own = kHalo + n % kLocals;
      const std::uint32_t peer = g->Below(4) == 0 ? own : static_cast<std::uint32_t>(g->Below(kLinkRows));
      link_[n] = Link(peer, static_cast<std::uint8_t>(g->Below(3) == 0 ? g->Below(40) : 255));
    }
  }
  const Columns& col() const { return col_; }
  std::uint32_t LinkAt(int s, std::size_t row) const {
    return col_.link[static_cast<std::size_t>(s) * col_.stride + row];
  }

 private:
  Columns col_;
  std::vector<float> said_;
  hwy::AlignedFreeUniquePtr<std::uint32_t[]> link_;
};

class Links : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { ASSERT_TRUE(SelectSimdTarget(GetParam())); }
  void TearDown() override { ASSERT_TRUE(SelectSimdTarget("auto")); }
};

TEST_P(Links, LooseAreThoseToItselfDistrustedOrSilent) {
  Generator g(1);
  constexpr std::uint8_t kDropped = 20;
  int found[2] = {};
  // Cycle 0 counts every row as heard; the last ones are at the end of the 16 bit circle of publications.
  for (const std::uint64_t cycle : {0ull, 131ull, 1000ull, 65'535ull, 65'600ull}) {
    const LinkRows rows(&g, std::max<std::uint64_t>(cycle, 300));
    for (int s = 0; s < kPeers; ++s) {
      for (std::size_t first = kHalo; first < kLinkRows; first += kRowAlign) {
        const std::uint32_t loose = LooseLinks(rows.col(), s, first, kDropped, cycle);
        EXPECT_EQ(loose >> kRowAlign, 0u);
        for (std::size_t n = 0; n < kRowAlign; ++n) {
          const std::uint32_t link = rows.LinkAt(s, first + n);
          const std::uint32_t peer = NeighbourOf(link);
          const bool expected =
              peer == first + n || TrustOf(link) <= kDropped || (cycle > 0 && !rows.col().Heard(peer, cycle));
          EXPECT_EQ((loose >> n & 1) != 0, expected) << "row " << first + n << ", slot " << s << ", cycle " << cycle;
          ++found[expected ? 1 : 0];
        }
      }
    }
  }
  EXPECT_GT(found[0], 200);
  EXPECT_GT(found[1], 200);
}

TEST_P(Links, RelinkFollowsEveryRowAndKeepsTheTrust) {
  Generator g(2);
  const LinkRows rows(&g, 1000);
  std::vector<std::uint32_t> before(rows.col().link + kHalo, rows.col().link + kHalo + kPeers * kLocals);
  std::vector<std::uint32_t> now_at(kLinkRows);
  std::iota(now_at.begin(), now_at.end(), 0u);
  now_at[3] = kNeighbourMask;
  now_at[kHalo + 7] = 200;
  now_at[kLinkRows - 1] = 0;
  Relink(rows.col(), kPeers, now_at);
  for (std::size_t n = 0; n < before.size(); ++n) {
    EXPECT_EQ(rows.col().link[kHalo + n], Link(now_at[NeighbourOf(before[n])], TrustOf(before[n])));
  }
}

INSTANTIATE_TEST_SUITE_P(Simd, Links, testing::ValuesIn(SimdTargets()),
                         [](const auto& target) { return target.param; });

}  // namespace
}  // namespace lvs::shard
