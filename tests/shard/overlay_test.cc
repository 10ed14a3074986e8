// The overlay (SPEC-10 random fallback connections): which replicas hear which, and the balance of that.
#include "shard/overlay.h"

#include <gtest/gtest.h>
#include <hwy/aligned_allocator.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "tests/shard/generator.h"

namespace lvs::shard {
namespace {

// OverlayRows of which all local ones are alive, and all published a cycle ago.
class OverlayRows {
 public:
  OverlayRows(int peers, std::uint32_t halo, std::uint32_t locals, std::uint64_t seed = 1)
      : shape_{1, 1, peers}, halo_(halo), locals_(locals), overlay_(shape_, seed) {
    col_.first_local = AlignRows(halo);
    col_.end = AlignRows(col_.first_local + locals);
    col_.stride = col_.end;
    const std::size_t links = static_cast<std::size_t>(peers) * col_.stride;
    flags_.resize(col_.end);
    link_ = hwy::AllocateAligned<std::uint32_t>(links);
    std::fill_n(link_.get(), links, 0u);
    link_entropy_.resize(links);
    col_.said_words = SaidWords(shape_.dimensions());
    said_.resize(col_.end * col_.said_words + kSaidPadding);
    col_.flags = flags_.data();
    col_.link = link_.get();
    col_.link_entropy = link_entropy_.data();
    col_.said = said_.data();
    for (std::size_t row = col_.first_local; row < col_.first_local + locals; ++row) {
      flags_[row] = kAlive;
      live_.push_back(static_cast<std::uint32_t>(row));
    }
  }

  void Draw(double remote_share = 0, std::uint64_t cycle = 0) {
    overlay_.Draw(col_, live_, halo_, remote_share, cycle);
  }
  std::uint64_t Maintain(std::uint64_t cycle, double shuffle = 0.01, double remote_share = 0, bool all_speak = true) {
    if (all_speak) Speak(cycle);
    return overlay_.Maintain(col_, shuffle, halo_, remote_share, hurry, cycle);
  }
  // All rows but the silent ones have published in the cycle before.
  void Speak(std::uint64_t cycle) {
    for (std::size_t row = 0; row < col_.end; ++row) {
      const bool speaks = (row < std::min(halo_, halo_speaks) && !halo_silent) ||
                          (row >= col_.first_local && (flags_[row] & kAlive) != 0);
      if (speaks) col_.SetMeta(row, Meta(cycle - 1, 255));
    }
  }
  std::uint32_t Peer(std::uint32_t row, int s) const { return NeighbourOf(LinkAt(row, s)); }
  std::uint8_t Trust(std::uint32_t row, int s) const { return TrustOf(LinkAt(row, s)); }
  void Set(std::uint32_t row, int s, std::uint32_t peer, std::uint8_t trust) {
    link_[static_cast<std::size_t>(s) * col_.stride + row] = Link(peer, trust);
  }

  std::vector<int> InDegree() {
    std::vector<int> degree(col_.end, 0);
    for (const std::uint32_t row : live_) {
      for (int s = 0; s < shape_.peers; ++s) ++degree[Peer(row, s)];
    }
    return degree;
  }
  // Share of all slots for which `what` holds of (row, peer).
  template <class F>
  double Share(F what) {
    double n = 0;
    for (const std::uint32_t row : live_) {
      for (int s = 0; s < shape_.peers; ++s) n += what(row, Peer(row, s)) ? 1 : 0;
    }
    return n / static_cast<double>(live_.size()) / shape_.peers;
  }
  double RemoteShare() {
    return Share([this](std::uint32_t, std::uint32_t peer) { return peer < col_.first_local; });
  }
  double SelfShare() {
    return Share([](std::uint32_t row, std::uint32_t peer) { return row == peer; });
  }

  Columns& col() { return col_; }
  std::vector<std::uint32_t>& live() { return live_; }
  Overlay& overlay() { return overlay_; }
  bool halo_silent = false;
  std::uint32_t halo_speaks = ~std::uint32_t{0};  // the first rows of the halo; the others never do
  bool hurry = false;

 private:
  Shape shape_;
  std::uint32_t halo_, locals_;
  Overlay overlay_;
  Columns col_;
  std::uint32_t LinkAt(std::uint32_t row, int s) const {
    return link_[static_cast<std::size_t>(s) * col_.stride + row];
  }

  std::vector<std::uint8_t> flags_, link_entropy_;
  std::vector<float> said_;
  hwy::AlignedFreeUniquePtr<std::uint32_t[]> link_;
  std::vector<std::uint32_t> live_;
};

TEST(Overlay, EachReplicaIsHeardByExactlyD) {
  for (const std::uint32_t n : {2u, 3u, 7u, 16u, 17u, 500u}) {
    for (const int d : {1, 8, 16}) {
      OverlayRows rows(d, 0, n, n + static_cast<std::uint64_t>(d));
      rows.Draw();
      const std::vector<int> degree = rows.InDegree();
      for (const std::uint32_t row : rows.live()) EXPECT_EQ(degree[row], d) << n << " replicas";
      EXPECT_EQ(rows.SelfShare(), 0.0) << n << " replicas";
      for (const std::uint32_t row : rows.live()) EXPECT_EQ(rows.Trust(row, 0), kTrustNew);
    }
  }
  OverlayRows alone(8, 0, 1);
  alone.Draw();
  EXPECT_EQ(alone.SelfShare(), 1.0);  // SPEC-11.5: works at N = 1
}

TEST(Overlay, NeighboursAreRandom) {
  // All other rows are equally likely: chi-square over the neighbours, by distance in row numbers.
  OverlayRows rows(8, 0, 257);
  rows.Draw();
  std::vector<double> apart(257, 0);
  for (const std::uint32_t row : rows.live()) {
    for (int s = 0; s < 8; ++s) ++apart[(rows.Peer(row, s) + 257 - row) % 257];
  }
  EXPECT_EQ(apart[0], 0);
  const double mean = 257.0 * 8 / 256;
  double chi = 0;
  for (std::size_t n = 1; n < apart.size(); ++n) chi += (apart[n] - mean) * (apart[n] - mean) / mean;
  EXPECT_LT(chi, 371);  // 255 degrees of freedom: once in 10^6
  // Another seed draws other neighbours.
  OverlayRows other(8, 0, 257, 2);
  other.Draw();
  double same = 0;
  for (const std::uint32_t row : rows.live()) same += rows.Peer(row, 0) == other.Peer(row, 0) ? 1 : 0;
  EXPECT_LT(same, 15);
}

TEST(Overlay, ExchangeShufflesAndKeepsInDegree) {
  OverlayRows rows(8, 0, 400);
  rows.Draw();
  std::vector<std::vector<std::uint32_t>> before(8);
  for (int s = 0; s < 8; ++s) {
    for (const std::uint32_t row : rows.live()) before[static_cast<std::size_t>(s)].push_back(rows.Peer(row, s));
  }
  const auto changed = [&] {
    double n = 0;
    for (int s = 0; s < 8; ++s) {
      for (std::size_t i = 0; i < rows.live().size(); ++i)
        n += rows.Peer(rows.live()[i], s) != before[static_cast<std::size_t>(s)][i];
    }
    return n / (8.0 * 400);
  };
  std::fill_n(rows.col().link_entropy, 8 * rows.col().stride, std::uint8_t{0xaa});
  EXPECT_EQ(rows.Maintain(1), 0u);
  EXPECT_NEAR(changed(), 0.01, 0.003) << "1 % of the slots a cycle";
  // A slot with a new neighbour knows nothing of the packets of the one before.
  for (std::size_t s = 0; s < 8; ++s) {
    for (std::size_t i = 0; i < rows.live().size(); ++i) {
      const std::uint32_t row = rows.live()[i];
      const bool same = rows.Peer(row, static_cast<int>(s)) == before[s][i];
      ASSERT_EQ(rows.col().link_entropy[s * rows.col().stride + row], same ? 0xaa : 0);
    }
  }
  double exchanged = 0;
  for (const std::uint32_t row : rows.live()) {
    for (int s = 0; s < 8; ++s) exchanged += rows.Trust(row, s) == kTrustExchanged;
  }
  EXPECT_NEAR(exchanged / 3200, changed(), 1e-9);
  for (std::uint64_t cycle = 2; cycle <= 300; ++cycle) EXPECT_EQ(rows.Maintain(cycle), 0u);
  EXPECT_GT(changed(), 0.9);
  const std::vector<int> degree = rows.InDegree();
  for (const std::uint32_t row : rows.live()) EXPECT_EQ(degree[row], 8);
  EXPECT_EQ(rows.SelfShare(), 0.0);
}

TEST(Overlay, Spec9_4LinksToTheSilentAreReplacedWithinEightCycles) {
  OverlayRows rows(8, 0, 320);
  rows.Draw();
  std::uint64_t cycle = 1;
  for (; cycle <= 200; ++cycle) rows.Maintain(cycle);
  // A fifth of the rows leave, and are silent after more than 130 cycles without a publication.
  std::vector<std::uint32_t> gone;
  for (std::uint32_t n = 0; n < 64; ++n) gone.push_back(rows.live()[n * 5]);
  for (const std::uint32_t row : gone) {
    rows.col().flags[row] = 0;
    std::erase(rows.live(), row);
  }
  const auto to_gone = [&] {
    return rows.Share([&](std::uint32_t, std::uint32_t peer) { return (rows.col().flags[peer] & kAlive) == 0; });
  };
  EXPECT_NEAR(to_gone(), 0.2, 0.05);
  const std::uint64_t left = cycle - 2;  // their last publication
  std::uint64_t fallbacks = 0;
  for (; cycle <= left + vaultguard::kSilenceCycles; ++cycle) fallbacks += rows.Maintain(cycle);
  EXPECT_EQ(fallbacks, 0u) << "nobody is silent before the limit";
  EXPECT_NEAR(to_gone(), 0.2, 0.05);
  for (int n = 0; n < 8; ++n, ++cycle) fallbacks += rows.Maintain(cycle, 0.0);
  EXPECT_EQ(to_gone(), 0.0);
  EXPECT_NEAR(static_cast<double>(fallbacks), 0.2 * 256 * 8, 120);
  EXPECT_EQ(rows.SelfShare(), 0.0);
}

TEST(Overlay, Spec10DistrustedLinksAreReplacedWithinEightCycles) {
  OverlayRows rows(8, 0, 160);
  rows.Draw();
  rows.Maintain(1, 0.0);
  for (const std::uint32_t row : rows.live()) {
    rows.Set(row, 0, rows.Peer(row, 0), kTrustDropped);
    rows.Set(row, 1, rows.Peer(row, 1), kTrustDropped + 1);
  }
  std::vector<std::uint32_t> first, second;
  for (const std::uint32_t row : rows.live()) {
    first.push_back(rows.Peer(row, 0));
    second.push_back(rows.Peer(row, 1));
  }
  std::uint64_t fallbacks = 0;
  for (std::uint64_t cycle = 2; cycle < 10; ++cycle) fallbacks += rows.Maintain(cycle, 0.0);
  EXPECT_EQ(fallbacks, 160u);
  std::size_t same = 0;
  for (std::size_t n = 0; n < rows.live().size(); ++n) {
    const std::uint32_t row = rows.live()[n];
    same += rows.Peer(row, 0) == first[n];
    EXPECT_EQ(rows.Trust(row, 0), kTrustExchanged);
    EXPECT_EQ(rows.Peer(row, 1), second[n]);
    EXPECT_EQ(rows.Trust(row, 1), kTrustDropped + 1);
  }
  EXPECT_LE(same, 6u) << "a fallback is random";
}

TEST(Overlay, RemoteShareIsDrawnKeptAndRestored) {
  OverlayRows rows(8, 64, 400);
  rows.Speak(1);
  rows.Draw(0.4);
  EXPECT_NEAR(rows.RemoteShare(), 0.4, 0.04);
  // All rows of the halo are heard about equally often.
  const std::vector<int> degree = rows.InDegree();
  EXPECT_LT(*std::max_element(degree.begin(), degree.begin() + 64), 45);  // 20 expected
  EXPECT_GT(*std::min_element(degree.begin(), degree.begin() + 64), 3);
  for (std::uint64_t cycle = 1; cycle <= 500; ++cycle) rows.Maintain(cycle, 0.01, 0.4);
  EXPECT_NEAR(rows.RemoteShare(), 0.4, 0.05);
  // In a partition the halo falls silent, and slots that lead there are replaced.
  rows.halo_silent = true;
  std::uint64_t cycle = 501;
  for (; cycle <= 501 + vaultguard::kSilenceCycles + 16; ++cycle) rows.Maintain(cycle, 0.01, 0.4);
  EXPECT_EQ(rows.RemoteShare(), 0.0);
  EXPECT_EQ(rows.SelfShare(), 0.0);
  // After the partition the share comes back.
  rows.halo_silent = false;
  for (std::uint64_t n = 0; n < 400; ++n, ++cycle) rows.Maintain(cycle, 0.01, 0.4);
  EXPECT_NEAR(rows.RemoteShare(), 0.4, 0.06);
}

// A server node of one replica speaks from one of the rows that are kept for it.
TEST(Overlay, RemoteNeighboursAreFoundWhereFewRowsOfTheHaloSpeak) {
  OverlayRows rows(8, 64, 400);
  rows.halo_speaks = 4;
  rows.Speak(1);
  rows.Draw();
  for (std::uint64_t cycle = 1; cycle <= 500; ++cycle) rows.Maintain(cycle, 0.01, 0.4);
  // 16 draws miss all four rows of 64 in 0.36 of the cases.
  EXPECT_NEAR(rows.RemoteShare(), 0.3, 0.06);
}

TEST(Overlay, SlotsThatLeadToRowsThatNeverSpeakGetAnotherRemoteNeighbourSoonAndALocalOneLater) {
  for (const std::uint64_t start : {0, 100'000}) {
    OverlayRows rows(8, 16, 160);
    rows.halo_speaks = 0;
    rows.Draw(0.5, start);
    const double drawn = rows.RemoteShare();
    std::uint64_t cycle = start + 1;
    const auto maintain_until = [&](std::uint64_t last) {
      std::uint64_t fallbacks = 0;
      for (; cycle <= start + last; ++cycle) fallbacks += rows.Maintain(cycle, 0.0, 0.5);
      return fallbacks;
    };
    EXPECT_EQ(maintain_until(60), 0u) << "whoever is far away may be late";
    EXPECT_EQ(rows.RemoteShare(), drawn);
    rows.halo_speaks = 2;
    EXPECT_GT(maintain_until(68), 0u);
    const auto mute = [&] {
      return rows.Share([&](std::uint32_t, std::uint32_t peer) { return peer >= 2 && peer < rows.col().first_local; });
    };
    // Half of the candidates are remote, and 16 draws miss two rows of 16 in 0.12 of the cases.
    EXPECT_LT(mute(), 0.7 * drawn);
    EXPECT_EQ(rows.RemoteShare(), drawn);
    maintain_until(vaultguard::kSilenceCycles + 16);
    EXPECT_LT(mute(), 0.01);
    EXPECT_EQ(rows.SelfShare(), 0.0);
  }
}

TEST(Overlay, InTheFirstCyclesASlotWaitsForItsRemoteRow) {
  OverlayRows rows(8, 16, 160);
  rows.halo_speaks = 8;
  rows.Draw(0.5);
  for (std::uint64_t cycle = 1; cycle <= kFirstWordCycles; ++cycle) {
    EXPECT_EQ(rows.Maintain(cycle, 0.0, 0.5), 0u) << cycle;
  }
  EXPECT_GT(rows.Maintain(kFirstWordCycles + 1, 0.0, 0.5), 0u);
}

// Two server nodes that were cut off together would otherwise go on hearing only each other.
TEST(Overlay, RemoteNeighboursAreTradedForOtherRemoteOnes) {
  OverlayRows rows(8, 64, 400);
  rows.halo_speaks = 32;
  rows.Speak(1);
  rows.Draw();
  std::uint64_t cycle = 1;
  for (; cycle <= 500; ++cycle) rows.Maintain(cycle, 0.01, 0.5);
  const double before = rows.RemoteShare();
  const auto second_half = [&] {
    return rows.Share([&](std::uint32_t, std::uint32_t peer) { return peer >= 32 && peer < rows.col().first_local; });
  };
  EXPECT_EQ(second_half(), 0.0);
  rows.halo_speaks = 64;
  for (int n = 0; n < 400; ++n, ++cycle) rows.Maintain(cycle, 0.01, 0.5);
  EXPECT_NEAR(rows.RemoteShare(), before, 0.05);
  EXPECT_NEAR(second_half(), rows.RemoteShare() / 2, 0.05);
}

TEST(Overlay, TradesHurryWhenAServerNodeHasCome) {
  const auto traded = [](bool hurry) {
    OverlayRows rows(8, 64, 400);
    rows.Speak(1);
    rows.Draw();
    rows.hurry = hurry;
    return static_cast<double>(rows.Maintain(1, 0.01, 0.5));
  };
  EXPECT_NEAR(traded(false), 0.01 * 0.5 * 3200, 8);
  EXPECT_NEAR(traded(true), kHurryTrades * 0.5 * 3200, 40);
}

TEST(Overlay, Spec9_1JoinerIsHeardByAboutDAndHearsD) {
  OverlayRows rows(8, 0, 304);
  const std::uint32_t joiner = rows.live().back();
  rows.col().flags[joiner] = 0;
  rows.live().pop_back();
  rows.Draw();
  rows.Speak(1);
  EXPECT_EQ(rows.InDegree()[joiner], 0);
  rows.col().flags[joiner] = kAlive | kFresh;
  rows.live().push_back(joiner);
  rows.overlay().Join(rows.col(), joiner, 0, 0.0, 1);
  EXPECT_GE(rows.InDegree()[joiner], 6);  // 8, but where two draws meet
  for (int s = 0; s < 8; ++s) {
    EXPECT_NE(rows.Peer(joiner, s), joiner);
    EXPECT_EQ(rows.Trust(joiner, s), kTrustExchanged);
  }
  // The new row took over slots of others, so no other row is heard by more than before.
  const std::vector<int> degree = rows.InDegree();
  for (const std::uint32_t row : rows.live()) EXPECT_LE(degree[row], 9);
}

TEST(Overlay, Spec9_1JoinerIntoAnEmptyShardHearsTheHalo) {
  OverlayRows rows(4, 8, 1);
  rows.Speak(1);
  rows.overlay().Join(rows.col(), rows.live()[0], 8, 0.5, 1);
  for (int s = 0; s < 4; ++s) EXPECT_LT(rows.Peer(rows.live()[0], s), 8u);
}

}  // namespace
}  // namespace lvs::shard
