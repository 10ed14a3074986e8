// A carrier moves the messages of one stream to a peer and back: gRPC between servers; a WebSocket or a DataChannel
// fits the same interface. PeerStream calls a carrier, and the carrier reports to its PeerStream:
//
//   PeerStream calls         and the carrier reports, on any thread
//   Read()                   Received(bytes, now_s), once for each Read; or the end
//   Write(message)           Written(), once for each Write; or the end
//   End(why), Abort()        Ended(why, now_s), once and last, after every other report has returned
//
// A carrier may report an end without being asked: it calls Close with the reason and, once nothing else will come,
// Ended. A carrier never reports from within a call of PeerStream's. Back-pressure: nothing is read until Read is
// called again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"

namespace lvs::services {

// One message as it goes over the wire. Move messages: a carrier sends from their memory without another copy.
struct MessageBytes {
  std::unique_ptr<std::uint8_t[]> data;
  std::size_t size = 0;
};

class Carrier {
 public:
  virtual ~Carrier() = default;

  // Called under the stream's lock.
  virtual void Read() = 0;                        // at most one is outstanding
  virtual void Write(MessageBytes message) = 0;   // at most one is outstanding
  virtual void End(const absl::Status& why) = 0;  // once: tells the peer why, then ends

  // Ends at once, although the peer may not have read why. Called at any time between Begin and Ended, without a lock.
  virtual void Abort() = 0;
};

}  // namespace lvs::services
