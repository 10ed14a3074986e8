#include "shard/message_sizes.h"

#include <array>

#include "shard/wire.h"

namespace lvs::shard {

namespace {

template <typename Body>
std::size_t SizeOf(const Body& body) {
  Counter out;
  body(&out);
  return out.bytes;
}

}  // namespace

// Typical values: a cycle of some hours, a shard of three digits, a timestamp of today, a load with a full mantissa.
// Field numbers are those of proto/lvs/v1/messages.proto; a test holds the sizes to protobuf's.
MessageSizes::MessageSizes(const Shape& shape) {
  constexpr std::uint64_t kShard = 200;
  constexpr std::uint64_t kCycle = 100'000;
  std::array<float, vaultguard::kMaxDimensions> vector;
  vector.fill(0.1f);
  const auto dims = static_cast<std::size_t>(shape.dimensions());
  state_diff = SizeOf([&](Counter* out) {
    PutVarint(1, kShard, out);
    PutColumn(2, vector.data(), dims, out);
    PutFixed(3, 0.5f, out);
    PutVarint(4, kCycle, out);
  });
  entropy_packet = SizeOf([&](Counter* out) {
    PutColumn(1, vector.data(), dims, out);
    PutVarint(2, 1'700'000'000'000'000, out);
    PutFixed(3, 0.3f, out);
  });
  ledger_pull = SizeOf([&](Counter* out) {
    PutVarint(1, kShard, out);
    PutVarint(2, kCycle, out);
    PutFixed(3, ~std::uint64_t{0}, out);
  });
  // An answer carries about two entries.
  constexpr std::size_t kEntries = 2;
  ledger_entry = SizeOf([&](Counter* out) {
                   const std::uint64_t session[kEntries] = {1, 1};
                   const std::uint64_t age_cycles[kEntries] = {5'000, 5'000};
                   const std::uint64_t slot[kEntries] = {1, 1};
                   const std::uint64_t amount_uvu[kEntries] = {100'000'000, 100'000'000};
                   PutVarint(1, kShard, out);
                   PutColumn(2, session, kEntries, out);
                   PutColumn(3, session, kEntries, out);
                   PutVarints(4, age_cycles, kEntries, out);
                   PutVarints(5, slot, kEntries, out);
                   PutVarints(6, amount_uvu, kEntries, out);
                 }) /
                 kEntries;
}

}  // namespace lvs::shard
