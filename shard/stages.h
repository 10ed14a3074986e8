// Stages of a shard's cycle, for profiling (`lvs run --profile`). This folder reads no clock: an owner of one passes in
// a watch, which is told when the next stage begins.
//
//   struct Stopwatch : StageWatch {
//     void Enter(Stage stage) override { ... }
//   };
//   Stopwatch stopwatch;
//   shard.Advance(cycle, loss, &counts, &stopwatch);   // enters kLedger, kDrift, kLedger, kOverlay
//
// Called by the one thread that runs the shard.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lvs::shard {

enum class Stage : std::uint8_t {
  kPopulation,  // replicas enter and leave; adversaries and low power switch on and off
  kFrames,      // frames of other server nodes, and contributions
  kLedger,      // ledger news among the replicas
  kDrift,       // the kernel: receive, weigh, bound, drift, VaultGuard, publish
  kOverlay,     // neighbours are exchanged and replaced
  kSpeak,       // lies of adversaries, frames to other server nodes, answers to clients
  kMeasure,     // figures for the report
  kCount,
};
inline constexpr std::size_t kStages = static_cast<std::size_t>(Stage::kCount);

constexpr std::string_view Name(Stage stage) {
  switch (stage) {
    case Stage::kPopulation: return "population";
    case Stage::kFrames: return "frames in";
    case Stage::kLedger: return "ledger news";
    case Stage::kDrift: return "drift kernel";
    case Stage::kOverlay: return "overlay";
    case Stage::kSpeak: return "frames out";
    case Stage::kMeasure: return "measure";
    case Stage::kCount: break;
  }
  return "";
}

using StageTimes = std::array<std::uint64_t, kStages>;  // ns by stage

class StageWatch {
 public:
  virtual ~StageWatch() = default;
  virtual void Enter(Stage stage) = 0;
};

}  // namespace lvs::shard
