// Which builds of LVS run in the network, as far as this hub has heard (ARCH-2.1). A hint for people: nothing installs
// itself, and whoever says a hello may name any build.
//
//   BuildGossip gossip("0.4.1", 3);
//   gossip.Came(hello.build(), hello.protocol_max());   // a node said so itself; Went when it leaves
//   gossip.Heard(news);                                 // somebody says that others said so
//   if (gossip.Publish(now_s)) ...                      // at most once a minute, and only where the list has changed
//   stream->Say(gossip.published());
//
// Bounded: kBuildsKept builds; names are cut out where they are too long or not printable. Pure: time is passed in. Not
// thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shard/tab/peer_message.h"

namespace lvs::services {

inline constexpr std::size_t kBuildsKept = 32;
inline constexpr double kGossipSeconds = 60;

class BuildGossip {
 public:
  BuildGossip(std::string_view own_build, std::uint32_t own_protocol) { Came(own_build, own_protocol); }

  void Came(std::string_view build, std::uint32_t protocol);
  void Went(std::string_view build);
  void Heard(const tab::BuildNews& news);

  // The builds that most nodes said of themselves first; of equal ones the newer protocol first.
  tab::BuildNews News() const;

  // Publishes what has been heard, if that is due. The number of a publication tells who has been told; 0: none yet.
  bool Publish(double now_s);
  const tab::BuildNews& published() const { return published_; }
  std::uint64_t publication() const { return publication_; }

 private:
  tab::BuildSeen* Find(std::string_view build);
  tab::BuildSeen* Enter(std::string_view build, std::uint32_t protocol);

  std::vector<tab::BuildSeen> builds_;  // in the order in which they were heard of
  tab::BuildNews published_;
  std::uint64_t publication_ = 0;
  double published_s_ = 0;
};

}  // namespace lvs::services
