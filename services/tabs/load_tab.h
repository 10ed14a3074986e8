// A whole tab of a load: the core that browsers run, a WebSocket to its hub, and links to the other tabs of the process
// in memory. Such a link carries messages of at most 16 KiB, loses none, and opens as soon as both ends have both
// descriptions.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "services/tabs/hub_line.h"
#include "services/tabs/member.h"

namespace lvs::services {

class LoadTab final : public Member {
 public:
  LoadTab(TabPlan plan, const Workplace& place, const tab::Now& now);
  ~LoadTab() override;

  void Take(Letter letter, const tab::Now& now) override;
  void Tick(const tab::Now& now) override;
  void Leave(const tab::Now& now) override;
  bool welcome() const override { return tab_.hub_state() == tab::HubState::kWelcome; }

  // Contributes to a shard that the tab holds. False: it holds none that is ready.
  bool Contribute(std::uint64_t id, std::int64_t uvu, std::uint64_t draw, const tab::Now& now);
  void Scatter() { tab_.Scatter(); }
  bool Has(const MadeContribution& made) const;

  const tab::Tab& core() const { return tab_; }
  bool hostile() const { return hostility_.has_value(); }
  // It has been there for a while, and has its ledgers.
  bool settled(double now_s) const { return tab_.ready() && now_s >= started_s + kSettledSeconds; }
  TabLook Look(double now_s) const;
  // Adds to the sums what became of links since the last time.
  void CountEnds();

  static constexpr double kSettledSeconds = 10;

 private:
  struct Far {
    TabKey key = 0;
    std::uint32_t link = 0;
    bool open = false;
  };
  using Dropped = std::array<std::uint64_t, static_cast<std::size_t>(tab::Reason::kCount)>;

  void Carry(const tab::Now& now);
  void Do(tab::Command command, const tab::Now& now);
  void Post(Letter letter);
  void Note(const tab::TabEvent& event);

  const Workplace& place_;
  const bool direct_;
  const bool says_goodbye_;
  std::optional<Hostility> hostility_;
  tab::Tab tab_;
  std::unique_ptr<HubLine> line_;
  std::map<std::uint32_t, Far> far_;  // by link
  Dropped dropped_{}, refused_{};     // that were counted already
  double ticked_s_ = 0;
  std::uint64_t ticked_cycle_ = 0;
  std::uint64_t relayed_ = 0, opened_ = 0;  // likewise
};

}  // namespace lvs::services
