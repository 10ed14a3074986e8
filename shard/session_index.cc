#include "shard/session_index.h"

#include <bit>
#include <cstdlib>

namespace lvs::shard {

std::uint64_t HashOf(const SessionId& session, const HashKey& key) {
  // Aumasson, Bernstein: SipHash, a fast short-input PRF (2012), with one round a word and three finalisation rounds.
  std::uint64_t v0 = key.low ^ 0x736f6d6570736575ull;
  std::uint64_t v1 = key.high ^ 0x646f72616e646f6dull;
  std::uint64_t v2 = key.low ^ 0x6c7967656e657261ull;
  std::uint64_t v3 = key.high ^ 0x7465646279746573ull;
  const auto round = [&] {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  };
  const auto take = [&](std::uint64_t word) {
    v3 ^= word;
    round();
    v0 ^= word;
  };
  take(session.high);
  take(session.low);
  take(std::uint64_t{sizeof session} << 56);
  v2 ^= 0xff;
  round();
  round();
  round();
  return v0 ^ v1 ^ v2 ^ v3;
}

std::size_t SessionIndex::PlaceOf(const SessionId& session, std::uint64_t hash,
                                  std::span<const SessionId> sessions) const {
  const std::size_t mask = places_.size() - 1;
  const std::uint32_t tag = TagOf(hash);
  std::size_t place = static_cast<std::size_t>(hash) & mask;
  for (; places_[place] != kUnoccupied; place = (place + 1) & mask) {
    const std::uint32_t occupied = places_[place];
    if ((occupied & ~kPositionMask) == tag && sessions[(occupied & kPositionMask) - 1] == session) break;
  }
  return place;
}

std::uint32_t SessionIndex::Find(const SessionId& session, std::span<const SessionId> sessions) const {
  const std::uint32_t occupied = places_[PlaceOf(session, HashOf(session, key_), sessions)];
  return occupied == kUnoccupied ? kNone : (occupied & kPositionMask) - 1;
}

void SessionIndex::Insert(std::uint32_t position, std::uint64_t hash) {
  const std::size_t mask = places_.size() - 1;
  std::size_t place = static_cast<std::size_t>(hash) & mask;
  while (places_[place] != kUnoccupied) place = (place + 1) & mask;
  places_[place] = TagOf(hash) | (position + 1);
}

void SessionIndex::AddLast(std::span<const SessionId> sessions) {
  if (sessions.size() != size_ + 1 || sessions.size() > kMaxSessions) std::abort();
  ++size_;
  if (2 * size_ <= places_.size()) return Insert(static_cast<std::uint32_t>(size_ - 1), HashOf(sessions.back(), key_));
  places_.assign(2 * places_.size(), kUnoccupied);
  for (std::uint32_t n = 0; n < size_; ++n) Insert(n, HashOf(sessions[n], key_));
}

void SessionIndex::Clear() {
  size_ = 0;
  places_ = std::vector<std::uint32_t>(kFirstPlaces, kUnoccupied);
}

}  // namespace lvs::shard
