// A tab that only sits on its socket: it announces itself, answers pings, and refuses to link. It costs a fraction of a
// whole tab's memory, so that one process can hold more of them than a hub.
#pragma once

#include <memory>

#include "services/tabs/hub_line.h"
#include "services/tabs/member.h"

namespace lvs::services {

class IdleTab final : public Member {
 public:
  IdleTab(const TabPlan& plan, const Workplace& place, const tab::Now& now);

  void Take(Letter letter, const tab::Now& now) override;
  void Tick(const tab::Now& now) override;
  void Leave(const tab::Now& now) override;
  bool welcome() const override { return welcome_; }

 private:
  void Say(const tab::PeerMessage& message);
  void Dial();

  const Workplace& place_;
  const tab::TabId id_;
  const std::string region_;
  const tab::Card card_;
  const std::uint32_t shards_;
  const std::uint32_t value_slots_;
  const std::uint32_t free_coordinates_;
  const std::uint64_t period_us_;
  std::unique_ptr<HubLine> line_;
  std::uint32_t sockets_ = 0;
  double dial_s_ = 0;
  double ticked_s_ = 0;
  bool welcome_ = false;
};

}  // namespace lvs::services
