// Faults that a test network asks for on the links of a node: severed peers, and frames lost or late on the way in.
// Without a request there are no faults.
//
//   LinkFaults<Late> faults(seed);
//   faults.Set(request);                       // INVALID_ARGUMENT where a value is out of range
//   if (faults.Severed(address)) ...           // neither heard nor spoken to
//   if (faults.Loses()) return;
//   if (faults.delay_s() > 0) faults.Hold(now + faults.delay_s(), {stream, frame});    // false: too many are held
//   for (Late& late : faults.Due(now)) ...
//
// Pure: time is passed in, and the same seed loses the same frames. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "lvs/v1/control.pb.h"
#include "shard/random.h"

namespace lvs::services {

template <typename Late>
class LinkFaults {
 public:
  static constexpr std::size_t kHeldMax = 65'536;

  explicit LinkFaults(std::uint64_t seed) : seed_(seed) {}

  absl::Status Set(const v1::Faults& faults) {
    if (!(faults.loss() >= 0 && faults.loss() <= 1) || faults.delay_ms() > 60'000) {
      return absl::InvalidArgumentError("loss is a share from 0 to 1, and delay at most 60 s");
    }
    faults_ = faults;
    return absl::OkStatus();
  }

  bool Severed(std::string_view address) const {
    const auto& severed = faults_.severed();
    return !address.empty() && std::find(severed.begin(), severed.end(), address) != severed.end();
  }
  bool Loses() { return faults_.loss() > 0 && shard::Unit(shard::Mix(seed_ + ++draws_)) < faults_.loss(); }
  double delay_s() const { return faults_.delay_ms() * 1e-3; }

  bool Hold(double due_s, Late late) {
    if (held_.size() >= kHeldMax) return false;
    held_.emplace_back(due_s, std::move(late));
    return true;
  }
  // Removes and returns what is due, in the order in which it was held.
  std::vector<Late> Due(double now_s) {
    std::vector<Late> due;
    std::erase_if(held_, [&](auto& held) {
      if (held.first > now_s) return false;
      due.push_back(std::move(held.second));
      return true;
    });
    return due;
  }

 private:
  const std::uint64_t seed_;
  v1::Faults faults_;
  std::uint64_t draws_ = 0;
  std::vector<std::pair<double, Late>> held_;
};

}  // namespace lvs::services
