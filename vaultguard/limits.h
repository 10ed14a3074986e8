// Every hard limit of the protocol, once. Limits are compiled in: a configuration may ask for less, never for more
// (ARCH-2.5: VaultGuard cannot be bypassed; the emulator's `rule: plain` is the unguarded equation, for comparison).
// Value is in VU where it is a float and in micro-VU where it is an integer.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lvs::vaultguard {

// A VU is a million micro-VU; ledgers count in micro-VU, drift in VU.
inline constexpr std::int64_t kMicroPerVu = 1'000'000;
inline constexpr std::int64_t kPpmPerWhole = 1'000'000;  // parts per million in a share of 1

// Limits of a shard's shape.
inline constexpr int kMaxValueSlots = 8;
inline constexpr int kMaxFreeCoordinates = 4;
inline constexpr int kMaxDimensions = kMaxValueSlots + kMaxFreeCoordinates;
inline constexpr int kMaxPeers = 16;

// No state lies further than this from another one; a message that claims more is refused as not finite.
inline constexpr float kMaxDistance = 1e12f;

// The bound never falls below these: a value worth publishing, and the float32 resolution of a coordinate of a few
// hundred.
inline constexpr float kMinBoundVu = 1e-4f;
inline constexpr float kMinBoundFree = 1e-4f;
// A replica does not publish for less than this: a ten-thousandth of a VU (its own ledger leads it the rest of the
// way), and two steps of a float32 coordinate near 200.
inline constexpr float kMinNewsVu = 1e-4f;
inline constexpr float kMinNewsFree = 3.2e-5f;
// The band around the ledger never falls below a micro-VU.
inline constexpr float kMinBandVu = 1e-6f;

// A replica publishes at least every kHeartbeatCycles. After kSilenceCycles without a publication it is silent: its
// last state does not count any more. The silence limit is a little more than twice the heartbeat.
inline constexpr std::uint32_t kHeartbeatCycles = 60;
inline constexpr std::uint32_t kSilenceCycles = 130;

// Limits of the ledger.
inline constexpr std::size_t kMaxSessionsPerShard = std::size_t{1} << 20;
// The last part of the table is reserved for sessions that clients open at this server node, so that peers, however
// many of them lie, cannot take it.
inline constexpr std::size_t kSessionsForClients = std::size_t{1} << 18;
// New sessions that a shard takes from its peers: kNewSessionsPerCycle a link and cycle, and beside that
// kNewSessionsAtOnce for all links together, refilled at the same rate. A link that floods neither fills the table nor
// keeps the others' news out. A server node that enters fetches a ledger of kNewSessionsAtOnce at full speed, and the
// rest of a larger one at the slower rate.
inline constexpr std::uint32_t kNewSessionsPerCycle = 64;
inline constexpr std::uint32_t kNewSessionsAtOnce = 1u << 16;
inline constexpr std::int64_t kMaxEntryUvu = std::int64_t{1} << 56;
inline constexpr std::uint64_t kMaxSessionCycles = 36'000;  // an ephemeral session lives an hour of 100 ms cycles

// Limits of frames.
inline constexpr std::size_t kMaxFrameRows = 1024;
inline constexpr std::size_t kMaxFrameEntries = 1024;
inline constexpr std::uint64_t kMaxCyclesAhead = 50;
// Ranges of a ledger in one request for everything that say what the sender holds already.
inline constexpr std::size_t kMaxHeldRanges = 16;
// Bytes of ledger entries that one link and shard may be sent again, at once and for each further cycle: a peer that
// starts fetches a ledger of kNewSessionsAtOnce twice over at full speed, which leaves room for loss, and the rest of a
// larger one somewhat faster than it may open sessions.
inline constexpr std::int64_t kRepeatBytesAtOnce = std::int64_t{1} << 23;
inline constexpr std::int64_t kRepeatBytesPerCycle = std::int64_t{1} << 13;
// Frames that a shard actor keeps until they are due; further frames are refused.
inline constexpr std::size_t kMaxPendingFrames = 4096;

}  // namespace lvs::vaultguard
