// The seam between the peer link actors and whatever carries frames out of the process (services/net). No CAF behind
// it.
#pragma once

#include "shard/hosting/messages.h"

namespace lvs::actors {

// Carries frames to whoever is at the far end of one link.
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  // Takes a frame to send. Never blocks; called on an actor's thread.
  virtual void Offer(const hosting::Payload<shard::Frame>& frame) = 0;
  // All frames of the cycle have been offered.
  virtual void Flush() = 0;
};

}  // namespace lvs::actors
