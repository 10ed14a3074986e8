// What a hostile tab of a load does: it spoils what an honest tab wants to send.
//
//   Hostility hostility(Hostile::kJunk, seed, shards);
//   hostility.Spoil(&commands);    // of tab::Tab::TakeCommands, before they are carried out
//
// Deterministic from the seed. One owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shard/tab/draws.h"
#include "shard/tab/tab.h"

namespace lvs::services {

enum class Hostile : std::uint8_t {
  kSilent,     // links, and never says a frame
  kClaimsAll,  // the same, and claims every shard
  kJunk,       // a third of its messages are random bytes
  kFlood,      // asks and offers without end, and sends walks
  kForged,     // names other tabs as senders
  kCount,
};
inline constexpr std::size_t kHostileKinds = static_cast<std::size_t>(Hostile::kCount);
std::string_view Name(Hostile kind);
std::optional<Hostile> HostileOf(std::string_view name);

class Hostility {
 public:
  Hostility(Hostile kind, std::uint64_t seed, std::uint32_t shards) : kind_(kind), shards_(shards), draws_(seed) {}

  void Spoil(std::vector<tab::Command>* commands);
  // What it says beside, once a cycle.
  void Add(const tab::Tab& self, std::uint32_t socket, std::vector<tab::Command>* commands);

  Hostile kind() const { return kind_; }

 private:
  bool SpoilBytes(std::string* bytes);
  void Claim(tab::Card* card) const;
  tab::TabId Other();

  const Hostile kind_;
  const std::uint32_t shards_;
  tab::Draws draws_;
  std::deque<tab::TabId> seen_;
};

}  // namespace lvs::services
