// The sockets of the tabs of a hub: admission, upkeep and ends. Its owner (hub.h) carries the decisions out and holds the
// lock.
//
//   SocketTable table(options);
//   table.Add(stream, now_s);                                  // a stranger: it has said no hello yet
//   if (!table.full()) ...
//   table.Admit(socket, hello);                                // its session is its own from here on
//   const SocketTable::Upkeep upkeep = table.Tick(now_s);      // every cycle: what to do with which stream
//   table.Remove(stream->id);
//
// The oldest silent stranger makes room for the newest, because an honest one says hello at once. Each tick looks at a
// part of the sockets, so that ten thousand idle ones do not make a cycle late; small tables are looked at whole.
//
// Pure: no threads, time passed in, in seconds of any steady clock. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "lvs/v1/peer.pb.h"
#include "services/base/token_bucket.h"
#include "services/peering/peer_stream.h"
#include "shard/intake.h"
#include "shard/tab/hub_directory.h"

namespace lvs::services {

// Sockets that may be open without a hello, beside those of tabs.
inline constexpr std::size_t kWebStrangersMax = 256;
// Messages of a tab, each with one more for every part of kTabPartBytes. An honest tab that relays all its links sends 24
// a second. A tab that sends more is read no faster.
inline constexpr TokenRate kTabReads = {.per_second = 64, .burst = 256};
inline constexpr std::size_t kTabPartBytes = 4096;

// Why a socket ended.
enum class TabEnd : std::uint8_t {
  kGoodbye,   // the tab left
  kBroken,    // the connection broke, or the carrier ended it
  kSilent,    // nothing was heard for too long
  kNoHello,   // no hello in time, or it made room before, or the first message was none
  kHello,     // the hello does not fit
  kFull,      // there are as many tabs as may be
  kTwice,     // its session has a socket already
  kReplaced,  // silent, while its session came again
  kProtocol,  // a second hello
  kRefused,   // most of what was said had to be refused
  kNodeEnds,  // the server node leaves
  kCount,
};
std::string_view Name(TabEnd end);

struct SocketOptions {
  shard::IntakeTerms intake;
  std::size_t tabs_max = 0;
  double hello_s = 5;
  double silence_s = 15;
};

// One socket, and the tab behind it.
struct Socket {
  Socket(std::shared_ptr<PeerStream> s, const shard::IntakeTerms& terms, double now_s)
      : stream(std::move(s)), since_s(now_s), heard_s(now_s), intake(terms, now_s), reads(kTabReads, now_s) {}

  // Counts a message that was read. False: the tab must rest.
  bool MayRead(std::size_t bytes, double now_s) {
    reads.Spend(1 + static_cast<double>(bytes / kTabPartBytes), now_s);
    return reads.Level(now_s) >= 0;
  }
  // As shard::Intake judges a link, over frames and all other messages.
  bool MostlyRefused() const {
    const std::uint64_t all_refused = refused + intake.refused();
    return all_refused > shard::kRefusalsMax && all_refused > taken + intake.taken();
  }
  bool greeted() const { return session != tab::TabId{}; }

  std::shared_ptr<PeerStream> stream;
  double since_s;
  double heard_s;
  shard::Intake intake;  // frames
  TokenBucket reads;
  std::uint64_t taken = 0;  // other messages
  std::uint64_t refused = 0;
  tab::TabId session{};  // {}: a stranger
  std::string build;
  std::uint32_t cadence_cycles = 0;
  std::uint32_t halo_rows = 0;  // that the tab takes
  tab::ShardMask mask = 0;      // as announced
  std::optional<std::uint32_t> place;
  std::optional<TabEnd> end;  // since it was closed
  double closed_s = -1;
  double ping_s = 0;
  double builds_heard_s = -1;     // when it last told of builds
  double clock_told_s = -1;       // when it was last told that its clock is wrong
  std::uint64_t publication = 0;  // of builds, that it was told
  bool resting = false;
};

class SocketTable {
 public:
  // Decisions of a tick.
  struct Upkeep {
    std::vector<std::shared_ptr<PeerStream>> resume;
    std::vector<std::shared_ptr<PeerStream>> ping;
    std::vector<std::pair<Socket*, TabEnd>> close;
    std::vector<std::shared_ptr<PeerStream>> abort;
    std::vector<Socket*> greeted;  // of the sockets that were looked at
  };

  explicit SocketTable(const SocketOptions& options) : options_(options) {}

  LinkId NextId() { return ++last_id_; }
  Socket* Add(const std::shared_ptr<PeerStream>& stream, double now_s);
  // The table takes no further socket until some have ended.
  bool full() const { return sockets_.size() >= options_.tabs_max + 2 * kWebStrangersMax; }
  // As many tabs as may be.
  bool tabs_full() const { return sessions_.size() >= options_.tabs_max; }
  // Returns the stranger that must make room for the next one; null where there is room.
  Socket* CrowdedOut();
  // Null where there is none. Valid until Remove.
  Socket* Find(LinkId id);
  Socket* FindSession(const tab::TabId& session);
  void Admit(Socket* socket, const v1::Hello& hello);
  // Makes a socket rest until its allowance of reads is paid back.
  void Rest(Socket* socket);
  void Remove(LinkId id);

  Upkeep Tick(double now_s);

  // A tab that was not heard for so long may be taken for gone, where its session comes again.
  double quiet_s() const { return options_.silence_s / 2; }
  const std::map<LinkId, Socket>& sockets() const { return sockets_; }
  std::size_t tabs() const { return sessions_.size(); }

 private:
  void Look(double now_s, Socket* socket, Upkeep* upkeep);

  const SocketOptions options_;
  std::map<LinkId, Socket> sockets_;  // by age; strangers included
  std::set<LinkId> strangers_;        // the oldest first
  std::map<tab::TabId, LinkId> sessions_;
  std::set<LinkId> resting_;
  LinkId last_id_ = 0;
  LinkId looked_at_ = 0;  // last
};

}  // namespace lvs::services
