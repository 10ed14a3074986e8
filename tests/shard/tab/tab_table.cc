// Prints what a whole network of tabs does, in simulated time:
//
//   lvs_tab_table            the table; about a minute
//   lvs_tab_table quick      only up to 100 tabs
//
// Each row: sessions of 300 s with arrivals, 330 s to settle, then 10 looks in 180 s; then all servers and their hubs
// die, nobody joins, and the last look is 5 minutes later.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "tests/shard/tab/tab_model.h"

namespace lvs::tab {
namespace {

void PrintRow(const char* label, const ModelConfig& config) {
  TabModel model(config);
  model.Run(330, true);
  model.TakeTraffic();
  Look sum;
  constexpr int kLooks = 10;
  double worst = 0;
  for (int n = 0; n < kLooks; ++n) {
    model.Run(18, true);
    const Look look = model.Look();
    sum.stay_cut_off += look.stay_cut_off;
    sum.cut_off += look.cut_off / kLooks;
    worst = std::max(worst, look.cut_off);
    sum.cut_off_servers += look.cut_off_servers / kLooks;
    sum.split += look.split / kLooks;
    sum.links += look.links / kLooks;
    sum.links_shard += look.links_shard / kLooks;
    sum.shards += look.shards / kLooks;
    sum.lost = std::max(sum.lost, look.lost);
    sum.diameter = std::max(sum.diameter, look.diameter);
  }
  const Traffic traffic = model.TakeTraffic();
  model.KillServers();
  model.Run(300, false);
  const Look dead = model.Look();
  const Traffic after = model.TakeTraffic();
  const auto rate = [](std::uint64_t n, const Traffic& t) { return static_cast<double>(n) / t.tab_minutes; };
  std::printf(
      "| %s | %u, %u | %llu | %.1f, %.1f | %.1f | %.3f (%.2f), %u stay | %.3f | %.1f | %u | %u | %.1f, %.1f, %.1f | "
      "%.2f | "
      "%zu: %.2f %%, %u lost, %.1f |\n",
      label, config.tabs, config.shards, static_cast<unsigned long long>(config.seed), sum.links, sum.links_shard,
      sum.shards, 100 * sum.cut_off, 100 * worst, sum.stay_cut_off, 100 * sum.cut_off_servers, 100 * sum.split,
      sum.diameter, sum.lost, rate(traffic.hub, traffic), rate(traffic.peer, traffic), rate(traffic.pings, traffic),
      rate(traffic.refused, traffic), dead.tabs, 100 * dead.cut_off, dead.lost, rate(after.peer, after));
  std::fflush(stdout);
}

void PrintFlash(std::uint32_t shards, std::uint64_t seed) {
  TabModel model({.tabs = 100, .shards = shards, .seed = seed});
  model.Run(330, true);
  model.TakeTraffic();
  std::printf("| flash | 100 + 500, %u | %llu |", shards, static_cast<unsigned long long>(seed));
  for (int second = 1; second <= 70; ++second) {
    if (second <= 10) model.Join(50);
    model.Run(1, false);
    if (second % 10 != 0 && second != 13 && second != 16) continue;
    const Look look = model.Look();
    std::printf(" %d s: %.3f %%", second, 100 * look.cut_off);
  }
  const Traffic traffic = model.TakeTraffic();
  std::printf(" | hub peak %llu/s, refused %llu |\n", static_cast<unsigned long long>(traffic.hub_peak),
              static_cast<unsigned long long>(traffic.hub_refused));
  std::fflush(stdout);
}

}  // namespace
}  // namespace lvs::tab

int main(int argc, char** argv) {
  using lvs::tab::PrintRow;
  const bool quick = argc > 1 && std::strcmp(argv[1], "quick") == 0;
  std::printf(
      "| tabs of | N, S | seed | links a tab, a replica | shards a tab | cut off %% (worst look) | with servers %% | "
      "split shards %% | diameter | no holder | hub, peer, pings a tab and minute | refused offers | "
      "dead after 5 min: tabs, cut off, lost shards, peer messages "
      "|\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
  for (const std::uint32_t tabs : {30u, 100u, 1000u}) {
    if (quick && tabs > 100) break;
    for (const std::uint32_t shards : {16u, 64u}) {
      for (std::uint64_t seed = 1; seed <= (tabs > 100 ? 1u : 3u); ++seed) {
        PrintRow("1-10 micro-nodes", {.tabs = tabs, .shards = shards, .seed = seed});
      }
    }
  }
  for (const std::uint32_t tabs : {30u, 100u}) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      PrintRow("1", {.tabs = tabs, .shards = 64, .seed = seed, .micro_nodes = 1});
      PrintRow("1, no advice", {.tabs = tabs, .shards = 64, .seed = seed, .micro_nodes = 1, .advise = false});
      PrintRow("1, no adoption", {.tabs = tabs, .shards = 64, .seed = seed, .micro_nodes = 1, .adopt = false});
      PrintRow("1, neither",
               {.tabs = tabs, .shards = 64, .seed = seed, .micro_nodes = 1, .advise = false, .adopt = false});
    }
  }
  PrintRow("1-10, no replacement", {.tabs = 100, .shards = 16, .seed = 1, .replace_s = 0});
  PrintRow("1-10, no replacement", {.tabs = 100, .shards = 64, .seed = 1, .replace_s = 0});
  for (const std::uint32_t shards : {16u, 64u}) {
    PrintRow("1-10, 10 % silent", {.tabs = 100, .shards = shards, .seed = 1, .hostile = 0.1});
    PrintRow("1-10, 30 % silent", {.tabs = 100, .shards = shards, .seed = 1, .hostile = 0.3});
  }
  if (!quick) {
    for (const std::uint32_t shards : {16u, 64u}) lvs::tab::PrintFlash(shards, 1);
  }
  return 0;
}
