#include "services/base/yaml_units.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace lvs::services {
namespace {

// Whole numbers with a unit stay exact in a double and two of them can be added without overflow: 285 years of
// microseconds, nine billion VU.
constexpr double kScaledMax = 9007199254740992.0;

// ---- Units ---------------------------------------------------------------------------------------------------------

struct Suffix {
  std::string_view text;
  double factor;  // stored value = written number * factor
  Dimension dimension = Dimension::kNone;
};

struct UnitRule {
  std::vector<Suffix> suffixes;
  std::string_view examples;  // "write 100ms, 2s, 5m or 1h"
  std::string_view word;      // "a duration"
  double max;                 // of the stored value
  std::string_view range;     // shown when max is passed
};

const UnitRule& RuleOf(v1::Unit unit) {
  static const UnitRule duration{{{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"h", 3600e6}},
                                 "100ms, 2s, 5m or 1h",
                                 "a duration",
                                 kScaledMax,
                                 "at most 2500000h"};
  static const UnitRule share{{{"%", 0.01}}, "1% or 0.5%", "a share", 1.0, "between 0% and 100%"};
  static const UnitRule share_rate{{{"%/s", 0.01}}, "2%/s", "a share a second", 1.0, "between 0%/s and 100%/s"};
  static const UnitRule value{
      {{"VU", 1e6}, {"uVU", 1}}, "0.1VU or 250uVU", "a value", kScaledMax, "at most 9000000000VU"};
  static const UnitRule value_rate{
      {{"VU/s", 1e6}, {"uVU/s", 1}}, "100VU/s", "a value a second", kScaledMax, "at most 9000000000VU/s"};
  static const UnitRule of_metric{{{"", 1},
                                   {"h", 3600, Dimension::kTime},
                                   {"m", 60, Dimension::kTime},
                                   {"s", 1, Dimension::kTime},
                                   {"ms", 1e-3, Dimension::kTime},
                                   {"us", 1e-6, Dimension::kTime},
                                   {"B", 1, Dimension::kBytes},
                                   {"KB", 1e3, Dimension::kBytes},
                                   {"MB", 1e6, Dimension::kBytes},
                                   {"GB", 1e9, Dimension::kBytes},
                                   {"%", 0.01, Dimension::kShare},
                                   {"VU", 1e6, Dimension::kValue},
                                   {"uVU", 1, Dimension::kValue}},
                                  "5s, 50KB, 1%, 2VU or a plain number such as 1e-6",
                                  "a limit",
                                  std::numeric_limits<double>::max(),
                                  "a finite number"};
  static const UnitRule none{
      {{"", 1}}, "a plain number", "a number", std::numeric_limits<double>::max(), "a finite number"};
  switch (unit) {
    case v1::UNIT_DURATION_US: return duration;
    case v1::UNIT_SHARE: return share;
    case v1::UNIT_SHARE_PER_SECOND: return share_rate;
    case v1::UNIT_VALUE_UVU: return value;
    case v1::UNIT_VALUE_UVU_PER_SECOND: return value_rate;
    case v1::UNIT_OF_METRIC: return of_metric;
    default: return none;
  }
}

// The number at the start of `text` and whatever follows it.
absl::StatusOr<std::pair<double, std::string_view>> SplitNumber(std::string_view text, const UnitRule& rule) {
  const std::string mend = "; write " + std::string(rule.examples);
  if (text.empty()) return absl::InvalidArgumentError("has no value" + mend);
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  const std::size_t sign = lower.find_first_not_of("+-");
  const std::string_view unsigned_part = sign == std::string::npos ? "" : std::string_view(lower).substr(sign);
  if (unsigned_part.starts_with(".inf") || unsigned_part.starts_with("inf") || unsigned_part.starts_with(".nan") ||
      unsigned_part.starts_with("nan")) {
    return absl::InvalidArgumentError(std::string(text) + " is not a finite number" + mend);
  }
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::result_out_of_range)
    return absl::InvalidArgumentError(std::string(text) + " is out of range" + mend);
  if (error != std::errc())
    return absl::InvalidArgumentError(Quoted(text) + " is not " + std::string(rule.word) + mend);
  std::string_view rest(end, text.data() + text.size() - end);
  if (rest.starts_with(' ')) rest.remove_prefix(1);
  return std::pair(number, rest);
}

}  // namespace

std::string Quoted(std::string_view text) {
  std::string shown(text.substr(0, 60));
  if (text.size() > 60) shown += "...";
  return "\"" + shown + "\"";
}

// A number and its unit, in the stored unit and within the unit's range. Callers that store whole numbers round.
absl::StatusOr<Quantity> ParseQuantity(std::string_view text, v1::Unit unit) {
  const UnitRule& rule = RuleOf(unit);
  const std::string mend = "; write " + std::string(rule.examples);
  const auto split = SplitNumber(text, rule);
  if (!split.ok()) return split.status();
  const auto [number, suffix] = *split;
  const auto found = std::find_if(rule.suffixes.begin(), rule.suffixes.end(),
                                  [rest = suffix](const Suffix& known) { return known.text == rest; });
  if (found == rule.suffixes.end()) {
    if (suffix.empty()) return absl::InvalidArgumentError(std::string(text) + " has no unit" + mend);
    if (unit == v1::UNIT_NONE)
      return absl::InvalidArgumentError(std::string(text) + " takes no unit; write a plain number");
    return absl::InvalidArgumentError(std::string(text) + ": " + Quoted(suffix) + " is not a unit of " +
                                      std::string(rule.word) + mend);
  }
  // Dividing by 100 is exact where multiplying by 0.01 is not: 35% must be 0.35.
  const double value = found->factor == 0.01 ? number / 100 : number * found->factor;
  const bool signed_allowed = unit == v1::UNIT_NONE || unit == v1::UNIT_OF_METRIC;
  if (std::signbit(number) && number != 0 && !signed_allowed) {
    return absl::InvalidArgumentError(std::string(text) + " is negative; " + std::string(rule.word) + " is " +
                                      (rule.max == 1.0 ? std::string(rule.range) : "0 or more"));
  }
  // A signed number may be too small, too.
  if (value > rule.max || !std::isfinite(value))
    return absl::InvalidArgumentError(std::string(text) + " is out of range; it must be " + std::string(rule.range));
  return Quantity{value, found->dimension};
}

// As ParseQuantity, for fields that store a whole number of the small unit.
absl::StatusOr<std::int64_t> ParseWholeQuantity(std::string_view text, v1::Unit unit) {
  const absl::StatusOr<Quantity> quantity = ParseQuantity(text, unit);
  if (!quantity.ok()) return quantity.status();
  const double rounded = std::round(quantity->value);
  if (std::abs(quantity->value - rounded) > 1e-9 * std::max(1.0, rounded)) {
    const std::string_view small = unit == v1::UNIT_DURATION_US ? "1us" : "1uVU";
    return absl::InvalidArgumentError(std::string(text) + " is finer than " + std::string(small) +
                                      ", the smallest step; round it");
  }
  return static_cast<std::int64_t>(rounded);
}

std::string_view UnitWord(v1::Unit unit) { return RuleOf(unit).word; }
std::string_view UnitExamples(v1::Unit unit) { return RuleOf(unit).examples; }

absl::StatusOr<std::int64_t> ParseDurationUs(std::string_view text) {
  return ParseWholeQuantity(text, v1::UNIT_DURATION_US);
}

absl::StatusOr<std::int64_t> ParseValueUvu(std::string_view text) {
  return ParseWholeQuantity(text, v1::UNIT_VALUE_UVU);
}

absl::StatusOr<double> ParseShare(std::string_view text) {
  const absl::StatusOr<Quantity> quantity = ParseQuantity(text, v1::UNIT_SHARE);
  if (!quantity.ok()) return quantity.status();
  return quantity->value;
}

}  // namespace lvs::services
