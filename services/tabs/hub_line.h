// One WebSocket of a tab to its hub. What is heard is posted to the tab's mailbox as the bytes that it was; what is said
// goes out in its order, but for frames and pings, of which the newest wins (services/peering/outbox.h).
//
//   HubLine line(mail, key, socket, &dialler, "ws://hub:8080/peer");
//   line.Say(bytes);
//   line.Close("closed");
//
// Bounded by the outbox, which drops what a hub takes too slowly. One owner, but for what the socket reports.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "lvs/v1/peer.pb.h"
#include "services/net/web_client.h"
#include "services/peering/peer_stream.h"
#include "services/tabs/mail.h"

namespace lvs::services {

class HubLine {
 public:
  HubLine(std::shared_ptr<Mail> mail, TabKey key, std::uint32_t socket, WebDialler* dialler, const std::string& url);
  ~HubLine() { Close(""); }
  HubLine(const HubLine&) = delete;
  HubLine& operator=(const HubLine&) = delete;

  // Bytes that are no PeerMessage go out as far as they can be read.
  void Say(std::string_view bytes);
  void Close(std::string_view words);

  std::uint32_t socket() const { return socket_; }

 private:
  const std::uint32_t socket_;
  std::shared_ptr<PeerStream> stream_;
};

}  // namespace lvs::services
