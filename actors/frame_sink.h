// The seam between the peer link actors and the transport that carries frames out of the process. Free of CAF.
#pragma once

#include "shard/hosting/messages.h"

namespace lvs::actors {

// Carries frames to the peer at the far end of one link.
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  // Takes a frame to send. Never blocks; called on an actor's thread.
  virtual void Offer(const hosting::Payload<shard::Frame>& frame) = 0;
  // All frames of the cycle have been offered.
  virtual void Flush() = 0;
};

}  // namespace lvs::actors
