// Listens on an address and accepts connections, on a thread of its own.
//
//   absl::StatusOr<std::unique_ptr<Listener>> listener = Listener::Open({"127.0.0.1", 7400}, refusals);
//   if (!listener.ok()) return listener.status();
//   (*listener)->Start(connections, [&](int fd) { Serve(fd); });   // the fd is the function's from then on
//   (*listener)->Stop();                                           // no connection is accepted after that
//
// gRPC 1.51 accepts connections itself too, but stops doing so for good with the first one for which the process has no
// file left. A listener goes on: it resets the connection that has rested longest, or else accepts and closes the newest
// with a file that it keeps for that, and tries again. Each such moment is counted as files_exhausted and logged.
//
// A wildcard stands for all addresses of the machine, of IPv4 and IPv6. A name is looked up; all of its addresses are
// listened on, with one port.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/base/host_port.h"
#include "services/base/owned_fd.h"
#include "services/net/connections.h"
#include "services/peering/connection_refusals.h"

namespace lvs::services {

// Sockets that listen on all addresses of `at`, nonblocking, and the port that they share.
struct ListeningSockets {
  std::vector<OwnedFd> sockets;
  std::uint16_t port = 0;
};

// UNAVAILABLE where none of the addresses can be had; the message says why.
absl::StatusOr<ListeningSockets> ListenOn(const HostPort& at);

// Accepts one connection of a listening socket, nonblocking. -1: none, and errno says why.
int AcceptOne(int listening);
// Whether accept failed because the process or the machine has no file or no memory left for a connection.
bool IsWithoutFiles(int error);

class Listener {
 public:
  using Take = std::function<void(int fd)>;

  static absl::StatusOr<std::unique_ptr<Listener>> Open(const HostPort& at,
                                                        std::shared_ptr<ConnectionRefusals> refusals);
  ~Listener() { Stop(); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  std::uint16_t port() const { return sockets_.port; }

  // Once.
  void Start(std::shared_ptr<Connections> connections, Take take);
  // Idempotent.
  void Stop();

 private:
  Listener(ListeningSockets sockets, std::shared_ptr<ConnectionRefusals> refusals)
      : sockets_(std::move(sockets)), refusals_(std::move(refusals)) {}

  absl::Status Prepare();
  void Run();
  int UntilNextLookMs() const;
  void Look();
  void AcceptFrom(int listening);
  void Admit(int fd);
  void GetByWithoutFiles(int listening, int error);

  ListeningSockets sockets_;
  const std::shared_ptr<ConnectionRefusals> refusals_;
  OwnedFd epoll_;
  OwnedFd stop_;     // an eventfd
  OwnedFd reserve_;  // given up for a moment, to accept and close a connection
  std::shared_ptr<Connections> connections_;
  Take take_;
  using Time = std::chrono::steady_clock::time_point;
  Time review_at_;      // when resting connections are weighed next
  int trims_left_ = 0;  // after a flood, how often memory is still given back
  Time trim_at_;        // and when next
  std::thread thread_;
};

}  // namespace lvs::services
