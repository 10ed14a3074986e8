// The wire form of a frame: a serialised lvs.v1.Frame, written and read without protobuf.
//
//   std::string bytes(EncodedSize(frame), '\0');
//   Encode(frame, reinterpret_cast<std::uint8_t*>(bytes.data()));
//   if (const auto why = Decode(bytes, &frame)) refused.Add(*why);
//
// Encode writes the bytes that protobuf writes. Decode accepts what protobuf's parser accepts: unknown fields, packed
// and unpacked columns, a repeated field. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "shard/frame.h"
#include "vaultguard/refusals.h"

namespace lvs::shard {

// Counts the bytes that Encode would write.
std::size_t EncodedSize(const Frame& frame);
// Counts those of them that are ledger entries.
std::size_t EntriesSize(const Frame& frame);
// Writes a frame, and returns the end of what was written.
std::uint8_t* Encode(const Frame& frame, std::uint8_t* to);

// Decodes `bytes` into `frame` and replaces its former content. Refuses bytes that are no message (kMalformed), a frame
// above the limits (kTooLarge, before anything is copied), and values that a type cannot hold (kWrongDimension);
// CheckFrame checks the rest. After a refusal `frame` is in an unspecified state.
std::optional<vaultguard::Refusal> Decode(std::string_view bytes, Frame* frame);

}  // namespace lvs::shard
