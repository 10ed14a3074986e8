// The intake decides what is taken from a peer: whether a frame may reach a shard, and how much one link may send.
//
//   if (const auto refusal = ReadFrame(bytes, terms, cycle, &frame)) ...    // else the frame is checked and may be used
//
//   Intake intake(terms, now_s);                   // of one stream
//   if (!intake.MaySayFrame(now_s)) ...            // refused: more frames than an honest link says
//   intake.Count(refusal, behind);                 // one frame, taken or refused
//   if (intake.MostlyRefused()) ...                // drop the link
//   if (!intake.MayRead(bytes.size(), now_s)) ...  // read no further until
//   if (intake.MayReadOn(now_s)) ...               // this is true
//
// Bounds: kFramesPerShardCycle frames a shard and cycle, and messages that carry them and a few more. A link may save
// up kBurstCycles cycles' worth of both. Pure: time is passed in. ReadFrame: any thread. Intake: not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "services/base/token_bucket.h"
#include "shard/columns.h"
#include "shard/frame.h"
#include "vaultguard/refusals.h"

namespace lvs::shard {

// What a receiver checks frames against.
struct IntakeTerms {
  std::uint32_t shards = 0;
  Shape shape;
  std::uint64_t period_us = 100'000;
  std::uint32_t halo_rows = 32;  // that it offers to each peer
};

inline constexpr double kFramesPerShardCycle = 3;
inline constexpr double kBurstCycles = 20;
// A message costs one read, and one more for each part of this size.
inline constexpr std::size_t kReadPartBytes = 64 * 1024;
// Reads a cycle above those that the frames need.
inline constexpr double kReadsBesideFrames = 16;
// Refusals after which a link is dropped, where they outnumber the frames that were taken.
inline constexpr std::uint64_t kRefusalsMax = 1000;
// Frames in a row of cycles outside the window after which the peer's clock is taken to differ.
inline constexpr std::uint32_t kAheadFrames = 100;

// Decodes a serialised lvs.v1.Frame into `frame`, replacing its content, and checks it: size, columns, finite numbers,
// shard, halo rows and the cycle window around `cycle`. Returns the reason why the frame must not be used, if there is
// one; `frame` is then in an unspecified state.
std::optional<vaultguard::Refusal> ReadFrame(std::string_view said, const IntakeTerms& terms, std::uint64_t cycle,
                                             Frame* frame);

class Intake {
 public:
  Intake(const IntakeTerms& terms, double now_s);

  // Takes one frame from the link's allowance, where there is one.
  bool MaySayFrame(double now_s) { return frames_.Take(now_s) == 0; }

  // `behind`: the frame is of a cycle so old that its sender refuses frames of this node as future ones.
  void Count(std::optional<vaultguard::Refusal> refusal, bool behind = false);
  bool MostlyRefused() const { return refused_ > kRefusalsMax && refused_ > taken_; }
  std::uint64_t taken() const { return taken_; }
  std::uint64_t refused() const { return refused_; }
  // True while the peer's newest frames were all from the future, or all of old cycles.
  bool ahead() const { return ahead_ >= kAheadFrames; }
  bool behind() const { return behind_ >= kAheadFrames; }
  // True while the newest frame is of a cycle near this node's, so that each takes the other's frames.
  bool in_step() const { return in_step_; }

  // Counts a message that was read. False: the link has sent more than its share, and must rest.
  bool MayRead(std::size_t bytes, double now_s);
  bool MayReadOn(double now_s) { return reads_.Level(now_s) >= 0; }

 private:
  services::TokenBucket frames_;
  services::TokenBucket reads_;
  std::uint64_t taken_ = 0;
  std::uint64_t refused_ = 0;
  std::uint32_t ahead_ = 0;  // frames in a row
  std::uint32_t behind_ = 0;
  bool in_step_ = false;
};

}  // namespace lvs::shard
