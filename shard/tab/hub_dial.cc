#include "shard/tab/hub_dial.h"

#include <algorithm>
#include <utility>

namespace lvs::tab {

std::optional<std::uint32_t> HubDial::Due(double now_s) {
  if (hubs_ == 0 || out_ || now_s < due_s_) return std::nullopt;
  out_ = true;
  welcomed_ = false;
  return hub_;
}

void HubDial::Welcomed() {
  welcomed_ = true;
  tried_ = 0;
  pause_s_ = kFullPauseSeconds;
}

void HubDial::Ended(HubEnd end, double now_s, Draws* draws) {
  out_ = false;
  const bool was_welcome = std::exchange(welcomed_, false);
  if (was_welcome && end == HubEnd::kLost) {
    due_s_ = now_s + kReturnSeconds * draws->Unit();
    return;
  }
  hub_ = (hub_ + 1) % std::max(1u, hubs_);
  if (++tried_ < hubs_) {
    due_s_ = now_s + kNextHubSeconds * draws->Unit();
    return;
  }
  tried_ = 0;
  double pause_s = kReturnSeconds;
  if (end == HubEnd::kFull) {
    pause_s = pause_s_;
    pause_s_ = std::min(kRefusedPauseSeconds, 2 * pause_s_);
  } else if (end == HubEnd::kRefused || end == HubEnd::kMisfit) {
    pause_s = kRefusedPauseSeconds;
  } else {
    due_s_ = now_s + pause_s * draws->Unit();
    return;
  }
  due_s_ = now_s + pause_s * (0.5 + draws->Unit() / 2);
}

}  // namespace lvs::tab
