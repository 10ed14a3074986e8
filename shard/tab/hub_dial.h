// Which hub a tab dials, and when. After the end of a hub its tabs come back over 10 s at random, so that they do not
// overrun the next one. A hub that is full, or refuses, is asked ever less often.
//
//   HubDial dial(/*hubs=*/3, first);
//   if (const auto hub = dial.Due(now_s)) ...          // dial it
//   dial.Welcomed();                                   // it lists the tab
//   dial.Ended(HubEnd::kLost, now_s, &draws);          // the socket closed, or never opened
//
// Pure: time is passed in.
#pragma once

#include <cstdint>
#include <optional>

#include "shard/tab/draws.h"

namespace lvs::tab {

inline constexpr double kReturnSeconds = 10;
inline constexpr double kNextHubSeconds = 1;
inline constexpr double kFullPauseSeconds = 5;  // once all hubs were full; doubles, up to kRefusedPauseSeconds
inline constexpr double kRefusedPauseSeconds = 60;

enum class HubEnd : std::uint8_t {
  kLost,     // the connection broke, or could not be made
  kFull,     // another hub may have a place
  kLeaving,  // the hub ends, or does not take tabs
  kRefused,  // it will not take this tab soon
  kMisfit,   // it will not take this build
};

class HubDial {
 public:
  HubDial(std::uint32_t hubs, std::uint32_t first) : hubs_(hubs), hub_(hubs == 0 ? 0 : first % hubs) {}

  // The hub to dial now. From then on none is due until Ended.
  std::optional<std::uint32_t> Due(double now_s);
  void Welcomed();
  void Ended(HubEnd end, double now_s, Draws* draws);
  void Hold(double until_s) { due_s_ = until_s; }  // nobody is dialled before

  std::uint32_t hub() const { return hub_; }
  double due_s() const { return due_s_; }

 private:
  const std::uint32_t hubs_;
  std::uint32_t hub_;
  bool out_ = false;         // a dial, or a socket, is there
  bool welcomed_ = false;    // since the last dial
  std::uint32_t tried_ = 0;  // hubs, since the last welcome
  double pause_s_ = kFullPauseSeconds;
  double due_s_ = 0;
};

}  // namespace lvs::tab
