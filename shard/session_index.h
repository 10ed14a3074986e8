// An index into a column of sessions: a hash table of positions, with open addressing and linear probing, beside the
// column that holds the sessions themselves.
//
//   SessionIndex index(key);
//   std::vector<SessionId> sessions;
//   std::uint32_t at = index.Find(session, sessions);                // kNone: it is not there
//   if (at == SessionIndex::kNone) {
//     sessions.push_back(session);
//     index.AddLast(sessions);
//   }
//
// Peers choose session ids, so the hash is keyed (SipHash-1-3): without the key, nobody can choose ids that collide in
// the table. The process draws the key and passes it in; the answers of the index do not depend on it.
//
// A place holds the position and 11 bits of the hash in one word, so that a different session is hardly ever compared.
// At most half of the places are occupied: 8 to 16 bytes a session. Not thread-safe. Sessions cannot be removed one by
// one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "shard/session_id.h"

namespace lvs::shard {

// 128 random bits, drawn once a process.
struct HashKey {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};

// SipHash-1-3 of the 16 bytes of a session, `high` first, each little-endian.
std::uint64_t HashOf(const SessionId& session, const HashKey& key);

class SessionIndex {
 public:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  // Positions take 21 bits of a place, where 0 is an unoccupied one.
  static constexpr std::size_t kMaxSessions = (std::size_t{1} << 21) - 1;

  explicit SessionIndex(const HashKey& key) : key_(key), places_(kFirstPlaces, kUnoccupied) {}

  // Position of a session among those that were added, or kNone. `sessions` is the column, with all of them.
  std::uint32_t Find(const SessionId& session, std::span<const SessionId> sessions) const;
  // Adds the last of `sessions`, which must not be in the index yet: each position once, in rising order. At most
  // kMaxSessions.
  void AddLast(std::span<const SessionId> sessions);
  void Clear();

  std::size_t resident_bytes() const { return places_.capacity() * sizeof(places_[0]); }

 private:
  friend class SessionIndexPeer;  // a test counts how many places a search passes

  static constexpr std::size_t kFirstPlaces = 16;
  static constexpr std::uint32_t kUnoccupied = 0;
  static constexpr int kPositionBits = 21;
  static constexpr std::uint32_t kPositionMask = (std::uint32_t{1} << kPositionBits) - 1;

  // The tag: the highest bits of a hash. The lowest bits choose the place.
  static std::uint32_t TagOf(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash >> (64 - (32 - kPositionBits))) << kPositionBits;
  }
  // The place of a session, or the unoccupied place where it would go.
  std::size_t PlaceOf(const SessionId& session, std::uint64_t hash, std::span<const SessionId> sessions) const;
  void Insert(std::uint32_t position, std::uint64_t hash);

  HashKey key_;
  std::size_t size_ = 0;
  std::vector<std::uint32_t> places_;  // a power of two of them: tag, and position + 1
};

}  // namespace lvs::shard
