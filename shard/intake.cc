#include "shard/intake.h"

#include "shard/frame_codec.h"

namespace lvs::shard {
namespace {

using vaultguard::Refusal;

services::TokenRate PerCycle(double count, const IntakeTerms& terms) {
  return {.per_second = count * 1e6 / static_cast<double>(terms.period_us), .burst = count * kBurstCycles};
}

}  // namespace

std::optional<Refusal> ReadFrame(std::string_view said, const IntakeTerms& terms, std::uint64_t cycle, Frame* frame) {
  if (const auto why = Decode(said, frame)) return why;
  if (frame->shard >= terms.shards) return Refusal::kUnknownShard;
  return CheckFrame(*frame, terms.shape, frame->shard, terms.halo_rows, cycle);
}

// In protocol version 1 each frame is a message of its own, so a link needs a read for every frame.
Intake::Intake(const IntakeTerms& terms, double now_s)
    : frames_(PerCycle(kFramesPerShardCycle * terms.shards, terms), now_s),
      reads_(PerCycle(kFramesPerShardCycle * terms.shards + kReadsBesideFrames, terms), now_s) {}

void Intake::Count(std::optional<Refusal> refusal, bool behind) {
  ++(refusal.has_value() ? refused_ : taken_);
  const bool future = refusal == Refusal::kFutureCycle;
  ahead_ = future ? ahead_ + 1 : 0;
  behind_ = behind ? behind_ + 1 : 0;
  if (!refusal || future) in_step_ = !future && !behind;
}

bool Intake::MayRead(std::size_t bytes, double now_s) {
  reads_.Spend(1 + static_cast<double>(bytes / kReadPartBytes), now_s);
  return MayReadOn(now_s);
}

}  // namespace lvs::shard
