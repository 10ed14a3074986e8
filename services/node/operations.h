// The plain HTTP endpoint of a server node, for probes and for Prometheus:
//
//   GET /livez     200 while the process turns its cycles, 503 where none has gone by for kStallSeconds
//   GET /readyz    200 while the node is SERVING and holds all (v1::SyncStatus), turns its cycles, and its clock does not
//                  keep it from its peers. One that is alone holds all there is where it knows no peer, or has found none
//                  for kAloneSeconds. Otherwise 503, with its state and what is wrong as text
//   GET /metrics   the figures of v1::NodeStatus and v1::PeerList in Prometheus' text format, read at the scrape
//
// Another path is 404; another method than GET or HEAD is 405. The endpoint changes nothing, and no figure names a node,
// session or address (TEST-6): labels are regions, reasons, states, parts and slots.
//
//   auto operations = OperationsEndpoint::Start(
//       "127.0.0.1:9100", [&] { return node.Status(); }, [&] { return node.Peers(); });
//   if (!operations.ok()) return operations.status();   // "cannot listen on 127.0.0.1:9100: ..."
//
// Bounded (services/node/probe_server.h): `connections` at a time, of which the oldest makes room for the newest; a
// request is at most kRequestBytes long; a connection lasts kTimeoutMs at most; one request a connection; a body is never
// read. Clients that are silent, slow or many do not hold a probe up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lvs/v1/control.pb.h"
#include "prometheus/metric_family.h"
#include "services/peering/connection_refusals.h"

namespace lvs::services {

class OperationsEndpoint {
 public:
  static constexpr std::size_t kConnections = 128;
  static constexpr std::size_t kRequestBytes = 4096;
  static constexpr int kTimeoutMs = 2000;
  // A stall is so long, or 50 cycles where that is longer.
  static constexpr double kStallSeconds = 10;
  // So long after its start a node that finds no peer counts as alone.
  static constexpr double kAloneSeconds = 60;

  // `listen` is host:port, the host an IP address or localhost (which is 127.0.0.1); port 0 takes a free one.
  // INVALID_ARGUMENT where it cannot be parsed; UNAVAILABLE where it cannot be bound, a taken port above all. Both
  // functions are called on the thread of the endpoint and must not wait.
  static absl::StatusOr<std::unique_ptr<OperationsEndpoint>> Start(
      const std::string& listen, std::function<v1::NodeStatus()> status, std::function<v1::PeerList()> peers,
      std::size_t connections = kConnections, std::shared_ptr<ConnectionRefusals> refusals = nullptr);

  // Waits for the request that is being answered.
  ~OperationsEndpoint();
  OperationsEndpoint(const OperationsEndpoint&) = delete;
  OperationsEndpoint& operator=(const OperationsEndpoint&) = delete;

  // The address as bound, host:port.
  std::string address() const;

 private:
  class Server;
  explicit OperationsEndpoint(std::unique_ptr<Server> server);

  std::unique_ptr<Server> server_;
};

// A watch over the cycles: whether they still go by, from a look now and then. Time is seconds of any steady clock. Not
// thread-safe.
class CycleWatch {
 public:
  // Seconds since the cycle was last seen to change; 0 while the node starts, when none is run.
  double StalledFor(const v1::NodeStatus& status, double now);
  static double StallLimit(const v1::NodeStatus& status);

 private:
  bool seen_ = false;
  std::uint64_t cycle_ = 0;
  double changed_at_ = 0;
};

// What /readyz answers 200 for. `stalled_s` is CycleWatch's.
bool IsReady(const v1::NodeStatus& status, double stalled_s);

// The metrics that /metrics exports. Every family is always there, with or without a sample.
std::vector<prometheus::MetricFamily> NodeMetrics(const v1::NodeStatus& status, const v1::PeerList& peers);

}  // namespace lvs::services
