#include "services/gateway/gateway.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "actors/recycled.h"
#include "nlohmann/json.hpp"
#include "services/base/files.h"
#include "services/base/host_port.h"
#include "services/base/steady_seconds.h"
#include "services/gateway/turn_credentials.h"
#include "services/net/outlet_sink.h"
#include "services/web/hub_status.h"
#include "services/web/pages/web_asset.h"

namespace lvs::services {

namespace {

constexpr std::string_view kPeerPath = "/peer";
// Time that tabs have to read why the node ends.
constexpr std::chrono::seconds kFarewell{2};
// Behind a proxy all visitors have its address.
constexpr std::size_t kWholeWorld = 1'000'000;

HubOptions HubOf(const GatewayOptions& options) {
  const v1::WebConfig& web = options.config.web();
  HubOptions hub;
  static_cast<NodeTerms&>(hub) = options.terms;
  hub.first_link = options.config.limits().links();
  hub.places = web.places();
  hub.tabs_max = web.tabs_max();
  hub.relay.all = web.relay_budget();
  hub.seed = options.seed;
  hub.refusals = options.refusals;
  hub.new_frame = [] { return actors::Recycled<shard::Frame>(); };
  return hub;
}

// "wss://hub.example/peer" -> "wss://hub.example": what a Content-Security-Policy names.
std::string SourceOf(std::string_view url) {
  const std::size_t host = url.find("//") + 2;
  return std::string(url.substr(0, url.find('/', host)));
}

// The most connections that the web server takes: a socket for each tab, and some for pages.
std::size_t ConnectionsOf(const GatewayOptions& options) {
  const std::size_t tabs = options.config.web().tabs_max();
  return std::min<std::size_t>(options.connections, tabs + tabs / 4 + 64);
}

WebServerOptions ServerOf(const GatewayOptions& options) {
  const v1::WebConfig& web = options.config.web();
  WebServerOptions server;
  server.peer_path = std::string(kPeerPath);
  server.origins.assign(web.origins().begin(), web.origins().end());
  for (const std::string& hub : web.hubs()) server.connect_to.push_back(SourceOf(hub));
  server.connections = ConnectionsOf(options);
  server.web_sockets = std::min<std::size_t>(web.tabs_max(), server.connections - server.connections / 8);
  if (web.behind_proxy()) {
    server.per_source = server.connections;
    server.requests_of_source = {.per_second = kWholeWorld, .burst = kWholeWorld};
  }
  server.certificate_file = web.cert_file();
  server.key_file = web.key_file();
  return server;
}

// Tells the hub of the links of this node to other hubs. Link n leads to hub n + 1: 0 is this hub.
class OtherHubs final : public HubLinks {
 public:
  explicit OtherHubs(std::shared_ptr<Hub> hub) : hub_(std::move(hub)) {}

  void HubUp(std::uint32_t link, std::function<void(v1::PeerMessage)> say) override {
    hub_->HubUp(link + 1, std::move(say), SteadySeconds());
  }
  void HubDown(std::uint32_t link) override { hub_->HubDown(link + 1); }
  void TakeFromHub(std::uint32_t link, const v1::PeerMessage& message, double now_s) override {
    hub_->TakeFromHub(link + 1, message, now_s);
  }

 private:
  const std::shared_ptr<Hub> hub_;
};

// The pages as the web server sends them, by path; made once, with the tags that the build gave them.
std::map<std::string_view, std::shared_ptr<const WebContent>> Contents() {
  std::map<std::string_view, std::shared_ptr<const WebContent>> contents;
  for (const WebAsset& asset : WebAssets()) {
    const std::string_view tag = asset.etag.substr(1, asset.etag.size() - 2);  // WebContent has it without quotes
    contents[asset.path] = std::make_shared<const WebContent>(WebContent{
        std::string(asset.content_type), std::string(asset.bytes), std::string(asset.gzip), std::string(tag)});
  }
  return contents;
}

}  // namespace

class Gateway::Impl {
 public:
  Impl(const GatewayOptions& options, std::unique_ptr<WebServer> server, std::string turn_secret)
      : options_(options),
        turn_secret_(std::move(turn_secret)),
        server_(std::move(server)),
        hub_(std::make_shared<Hub>(HubOf(options))) {}

  Hub& hub() { return *hub_; }
  std::shared_ptr<HubLinks> hub_links() const { return std::make_shared<OtherHubs>(hub_); }
  const WebServer& server() const { return *server_; }

  void Start(Hub::Deliver deliver, Hub::LinkChanged link_changed) {
    hub_->Start(std::move(deliver), std::move(link_changed), SteadySeconds());
    server_->Start([this](const WebRequest& request) { return Answer(request); },
                   [this](const WebPeer&) -> absl::StatusOr<std::shared_ptr<PeerStream>> {
                     std::shared_ptr<PeerStream> stream = hub_->Accept(SteadySeconds());
                     if (stream == nullptr) {
                       return absl::ResourceExhaustedError("this hub has as many tabs as it takes; try another one");
                     }
                     return stream;
                   });
  }

  void Stop() {
    hub_->Stop();
    server_->Stop(kFarewell);
    hub_->Disconnect();
  }

  std::string address() const {
    absl::StatusOr<HostPort> at = ParseHostPort(options_.config.web_listen());
    if (!at.ok()) return options_.config.web_listen();
    at->port = server_->port();
    return FormatHostPort(*at);
  }

  void FillStatus(v1::NodeStatus* status) const {
    v1::ConnectionStatus* const connections = status->add_connections();
    connections->set_port("web");
    connections->set_open(static_cast<std::uint32_t>(server_->open().connections));
    connections->set_limit(static_cast<std::uint32_t>(ConnectionsOf(options_)));
    v1::WebStatus* const web = status->mutable_web();
    web->set_address(address());
    web->set_tabs_limit(options_.config.web().tabs_max());
    FillWebStatus(hub_->Figures(), hub_->Builds(), web);
  }

 private:
  WebAnswer Answer(const WebRequest& request) {
    if (request.path == "/config.json") {
      return {.content = MakeText(WriteConfig(), "application/json"),
              .headers = {{"Access-Control-Allow-Origin", "*"}}};
    }
    const WebAsset* const asset = FindWebAsset(request.path);
    const WebAsset& found = asset == nullptr ? MissingWebAsset() : *asset;
    WebAnswer answer{.code = asset == nullptr ? 404 : 200, .content = contents_.at(found.path)};
    if (found.immutable) answer.headers.emplace_back("Cache-Control", "public, max-age=31536000, immutable");
    return answer;
  }

  // The shape of the network, the time, and whom else a page may connect to.
  std::string WriteConfig() const {
    const v1::NodeConfig& config = options_.config;
    const auto period_us = static_cast<std::uint64_t>(config.period_us());
    const auto wall = options_.wall();
    nlohmann::json said = {
        {"build", options_.terms.build},
        {"region", config.region()},
        {"shards", config.state().shards()},
        {"value_slots", config.state().value_slots()},
        {"free_coordinates", config.state().free_coordinates()},
        {"period_us", period_us},
        {"cycle", CycleAt(wall, period_us)},
        {"cycle_us", IntoCycle(wall, period_us).count()},
        {"hubs", std::vector<std::string>(config.web().hubs().begin(), config.web().hubs().end())},
        {"turn", nullptr},
    };
    if (config.web().has_turn()) {
      const v1::TurnConfig& turn = config.web().turn();
      const auto now_s = std::chrono::duration_cast<std::chrono::seconds>(wall.time_since_epoch()).count();
      const TurnCredential credential = MakeTurnCredential(turn_secret_, now_s + turn.lifetime_us() / 1'000'000);
      said["turn"] = {{"urls", std::vector<std::string>(turn.urls().begin(), turn.urls().end())},
                      {"username", credential.username},
                      {"credential", credential.password}};
    }
    return said.dump() + "\n";
  }

  const GatewayOptions options_;
  const std::string turn_secret_;
  const std::map<std::string_view, std::shared_ptr<const WebContent>> contents_ = Contents();
  const std::unique_ptr<WebServer> server_;
  const std::shared_ptr<Hub> hub_;
};

absl::StatusOr<std::unique_ptr<Gateway>> Gateway::Open(const GatewayOptions& options) {
  const absl::StatusOr<HostPort> at = ParseHostPort(options.config.web_listen());
  if (!at.ok()) return absl::Status(at.status().code(), absl::StrCat("web_listen: ", at.status().message()));
  std::string turn_secret;
  if (options.config.web().has_turn()) {
    const absl::StatusOr<std::string> text = ReadTextFile(options.config.web().turn().secret_file());
    if (!text.ok()) return absl::Status(text.status().code(), absl::StrCat("web.turn: ", text.status().message()));
    turn_secret = std::string(absl::StripAsciiWhitespace(text->substr(0, text->find('\n'))));
  }
  absl::StatusOr<std::unique_ptr<WebServer>> server = WebServer::Open(*at, ServerOf(options), options.refusals);
  if (!server.ok()) {
    return absl::Status(server.status().code(), absl::StrCat("web_listen: ", server.status().message()));
  }
  return std::unique_ptr<Gateway>(
      new Gateway(std::make_unique<Impl>(options, *std::move(server), std::move(turn_secret))));
}

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gateway::~Gateway() { Stop(); }

std::vector<std::shared_ptr<actors::FrameSink>> Gateway::sinks() const {
  return OutletSink::Of(impl_->hub().outlets());
}
std::shared_ptr<HubLinks> Gateway::hub_links() const { return impl_->hub_links(); }
void Gateway::Start(Hub::Deliver deliver, Hub::LinkChanged link_changed) {
  impl_->Start(std::move(deliver), std::move(link_changed));
}
void Gateway::Tick(std::uint64_t cycle) { impl_->hub().Tick(cycle, SteadySeconds()); }
void Gateway::Drain(std::string_view reason) { impl_->hub().Drain(reason); }
void Gateway::Stop() { impl_->Stop(); }
std::string Gateway::address() const { return impl_->address(); }

void Gateway::FillStatus(v1::NodeStatus* status) const { impl_->FillStatus(status); }

}  // namespace lvs::services
