#include "services/base/text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <system_error>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace lvs::services {

std::string FormatNumber(double number, int digits) { return absl::StrFormat("%.*g", digits, number); }

std::string FormatGrouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<std::size_t>(at), ",");
  }
  return text;
}

std::string FormatCount(std::uint64_t number, std::string_view singular) {
  return FormatGrouped(number) + " " + std::string(singular) + (number == 1 ? "" : "s");
}

std::string FormatMegabytes(std::uint64_t bytes) {
  const double megabytes = static_cast<double>(bytes) / 1e6;
  return megabytes >= 1000 ? FormatNumber(megabytes / 1000) + " GB" : FormatNumber(megabytes) + " MB";
}

std::string FormatPercent(double share, int digits) { return FormatNumber(share * 100, digits) + "%"; }

std::string FormatDurationUs(std::int64_t duration_us) {
  struct Step {
    double us;
    const char* suffix;
  };
  static constexpr std::array<Step, 5> kSteps{{{3600e6, "h"}, {60e6, "m"}, {1e6, "s"}, {1e3, "ms"}, {1, "us"}}};
  const auto amount = static_cast<double>(duration_us);
  for (const Step& step : kSteps) {
    if (amount < step.us || (step.us > 1e6 && std::fmod(amount, step.us) != 0)) continue;
    return FormatNumber(amount / step.us, 6) + step.suffix;
  }
  return "0s";
}

std::string FormatMillionths(std::int64_t millionths) {
  constexpr std::uint64_t kWhole = 1'000'000;
  const std::uint64_t size = millionths < 0 ? -static_cast<std::uint64_t>(millionths) : millionths;
  std::string text = (millionths < 0 ? "-" : "") + std::to_string(size / kWhole);
  if (size % kWhole == 0) return text;
  text += absl::StrFormat(".%06d", size % kWhole);
  return text.substr(0, text.find_last_not_of('0') + 1);
}

std::string FormatHex(std::uint64_t number) { return absl::StrFormat("%016x", number); }

std::string Nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    // One row of the table of edit distances: row[k] is that of word[0..i) and candidate[0..k).
    std::vector<std::size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < word.size(); ++i) {
      std::size_t diagonal = std::exchange(row[0], i + 1);
      for (std::size_t k = 0; k < candidate.size(); ++k) {
        const std::size_t replaced = diagonal + (word[i] == candidate[k] ? 0 : 1);
        diagonal = row[k + 1];
        row[k + 1] = std::min({replaced, row[k] + 1, diagonal + 1});
      }
    }
    // A word of three letters is not a misspelling of any other three.
    if (row.back() < best_distance && row.back() < std::max(word.size(), candidate.size())) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

std::string JoinWords(const std::vector<std::string>& words) { return absl::StrJoin(words, ", "); }

std::string ShellWord(std::string_view word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) || std::string_view("-_./=+:,").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return std::string(word);
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string ErrnoText(int error) { return std::generic_category().message(error); }

}  // namespace lvs::services
