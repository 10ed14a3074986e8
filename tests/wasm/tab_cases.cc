// Cases of browser tabs (shard/tab) and a server node, which exchange messages over links that lose and reorder them.
#include <iterator>
#include <utility>
#include <vector>

#include "tests/shard/tab/tab_net.h"
#include "tests/wasm/case.h"

namespace lvs::wasm {

namespace {

struct Settings {
  const char* name;
  std::uint32_t micro_nodes;  // of each tab and group
  double loss;
  bool server;  // dies, and another one starts empty
};

constexpr Settings kSettings[] = {
    {"tabs alone", 1, 0.02, false},
    {"tabs and a server node", 3, 0.1, true},
};

// Before the first cycle of the case the tabs find what the others hold, and their micro-nodes enter.
constexpr std::uint64_t kBefore = 60;
constexpr std::uint64_t kContributes = 7;
constexpr std::uint64_t kScatters = 80;
constexpr std::uint64_t kAdopts = 100;
constexpr std::uint64_t kServerDies = 130;
constexpr std::uint64_t kSleepsFrom = 150;
constexpr std::uint64_t kSleepsUntil = 190;
constexpr std::uint64_t kServerStarts = 200;
constexpr std::uint64_t kTabDies = 250;
constexpr std::size_t kSleeper = 1;
constexpr std::size_t kNobody = ~std::size_t{0};

class TabCase final : public Case {
 public:
  TabCase(const Settings& settings, std::uint64_t seed) : settings_(settings), net_(seed, settings.loss) {
    facts_.name = settings.name;
    facts_.value_slots = tab::kTestShape.value_slots;
    facts_.free_coordinates = tab::kTestShape.free_coordinates;
    facts_.peers = tab::kTestShape.peers;
    facts_.shards = tab::kTestShards;
    if (settings.server) net_.Start(8);
    net_.Add({0}, settings.micro_nodes);
    net_.Add({0, 1}, settings.micro_nodes);
    net_.Add({1}, settings.micro_nodes);
    net_.Add({0, 1}, settings.micro_nodes);
    net_.ConnectAll();
    facts_.server_nodes = net_.tabs() + (settings.server ? 1 : 0);
    net_.Run(2);
    if (settings.server) net_.Place(1);
    net_.Run(kBefore - 2);
  }

  void Step(std::uint64_t cycle) override {
    Act(cycle);
    const bool sleeps = cycle >= kSleepsFrom && cycle < kSleepsUntil;
    net_.Run(1, sleeps ? kSleeper : kNobody);
    for (std::size_t n = 0; n < net_.tabs(); ++n) {
      if (net_.there(n)) facts_.replica_cycles += Replicas(n);
    }
    facts_.frames = Sum([](const tab::TabNode& node) { return node.counts().frames_sent; });
    facts_.frame_bytes = Sum([](const tab::TabNode& node) { return node.counts().bytes_sent; });
    facts_.refusals = Sum([](const tab::TabNode& node) { return node.refused().Total(); });
  }

  Shown Show() const override {
    Hasher state;
    Hasher rest;
    auto& net = const_cast<tab::TabNet&>(net_);
    for (std::size_t n = 0; n < net.tabs(); ++n) {
      if (!net.there(n)) continue;
      const tab::TabNode& node = net.tab(n);
      state.Add(node.StateHash());
      rest.Add(node.counts().bytes_sent);
      rest.Add(node.refused().Total());
      for (std::uint32_t s = 0; s < tab::kTestShards; ++s) {
        if (node.shard(s) == nullptr) continue;
        AddRest(node.shard(s)->host().state(), &rest);
        AddCounts(node.shard(s)->report().counts, &rest);
        rest.Add(node.FiguresOf(s).spread);
      }
    }
    return {state.hash(), rest.hash()};
  }

  void PlantDifference() override { FlipOneBit(const_cast<shard::StateShard*>(&net_.tab(0).shard(0)->host().state())); }

 private:
  void Act(std::uint64_t cycle) {
    if (cycle % kContributes == 0) {
      const std::size_t n = cycle / kContributes % net_.tabs();
      if (net_.there(n)) {
        shard::SlotAmounts amounts{};
        amounts[cycle % 2] = static_cast<std::int64_t>(cycle) * 1'000'003;
        const auto shard = static_cast<std::uint32_t>(cycle % tab::kTestShards);
        facts_.contributions += net_.tab(n).Contribute(cycle, shard, amounts) ? 0 : 1;
      }
    }
    if (cycle == kScatters) net_.tab(0).Scatter();
    if (cycle == kAdopts) net_.tab(0).Adopt(6);
    if (cycle == kServerDies && settings_.server) net_.KillServer();
    if (cycle == kServerStarts && settings_.server) {
      net_.Start(8);
      net_.Place(0);
      net_.Place(3);
    }
    if (cycle == kTabDies) {
      facts_.left += Replicas(2);
      net_.Kill(2);
    }
  }
  std::uint64_t Replicas(std::size_t n) {
    std::uint64_t replicas = 0;
    for (std::uint32_t s = 0; s < tab::kTestShards; ++s) replicas += net_.tab(n).FiguresOf(s).replicas;
    return replicas;
  }
  template <class F>
  std::uint64_t Sum(const F& f) {
    std::uint64_t sum = 0;
    for (std::size_t n = 0; n < net_.tabs(); ++n) sum += net_.there(n) ? f(net_.tab(n)) : 0;
    return sum;
  }

  const Settings& settings_;
  tab::TabNet net_;
};

}  // namespace

std::size_t TabCaseCount() { return std::size(kSettings); }

std::unique_ptr<Case> StartTabCase(std::size_t index) {
  if (index >= TabCaseCount()) return nullptr;
  return std::make_unique<TabCase>(kSettings[index], index + 31);
}

}  // namespace lvs::wasm
