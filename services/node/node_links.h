// The links of a node, as its actors see them: to server nodes over gRPC (services/net/transport_layer.h), and, where the
// node is a hub, to browser tabs over WebSockets (services/gateway/gateway.h). Link numbers of tabs follow those of peers.
//
//   auto links = NodeLinks::Open(options);
//   if (!links.ok()) return links.status();              // web_listen cannot be had
//   actors::ServerNode node(config, (*links)->sinks(), on_report);
//   (*links)->Start("10.0.0.5:7400", &node);
//   (*links)->Tick(cycle);                               // every cycle
//   (*links)->Drain("upgrade");
//   (*links)->Stop();                                    // before the node ends
//
// All functions are safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/server_node.h"
#include "lvs/v1/config.pb.h"
#include "lvs/v1/control.pb.h"
#include "services/base/cycle_clock.h"
#include "services/gateway/gateway.h"
#include "services/net/certificates.h"
#include "services/net/transport_layer.h"

namespace lvs::services {

struct NodeLinksOptions {
  v1::NodeConfig config;  // complete and valid
  shard::SessionId session;
  std::uint64_t seed = 0;
  WallClock wall;
  std::shared_ptr<Certificates> certificates;  // null without TLS
  std::shared_ptr<ConnectionRefusals> refusals;
  std::shared_ptr<Connections> peer_connections;
  std::size_t web_connections = 0;
};

// Connections that the web server of a node takes at best: a socket for each tab, and some for pages.
std::size_t WebConnectionsOf(const v1::NodeConfig& config);

class NodeLinks {
 public:
  static absl::StatusOr<std::unique_ptr<NodeLinks>> Open(const NodeLinksOptions& options);

  // Of the actors of this node, and how they see the links.
  std::vector<std::shared_ptr<actors::FrameSink>> sinks() const;
  void SetUp(actors::ServerNodeConfig* node) const;
  // `advertise` is the host:port that peers are told to dial; empty: none. `node` outlives Stop.
  void Start(std::string advertise, actors::ServerNode* node);
  void Tick(std::uint64_t cycle);
  void Drain(std::string_view reason);
  // Ends every stream and waits for them. Idempotent.
  void Stop();

  TransportLayer& peers() { return *transport_; }
  const TransportLayer& peers() const { return *transport_; }
  // host:port of the web server; empty: there is none.
  std::string web_address() const { return gateway_ == nullptr ? "" : gateway_->address(); }
  void FillStatus(v1::NodeStatus* status) const;

 private:
  NodeLinks(const NodeLinksOptions& options, std::unique_ptr<Gateway> gateway);

  const std::uint32_t places_;
  const std::unique_ptr<Gateway> gateway_;  // null: this node is no hub
  const std::unique_ptr<TransportLayer> transport_;
};

}  // namespace lvs::services
