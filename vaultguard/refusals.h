// Reasons why a message, an entry or a contribution was refused. A refused input changes nothing and is counted here,
// so that an operator can tell a broken peer from a hostile one (SPEC-10, TEST-7). The invariants that cut a correction
// down are listed here, too.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lvs::vaultguard {

enum class Refusal : std::uint8_t {
  kNotFinite,         // NaN, infinity, or a distance beyond any meaning
  kStale,             // older than the silence limit
  kReplayed,          // not newer than the same sender's last message
  kFutureCycle,       // a cycle that has not begun
  kUnknownShard,      // the shard is not held here, or does not exist
  kWrongDimension,    // not the shard's value slots and free coordinates
  kColumnLengths,     // the columns of a frame differ in length
  kUnknownHaloRow,    // a state diff for a row that was never agreed
  kTooLarge,          // more rows or entries than a frame may carry
  kEntropySaturated,  // an entropy packet at the rails
  kEntropyRepeated,   // the same entropy packet again and again (repetition count test)
  kRateExceeded,      // an entry or contribution beyond what its session may have earned
  kBadEntry,          // an amount or opening cycle that cannot be
  kSessionsFull,      // the shard's table of sessions is at its limit
  kSessionsReserved,  // the rest of the table is for the server node's own clients, and a peer sent the session
  kSessionsTooFast,   // more new sessions than a link may open by now; it sends them again later
  kMalformed,         // bytes that are no frame at all
  kRepeatsTooFast,    // a peer asks for its ledger again beyond what may be sent again by now; it gets the rest later
  kCount,
};
inline constexpr std::size_t kRefusals = static_cast<std::size_t>(Refusal::kCount);

// Invariants that cut a correction down (SPEC-8.1, SPEC-11.4, drift.md rule 7).
enum class Clamp : std::uint8_t { kFinite, kShift, kFloor, kBand, kCount };
inline constexpr std::size_t kClamps = static_cast<std::size_t>(Clamp::kCount);

std::string_view Name(Refusal refusal);  // "not_finite", ...
std::string_view Name(Clamp clamp);      // "finite", "shift", "floor", "band"

struct RefusalCounts {
  std::array<std::uint64_t, kRefusals> count{};
  void Add(Refusal refusal, std::uint64_t n = 1) { count[static_cast<std::size_t>(refusal)] += n; }
  std::uint64_t Of(Refusal refusal) const { return count[static_cast<std::size_t>(refusal)]; }
  std::uint64_t Total() const {
    std::uint64_t total = 0;
    for (const std::uint64_t n : count) total += n;
    return total;
  }
  RefusalCounts& operator+=(const RefusalCounts& other) {
    for (std::size_t i = 0; i < kRefusals; ++i) count[i] += other.count[i];
    return *this;
  }
};

}  // namespace lvs::vaultguard
