// A small HTTP/1.1 server for probes: one thread, one request a connection, no body is read.
//
//   absl::StatusOr<std::unique_ptr<ProbeServer>> server = ProbeServer::Open({"127.0.0.1", 7402}, limits);
//   if (!server.ok()) return server.status();
//   (*server)->Serve([](std::string_view method, std::string_view path) { return AnswerTo(method, path); });
//
// Slow clients hold nobody up: all connections are polled together, and the oldest one makes room for the newest where
// there are too many. A probe that sends its request at once is therefore answered at once, however many clients are
// silent, send a byte now and then, or do not read. A connection is closed `timeout` after it was accepted, whatever it
// does. Requests are answered on the server's thread, one after the other: `handle` must not wait.
//
// A request that is no HTTP gets 400, one that is too long 431.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "services/base/host_port.h"
#include "services/net/listener.h"
#include "services/peering/connection_refusals.h"

struct pollfd;

namespace lvs::services {

struct ProbeAnswer {
  int code = 200;
  std::string text;
  const char* type = "text/plain; charset=utf-8";
};

class ProbeServer {
 public:
  struct Limits {
    std::size_t connections = 128;
    std::size_t request_bytes = 4096;
    std::chrono::milliseconds timeout{2000};
  };
  // `path`: without its query. May throw; the client then gets 500.
  using Handle = std::function<ProbeAnswer(std::string_view method, std::string_view path)>;

  // `refusals` may be null. UNAVAILABLE where the address cannot be had.
  static absl::StatusOr<std::unique_ptr<ProbeServer>> Open(const HostPort& at, const Limits& limits,
                                                           std::shared_ptr<ConnectionRefusals> refusals = nullptr);
  ~ProbeServer();
  ProbeServer(const ProbeServer&) = delete;
  ProbeServer& operator=(const ProbeServer&) = delete;

  // Answers from now on, until the server is destroyed. Once.
  void Serve(Handle handle);

  std::uint16_t port() const { return sockets_.port; }
  std::size_t open() const { return open_; }
  std::size_t limit() const { return limits_.connections; }

 private:
  using Time = std::chrono::steady_clock::time_point;

  struct Client {
    OwnedFd fd;
    Time deadline;
    std::string in;   // until the request is whole
    std::string out;  // what is left of the answer
    bool answered = false;
  };

  ProbeServer(ListeningSockets sockets, const Limits& limits, std::shared_ptr<ConnectionRefusals> refusals);

  void Run();
  std::vector<pollfd> Watched() const;
  int UntilNextDeadlineMs(Time now) const;
  void Accept(int listening, Time now);
  // Both false: the connection is over.
  bool Read(Client* client);
  bool Write(Client* client);
  void Answer(Client* client);
  ProbeAnswer AnswerTo(std::string_view line, std::string_view* method);
  void Refuse(ConnectionRefusal refusal) const;

  ListeningSockets sockets_;
  const Limits limits_;
  const std::shared_ptr<ConnectionRefusals> refusals_;
  Handle handle_;              // since Serve
  OwnedFd stop_;               // an eventfd
  OwnedFd reserve_;            // given up for a moment, to accept and close a connection
  std::list<Client> clients_;  // the oldest first
  std::atomic<std::size_t> open_{0};
  std::thread thread_;
};

}  // namespace lvs::services
