// The drift kernel (SPEC-7.1, PAPER-4.3) against the second implementation of docs/protocol.md, on every SIMD target of
// the machine; and the page's numbers: loss, trust (SPEC-5.2), entropy health (SPEC-8.3, SPEC-10).
#include "shard/drift_core.h"

#include <gtest/gtest.h>
#include <hwy/aligned_allocator.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "proto/testnet_json.h"
#include "shard/simd_target.h"
#include "shard/state_shard.h"
#include "tests/shard/drift_reference.h"
#include "tests/shard/generator.h"
#include "tests/vectors/vectors.h"

namespace lvs::shard {
namespace {

using vaultguard::Clamp;
using vaultguard::Refusal;

// A browser's message can hold the state of any shard, and no more.
static_assert(proto::kTestnetMaxDimension == vaultguard::kMaxDimensions);

// Restores the best target at the end of a test.
class DriftCore : public testing::Test {
 protected:
  ~DriftCore() override { (void)SelectSimdTarget("auto"); }
};

// Memory of a shard, laid out by a test.
class Memory {
 public:
  Memory(const Shape& shape, std::size_t halo, std::size_t locals) : shape_(shape) {
    col_.first_local = AlignRows(halo);
    col_.end = AlignRows(col_.first_local + locals);
    col_.stride = col_.end + kRowAlign;
    const auto dims = static_cast<std::size_t>(shape.dimensions());
    const auto peers = static_cast<std::size_t>(shape.peers);
    const std::size_t n = col_.stride;
    Make(&state_, dims * n, &col_.state);
    Make(&bound_value_, n, &col_.bound_value);
    Make(&bound_free_, n, &col_.bound_free);
    Make(&bound_slow_, n, &col_.bound_slow);
    Make(&band_, n, &col_.band);
    Make(&flags_, n, &col_.flags);
    Make(&link_, peers * n, &col_.link);
    Make(&link_entropy_, peers * n, &col_.link_entropy);
    col_.said_words = SaidWords(shape.dimensions());
    Make(&said_, col_.said_words * n + kSaidPadding, &col_.said);
  }

  const Columns& col() const { return col_; }
  const Shape& shape() const { return shape_; }
  float& State(std::size_t row, int c) { return state_[static_cast<std::size_t>(c) * col_.stride + row]; }
  std::uint8_t Trust(std::size_t row, int s) const { return TrustOf(LinkAt(row, s)); }
  void SetTrust(std::size_t row, int s, std::uint8_t trust) {
    std::uint32_t& link = link_[static_cast<std::size_t>(s) * col_.stride + row];
    link = Link(NeighbourOf(link), trust);
  }
  std::uint8_t& LinkEntropy(std::size_t row, int s) {
    return link_entropy_[static_cast<std::size_t>(s) * col_.stride + row];
  }
  std::uint32_t Neighbour(std::size_t row, int s) const { return NeighbourOf(LinkAt(row, s)); }
  void SetNeighbour(std::size_t row, int s, std::uint32_t neighbour) {
    std::uint32_t& link = link_[static_cast<std::size_t>(s) * col_.stride + row];
    link = Link(neighbour, TrustOf(link));
  }
  // Sets the publications that the next step hears.
  float& HeardState(std::size_t row, int c) { return said_[row * col_.said_words + static_cast<std::size_t>(c)]; }
  std::uint32_t HeardMeta(std::size_t row) const { return col_.Meta(row); }
  void SetMeta(std::size_t row, std::uint32_t meta) { col_.SetMeta(row, meta); }
  std::uint32_t HeardEntropy(std::size_t row) const { return col_.Entropy(row); }
  void SetEntropy(std::size_t row, std::uint32_t word) {
    said_[(row + 1) * col_.said_words - 1] = std::bit_cast<float>(word);
  }

  // Every bit that a step may write.
  std::vector<std::uint32_t> Bits() {
    std::vector<std::uint32_t> bits;
    for (std::size_t row = col_.first_local; row < col_.end; ++row) {
      for (int c = 0; c < shape_.dimensions(); ++c) {
        bits.push_back(std::bit_cast<std::uint32_t>(State(row, c)));
        bits.push_back(std::bit_cast<std::uint32_t>(HeardState(row, c)));
      }
      bits.push_back(std::bit_cast<std::uint32_t>(col_.bound_value[row]));
      bits.push_back(std::bit_cast<std::uint32_t>(col_.bound_free[row]));
      bits.push_back(std::bit_cast<std::uint32_t>(col_.bound_slow[row]));
      bits.push_back(std::bit_cast<std::uint32_t>(col_.band[row]));
      bits.push_back(HeardMeta(row));
      bits.push_back(HeardEntropy(row));
      for (int s = 0; s < shape_.peers; ++s) bits.push_back(Trust(row, s) | LinkEntropy(row, s) << 8);
    }
    return bits;
  }

 private:
  template <class T>
  using Owned = hwy::AlignedFreeUniquePtr<T[]>;
  template <class T>
  void Make(Owned<T>* owned, std::size_t n, T** at) {
    *owned = hwy::AllocateAligned<T>(n);
    std::fill_n(owned->get(), n, T{});
    *at = owned->get();
  }
  std::uint32_t LinkAt(std::size_t row, int s) const { return link_[static_cast<std::size_t>(s) * col_.stride + row]; }

  Shape shape_;
  Columns col_;
  int heard_ = 0;
  Owned<float> state_, bound_value_, bound_free_, bound_slow_, band_, said_;
  Owned<std::uint8_t> flags_, link_entropy_;
  Owned<std::uint32_t> link_;
};

// One random case: the memory before the first cycle, and the changes between cycles.
struct Case {
  Shape shape;
  std::size_t halo = 0;
  std::size_t locals = 1;
  float value_scale = 1;
  float free_scale = 1;
  double nonsense = 0;  // share of publications that are stale, invalid, NaN, infinite, huge
  double flood = 0;     // share of entropy words that are at the rails, or the same again
  double loss = 0;      // 0 or 1
  std::uint64_t first_cycle = 1;
  DriftParameters parameters;

  std::string Name() const {
    return "k=" + std::to_string(shape.value_slots) + " f=" + std::to_string(shape.free_coordinates) +
           " d=" + std::to_string(shape.peers) + " halo=" + std::to_string(halo) + " locals=" + std::to_string(locals);
  }
};

Case RandomCase(Generator* g) {
  constexpr float kScales[] = {0, 1e-6f, 1e-3f, 1, 100, 1e6f, 1e11f};
  Case c;
  c.shape.value_slots = 1 + static_cast<int>(g->Below(vaultguard::kMaxValueSlots));
  c.shape.free_coordinates = static_cast<int>(g->Below(vaultguard::kMaxFreeCoordinates + 1));
  c.shape.peers = 1 + static_cast<int>(g->Below(vaultguard::kMaxPeers));
  if (g->Chance(0.4)) {  // the shapes that have a kernel of their own
    c.shape = {1 + static_cast<int>(g->Below(2)), 1 + static_cast<int>(g->Below(2)), 8};
  }
  c.halo = g->Chance(0.5) ? g->Below(40) : 0;
  c.locals = 1 + g->Below(60);
  c.value_scale = kScales[g->Below(std::size(kScales))];
  c.free_scale = kScales[g->Below(std::size(kScales))];
  c.nonsense = g->Chance(0.5) ? 0.2 : 0;
  c.flood = g->Chance(0.5) ? 0.3 : 0;
  c.loss = g->Chance(0.1) ? 1 : 0;
  c.first_cycle = g->Chance(0.5) ? 1 : 65'530 + g->Below(100'000);
  if (g->Chance(0.3)) c.parameters.ledger_weight = static_cast<float>(g->Below(5));
  if (g->Chance(0.3)) c.parameters.bound_factor = 2.0f;
  if (g->Chance(0.3)) c.parameters.alpha = 0.3f;
  return c;
}

void Publish(const Case& c, Generator* g, std::uint64_t cycle, std::size_t row, Memory* m) {
  constexpr float kNonsense[] = {std::numeric_limits<float>::infinity(),
                                 -std::numeric_limits<float>::infinity(),
                                 3e38f,
                                 -3e38f,
                                 1.1e12f,
                                 -9e11f,
                                 1e-40f,
                                 std::numeric_limits<float>::quiet_NaN()};
  for (int i = 0; i < c.shape.dimensions(); ++i) {
    m->HeardState(row, i) = g->Around(i < c.shape.value_slots ? c.value_scale : c.free_scale);
    if (g->Chance(c.nonsense / 4)) m->HeardState(row, i) = kNonsense[g->Below(std::size(kNonsense))];
  }
  const auto weight = static_cast<std::uint8_t>(g->Chance(0.3) ? g->Below(256) : 255);
  const std::uint64_t ages[] = {1, 2, 59, 60, 130, 131, 65'535};
  m->SetMeta(row, Meta(cycle - (g->Chance(0.5) ? 1 : ages[g->Below(std::size(ages))]), weight));
  if (g->Chance(0.7)) m->SetMeta(row, m->HeardMeta(row) | kMetaPacket);
  if (g->Chance(c.nonsense / 4)) m->SetMeta(row, m->HeardMeta(row) & ~kMetaValid);
  m->SetEntropy(row, EntropyWord(g->Next(), static_cast<std::uint32_t>(row), cycle));
  if (g->Chance(c.flood)) m->SetEntropy(row, g->Chance(0.5) ? 0x05050505u : static_cast<std::uint32_t>(g->Next()));
  if (c.flood > 0 && row % 3 == 0) {  // a stuck source
    m->SetMeta(row, Meta(cycle - 1, weight) | kMetaPacket);
    m->SetEntropy(row, 0x11111111u * static_cast<std::uint32_t>(row % 7));
  }
}

void Fill(const Case& c, Generator* g, Memory* m) {
  const auto first = static_cast<std::uint32_t>(m->col().first_local);
  for (std::size_t row = 0; row < c.halo; ++row) Publish(c, g, c.first_cycle, row, m);
  for (std::size_t row = first; row < first + c.locals; ++row) {
    Publish(c, g, c.first_cycle, row, m);
    std::uint8_t flags = g->Chance(0.9) ? kAlive : 0;
    if (g->Chance(0.15)) flags |= kLowPower;
    if (g->Chance(0.15)) flags |= kAdversary;
    if (g->Chance(0.1)) flags |= kFresh;
    m->col().flags[row] = flags;
    for (int i = 0; i < c.shape.dimensions(); ++i) {
      m->State(row, i) = g->Around(i < c.shape.value_slots ? c.value_scale : c.free_scale);
    }
    m->col().bound_value[row] = std::max(1e-4f, std::abs(g->Around(2 * c.value_scale)));
    m->col().bound_free[row] = std::max(1e-4f, std::abs(g->Around(2 * c.free_scale)));
    m->col().bound_slow[row] = m->col().bound_free[row] * (g->Chance(0.5) ? 1.0f : 3.0f);
    m->col().band[row] = std::max(1e-6f, std::abs(g->Around(3 * c.value_scale)));
  }
  for (std::size_t row = first; row < m->col().end; ++row) {
    for (int s = 0; s < c.shape.peers; ++s) {
      const bool remote = c.halo > 0 && g->Chance(0.3);
      m->SetNeighbour(row, s,
                      remote ? g->Below(static_cast<std::uint32_t>(c.halo))
                             : first + g->Below(static_cast<std::uint32_t>(c.locals)));
      m->SetTrust(row, s, static_cast<std::uint8_t>(g->Chance(0.5) ? 255 : g->Below(256)));
    }
  }
}

// Between two cycles: news in the halo, lies of adversaries, some flags.
void Disturb(const Case& c, Generator* g, std::uint64_t cycle, Memory* m) {
  for (std::size_t row = 0; row < c.halo; ++row) {
    if (g->Chance(0.3) || (c.flood > 0 && row % 3 == 0)) Publish(c, g, cycle, row, m);
  }
  for (std::size_t row = m->col().first_local; row < m->col().first_local + c.locals; ++row) {
    std::uint8_t& flags = m->col().flags[row];
    if ((flags & kAdversary) != 0 || g->Chance(c.nonsense / 8)) Publish(c, g, cycle, row, m);
    flags &= static_cast<std::uint8_t>(~kFresh);
    if (g->Chance(0.02)) flags ^= kLowPower;
  }
}

StepInput InputOf(const Case& c, std::uint64_t cycle, Generator* g) {
  StepInput input;
  input.cycle = cycle;
  input.seed = 42;
  input.loss = c.loss;
  input.apart = g->Chance(0.2);
  if (g->Chance(0.2)) input.range = std::abs(g->Around(c.free_scale));
  for (float& floor : input.floor) floor = g->Chance(0.5) ? 0.0f : -std::abs(g->Around(c.value_scale));
  return input;
}

std::vector<ReferenceReplica> ReplicasOf(Memory* m) {
  std::vector<ReferenceReplica> all(m->col().end);
  for (std::size_t row = m->col().first_local; row < m->col().end; ++row) {
    ReferenceReplica& r = all[row];
    for (int i = 0; i < m->shape().dimensions(); ++i) r.v.push_back(m->State(row, i));
    r.tau_value = m->col().bound_value[row];
    r.tau_free = m->col().bound_free[row];
    r.slow_free = m->col().bound_slow[row];
    r.b = m->col().band[row];
    for (int s = 0; s < m->shape().peers; ++s) r.links.push_back({m->Neighbour(row, s), m->Trust(row, s)});
  }
  return all;
}

std::vector<ReferenceSaid> SaidOf(Memory* m) {
  std::vector<ReferenceSaid> said(m->col().end);
  for (std::size_t row = 0; row < m->col().end; ++row) {
    for (int i = 0; i < m->shape().dimensions(); ++i) said[row].v.push_back(m->HeardState(row, i));
    said[row].meta = m->HeardMeta(row);
    said[row].entropy = m->HeardEntropy(row);
  }
  return said;
}

// Compares bits, except for the sign of zero and the payload of NaN.
::testing::AssertionResult Same(float kernel, float reference) {
  if (kernel == reference || (std::isnan(kernel) && std::isnan(reference))) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << kernel << " is not " << reference;
}

void ExpectSame(const StepCounts& kernel, const StepCounts& reference) {
  EXPECT_EQ(kernel.updated, reference.updated);
  EXPECT_EQ(kernel.published, reference.published);
  EXPECT_EQ(kernel.packets, reference.packets);
  EXPECT_EQ(kernel.heard, reference.heard);
  EXPECT_EQ(kernel.lost, reference.lost);
  EXPECT_EQ(kernel.strikes_up, reference.strikes_up);
  EXPECT_EQ(kernel.strikes_down, reference.strikes_down);
  EXPECT_EQ(kernel.refused.count, reference.refused.count);
  EXPECT_EQ(kernel.clamped, reference.clamped);
}

void ExpectSame(Memory* m, const std::vector<ReferenceReplica>& replicas, const std::vector<ReferenceSaid>& said) {
  for (std::size_t row = m->col().first_local; row < m->col().end && !testing::Test::HasFailure(); ++row) {
    SCOPED_TRACE("row " + std::to_string(row) + " flags " + std::to_string(m->col().flags[row]));
    const ReferenceReplica& r = replicas[row];
    for (int i = 0; i < m->shape().dimensions(); ++i) {
      EXPECT_TRUE(Same(m->State(row, i), r.v[static_cast<std::size_t>(i)])) << "state " << i;
      EXPECT_TRUE(Same(m->HeardState(row, i), said[row].v[static_cast<std::size_t>(i)])) << "said " << i;
    }
    EXPECT_TRUE(Same(m->col().bound_value[row], r.tau_value)) << "tau_value";
    EXPECT_TRUE(Same(m->col().bound_free[row], r.tau_free)) << "tau_free";
    EXPECT_TRUE(Same(m->col().bound_slow[row], r.slow_free)) << "slow_free";
    EXPECT_TRUE(Same(m->col().band[row], r.b)) << "b";
    EXPECT_EQ(m->HeardMeta(row), said[row].meta);
    EXPECT_EQ(m->HeardEntropy(row), said[row].entropy);
    for (int s = 0; s < m->shape().peers; ++s) {
      EXPECT_EQ(m->Trust(row, s), r.links[static_cast<std::size_t>(s)].trust) << "link " << s;
    }
  }
}

void RunCase(const Case& c, std::uint64_t seed, int cycles, StepCounts* reached, std::vector<std::uint32_t>* bits) {
  SCOPED_TRACE(c.Name() + " seed=" + std::to_string(seed) + " target=" + SimdTargetInUse());
  Generator g(seed);
  Memory m(c.shape, c.halo, c.locals);
  Fill(c, &g, &m);
  std::vector<ReferenceReplica> replicas = ReplicasOf(&m);
  for (int n = 0; n < cycles; ++n) {
    const std::uint64_t cycle = c.first_cycle + static_cast<std::uint64_t>(n);
    SCOPED_TRACE("cycle " + std::to_string(cycle));
    const StepInput input = InputOf(c, cycle, &g);
    const std::vector<ReferenceSaid> heard = SaidOf(&m);

    StepCounts by_kernel;
    DriftStep(c.shape, c.parameters, input, m.col(), &by_kernel);

    StepCounts by_reference;
    std::vector<ReferenceSaid> said = heard;
    for (auto row = static_cast<std::uint32_t>(m.col().first_local); row < m.col().end; ++row) {
      replicas[row].flags = m.col().flags[row];
      said[row] = ReferenceCycle(c.shape, c.parameters, input, heard, row, &replicas[row], &by_reference);
    }
    ExpectSame(by_kernel, by_reference);
    ExpectSame(&m, replicas, said);
    if (testing::Test::HasFailure()) return;

    reached->updated += by_kernel.updated;
    reached->packets += by_kernel.packets;
    reached->lost += by_kernel.lost;
    reached->strikes_up += by_kernel.strikes_up;
    reached->strikes_down += by_kernel.strikes_down;
    reached->refused += by_kernel.refused;
    for (std::size_t i = 0; i < vaultguard::kClamps; ++i) reached->clamped[i] += by_kernel.clamped[i];
    const std::vector<std::uint32_t> now = m.Bits();
    bits->insert(bits->end(), now.begin(), now.end());
    Disturb(c, &g, cycle + 1, &m);
  }
}

TEST_F(DriftCore, Spec7_1KernelIsTheReferenceOnEveryTarget) {
  constexpr int kCases = 120;
  constexpr int kCycles = 14;
  std::vector<std::vector<std::uint32_t>> bits(kCases);
  const std::vector<std::string> targets = SimdTargets();
  ASSERT_GE(targets.size(), 2u) << "one target is equal to itself: nothing was compared";
  for (const std::string& target : targets) {
    ASSERT_TRUE(SelectSimdTarget(target));
    ASSERT_EQ(SimdTargetInUse(), target);
    StepCounts reached;
    for (int n = 0; n < kCases; ++n) {
      Generator g(1000 + static_cast<std::uint64_t>(n));
      const Case c = RandomCase(&g);
      std::vector<std::uint32_t> here;
      RunCase(c, g.Next(), kCycles, &reached, &here);
      ASSERT_FALSE(HasFailure()) << "case " << n;
      if (target == targets.front()) {
        bits[static_cast<std::size_t>(n)] = std::move(here);
      } else {
        ASSERT_TRUE(bits[static_cast<std::size_t>(n)] == here)
            << target << " differs from " << targets.front() << ", case " << n;
      }
    }
    for (const Refusal r :
         {Refusal::kStale, Refusal::kNotFinite, Refusal::kEntropySaturated, Refusal::kEntropyRepeated}) {
      EXPECT_GT(reached.refused.Of(r), 0u) << Name(r);
    }
    for (const Clamp clamp : {Clamp::kFloor, Clamp::kBand}) {
      EXPECT_GT(reached.clamped[static_cast<std::size_t>(clamp)], 0u) << Name(clamp);
    }
    EXPECT_GT(reached.packets, 0u);
    EXPECT_GT(reached.lost, 0u);
    EXPECT_GT(reached.strikes_up, 0u);
    EXPECT_GT(reached.strikes_down, 0u);
  }
}

TEST_F(DriftCore, UnknownSimdTargetIsRefusedAndTheBestOneIsUsed) {
  ASSERT_TRUE(SelectSimdTarget(SimdTargets().back()));
  EXPECT_FALSE(SelectSimdTarget("abacus"));
  EXPECT_EQ(SimdTargetInUse(), SimdTargets().front());
  EXPECT_TRUE(SelectSimdTarget(""));
  EXPECT_EQ(SimdTargetInUse(), SimdTargets().front());
}

// A replica in row 16 (behind 16 halo rows) with one slot, which leads to halo row 0.
class OneLink {
 public:
  explicit OneLink(const Shape& shape = {1, 1, 1}) : m_(shape, 1, 1) {
    const std::size_t row = Row();
    m_.col().flags[row] = kAlive;
    m_.col().bound_value[row] = 1;
    m_.col().bound_free[row] = m_.col().bound_slow[row] = 1;
    m_.col().band[row] = 10;
    for (std::size_t r = row; r < m_.col().end; ++r) m_.SetNeighbour(r, 0, 0);
    m_.SetTrust(row, 0, 255);
    m_.SetMeta(row, Meta(0, 255));
  }
  std::size_t Row() const { return m_.col().first_local; }
  Memory& m() { return m_; }
  std::uint8_t trust() const { return m_.Trust(Row(), 0); }
  void SetTrust(std::uint8_t trust) { m_.SetTrust(Row(), 0, trust); }
  // Sets the neighbour's publication of the cycle before.
  void Say(float value, float coordinate, std::uint32_t meta, std::uint32_t entropy = 0) {
    m_.HeardState(0, 0) = value;
    m_.HeardState(0, 1) = coordinate;
    m_.SetMeta(0, meta);
    m_.SetEntropy(0, entropy);
  }
  StepCounts Step(std::uint64_t cycle, double loss = 0, std::uint64_t seed = 1) {
    StepInput input;
    input.cycle = cycle;
    input.seed = seed;
    input.loss = loss;
    input.floor.fill(-1e9f);
    StepCounts counts;
    DriftStep(m_.shape(), DriftParameters{}, input, m_.col(), &counts);
    return counts;
  }

 private:
  Memory m_;
};

TEST_F(DriftCore, Spec5_2TrustAfterIsWhatTheKernelDoes) {
  for (int trust = 1; trust <= 255; ++trust) {
    for (const bool far : {false, true}) {
      OneLink link;
      link.SetTrust(static_cast<std::uint8_t>(trust));
      link.Say(far ? 1000.0f : 0.0f, 0, Meta(9, 255));
      const StepCounts counts = link.Step(10);
      EXPECT_EQ(link.trust(), TrustAfter(static_cast<std::uint8_t>(trust), far)) << trust;
      EXPECT_EQ(counts.strikes_up, far ? 1u : 0u);
    }
  }
  // A coordinate strikes as well, and a diff downwards is counted as such.
  OneLink link;
  link.Say(0, 1000, Meta(9, 255));
  EXPECT_EQ(link.Step(10).strikes_up, 0u);
  EXPECT_EQ(link.trust(), TrustAfter(255, true));
  link.Say(-1000, 0, Meta(10, 255));
  EXPECT_EQ(link.Step(11).strikes_down, 1u);
}

// The rule of the test above, over many cycles.
TEST_F(DriftCore, Spec5_2TrustFallsFastAndRecoversSlowly) {
  EXPECT_EQ(TrustAfter(255, false), 255);
  EXPECT_EQ(TrustAfter(250, false), 255);
  EXPECT_EQ(TrustAfter(251, false), 255);
  EXPECT_EQ(TrustAfter(100, false), 105);
  EXPECT_EQ(TrustAfter(0, false), 5);
  EXPECT_EQ(TrustAfter(255, true), 204);
  EXPECT_EQ(TrustAfter(0, true), 0);
  for (int trust = 1; trust <= 255; ++trust) {
    EXPECT_LT(TrustAfter(static_cast<std::uint8_t>(trust), true), trust);
    EXPECT_NEAR(TrustAfter(static_cast<std::uint8_t>(trust), true), 0.8 * trust, 1) << trust;
    EXPECT_NEAR(TrustAfter(static_cast<std::uint8_t>(trust), false), std::min(255, trust + 5), 0);
  }
  // Dropped after a dozen strikes; back from nothing in 51 cycles (+0.02 each).
  int strikes = 0;
  for (std::uint8_t trust = 255; trust > 20; trust = TrustAfter(trust, true)) ++strikes;
  EXPECT_EQ(strikes, 11);
  int cycles = 0;
  for (std::uint8_t trust = 0; trust < 255; trust = TrustAfter(trust, false)) ++cycles;
  EXPECT_EQ(cycles, 51);
}

TEST_F(DriftCore, Spec5_3DriftWeightOfTheSenderCounts) {
  // With w0 = 8 and one voice: beta * w * D / (w + 8 * 255), w being trust * (weight + 1) / 256.
  for (const std::uint8_t weight : {std::uint8_t{255}, std::uint8_t{127}, std::uint8_t{0}}) {
    OneLink link;
    link.Say(0.5f, 0, Meta(9, weight));
    link.Step(10);
    const auto w = static_cast<float>((255 * (weight + 1)) >> 8);
    EXPECT_FLOAT_EQ(link.m().State(link.Row(), 0), 0.9f * (w * 0.5f / (w + 2040))) << +weight;
  }
}

TEST_F(DriftCore, Spec5_3TrustAndTheBoundWeighWhatIsHeard) {
  // The same sum: w falls with trust, and a diff beyond the bound counts as the bound.
  for (const int trust : {255, 128, 1}) {
    for (const float distance : {0.1f, 1.0f, 4.0f, 1e6f, 1e11f}) {
      OneLink link;
      link.SetTrust(static_cast<std::uint8_t>(trust));
      link.Say(distance, 0, Meta(9, 255));
      link.Step(10);
      const auto w = static_cast<float>(trust);
      const float heard = std::min(distance, link.m().col().bound_value[link.Row()]);
      EXPECT_FLOAT_EQ(link.m().State(link.Row(), 0), 0.9f * (w * heard / (w + 2040))) << trust << " " << distance;
    }
  }
}

// Loss is drawn by (seed, row, slot, cycle of publication): its rate, and its independence.
TEST_F(DriftCore, Spec6_3LossIsDrawnOnceAPublication) {
  constexpr std::size_t kLocals = 4096;
  const Shape shape{1, 0, 8};
  for (const double loss : {0.01, 0.3, 0.5, 0.9}) {
    Memory m(shape, 16, kLocals);
    for (std::size_t row = 0; row < m.col().end; ++row) {
      m.SetMeta(row, Meta(5, 255));
      if (row < m.col().first_local) continue;
      m.col().flags[row] = kAlive;
      m.col().bound_value[row] = m.col().bound_free[row] = m.col().bound_slow[row] = m.col().band[row] = 1;
      for (int s = 0; s < shape.peers; ++s) {
        m.SetNeighbour(row, s, static_cast<std::uint32_t>(row % 16));
        m.SetTrust(row, s, 100);  // a slot that heard ends the cycle at 105
      }
    }
    const auto lost_links = [&](std::uint64_t cycle, std::uint64_t seed, std::uint64_t published) {
      for (std::size_t row = 0; row < 16; ++row) m.SetMeta(row, Meta(published, 255));
      for (std::size_t row = m.col().first_local; row < m.col().end; ++row) {
        for (int s = 0; s < shape.peers; ++s) m.SetTrust(row, s, 100);
      }
      StepInput input;
      input.cycle = cycle;
      input.seed = seed;
      input.loss = loss;
      StepCounts counts;
      DriftStep(shape, DriftParameters{}, input, m.col(), &counts);
      std::vector<bool> lost;
      std::uint64_t n = 0;
      for (std::size_t row = m.col().first_local; row < m.col().end; ++row) {
        for (int s = 0; s < shape.peers; ++s) {
          lost.push_back(m.Trust(row, s) == 100);
          n += lost.back() ? 1 : 0;
        }
      }
      EXPECT_EQ(counts.lost, n);
      EXPECT_EQ(counts.heard + counts.lost, kLocals * 8);
      return lost;
    };
    const auto count = [](const std::vector<bool>& a) {
      return static_cast<double>(std::count(a.begin(), a.end(), true));
    };
    const auto both = [&](const std::vector<bool>& a, const std::vector<bool>& b) {
      std::vector<bool> c(a.size());
      for (std::size_t n = 0; n < a.size(); ++n) c[n] = a[n] && b[n];
      return count(c);
    };
    constexpr double kLinks = kLocals * 8;
    const double deviation = std::sqrt(kLinks * loss * (1 - loss));
    const std::vector<bool> first = lost_links(6, 1, 5);
    EXPECT_NEAR(count(first), kLinks * loss, 4.5 * deviation);
    EXPECT_EQ(lost_links(7, 1, 5), first) << "what was lost stays lost";
    EXPECT_EQ(lost_links(60, 1, 5), first);
    // Losses of another publication, or another shard, are independent: both are lost in loss^2 of the cases.
    const double pair_deviation = std::sqrt(kLinks * loss * loss * (1 - loss * loss));
    EXPECT_NEAR(both(first, lost_links(8, 1, 6)), kLinks * loss * loss, 4.5 * pair_deviation);
    EXPECT_NEAR(both(first, lost_links(6, 2, 5)), kLinks * loss * loss, 4.5 * pair_deviation);
    // Losses of adjacent slots or rows are independent, too.
    for (const std::size_t apart : {1u, 8u, 16u}) {
      std::vector<bool> shifted(first.begin() + static_cast<std::ptrdiff_t>(apart), first.end());
      shifted.resize(first.size());
      EXPECT_NEAR(both(first, shifted), kLinks * loss * loss, 4.5 * pair_deviation + apart) << apart;
    }
  }
}

TEST_F(DriftCore, Spec6_1EntropyHasUnitVarianceInEveryComponent) {
  constexpr int kWords = 100'000;
  for (int c = 0; c < vaultguard::kMaxDimensions; ++c) {
    double sum = 0, squares = 0, cube = 0;
    float least = 0, most = 0;
    for (std::uint32_t n = 0; n < kWords; ++n) {
      const float x = EntropyComponent(EntropyWord(7, n % 1000, n / 1000), c);
      sum += x;
      squares += x * x;
      cube += x * x * x;
      least = std::min(least, x);
      most = std::max(most, x);
    }
    EXPECT_NEAR(sum / kWords, 0, 0.02) << "component " << c;  // a step is 0.0156
    EXPECT_NEAR(squares / kWords, 1, 0.02) << "component " << c;
    EXPECT_NEAR(cube / kWords, 0, 0.05) << "component " << c;
    EXPECT_EQ(most, 111 / 64.0f) << "component " << c;
    EXPECT_EQ(least, -111 / 64.0f) << "component " << c;
  }
  // A change of the generator changes every run, and must not come unnoticed.
  EXPECT_EQ(EntropyWord(7, 16, 3), EntropyWord(7, 16, 3));
  EXPECT_NE(EntropyWord(7, 16, 3), EntropyWord(7, 17, 3));
  EXPECT_NE(EntropyWord(7, 16, 3), EntropyWord(7, 16, 4));
  EXPECT_NE(EntropyWord(7, 16, 3), EntropyWord(8, 16, 3));
}

TEST_F(DriftCore, Paper4_3EntropyMovesWithDisagreementOnly) {
  const std::uint32_t word = 0x32323232;  // 50/64 in each component
  for (const float apart : {0.0f, 0.5f}) {
    OneLink quiet, noisy;
    quiet.Say(apart, apart, Meta(9, 255));
    noisy.Say(apart, apart, Meta(9, 255) | kMetaPacket, word);
    quiet.Step(10);
    noisy.Step(10);
    for (int c = 0; c < 2; ++c) {
      const float by_noise = noisy.m().State(noisy.Row(), c) - quiet.m().State(quiet.Row(), c);
      EXPECT_NEAR(by_noise, 0.02f * apart * 50 / 64, 1e-6f) << apart;
    }
  }
}

// SPEC-8.3, SPEC-10: packets at the rails, for each byte and on both sides of the limit.
TEST_F(DriftCore, Spec8_3SaturatedPacketIsRefused) {
  for (int byte = 0; byte < 4; ++byte) {
    for (int component = -128; component <= 127; ++component) {
      OneLink link;
      const auto word = (static_cast<std::uint32_t>(component) & 0xffu) << (8 * byte);
      link.Say(0.5f, 0.5f, Meta(9, 255) | kMetaPacket, word);
      const StepCounts counts = link.Step(10);
      EXPECT_EQ(counts.refused.Of(Refusal::kEntropySaturated), component > 119 || component < -120 ? 1u : 0u)
          << component;
    }
  }
}

TEST_F(DriftCore, Spec8_3RepeatedPacketIsRefusedFromTheSeventhOn) {
  // One word of each hash, so that the hash of an empty column is tried, too.
  std::vector<std::uint32_t> word_of(32, 0);
  for (std::uint32_t n = 0; n < 2000; ++n) {
    const std::uint32_t word = EntropyWord(3, n, 0);
    word_of[ReferenceHash(word)] = word;
  }
  for (const std::uint32_t word : word_of) {
    ASSERT_NE(word, 0u);
    OneLink link;
    for (std::uint64_t n = 1; n <= 12; ++n) {
      link.Say(0, 0, Meta(n, 255) | kMetaPacket, word);
      const StepCounts counts = link.Step(n + 1);
      EXPECT_EQ(counts.refused.Of(Refusal::kEntropyRepeated), n >= 7 ? 1u : 0u)
          << "packet " << n << " hash " << +ReferenceHash(word);
    }
    // A different packet ends the run; a message without a packet, or one heard before, does not touch it.
    link.Say(0, 0, Meta(13, 255), word);
    EXPECT_EQ(link.Step(14).refused.Total(), 0u);
    EXPECT_EQ(link.Step(15).refused.Total(), 0u);
    link.Say(0, 0, Meta(15, 255) | kMetaPacket, word);
    EXPECT_EQ(link.Step(16).refused.Total(), 1u);
    link.Say(0, 0, Meta(16, 255) | kMetaPacket, word_of[ReferenceHash(word) ^ 1]);
    EXPECT_EQ(link.Step(17).refused.Total(), 0u);
  }
}

// "Such a packet adds nothing to e, and its link is struck once": a flooding source is no longer heard.
TEST_F(DriftCore, Spec8_3FloodIsStruckOnce) {
  const std::uint32_t flood = 0x7f7f7f7f;
  for (const float far : {0.0f, 1000.0f}) {
    OneLink link, quiet;
    link.Say(far, 0, Meta(9, 255) | kMetaPacket, flood);
    quiet.Say(far, 0, Meta(9, 255));
    link.Step(10);
    quiet.Step(10);
    EXPECT_EQ(link.trust(), TrustAfter(255, true)) << far;
    EXPECT_EQ(link.m().State(link.Row(), 0), quiet.m().State(quiet.Row(), 0)) << "it added to the noise";
  }
  // A packet that is saturated, and from the seventh on repeated, gives still one strike.
  OneLink link;
  std::uint8_t expected = 255;
  for (std::uint64_t n = 10; n < 40; ++n) {
    link.Say(0, 0, Meta(n - 1, 255) | kMetaPacket, flood);
    if (expected > 0) expected = TrustAfter(expected, true);
    link.Step(n);
    ASSERT_EQ(link.trust(), expected) << n;
  }
  EXPECT_LT(link.trust(), 20);  // the overlay drops the neighbour there
}

// An honest packet is never refused: 1e5 of them in each slot here.
TEST_F(DriftCore, Spec10HonestPacketIsNeverRefused) {
  const Shape shape{1, 1, 8};
  Memory m(shape, 128, 16);
  const std::size_t row = m.col().first_local;
  for (std::size_t r = row; r < row + 16; ++r) {
    m.col().flags[r] = kAlive;
    m.col().bound_value[r] = m.col().bound_free[r] = m.col().bound_slow[r] = m.col().band[r] = 1;
    for (int s = 0; s < shape.peers; ++s)
      m.SetNeighbour(r, s, static_cast<std::uint32_t>((r - row) * 8 + static_cast<std::size_t>(s)));
  }
  StepCounts counts;
  constexpr std::uint64_t kCycles = 100'000;
  for (std::uint64_t cycle = 1; cycle <= kCycles; ++cycle) {
    for (std::uint32_t h = 0; h < 128; ++h) {
      m.SetMeta(h, Meta(cycle - 1, 255) | kMetaPacket);
      m.SetEntropy(h, EntropyWord(99, h, cycle));
    }
    StepInput input;
    input.cycle = cycle;
    DriftStep(shape, DriftParameters{}, input, m.col(), &counts);
  }
  EXPECT_EQ(counts.heard, kCycles * 128);
  EXPECT_EQ(counts.refused.Total(), 0u);
}

// The kernel adds up in 32 bit lanes and 16 bit ages: a cycle number beyond 2^32 is as good as any.
TEST_F(DriftCore, CycleNumbersMayGrowFarBeyond16Bits) {
  for (const std::uint64_t cycle : {std::uint64_t{65'536}, std::uint64_t{1} << 32, (std::uint64_t{1} << 40) + 7}) {
    OneLink link;
    link.Say(0.5f, 0.5f, Meta(cycle - 1, 255));
    EXPECT_EQ(link.Step(cycle).heard, 1u);
    EXPECT_GT(link.m().State(link.Row(), 0), 0);
  }
}

// ---- The test vectors of docs/protocol.md --------------------------------------------------------------------------------

using nlohmann::json;
using vectors::Number;
using vectors::Word;

// One cycle of step.json: the memory before it, and what it must have become.
class StepVector {
 public:
  explicit StepVector(const json& c)
      : c_(c),
        shape_{c.at("value_slots").get<int>(), c.at("free_coordinates").get<int>(), static_cast<int>(Slots())},
        row_(Word(c.at("row"))),
        m_(shape_, Slots(), row_ + 1 - AlignRows(Slots())) {
    const json& before = c.at("before");
    m_.col().flags[row_] = static_cast<std::uint8_t>(kAlive | (before.at("low_power").get<bool>() ? kLowPower : 0) |
                                                     (before.at("fresh").get<bool>() ? kFresh : 0));
    m_.col().bound_value[row_] = vectors::Float(before.at("tau_value"));
    m_.col().bound_free[row_] = vectors::Float(before.at("tau_free"));
    m_.col().bound_slow[row_] = vectors::Float(before.at("slow_free"));
    m_.col().band[row_] = vectors::Float(before.at("band"));
    for (int i = 0; i < shape_.dimensions(); ++i) m_.State(row_, i) = vectors::Float(At(before.at("state"), i));
    Say(row_, c.at("said"), 255);
    for (int s = 0; s < shape_.peers; ++s) {
      const json& slot = At(before.at("slots"), s);
      m_.SetNeighbour(row_, s, static_cast<std::uint32_t>(s));
      m_.SetTrust(row_, s, slot.at("trust").get<std::uint8_t>());
      m_.LinkEntropy(row_, s) = SlotByte(slot);
      const json& heard = At(c.at("heard"), s);
      if (!heard.is_null()) Say(static_cast<std::size_t>(s), heard, heard.at("weight").get<std::uint8_t>());
    }
    input_.cycle = Number(c.at("cycle"));
    input_.seed = Number(c.at("seed"));
    input_.apart = c.at("apart").get<bool>();
    input_.range = StateShardConfig{}.coordinate_range;
    for (int s = 0; s < shape_.value_slots; ++s) {
      input_.floor[static_cast<std::size_t>(s)] = vectors::Float(At(c.at("floor"), s));
    }
  }

  void RunKernel() {
    StepCounts counts;
    DriftStep(shape_, DriftParameters{}, input_, m_.col(), &counts);
    ExpectRefused(counts);
    ExpectReplica(ReplicasOf(&m_)[row_]);
    ExpectSaid(SaidOf(&m_)[row_]);
    for (int s = 0; s < shape_.peers; ++s) {
      EXPECT_EQ(m_.LinkEntropy(row_, s), SlotByte(At(c_.at("after").at("slots"), s))) << "slot " << s;
    }
  }

  void RunReference() {
    StepCounts counts;
    ReferenceReplica replica = ReplicasOf(&m_)[row_];
    replica.flags = m_.col().flags[row_];
    for (int s = 0; s < shape_.peers; ++s) {
      const json& slot = At(c_.at("before").at("slots"), s);
      replica.links[static_cast<std::size_t>(s)].last_hash = slot.at("hash").get<std::uint8_t>();
      replica.links[static_cast<std::size_t>(s)].run = slot.at("run").get<std::uint8_t>();
    }
    const ReferenceSaid said =
        ReferenceCycle(shape_, DriftParameters{}, input_, SaidOf(&m_), Word(c_.at("row")), &replica, &counts);
    ExpectRefused(counts);
    ExpectReplica(replica);
    ExpectSaid(said);
  }

 private:
  static const json& At(const json& array, int n) { return array.at(static_cast<std::size_t>(n)); }
  static std::uint8_t SlotByte(const json& slot) {
    return static_cast<std::uint8_t>(slot.at("hash").get<unsigned>() << 3 | slot.at("run").get<unsigned>());
  }
  std::size_t Slots() const { return c_.at("heard").size(); }

  void Say(std::size_t row, const json& said, std::uint8_t weight) {
    for (int i = 0; i < shape_.dimensions(); ++i) m_.HeardState(row, i) = vectors::Float(At(said.at("state"), i));
    const bool packet = said.contains("packet") && !said.at("packet").is_null();
    m_.SetMeta(row, Meta(Number(said.at("published")), weight) | (packet ? kMetaPacket : 0));
    if (packet) m_.SetEntropy(row, Word(said.at("packet")));
  }

  void ExpectRefused(const StepCounts& counts) const {
    std::vector<std::string> refused;
    for (std::size_t n = 0; n < vaultguard::kRefusals; ++n) {
      const auto why = static_cast<Refusal>(n);
      refused.insert(refused.end(), counts.refused.Of(why), std::string(Name(why)));
    }
    std::sort(refused.begin(), refused.end());
    EXPECT_EQ(refused, c_.at("after").at("refused").get<std::vector<std::string>>());
  }
  void ExpectReplica(const ReferenceReplica& replica) const {
    const json& after = c_.at("after");
    for (int i = 0; i < shape_.dimensions(); ++i) {
      EXPECT_TRUE(Same(replica.v[static_cast<std::size_t>(i)], vectors::Float(At(after.at("state"), i)))) << i;
    }
    EXPECT_TRUE(Same(replica.tau_value, vectors::Float(after.at("tau_value"))));
    EXPECT_TRUE(Same(replica.tau_free, vectors::Float(after.at("tau_free"))));
    EXPECT_TRUE(Same(replica.slow_free, vectors::Float(after.at("slow_free"))));
    EXPECT_TRUE(Same(replica.b, vectors::Float(after.at("band"))));
    for (int s = 0; s < shape_.peers; ++s) {
      EXPECT_EQ(replica.links[static_cast<std::size_t>(s)].trust,
                At(after.at("slots"), s).at("trust").get<std::uint8_t>())
          << "slot " << s;
    }
  }
  void ExpectSaid(const ReferenceSaid& said) const {
    const json& after = c_.at("after");
    const bool publishes = Age(said.meta, input_.cycle) == 0;
    ASSERT_EQ(publishes, after.at("publishes").get<bool>());
    if (!publishes) return;
    EXPECT_EQ(said.meta >> 24, kTrustWhole);
    for (int i = 0; i < shape_.dimensions(); ++i) {
      EXPECT_TRUE(Same(said.v[static_cast<std::size_t>(i)], vectors::Float(At(after.at("state"), i)))) << i;
    }
    const bool packet = (said.meta & kMetaPacket) != 0;
    ASSERT_EQ(packet, !after.at("packet").is_null());
    if (packet) {
      EXPECT_EQ(said.entropy, Word(after.at("packet")));
    }
  }

  const json& c_;
  Shape shape_;
  std::size_t row_;
  Memory m_;
  StepInput input_;
};

TEST_F(DriftCore, Spec14_VectorsOfACycleAreComputedOnEveryTargetAndByTheReference) {
  const json file = vectors::Read("step");
  for (const json& c : vectors::Cases(file, "steps")) {
    const vectors::Named named(c);
    StepVector(c).RunReference();
    for (const std::string& target : SimdTargets()) {
      SCOPED_TRACE(target);
      ASSERT_TRUE(SelectSimdTarget(target));
      StepVector(c).RunKernel();
    }
  }
}

TEST_F(DriftCore, Spec14_VectorsOfEntropyWordsAreWhatASlotTests) {
  const json file = vectors::Read("entropy");
  for (const json& c : vectors::Cases(file, "components")) {
    OneLink link;
    link.Say(0, 0, Meta(9, 255) | kMetaPacket, Word(c.at("word")));
    const StepCounts counts = link.Step(10);
    EXPECT_EQ(counts.refused.Of(Refusal::kEntropySaturated), c.at("saturated").get<bool>() ? 1u : 0u) << c;
    EXPECT_EQ(link.m().LinkEntropy(link.Row(), 0) >> 3, c.at("hash").get<int>()) << c;
  }
}

}  // namespace
}  // namespace lvs::shard
