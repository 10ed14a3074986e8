// A server node: one process of a cluster, from its configuration to its end.
//
//   auto node = Node::Start(config);          // complete and valid: node_config.h
//   if (!node.ok()) ...
//   (*node)->Drain("upgrade");                 // SIGTERM does this
//   while (!(*node)->WaitFor(1s)) {}           // until it has drained
//
// Lifecycle (SPEC-9): STARTING -> SYNCING (reads its cache, fetches the ledger from its peers) -> SERVING (its
// micro-nodes have joined) -> DRAINING (NOT_SERVING at once, refuses work after the grace, waits until a peer holds all
// that it holds, says goodbye) -> ended.
//
// Threads: one clock here, which starts a cycle each period and skips those that it is late for; the actors' workers;
// gRPC's; the cache's. All functions are safe from any of them.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lvs/v1/config.pb.h"
#include "services/node/control_service.h"

namespace lvs::services {

class Node : public ControlBackend {
 public:
  // Fails with what an operator must mend: an address in use, a cache of another shape, certificates that cannot be
  // read.
  static absl::StatusOr<std::unique_ptr<Node>> Start(const v1::NodeConfig& config);

  // Ends at once where it has not drained.
  ~Node() override = default;

  // As bound: port 0 has become a real one.
  virtual std::string address() const = 0;  // empty where peers cannot dial
  virtual std::string control_address() const = 0;
  virtual std::string health_address() const = 0;

  // True once it has drained; false where it has not within `timeout`.
  virtual bool WaitFor(std::chrono::milliseconds timeout) = 0;
};

}  // namespace lvs::services
