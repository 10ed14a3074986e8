// Encoded sizes of the messages between two micro-nodes of one region, for the bandwidth account (SPEC-12). Micro-nodes
// of one process exchange no bytes, so these are the sizes of lvs.v1 messages with typical content.
#pragma once

#include <cstdint>

#include "shard/columns.h"

namespace lvs::shard {

struct MessageSizes {
  explicit MessageSizes(const Shape& shape);
  std::uint64_t state_diff = 0;      // StateDiff
  std::uint64_t entropy_packet = 0;  // EntropyPacket
  std::uint64_t ledger_pull = 0;     // LedgerPull
  std::uint64_t ledger_entry = 0;    // one entry of LedgerNews
};

}  // namespace lvs::shard
