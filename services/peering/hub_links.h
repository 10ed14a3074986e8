// What Peering tells the hub of this node, which serves browser tabs (services/web): the links to other hubs, and the
// messages of tabs that come over them (TEST-3.2). Calls for one link come in order: up, messages, down. They may come
// under a lock of Peering's, so an implementation calls nothing of Peering's but `say`.
#pragma once

#include <cstdint>
#include <functional>

#include "lvs/v1/peer.pb.h"

namespace lvs::services {

class HubLinks {
 public:
  virtual ~HubLinks() = default;

  // `say` queues a message for the far end; bounded by Outbox, and without effect once the link is down.
  virtual void HubUp(std::uint32_t link, std::function<void(v1::PeerMessage)> say) = 0;
  virtual void HubDown(std::uint32_t link) = 0;
  virtual void TakeFromHub(std::uint32_t link, const v1::PeerMessage& message, double now_s) = 0;
};

}  // namespace lvs::services
