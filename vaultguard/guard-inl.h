// VaultGuard's last word on a correction, as vector code: it runs inside the drift kernel, on every replica, after the
// correction is computed and before anything is published (SPEC-8.1, SPEC-11.4, TEST-7, ARCH-2.5). No other path leads
// from a correction to a state.
//
// One lane is one replica. For one coordinate:
//   correction  what the drift step wants to add; any bit pattern
//   bound       max_allowed_shift of the replica, > 0
//   state       the state before, finite
//   floor, band value slots only: state stays >= floor (VU >= 0) and within [-band, band] of the ledger
//   lowest, highest  free coordinates only
// Each function returns the safe result and the lanes that it had to change, for the counters.
//
// Included once per SIMD target, inside HWY_NAMESPACE, as Highway's own -inl headers are.
#if defined(LVS_VAULTGUARD_GUARD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LVS_VAULTGUARD_GUARD_INL_H_
#undef LVS_VAULTGUARD_GUARD_INL_H_
#else
#define LVS_VAULTGUARD_GUARD_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace lvs::vaultguard::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class D>
struct Guarded {
  hn::Vec<D> value;
  hn::Mask<D> changed;
};

// A correction that is not finite becomes 0: NaN compares false with everything.
template <class D>
Guarded<D> RequireFinite(D d, hn::Vec<D> correction) {
  const auto finite = hn::Le(hn::Abs(correction), hn::Set(d, 1e30f));
  return {hn::IfThenElseZero(finite, correction), hn::Not(finite)};
}

// |correction| <= max_allowed_shift (SPEC-11.4).
template <class D>
Guarded<D> LimitShift(D d, hn::Vec<D> correction, hn::Vec<D> bound) {
  const auto limited = hn::Max(hn::Min(correction, bound), hn::Neg(bound));
  return {limited, hn::Ne(limited, correction)};
}

// VU >= 0 (SPEC-8.1): the state is relative to the ledger, so the floor is minus the ledger total.
template <class D>
Guarded<D> KeepAboveFloor(D d, hn::Vec<D> state, hn::Vec<D> floor) {
  return {hn::Max(state, floor), hn::Lt(state, floor)};
}

// |state - ledger| <= band: no share of adversaries moves a replica further from its own ledger (drift.md rule 7).
template <class D>
Guarded<D> KeepInBand(D d, hn::Vec<D> state, hn::Vec<D> band) {
  const auto kept = hn::Max(hn::Min(state, band), hn::Neg(band));
  return {kept, hn::Ne(kept, state)};
}

// A free coordinate stays where coordinates live, so that no share of liars leads replicas out of there. Compares and
// selects: targets differ in the sign of the zero that min and max return.
template <class D>
hn::Vec<D> KeepInRange(D, hn::Vec<D> state, hn::Vec<D> lowest, hn::Vec<D> highest) {
  const auto above = hn::IfThenElse(hn::Lt(state, lowest), lowest, state);
  return hn::IfThenElse(hn::Gt(above, highest), highest, above);
}

}  // namespace lvs::vaultguard::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard per target
