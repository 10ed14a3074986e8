#include "shard/new_bits.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "shard/new_bits.cc"
#include <hwy/foreach_target.h>
// foreach_target must come before highway.h.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lvs::shard::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using U = hn::CappedTag<std::uint64_t, 8>;
using V = hn::Vec<U>;

// Each lane holds 64 counters in bit-sliced form: plane p holds bit p of every counter.
constexpr int kPlanes = 32;

// Adds one word a lane: 2^p to each counter whose bit is set in the word.
HWY_INLINE void Carry(V word, int p, V (&plane)[kPlanes]) {
  for (; p < kPlanes && !hn::AllTrue(U(), hn::Eq(word, hn::Zero(U()))); ++p) {
    const V carried = hn::And(plane[p], word);
    plane[p] = hn::Xor(plane[p], word);
    word = carried;
  }
}

// A carry-save adder of three words of equal weight: returns the carries, and `low` takes the sums.
HWY_INLINE V AddThree(V a, V b, V c, V* low) {
  const V differ = hn::Xor(a, b);
  *low = hn::Xor(differ, c);
  return hn::Or(hn::And(a, b), hn::And(differ, c));
}

void CountNewBits(const std::uint64_t* before, const std::uint64_t* now, std::size_t n, NewBits* bits) {
  const U u;
  const std::size_t lanes = hn::Lanes(u);
  V plane[kPlanes];
  for (V& p : plane) p = hn::Zero(u);
  V all = hn::Set(u, ~std::uint64_t{0});
  const auto fresh = [&](std::size_t at) {
    const V word = hn::LoadU(u, now + at);
    all = hn::And(all, word);
    return hn::AndNot(hn::LoadU(u, before + at), word);
  };
  std::size_t at = 0;
  for (; at + 4 * lanes <= n; at += 4 * lanes) {
    const V twos = AddThree(plane[0], fresh(at), fresh(at + lanes), &plane[0]);
    const V more_twos = AddThree(plane[0], fresh(at + 2 * lanes), fresh(at + 3 * lanes), &plane[0]);
    Carry(AddThree(plane[1], twos, more_twos, &plane[1]), 2, plane);
  }
  for (; at < n; at += lanes) Carry(fresh(at), 0, plane);

  HWY_ALIGN std::uint64_t word[8];
  for (int p = 0; p < kPlanes; ++p) {
    hn::Store(plane[p], u, word);
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      for (int bit = 0; word[lane] != 0; ++bit, word[lane] >>= 1) bits->words[bit] += (word[lane] & 1) << p;
    }
  }
  hn::Store(all, u, word);
  for (std::size_t lane = 0; lane < lanes; ++lane) bits->all &= word[lane];
}

}  // namespace lvs::shard::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lvs::shard {

HWY_EXPORT(CountNewBits);

NewBits CountNewBits(const std::uint64_t* before, const std::uint64_t* now, std::size_t n) {
  NewBits bits;
  HWY_DYNAMIC_DISPATCH(CountNewBits)(before, now, n, &bits);
  return bits;
}

}  // namespace lvs::shard
#endif  // HWY_ONCE
