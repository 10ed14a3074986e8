// What waits to go out on one link (SPEC-3.2): of each shard one frame and of each other kind one message, always the
// newest, so that a slow peer costs freshness and never memory.
//
//   Outbox outbox({.shards = 16, .bytes = 1 << 20});
//   outbox.SetReceiver({.many_frames = true, .halo_rows = 32});      // when the other side has said hello
//   outbox.Offer(frame);                                             // from any thread, as often as one likes
//   if (grpc::ByteBuffer message; outbox.Take(&message)) Send(...);  // then nothing more until
//   outbox.Written();                                                // the write is done
//
// A frame that is offered while one of its shard waits takes that one's place (shard::Coalesce): it has the newest
// cycle and state, and its ledger news begins where that of the older one began, so no news is skipped. Messages of
// other kinds go first; a second of the same kind takes the first one's place. Then frames, round the shards.
//
// Bounded: `shards` frames, `bytes` in all (encoded, as on the wire; in memory they are at most some times that), and
// one message of each other kind. Where a frame does not fit, it is shortened to its ledger news; where that does not
// fit either it is dropped, and what waited goes on waiting. Nothing is lost by that for good: state is said again when
// it changes or is refreshed, and news that is not acknowledged is told again (actors/shard_actor.h).
//
// Any thread; no function calls back or blocks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "grpcpp/support/byte_buffer.h"
#include "lvs/v1/peer.pb.h"
#include "shard/frame.h"

namespace lvs::services {

// A message of frames is not begun above this size; with the last frame it may become one frame longer.
inline constexpr std::size_t kBatchBytes = 64 * 1024;

class Outbox {
 public:
  struct Limits {
    std::uint32_t shards = 0;  // frames of others are dropped
    std::size_t bytes = 0;     // of all frames that wait
  };
  // What the other side can read.
  struct Receiver {
    bool many_frames = false;     // in one message
    std::uint32_t halo_rows = 0;  // rows above these are left out
  };
  // Since the start.
  struct Counts {
    std::uint64_t frames_sent = 0;  // taken
    std::uint64_t bytes_sent = 0;   // of all messages that were taken
    std::uint64_t replaced = 0;     // frames that a newer one took the place of
    std::uint64_t shortened = 0;    // frames that lost their state diffs for want of room
    std::uint64_t dropped = 0;      // frames that were left out for want of room
  };

  explicit Outbox(const Limits& limits) : limits_(limits) {}
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  void SetReceiver(const Receiver& receiver);

  void Offer(const std::shared_ptr<const shard::Frame>& frame);
  // Any kind but frames.
  void Say(v1::PeerMessage message);

  // The next message to write, a serialised lvs.v1.PeerMessage: a copy of a frame as a message and then as bytes would
  // cost more than all the rest. False where nothing waits, or the write of an earlier one is not done. Frames and
  // messages alike are gone from here once they are taken.
  bool Take(grpc::ByteBuffer* message);
  void Written();

  // Empties it; nothing is taken in or out any more.
  void Close();

  // Bytes of frames that wait: never above the limit.
  std::size_t bytes() const;
  std::size_t bytes_limit() const { return limits_.bytes; }
  Counts counts() const;

 private:
  struct Waiting {
    std::shared_ptr<const shard::Frame> frame;
    std::size_t bytes = 0;
  };

  bool Fit(std::uint32_t shard, std::shared_ptr<const shard::Frame> frame);  // under mu_
  grpc::Slice TakeFrames();                                                  // under mu_

  const Limits limits_;
  mutable std::mutex mu_;
  bool closed_ = false;
  bool writing_ = false;
  Receiver receiver_;
  // By the number of the kind, which is the order in which they go.
  std::array<std::optional<v1::PeerMessage>, v1::PeerMessage::kGoodbye + 1> messages_;
  std::map<std::uint32_t, Waiting> frames_;  // by shard
  std::uint32_t last_shard_ = 0;             // that was taken
  std::size_t bytes_ = 0;
  Counts counts_;
};

}  // namespace lvs::services
