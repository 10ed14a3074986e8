// The testnet's JSON forms of the two protocol messages (TEST-4.2), as browser nodes send them over a DataChannel:
//
//   {"type":"ep","entropy":[0.25,-1.5],"ts":1700000000000}          v1::EntropyPacket (SPEC-6.1)
//   {"type":"sdm","diff":[0.5,-0.125],"w":0.5}                      v1::StateDiff     (SPEC-6.2)
//
// Example:
//   absl::StatusOr<TestnetMessage> message = ParseTestnetJson(received);
//   if (!message.ok()) return message.status();        // names the mistake, for the sender's log
//   if (const auto* packet = std::get_if<v1::EntropyPacket>(&*message)) Take(*packet);
//   ...
//   absl::StatusOr<std::string> text = ToTestnetJson(packet);
//
// Keys and units
//   entropy, diff    1 to kTestnetMaxDimension finite numbers that fit a float, in the units of the proto's vectors
//   ts               milliseconds since the epoch, an integer as JavaScript's Date.now() gives it. The proto counts
//                    microseconds: what is below a millisecond is dropped on writing
//   w                drift weight, 0..1
// The proto has fields that the form has no key for. Those fields are optional extra keys, left out where zero, so that
// a message without them is the testnet's form to the letter:
//   ep:  "load" 0..1 (local_node_load), "flags" (noise_flags)
//   sdm: "shard" (shard_id), "cycle" (cycle_id)
// Integers stay within 2^53 - 1, which is what a browser reads exactly.
//
// Errors: InvalidArgumentError, which names the key and the reason, for anything that is not one of the two forms: text
// beyond kTestnetMaxBytes, malformed JSON or text after it, an unknown type, a missing, unknown or repeated key, a
// value of the wrong type or out of range, NaN, infinity, a dimension of 0 or too many. Writing fails in the same way
// for a proto that the form cannot hold, so what is written can always be read.
//
// Floats round-trip bit for bit, and the shortest such text is written. Thread-safe: no state.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "lvs/v1/messages.pb.h"

namespace lvs::proto {

inline constexpr std::size_t kTestnetMaxBytes = 4096;
inline constexpr int kTestnetMaxDimension = 12;

using TestnetMessage = std::variant<v1::EntropyPacket, v1::StateDiff>;

absl::StatusOr<TestnetMessage> ParseTestnetJson(std::string_view text);

absl::StatusOr<std::string> ToTestnetJson(const v1::EntropyPacket& packet);
absl::StatusOr<std::string> ToTestnetJson(const v1::StateDiff& diff);

}  // namespace lvs::proto
