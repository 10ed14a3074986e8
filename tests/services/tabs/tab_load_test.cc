// Loads of a few tabs against a real hub over loopback.
#include "services/tabs/tab_load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "services/base/cycle_clock.h"
#include "services/net/grpc_stream.h"
#include "services/net/web_server.h"
#include "services/web/hub.h"

namespace lvs::services {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

// A hub on a free port, and the configuration that pages ask it for. Its places lead nowhere.
class HubHere {
 public:
  explicit HubHere(std::size_t tabs_max = 100) {
    HubOptions options;
    options.shards = 16;
    options.shape = {.value_slots = 2, .free_coordinates = 2};
    options.period_us = kPeriodUs;
    options.halo_rows = 4;
    options.session = {4711, 4711};
    options.region = "eu";
    options.build = "test";
    options.tabs_max = tabs_max;
    options.refusals = std::make_shared<ConnectionRefusals>();
    hub_ = std::make_shared<Hub>(options);
    hub_->Start([](std::uint32_t, Hub::FramePtr) {}, [](std::uint32_t, const TabLink*) {}, SteadySeconds());
    auto server = WebServer::Open({"127.0.0.1", 0}, WebServerOptions(), options.refusals);
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    server_->Start(
        [](const WebRequest& request) -> WebAnswer {
          if (request.path != "/config.json") return {.code = 404, .content = MakeText("nothing here\n")};
          return {.content = MakeText(R"({"shards":16,"period_us":100000,"value_slots":2,"free_coordinates":2})")};
        },
        [this](const WebPeer&) -> absl::StatusOr<std::shared_ptr<PeerStream>> {
          return hub_->Accept(SteadySeconds());
        });
    ticker_ = std::thread([this] {
      while (!stop_) {
        hub_->Tick(CycleNow(kPeriodUs), SteadySeconds());
        std::this_thread::sleep_for(milliseconds(20));
      }
    });
  }
  ~HubHere() {
    stop_ = true;
    ticker_.join();
    hub_->Stop();
    server_->Stop(milliseconds(1000));
    hub_->Disconnect();
  }

  std::string url() const { return "ws://127.0.0.1:" + std::to_string(server_->port()) + "/peer"; }
  const Hub& hub() const { return *hub_; }

 private:
  static constexpr std::uint64_t kPeriodUs = 100'000;
  std::shared_ptr<Hub> hub_;
  std::unique_ptr<WebServer> server_;
  std::atomic<bool> stop_{false};
  std::thread ticker_;
};

// Runs until `enough`, as the report has it, and a minute at most.
TabLoadReport RunUntil(TabLoadOptions options, const std::function<bool(const TabLoadReport&)>& enough) {
  std::atomic<bool> stop{false};
  options.stop = &stop;
  options.run_s = 60;
  options.on_progress = [&](const TabLoadReport& now) { stop = enough(now); };
  const auto report = RunTabLoad(options);
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? *report : TabLoadReport();
}

TEST(TabLoad, BadOptionsAreRefusedInWordsThatSayWhatToDo) {
  TabLoadOptions options;
  EXPECT_THAT(RunTabLoad(options).status().message(), HasSubstr("--hub"));
  options.hubs = {"http://here"};
  EXPECT_THAT(RunTabLoad(options).status().message(), HasSubstr("ws://"));
  options.hubs = {"ws://127.0.0.1:1/peer"};
  options.count = 0;
  EXPECT_THAT(RunTabLoad(options).status().message(), HasSubstr("--count"));
  options.count = 3;
  options.micro_nodes_min = 5;
  options.micro_nodes_max = 4;
  EXPECT_EQ(RunTabLoad(options).status().code(), absl::StatusCode::kInvalidArgument);
  options.micro_nodes_min = 1;
  EXPECT_EQ(RunTabLoad(options).status().code(), absl::StatusCode::kUnavailable) << "nobody listens there";
}

TEST(TabLoad, IdleTabsSitOnTheirSockets) {
  HubHere hub;
  const TabLoadReport report = RunUntil({.hubs = {hub.url()}, .count = 20, .ramp_s = 0, .idle = true},
                                        [](const TabLoadReport& now) { return now.welcome == 20; });
  EXPECT_EQ(report.welcome_most, 20u);
  EXPECT_EQ(report.shards, 16u);
  EXPECT_EQ(report.sums.to_hub.Of({tab::KindOf(tab::Announce{})}), 20u);
}

TEST(TabLoad, AHubWithoutPlacesIsReportedAsSuch) {
  HubHere hub(/*tabs_max=*/2);
  const TabLoadReport report =
      RunUntil({.hubs = {hub.url()}, .count = 6, .ramp_s = 0, .idle = true},
               [](const TabLoadReport& now) { return now.welcome == 2 && !now.sums.happened.empty(); });
  EXPECT_EQ(report.welcome, 2u);
  EXPECT_FALSE(report.sums.happened.empty());
}

TEST(TabLoad, FullTabsLinkAgreeAndPassContributionsOn) {
  HubHere hub;
  TabLoadOptions options{.hubs = {hub.url()}, .count = 24, .ramp_s = 2, .contribute = 5, .regions = {"eu", "us"}};
  options.relayed = 0.2;
  const TabLoadReport report = RunUntil(options, [](const TabLoadReport& now) {
    return now.seconds > 20 && now.contributions.everywhere > 20 && now.contributions.open == 0;
  });
  EXPECT_EQ(report.welcome, 24u);
  EXPECT_EQ(report.graph.cut_off, 0u);
  EXPECT_GE(report.graph.links_a_tab, 3);
  EXPECT_GT(report.sums.links_relayed, 0u);
  EXPECT_EQ(report.contributions.lost, 0u);
  EXPECT_GT(report.contributions.everywhere, 20u);
  EXPECT_LT(report.spread.worst, 0.5);
  EXPECT_GT(report.PayloadSent(), 0);
}

TEST(TabLoad, FullHostileTabsHarmNobodyElse) {
  HubHere hub;
  TabLoadOptions options{.hubs = {hub.url()}, .count = 30, .ramp_s = 2, .contribute = 3, .hostile = 0.2};
  const TabLoadReport report =
      RunUntil(options, [](const TabLoadReport& now) { return now.seconds > 25 && now.contributions.everywhere > 10; });
  EXPECT_GT(report.contributions.everywhere, 10u);
  EXPECT_EQ(report.contributions.lost, 0u);
  EXPECT_EQ(report.graph.cut_off, 0u);
}

}  // namespace
}  // namespace lvs::services
