// The messages of a link to a tab, and their wire form: a serialised lvs.v1.PeerMessage, written and read without
// protobuf (TEST-3.1, ARCH-2.2). A tab and a server, and two tabs, speak the same messages.
//
//   PeerMessage message = Goodbye{"closed"};
//   const std::string bytes = Encode(message);
//   if (const auto why = Decode(bytes, &message)) refused.Add(*why);
//   if (const auto* batch = std::get_if<FrameBatch>(&message)) ...
//
// Encode writes the bytes that protobuf writes, for a message within its bounds. Decode accepts what protobuf's parser
// accepts, but for a message of two kinds, and for what lies beyond a bound: these are refused. Nothing is copied before
// its bound was checked, so a decoded message takes no more than its own length and kMessageMemory bytes.
// Stateless: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "shard/frame.h"
#include "shard/session_id.h"
#include "shard/tab/messages.h"
#include "vaultguard/refusals.h"

namespace lvs::tab {

// The protocol version with the messages of tabs.
inline constexpr std::uint32_t kTabProtocol = 3;

// The largest message of a DataChannel, and of any carrier.
inline constexpr std::size_t kChannelBytesMax = 16 * 1024;
inline constexpr std::size_t kMessageBytesMax = 256 * 1024;
// Memory that Decode takes at most beyond the length of the input: for lists, whose parts may be shorter there.
inline constexpr std::size_t kMessageMemory = 32 * 1024;

inline constexpr std::size_t kNameBytesMax = 256;        // build, region, address, reasons
inline constexpr std::size_t kBatchFramesMax = 1024;     // in one message
inline constexpr std::size_t kAddressesMax = 32;         // of one exchange; further ones are skipped
inline constexpr std::uint32_t kMicroNodesMax = 65'536;  // of a tab
inline constexpr std::uint32_t kLinksTotalMax = 1024;    // of a tab, attempts included
inline constexpr std::uint32_t kCadenceMax = 100;        // cycles
inline constexpr std::uint32_t kRetryMsMax = 3'600'000;
inline constexpr std::size_t kBuildsMax = 8;  // in one message
inline constexpr std::size_t kBuildBytesMax = 64;

// ---- Of every link

// What a tab says of itself in its hello.
struct TabHello {
  ShardMask mask = 0;
  std::uint32_t micro_nodes = 1;
  std::uint32_t links = 0;
  std::uint32_t cadence_cycles = 5;
  bool json = false;  // it speaks the JSON forms of state diffs and entropy packets
};

struct Hello {
  std::uint32_t protocol_min = kTabProtocol;
  std::uint32_t protocol_max = kTabProtocol;
  std::string build;
  std::uint64_t session_high = 0;
  std::uint64_t session_low = 0;
  std::string region;
  std::string advertise;  // a tab has none
  std::uint32_t shards = 0;
  std::uint32_t value_slots = 0;
  std::uint32_t free_coordinates = 0;
  std::uint64_t period_us = 0;
  std::uint32_t halo_rows = 0;
  std::optional<TabHello> tab;  // present where the sender is a tab
  bool hub = false;             // tabs connect to the sender

  TabId session() const { return {session_high, session_low}; }
};

// Serialised frames (shard/frame_codec.h). After Decode they lie in the bytes that were decoded.
struct FrameBatch {
  std::vector<std::string_view> frames;
};

struct PeerAddress {
  std::string address;
  std::string region;
  std::uint32_t age_s = 0;
};
struct PeerExchange {
  std::vector<PeerAddress> peers;
};

struct EchoRequest {  // Ping of the protocol
  std::uint64_t sent_us = 0;
};
struct EchoReply {  // its answer, word for word
  std::uint64_t sent_us = 0;
};

struct Goodbye {
  std::string reason;
};

// ---- Between a tab and its hub, beside those of messages.h

// A place of the server node for the tab's frames is given, or released.
struct Place {
  bool given = false;
  Reason reason = Reason::kNone;
  std::uint32_t cadence_cycles = 5;
  std::uint32_t halo_rows = 0;
};

// A message to another tab, through the hub.
struct Relay {
  TabId to;
  TabId from;
  std::string message;  // a serialised PeerMessage, which is no Relay
};

// A message was not taken.
struct Refused {
  Reason reason = Reason::kNone;
  std::uint32_t kind = 0;      // of PeerMessage: KindOf
  std::uint32_t number = 0;    // of the need, or the attempt
  std::uint32_t retry_ms = 0;  // 0: never
  std::string words;
};

// ---- Version gossip

struct BuildSeen {
  std::string build;
  std::uint32_t protocol = 0;
  std::uint32_t nodes = 0;
};
struct BuildNews {
  std::vector<BuildSeen> builds;  // the newest first
};

// By the field numbers of lvs.v1.PeerMessage, from 1 on; the first alternative is no message.
using PeerMessage =
    std::variant<std::monostate, Hello, FrameBatch, PeerExchange, EchoRequest, EchoReply, Goodbye, Announce, Welcome,
                 Need, Sample, Offer, Answer, Place, Relay, Refused, Walk, WalkReply, Ping, AdoptRequest, BuildNews>;
inline constexpr std::uint32_t kKinds = static_cast<std::uint32_t>(std::variant_size_v<PeerMessage>);
inline std::uint32_t KindOf(const PeerMessage& message) { return static_cast<std::uint32_t>(message.index()); }

std::size_t EncodedSize(const PeerMessage& message);
std::string Encode(const PeerMessage& message);
// A message of frames, encoded straight into its bytes, and its size.
std::string EncodeFrames(std::span<const shard::Frame* const> frames);
// Bytes that a frame of so many bytes takes within a message of frames.
std::size_t BatchedSize(std::size_t frame_bytes);
// Bytes of a message of frames beside that.
inline constexpr std::size_t kBatchHeaderBytes = 6;

// Decodes `bytes` into `message`. Refuses bytes that are no message, or one of two kinds (kMalformed); a field beyond
// its bound (kTooLarge); a message of no kind that this version knows (kBadEntry). After a refusal `message` is in an
// unspecified state.
std::optional<vaultguard::Refusal> Decode(std::string_view bytes, PeerMessage* message);

}  // namespace lvs::tab
