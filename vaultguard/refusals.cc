#include "vaultguard/refusals.h"

namespace lvs::vaultguard {

std::string_view Name(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNotFinite: return "not_finite";
    case Refusal::kStale: return "stale";
    case Refusal::kReplayed: return "replayed";
    case Refusal::kFutureCycle: return "future_cycle";
    case Refusal::kUnknownShard: return "unknown_shard";
    case Refusal::kWrongDimension: return "wrong_dimension";
    case Refusal::kColumnLengths: return "column_lengths";
    case Refusal::kUnknownHaloRow: return "unknown_halo_row";
    case Refusal::kTooLarge: return "too_large";
    case Refusal::kEntropySaturated: return "entropy_saturated";
    case Refusal::kEntropyRepeated: return "entropy_repeated";
    case Refusal::kRateExceeded: return "rate_exceeded";
    case Refusal::kBadEntry: return "bad_entry";
    case Refusal::kSessionsFull: return "sessions_full";
    case Refusal::kSessionsReserved: return "sessions_reserved";
    case Refusal::kSessionsTooFast: return "sessions_too_fast";
    case Refusal::kMalformed: return "malformed";
    case Refusal::kRepeatsTooFast: return "repeats_too_fast";
    case Refusal::kCount: break;
  }
  return "unknown";
}

std::string_view Name(Clamp clamp) {
  switch (clamp) {
    case Clamp::kFinite: return "finite";
    case Clamp::kShift: return "shift";
    case Clamp::kFloor: return "floor";
    case Clamp::kBand: return "band";
    case Clamp::kCount: break;
  }
  return "unknown";
}

}  // namespace lvs::vaultguard
