// The outbox of one link (SPEC-3.2): at most one waiting frame for each shard and one message of each other kind,
// always the newest, so that a slow peer costs freshness and never memory. Messages of tabs (TEST-3.1) wait in a queue.
//
//   Outbox outbox({.shards = 16, .bytes = 1 << 20});
//   outbox.SetReceiver({.many_frames = true, .halo_rows = 32});                 // when the other side has said hello
//   outbox.Offer(frame);                                                        // any thread, as often as one likes
//   if (MessageBytes message; outbox.Take(&message)) Send(std::move(message));  // then nothing more until
//   outbox.Written();                                                           // the write is done
//
// A frame that is offered while another of its shard waits takes that one's place (shard::Coalesce): the result has the
// newest cycle and state, and its ledger news begins where the older frame's began, so no news is skipped. Messages of
// other kinds go first; a second of the same kind takes the first one's place. Then messages of tabs, each to be read in
// its turn, and frames, round the shards, take turns: neither waits for all of the other.
//
// Bounds: `shards` frames, `bytes` in all (encoded, as on the wire; in memory a few times as much), `queued_bytes` of
// messages of tabs, and one message of each other kind. A message that the queue has no room for is dropped: whoever
// waits for it asks again. A frame that does not fit is shortened to its ledger news. Where that does not fit either the frame
// is dropped, and the older one goes on waiting. Nothing is lost for good: state is sent again when it changes or is
// refreshed, and unacknowledged news is sent again (shard/ledger_sync.h).
//
// Any thread; no function calls back or blocks. The lock is innermost.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "lvs/v1/peer.pb.h"
#include "services/base/mutex.h"
#include "services/peering/carrier.h"
#include "shard/frame.h"

namespace lvs::services {

// A message of frames is not begun above this size; with the last frame it may become one frame longer.
inline constexpr std::size_t kBatchBytes = 64 * 1024;

class Outbox {
 public:
  struct Limits {
    std::uint32_t shards = 0;                          // frames of other shards are dropped
    std::size_t bytes = 0;                             // of all frames that wait
    std::size_t queued_bytes = std::size_t{64} << 10;  // of all messages of tabs that wait
  };
  // Capabilities of the other side.
  struct Receiver {
    bool many_frames = false;     // in one message
    std::uint32_t halo_rows = 0;  // rows above these are left out
  };
  // Counts since the start.
  struct Counts {
    std::uint64_t frames_sent = 0;  // taken
    std::uint64_t bytes_sent = 0;   // of all messages that were taken
    std::uint64_t replaced = 0;     // frames that a newer one replaced
    std::uint64_t shortened = 0;    // frames that lost their state diffs for want of room
    std::uint64_t dropped = 0;      // frames that were left out for want of room
    std::uint64_t unqueued = 0;     // messages of tabs, likewise
  };

  explicit Outbox(const Limits& limits) : limits_(limits) {}
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  void SetReceiver(const Receiver& receiver);

  void Offer(const std::shared_ptr<const shard::Frame>& frame);
  // Takes a message of any kind but frames.
  void Say(v1::PeerMessage message);

  // The next message to write, a serialised lvs.v1.PeerMessage. Frames are encoded straight into its bytes: copying a
  // frame into a protobuf message first would cost more than all the rest. False where nothing waits, or an earlier
  // write is not done. Taken frames and messages leave the outbox.
  bool Take(MessageBytes* message);
  void Written();

  // Empties the outbox; nothing is taken in or out any more.
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

  bool Fit(std::uint32_t shard, std::shared_ptr<const shard::Frame> frame) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  MessageBytes TakeFrames() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  MessageBytes TakeQueued() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Limits limits_;
  mutable Mutex mu_;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  Receiver receiver_ ABSL_GUARDED_BY(mu_);
  // By the number of the kind, which is the order of sending.
  std::array<std::optional<v1::PeerMessage>, v1::PeerMessage::kAnnounce> messages_ ABSL_GUARDED_BY(mu_);
  std::deque<MessageBytes> queued_ ABSL_GUARDED_BY(mu_);  // messages of tabs; the oldest first
  std::size_t queued_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool frames_next_ ABSL_GUARDED_BY(mu_) = false;                 // the last message taken was a queued one
  std::map<std::uint32_t, Waiting> frames_ ABSL_GUARDED_BY(mu_);  // by shard
  std::uint32_t last_shard_ ABSL_GUARDED_BY(mu_) = 0;             // taken last
  std::size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  Counts counts_ ABSL_GUARDED_BY(mu_);
};

}  // namespace lvs::services
