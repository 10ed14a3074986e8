// The connections of one listener: how many there may be, which of them rest, and how often each may begin a call.
//
//   auto connections = std::make_shared<Connections>(limits, refusals);
//   const std::optional<Connections::Watched> watched = connections->Add(fd, now_s);   // before gRPC gets the fd
//   connections->CountCall(context->peer(), now_s);                                    // of every call
//   std::optional<Connections::Hold> hold = connections->Begin(context->peer());       // of calls that last
//   connections->Remove(watched->id);                                                  // once watched->fd reports POLLHUP
//
// gRPC 1.51 has neither a limit of connections nor one of the calls that a connection begins: its limit of concurrent
// streams does not count streams that the client resets (CVE-2023-44487). So both are kept here, outside of gRPC:
//   - A listener that is full resets its oldest resting connection, one without a call, for the newest. It refuses the
//     newest where none rests.
//   - A connection that begins calls faster than `calls` is reset: what it sent already is thrown away, unread.
//   - Nor does gRPC limit the streams of a client that acknowledges no settings, and each costs it 21 KB. So a connection
//     that has more calls open than `calls_open` is reset. Where all together have more than `calls_open_in_all`, the one
//     with the most is.
//   - A connection that sends bytes beyond `bytes`, without calls that they could belong to, is reset too: headers that
//     never end, frames that are no calls. While a call of a connection lasts, its bytes may be messages, which gRPC
//     reads ahead as far as its window allows, megabytes of them; they are not weighed.
// This holds only where every call begins here as soon as its headers are there, and holds its connection until gRPC has
// freed it: services/net/held_service.h. What gRPC takes before this process has counted a call remains: what it parses
// in one read, and what it parses while the counting threads wait for a processor.
// With TLS all of this holds as well: calls are counted where gRPC has decrypted them.
//
// Each connection costs a second descriptor of its socket, through which it is reset. Work and memory are constant a
// call and a connection. Any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "services/base/mutex.h"
#include "services/base/token_bucket.h"
#include "services/peering/connection_refusals.h"

struct sockaddr_storage;

namespace lvs::services {

// Bytes that a connection may send beside its calls: handshakes, pings, acknowledgements, and the headers of calls that
// gRPC has read and this process has not counted yet, because it is slower. Each call comes with kBytesOfACall of its own:
// some times what a contribution takes.
inline constexpr TokenRate kBytesBesideCalls{.per_second = 256, .burst = 64 << 10};
inline constexpr std::uint64_t kBytesOfACall = 512;

struct ConnectionLimits {
  std::size_t connections = 1024;
  TokenRate calls = {.per_second = 100, .burst = 100};  // that one connection may begin
  std::size_t calls_open = 100;                         // of one connection
  std::size_t calls_open_in_all = 1'000;
  TokenRate bytes = kBytesBesideCalls;  // that one connection may send beside calls
};

// A peer's connection carries one stream; a few more for nodes of other makes. A client of the control service that
// needs more calls than these sends its contributions as one stream.
inline constexpr TokenRate kPeerCalls{.per_second = 4, .burst = 64};
inline constexpr TokenRate kControlCalls{.per_second = 2'000, .burst = 512};

// Calls at a time. A client that acknowledges settings keeps to kPeerStreams and kControlStreams; the ones that it has
// seen the end of may still be open here for a while.
inline constexpr int kPeerStreams = 16;
inline constexpr int kControlStreams = 256;
inline constexpr std::size_t kPeerCallsOpen = 64;
inline constexpr std::size_t kControlCallsOpen = 512;
inline constexpr std::size_t kPeerCallsOpenInAll = 1'024;
inline constexpr std::size_t kControlCallsOpenInAll = 8'192;

// The address of the far end as gRPC writes it in ServerContext::peer(): "ipv4:10.0.0.7:4242", "ipv6:%5B::1%5D:4242".
// Empty for what is no IP address.
std::string PeerText(const sockaddr_storage& address);

class Connections : public std::enable_shared_from_this<Connections> {
 public:
  using Id = std::uint64_t;

  struct Watched {
    Id id = 0;
    int fd = -1;  // reports POLLHUP once the connection is over; owned by this object
  };

  // While it exists, its connection does not rest.
  class Hold {
   public:
    Hold(std::shared_ptr<Connections> of, Id id) : of_(std::move(of)), id_(id) {}
    Hold(Hold&& other) noexcept = default;
    Hold& operator=(Hold&& other) noexcept {
      std::swap(of_, other.of_);
      std::swap(id_, other.id_);
      return *this;
    }
    ~Hold() {
      if (of_ != nullptr) of_->Release(id_);
    }

   private:
    std::shared_ptr<Connections> of_;
    Id id_;
  };

  // `refusals` may be null: then nothing is counted.
  Connections(const ConnectionLimits& limits, std::shared_ptr<ConnectionRefusals> refusals)
      : limits_(limits), refusals_(std::move(refusals)) {}
  ~Connections();
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  // Takes note of a connected socket, which the caller keeps. Nothing: there is no room, no file for a second
  // descriptor (errno is EMFILE or ENFILE then), or the connection is over; the caller closes the socket.
  std::optional<Watched> Add(int fd, double now_s) ABSL_LOCKS_EXCLUDED(mu_);
  // The connection is over. Unknown ids are ignored.
  void Remove(Id id) ABSL_LOCKS_EXCLUDED(mu_);
  // Resets the oldest connection that rests. False: none does.
  bool MakeRoom() ABSL_LOCKS_EXCLUDED(mu_);

  // Weighs what the resting connections have sent since the last review. A few times a second.
  void Review(double now_s) ABSL_LOCKS_EXCLUDED(mu_);
  bool any_rests() const { return resting_count_ > 0; }

  // A call begins on the connection of this peer.
  void CountCall(std::string_view peer, double now_s) ABSL_LOCKS_EXCLUDED(mu_);
  // Nothing: the connection is over or was reset, perhaps for this call; the call should end at once.
  std::optional<Hold> Begin(std::string_view peer) ABSL_LOCKS_EXCLUDED(mu_);

  // Whether a connection that took much memory was reset, or ended, since the last call: gRPC frees that memory then.
  bool TakeFlooded() { return flooded_.exchange(false); }
  // Connections that were reset wait to be removed, so many that no further one is taken before.
  bool crowded() const { return open_ >= MostAtOnce(); }
  std::size_t open() const { return open_; }
  std::size_t limit() const { return limits_.connections; }

 private:
  struct Connection {
    std::string peer;
    int fd = -1;
    TokenBucket calls;
    TokenBucket bytes;                 // beside calls
    std::uint64_t weighed = 0;         // bytes received at the last review
    std::uint64_t calls_to_weigh = 0;  // counted since the last review
    std::size_t held = 0;              // calls that last
    std::size_t most_held = 0;
    bool reset = false;               // and not yet gone
    std::list<Id>::iterator resting;  // in resting_, where it is neither held nor reset
  };

  // With those that were reset and have not been removed yet.
  std::size_t MostAtOnce() const { return limits_.connections + limits_.connections / 8 + 4; }
  void Release(Id id) ABSL_LOCKS_EXCLUDED(mu_);
  std::optional<Hold> BeginOf(std::string_view peer, std::string* too_many) ABSL_LOCKS_EXCLUDED(mu_);
  Connection* Find(std::string_view peer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Connection* Busiest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool ResetOldest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool SendsTooMuch(Connection* connection, double now_s) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Reset(Connection* connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Count(ConnectionRefusal refusal) const {
    if (refusals_ != nullptr) refusals_->Add(refusal);
  }

  const ConnectionLimits limits_;
  const std::shared_ptr<ConnectionRefusals> refusals_;
  std::atomic<std::size_t> open_{0};
  std::atomic<std::size_t> resting_count_{0};
  std::atomic<bool> flooded_{false};

  Mutex mu_;
  Id last_id_ ABSL_GUARDED_BY(mu_) = 0;
  std::unordered_map<Id, Connection> connections_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<std::string, Id> by_peer_ ABSL_GUARDED_BY(mu_);
  std::size_t held_in_all_ ABSL_GUARDED_BY(mu_) = 0;  // by connections that were not reset
  std::list<Id> resting_ ABSL_GUARDED_BY(mu_);        // the one that has rested longest first
};

}  // namespace lvs::services
