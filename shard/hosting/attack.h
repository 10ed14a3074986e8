// The ways in which a hostile micro-node lies. The numbers are those of lvs.v1.Attack, which scenario files use;
// services/scenario converts, so that this folder stays free of protobuf.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lvs::hosting {

enum class Attack : std::uint8_t {
  kNone = 0,
  kStubborn = 1,         // always the same far-away state
  kDrain = 2,            // "all value is gone"
  kNoise = 3,            // something random and huge each cycle
  kStealth = 4,          // its honest state, shifted by a little less than its bound, always to the same side
  kAlternate = 5,        // far above and far below in turn
  kALittleIsEnough = 6,  // knows every honest state, and publishes their mean less 1.5 standard deviations
  kEntropyFlood = 7,     // honest states with saturated and repeated entropy packets
  kReplay = 8,           // what it published when the attack began, again and again
  kForgedLedger = 9,     // honest states; its client claims more than a session may have earned
  // Lies of those who know the rule for free coordinates. Their values are honest, so that no lie about value exposes
  // them.
  kRangeEdge = 10,           // the far end of the coordinate range
  kJustInside = 11,          // the honest mean plus 1.4 coordinate ranges: not yet struck by who is as young as can be
  kFastAhead = 12,           // its honest state plus 1.4 of its bound tau
  kSlowAhead = 13,           // its honest state plus 1.4 of its slow bound
  kTwoCamps = 14,            // half of the liars at one end of the range, half at the other
  kFeignedReciprocity = 15,  // comes nearer as an honest crowd would, and starts again
};
inline constexpr std::size_t kAttacks = 16;  // kNone included

}  // namespace lvs::hosting
