// The time of a shard's cycle, stage by stage. The folder reads no clock: the owner passes one in.
//
//   Stopwatch watch(&SteadyNanoseconds);
//   watch.Enter(shard::Stage::kFrames);
//   ...
//   report->stage_ns = watch.Take();   // ends the last stage
//
// Without a clock (nullptr) a watch does nothing and its times are 0.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "shard/stages.h"

namespace lvs::hosting {

// Nanoseconds since some moment; never runs backwards.
using NanosecondClock = std::uint64_t (*)();

class Stopwatch final : public shard::StageWatch {
 public:
  explicit Stopwatch(NanosecondClock now_ns) : now_ns_(now_ns) {}

  bool runs() const { return now_ns_ != nullptr; }
  void Enter(shard::Stage stage) override {
    if (runs()) Switch(stage);
  }
  // The times since the last Take, by stage. The time until the next Enter belongs to no stage.
  shard::StageTimes Take() {
    if (runs()) Switch(std::nullopt);
    return std::exchange(times_ns_, {});
  }

 private:
  void Switch(std::optional<shard::Stage> stage) {
    const std::uint64_t now = now_ns_();
    if (stage_) times_ns_[static_cast<std::size_t>(*stage_)] += now - since_ns_;
    stage_ = stage;
    since_ns_ = now;
  }

  NanosecondClock now_ns_;
  std::optional<shard::Stage> stage_;
  std::uint64_t since_ns_ = 0;
  shard::StageTimes times_ns_{};
};

}  // namespace lvs::hosting
