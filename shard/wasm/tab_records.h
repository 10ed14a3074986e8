// What a tab wants done and has to tell, as the records of tab_module.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include "shard/ledger.h"
#include "shard/tab/tab.h"

namespace lvs::wasm {

// Of a ledger entry in a record.
inline constexpr std::size_t kEntryBytes = (3 + std::tuple_size_v<shard::SlotAmounts>)*sizeof(std::uint64_t);

void PutCommand(const tab::Command& command, std::vector<std::uint8_t>* out);
void PutEvent(const tab::TabEvent& event, std::vector<std::uint8_t>* out);
void PutEntries(std::uint32_t shard, std::span<const shard::LedgerEntry> entries, std::vector<std::uint8_t>* out);
// Entries as PutEntries wrote them; what is left of a part of one is skipped.
std::vector<shard::LedgerEntry> ReadEntries(std::span<const std::uint8_t> bytes);

}  // namespace lvs::wasm
