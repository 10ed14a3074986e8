// A server node: one process of a cluster, from its configuration to its end.
//
//   absl::StatusOr<std::unique_ptr<Node>> node = Node::Start(config);   // complete and valid: node_config.h
//   if (!node.ok()) return node.status();
//   (*node)->Drain("upgrade");                                          // as SIGTERM does
//   while (!(*node)->WaitFor(std::chrono::seconds(1))) {
//   }                                                                   // until it has drained
//   if (!(*node)->HandedOver()) ...                                     // the deadline came first, or nobody stays
//
// Lifecycle (SPEC-9): STARTING -> SYNCING (reads its cache, fetches the ledger from its peers) -> SERVING (its
// micro-nodes have started) -> DRAINING (NOT_SERVING at once, refuses work after the grace, waits until peers that stay
// hold all that it holds, says goodbye) -> ended.
//
// The parts: node_core.h, the state and its lock, made of contributions.h (from a client's request to its answer),
// node_figures.h (what reports say), cycle_pace.h (which cycle runs when) and node_drain.h (the way to the end);
// cache_keeper.h, the cache on disk; problems.h, what is wrong; node_servers.h, gRPC. Here: the wiring.
//
// Threads: one clock here, which starts a cycle each period and skips those that it is late for; the actors' workers;
// gRPC's; the cache's. All functions are safe from any of them.
//
// The wall clock numbers the cycles and stamps the log. It decides nothing else: cycles, deadlines, drain and probes go
// on by the steady clock, wherever the wall clock is set to.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lvs/v1/config.pb.h"
#include "services/base/cycle_clock.h"
#include "services/node/control_backend.h"

namespace lvs::services {

class Node : public ControlBackend {
 public:
  // Errors name what an operator must mend: an address in use, a cache of another shape, certificates that cannot be
  // read. `wall` may be called on any thread.
  static absl::StatusOr<std::unique_ptr<Node>> Start(const v1::NodeConfig& config,
                                                     WallClock wall = std::chrono::system_clock::now);

  // Ends at once where the node has not drained.
  ~Node() override = default;

  // Addresses as bound: port 0 has become a real one.
  virtual std::string address() const = 0;  // empty where peers cannot dial
  virtual std::string control_address() const = 0;
  virtual std::string health_address() const = 0;

  // True once the node has drained; false where it has not within `timeout`.
  virtual bool WaitFor(std::chrono::milliseconds timeout) = 0;
  // Once it has drained: whether all that it held outlives it. Otherwise what only this node held is lost.
  virtual bool HandedOver() const = 0;
};

}  // namespace lvs::services
