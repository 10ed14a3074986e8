// A session: 128 random bits that live as long as a client or a process (SPEC-4); never an identity.
#pragma once

#include <compare>
#include <cstdint>

namespace lvs::shard {

struct SessionId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const SessionId&) const = default;
};

}  // namespace lvs::shard
