// Quantities as a file writes them, a number with its unit, and as a message stores them: in the base unit.
//
//   absl::StatusOr<std::int64_t> period_us = ParseDurationUs("100ms");   // 100000
//   absl::StatusOr<double> loss = ParseShare("1%");                      // 0.01
//
// Errors: INVALID_ARGUMENT; the message says what to write instead, and names neither file nor path. Stateless.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "lvs/v1/units.pb.h"

namespace lvs::services {

// The kind of unit behind the number of a UNIT_OF_METRIC field. The number itself is stored in the base unit: seconds,
// bytes, a fraction, micro-VU. Whoever knows the metric checks that unit and metric fit.
enum class Dimension { kNone, kTime, kBytes, kShare, kValue };

// "100ms", "1.5s", "2m", "1h" -> whole microseconds, 0 .. 2^53.
absl::StatusOr<std::int64_t> ParseDurationUs(std::string_view text);

// "0.1VU", "250uVU" -> whole micro-VU, 0 .. 2^53. "1%" -> 0.01, 0 .. 1.
absl::StatusOr<std::int64_t> ParseValueUvu(std::string_view text);
absl::StatusOr<double> ParseShare(std::string_view text);

// ---- For readers of files ------------------------------------------------------------------------------------------

struct Quantity {
  double value = 0;
  Dimension dimension = Dimension::kNone;
};

// A number with a unit of this kind, in the stored unit and within the unit's range.
absl::StatusOr<Quantity> ParseQuantity(std::string_view text, v1::Unit unit);

// The same for fields that store a whole number of the smallest step; a finer quantity is refused.
absl::StatusOr<std::int64_t> ParseWholeQuantity(std::string_view text, v1::Unit unit);

// "a duration", and "100ms, 2s, 5m or 1h".
std::string_view UnitWord(v1::Unit unit);
std::string_view UnitExamples(v1::Unit unit);

// The text in quotes, shortened to 60 bytes: how errors show what they found.
std::string Quoted(std::string_view text);

}  // namespace lvs::services
