// The gateway of a hub: the web server of a node, with its pages, and the hub behind its WebSockets (TEST-3.1, TEST-4.1,
// TEST-8, ARCH-2.2).
//
//   auto gateway = Gateway::Open(options);
//   if (!gateway.ok()) return gateway.status();                        // the address cannot be had
//   // links of the actors: those of server nodes first, then (*gateway)->sinks()
//   (*gateway)->Start(deliver, tab_changed);
//   (*gateway)->Tick(cycle);                                           // every cycle
//   (*gateway)->Drain("upgrade");
//   (*gateway)->Stop();
//
//   GET /               the pages (services/web/pages): /, /network, /playground and what they load
//   GET /config.json    what a page needs before it connects: see WriteConfig in gateway.cc, and docs/web.md
//   GET /peer           upgrades to the WebSocket of a tab
//
// A flood meets the limits of the web server (services/net/web_server.h) and of the hub (hub.h); it costs peers and
// clients nothing but the processor of one thread. All functions are safe from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "actors/frame_sink.h"
#include "lvs/v1/config.pb.h"
#include "lvs/v1/control.pb.h"
#include "services/base/cycle_clock.h"
#include "services/net/web_server.h"
#include "services/peering/connection_refusals.h"
#include "services/peering/hub_links.h"
#include "services/web/hub.h"

namespace lvs::services {

struct GatewayOptions {
  NodeTerms terms;
  v1::NodeConfig config;  // complete and valid, with web_listen
  std::uint64_t seed = 0;
  std::size_t connections = 12'000;  // files that the process has left for it
  WallClock wall;
  std::shared_ptr<ConnectionRefusals> refusals;
};

class Gateway {
 public:
  static absl::StatusOr<std::unique_ptr<Gateway>> Open(const GatewayOptions& options);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // Sinks that carry frames to the tabs in the places for them: link config.limits.links + n.
  std::vector<std::shared_ptr<actors::FrameSink>> sinks() const;
  // For Peering.
  std::shared_ptr<HubLinks> hub_links() const;

  void Start(Hub::Deliver deliver, Hub::LinkChanged link_changed);
  void Tick(std::uint64_t cycle);
  void Drain(std::string_view reason);
  void Stop();

  std::string address() const;  // host:port
  void FillStatus(v1::NodeStatus* status) const;

 private:
  class Impl;
  explicit Gateway(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace lvs::services
