// One server node of a cluster: the same actors as in the emulator, driven by the caller's clock and wired to links
// that the caller carries. CAF stays behind this header.
//
//   ServerNode node(config, sinks,
//                   [](const hosting::Payload<hosting::NodeReport>& report) { ... });   // on an actor's thread
//   node.SetLink(3, true);                    // a server node is at the far end of link 3
//   node.SetTab(17, &tab);                    // a browser tab is at the far end of link 17, a place for tabs
//   node.Deliver(3, frame);                   // a frame of theirs; from any thread
//   node.Tick(std::move(tick));               // one cycle; its report follows
//   node.Stop();
//
// A tick must not be given before the report of the one before. A caller that rebinds a link to another peer must
// ensure that no Deliver for the earlier peer comes after SetLink or SetTab (hold one lock around both).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "actors/frame_sink.h"
#include "actors/tab_places.h"
#include "shard/hosting/messages.h"
#include "shard/session_index.h"

namespace lvs::actors {

struct ServerNodeConfig {
  std::uint64_t seed = 0;  // random in every process: sessions come from it
  // Random in every process too, and never the seed: the seed may be guessed from sessions.
  shard::HashKey session_key;
  shard::Shape shape;
  std::uint32_t shards = 16;
  std::uint32_t micro_nodes = 1000;
  std::uint32_t shards_per_node = 4;  // that each micro-node holds
  std::uint32_t halo_rows = 32;       // a link and shard: replicas heard of a peer, and sent to it
  double period_ms = 100;
  std::uint32_t alone_cycles = 30;  // without peers, the micro-nodes enter after so many
  unsigned threads = 0;             // 0: one a core
  // The last links are places for browser tabs, with so many halo rows a link and shard.
  std::uint32_t tab_places = 0;
  std::uint32_t tab_rows = 4;
};

class ServerNode {
 public:
  using OnReport = std::function<void(const hosting::Payload<hosting::NodeReport>&)>;

  // Link n is sinks[n].
  ServerNode(const ServerNodeConfig& config, std::vector<std::shared_ptr<FrameSink>> sinks, OnReport on_report);
  ~ServerNode();

  void Tick(hosting::NodeTick tick);
  void Deliver(std::uint32_t link, hosting::Payload<shard::Frame> frame);
  void SetLink(std::uint32_t link, bool up);
  // Null: the tab is gone. A tab whose shards change goes and comes.
  void SetTab(std::uint32_t link, const TabLink* tab);
  // Ends all actors and waits for them; no report follows. Idempotent.
  void Stop();

 private:
  class Actors;
  std::unique_ptr<Actors> actors_;
};

}  // namespace lvs::actors
