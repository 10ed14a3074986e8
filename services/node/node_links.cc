#include "services/node/node_links.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "services/base/build.h"
#include "services/net/credentials.h"
#include "shard/tab/tab_shard.h"

namespace lvs::services {

namespace {

using hosting::Payload;

TransportOptions TransportOf(const NodeLinksOptions& options) {
  const v1::NodeConfig& config = options.config;
  TransportOptions transport;
  transport.region = config.region();
  transport.build = BuildString();
  transport.session = options.session;
  transport.shards = config.state().shards();
  transport.shape.value_slots = static_cast<int>(config.state().value_slots());
  transport.shape.free_coordinates = static_cast<int>(config.state().free_coordinates());
  transport.period_us = static_cast<std::uint64_t>(config.period_us());
  transport.protocol_max = config.protocol_max();
  transport.links = config.limits().links();
  transport.boot.assign(config.boot().begin(), config.boot().end());
  transport.faults = config.faults();
  transport.seed = options.seed;
  transport.credentials = ChannelCredentials(options.certificates, options.refusals);
  transport.refusals = options.refusals;
  transport.connections = options.peer_connections;
  return transport;
}

TransportOptions WithHub(TransportOptions transport, const Gateway* gateway) {
  if (gateway != nullptr) transport.hub_links = gateway->hub_links();
  return transport;
}

// How the actors speak with a tab that has a place.
actors::TabLink LinkOf(const TabLink& tab) {
  const tab::LinkPace pace = tab::PaceOf(tab.cadence_cycles, tab.cadence_cycles);
  return {.shard_mask = tab.mask,
          .cadence_cycles = tab.cadence_cycles,
          .refresh_cycles = tab::kTabRefreshCycles,
          .resend_cycles = pace.resend_cycles,
          .round_trip_cycles = pace.round_trip_cycles,
          .missing_cycles = tab::kTabMissingCycles};
}

}  // namespace

std::size_t WebConnectionsOf(const v1::NodeConfig& config) {
  constexpr std::size_t kForPages = 512;
  return config.web_listen().empty() ? 0 : config.web().tabs_max() + kForPages;
}

absl::StatusOr<std::unique_ptr<NodeLinks>> NodeLinks::Open(const NodeLinksOptions& options) {
  std::unique_ptr<Gateway> gateway;
  if (!options.config.web_listen().empty()) {
    auto opened = Gateway::Open({.terms = TransportOf(options),
                                 .config = options.config,
                                 .seed = options.seed,
                                 .connections = options.web_connections,
                                 .wall = options.wall,
                                 .refusals = options.refusals});
    if (!opened.ok()) return opened.status();
    gateway = *std::move(opened);
  }
  return std::unique_ptr<NodeLinks>(new NodeLinks(options, std::move(gateway)));
}

NodeLinks::NodeLinks(const NodeLinksOptions& options, std::unique_ptr<Gateway> gateway)
    : places_(gateway == nullptr ? 0 : options.config.web().places()),
      gateway_(std::move(gateway)),
      transport_(std::make_unique<TransportLayer>(WithHub(TransportOf(options), gateway_.get()))) {}

std::vector<std::shared_ptr<actors::FrameSink>> NodeLinks::sinks() const {
  std::vector<std::shared_ptr<actors::FrameSink>> sinks = transport_->sinks();
  if (gateway_ != nullptr) std::ranges::move(gateway_->sinks(), std::back_inserter(sinks));
  return sinks;
}

void NodeLinks::SetUp(actors::ServerNodeConfig* node) const {
  node->halo_rows = TransportOptions().halo_rows;
  node->tab_places = places_;
  node->tab_rows = tab::kTabRows;
}

void NodeLinks::Start(std::string advertise, actors::ServerNode* node) {
  const auto deliver = [node](std::uint32_t link, Payload<shard::Frame> frame) {
    node->Deliver(link, std::move(frame));
  };
  transport_->Start(std::move(advertise), deliver, [node](std::uint32_t link, bool up) { node->SetLink(link, up); });
  if (gateway_ == nullptr) return;
  gateway_->Start(deliver, [node](std::uint32_t link, const TabLink* tab) {
    if (tab == nullptr) return node->SetTab(link, nullptr);
    const actors::TabLink told = LinkOf(*tab);
    node->SetTab(link, &told);
  });
}

void NodeLinks::Tick(std::uint64_t cycle) {
  transport_->Tick(cycle);
  if (gateway_ != nullptr) gateway_->Tick(cycle);
}

void NodeLinks::Drain(std::string_view reason) {
  transport_->Drain(reason);
  if (gateway_ != nullptr) gateway_->Drain(reason);
}

void NodeLinks::Stop() {
  if (gateway_ != nullptr) gateway_->Stop();
  transport_->Stop();
}

void NodeLinks::FillStatus(v1::NodeStatus* status) const {
  *status->mutable_traffic() = transport_->Traffic();
  const v1::PeerList peers = transport_->Peers();
  status->set_peers_connected(static_cast<std::uint32_t>(peers.peers_size()));
  status->set_peers_known(static_cast<std::uint32_t>(peers.known_size()));
  if (gateway_ != nullptr) gateway_->FillStatus(status);
}

}  // namespace lvs::services
