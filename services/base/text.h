// Numbers and words as people read them: one formatter for tables, progress lines, errors and reports.
//
//   std::string line = FormatCount(1'234, "frame") + ", " + FormatMegabytes(1'500'000) + " in " + FormatDurationUs(90'000'000);
//   // "1,234 frames, 1.5 MB in 90s"
//   std::string mend = "did you mean " + Nearest("latancy", {"latency", "loss"}) + "?";
//   // "did you mean latency?"
//
// Formats do not depend on the locale. Where a fixed number of decimals is wanted, use absl::StrFormat.
// Stateless: any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lvs::services {

// ---- Numbers -------------------------------------------------------------------------------------------------------

// The shortest text with at most `digits` significant digits: 0.012345 -> "0.0123", 1e9 -> "1e+09".
std::string FormatNumber(double number, int digits = 3);

// Digits in groups of three: 1234567 -> "1,234,567".
std::string FormatGrouped(std::uint64_t number);

// A number and its noun: 1, "node" -> "1 node"; 2000, "node" -> "2,000 nodes".
std::string FormatCount(std::uint64_t number, std::string_view singular);

// Decimal megabytes, or gigabytes from 1 GB on: 1500000 -> "1.5 MB".
std::string FormatMegabytes(std::uint64_t bytes);

// A share as a percentage: 0.05 -> "5%".
std::string FormatPercent(double share, int digits = 6);

// The largest unit that keeps the number short: 1500000 -> "1.5s". Minutes and hours only where they are whole, because
// "90s" reads better than "1.5m". 0 and negative durations are "0s".
std::string FormatDurationUs(std::int64_t duration_us);

// A number of millionths exactly, without trailing zeros: 2500000 -> "2.5".
std::string FormatMillionths(std::int64_t millionths);

// Sixteen hexadecimal digits, for hashes and digests: 255 -> "00000000000000ff".
std::string FormatHex(std::uint64_t number);

// ---- Words ---------------------------------------------------------------------------------------------------------

// The candidate that a reader would take for a misspelling of `word`; empty if none is near.
std::string Nearest(std::string_view word, const std::vector<std::string>& candidates);

// {"eu", "us"} -> "eu, us".
std::string JoinWords(const std::vector<std::string>& words);

// The word as a shell needs it: in single quotes where a shell would split or expand it.
std::string ShellWord(std::string_view word);

// The system's text for an errno: ENOENT -> "No such file or directory".
std::string ErrnoText(int error);

}  // namespace lvs::services
