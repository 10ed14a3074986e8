// Messages by which tabs find each other: between a tab and its hub, and between tabs that are linked. Plain structs;
// their encoding is the carrier's. Every field has a bound here, and whoever receives a message checks it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shard/session_id.h"
#include "shard/tab/cover.h"
#include "shard/tab/placement.h"

namespace lvs::tab {

using TabId = shard::SessionId;  // the ephemeral session of a tab

inline constexpr std::size_t kDescriptionBytesMax = 8192;  // a session description of WebRTC has about 2,000
inline constexpr std::size_t kSampleMax = 12;
inline constexpr std::uint32_t kWalkSteps = 5;
inline constexpr std::uint32_t kRoamSteps = 3;     // of a walk that leaves the holders who know each other
inline constexpr std::uint32_t kWalkStepsMax = 8;  // where the holders at the end have no place

// What is told about a tab.
struct Card {
  TabId tab;
  ShardMask mask = 0;
  std::uint32_t micro_nodes = 1;
  std::uint32_t links = 0;  // open ones and attempts
};

// Why an offer is refused, a message is not taken, or a link ends.
enum class Reason : std::uint8_t {
  kNone,
  // Answers to an offer.
  kFull,      // no place, and no link that may give way
  kLinked,    // the two are linked, or about to be
  kBanned,    // it claimed shards and sent no rows of them
  kCrossing,  // both offered at once: the other offer stands
  kNobody,    // the walk ended where nobody could answer, or the hub knows no such tab
  // Ends of links and attempts.
  kTimeout,    // an attempt took longer than its deadline
  kFailed,     // the carrier could not connect, or the connection broke
  kSilent,     // nothing was heard for too long
  kNoRows,     // no state rows in shards that the end claims
  kRedundant,  // its shards are covered well; somebody who needs the place takes it
  kReplaced,   // a fresh link took its place
  kRotated,    // the time at a place of a server is over, and others wait
  kGoodbye,    // the far end leaves
  kUnneeded,   // an attempt that came too late to be useful
  // Messages that no honest tab sends.
  kSelf,       // a tab that offers to itself
  kClaim,      // shards beyond what its micro-nodes can hold
  kTooFast,    // beyond the budget
  kTooLarge,   // a field beyond its bound
  kUnasked,    // an answer without a question
  kUnknown,    // a sender that has not announced itself, or is not linked
  kIdTaken,    // another connection announced this session
  kTabsFull,   // the hub knows as many tabs as it may
  kInboxFull,  // the receiver has more offers to answer than it should
  kCount,
};
// A name for counters, and words for the page of the tab that is told.
std::string_view Name(Reason reason);
std::string_view Words(Reason reason);

// ---- Between a tab and its hub

// Joining, and every change of the mask.
struct Announce {
  Card card;
};

// The hub's answer. With a reason other than kNone the tab is not in the directory.
struct Welcome {
  Reason reason = Reason::kNone;
  std::uint32_t shards = 0;
  GroupMask scarce_groups = 0;  // a joiner should hold these
};

// Asks for tabs that hold shards of `mask`.
struct Need {
  std::uint32_t number = 0;  // the sample repeats it
  ShardMask mask = 0;
  std::uint32_t wanted = kSampleMax;
  std::uint32_t links = 0;
  std::vector<TabId> linked;  // these are of no use to the tab; at most kLinksKnownMax
};
inline constexpr std::size_t kLinksKnownMax = 32;

struct Sample {
  std::uint32_t number = 0;
  std::vector<Card> cards;  // at most kSampleMax
};

// An offer to link, passed on by the hub. `description` is the carrier's.
struct Offer {
  TabId to;
  Card from;
  std::uint32_t attempt = 0;  // the answer repeats it
  bool urgent = false;        // `from` has no link for a shard that `to` holds
  std::string description;
};

struct Answer {
  TabId to;
  Card from;
  std::uint32_t attempt = 0;
  Reason reason = Reason::kNone;  // kNone: accepted
  std::string description;        // where accepted
};

// ---- Between linked tabs

// An offer that goes from link to link until a holder of `want` answers it.
struct Walk {
  Card from;
  std::uint32_t attempt = 0;
  ShardMask want = 0;
  bool roam = false;  // each step takes any link, not only one that holds `want`
  bool urgent = false;
  std::vector<TabId> path;  // from the origin to the sender; at most kWalkStepsMax
  std::string description;
};

// The answer, which travels back along the path.
struct WalkReply {
  Card from;
  std::uint32_t attempt = 0;
  Reason reason = Reason::kNone;
  std::vector<TabId> path;  // the hops that remain, the origin first
  std::string description;
};

// Sign of life, with what the far end needs to judge a link. An encoder may leave out what the receiver does not hold.
struct Ping {
  Card card;
  bool served = false;  // has a place at a server
  Cover cover;          // by open links, without a server
};

// Asks the far end to hold a shard that has too few holders.
struct AdoptRequest {
  std::uint32_t shard = 0;
};

}  // namespace lvs::tab
