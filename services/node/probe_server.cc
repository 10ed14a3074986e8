#include "services/node/probe_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <exception>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "services/base/log.h"

namespace lvs::services {

namespace {

constexpr int kAcceptedInARound = 64;
constexpr int kReadsInARound = 16;  // of one client

const char* ReasonOf(int code) {
  switch (code) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 431: return "Request Header Fields Too Large";
    case 503: return "Service Unavailable";
    default: return "Internal Server Error";
  }
}

bool WouldBlock(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

absl::StatusOr<std::unique_ptr<ProbeServer>> ProbeServer::Open(const HostPort& at, const Limits& limits,
                                                               std::shared_ptr<ConnectionRefusals> refusals) {
  absl::StatusOr<ListeningSockets> sockets = ListenOn(at);
  if (!sockets.ok()) return sockets.status();
  std::unique_ptr<ProbeServer> server(new ProbeServer(*std::move(sockets), limits, std::move(refusals)));
  if (!server->stop_.valid()) return absl::UnavailableError(absl::StrCat("no file is left: ", std::strerror(errno)));
  return server;
}

void ProbeServer::Serve(Handle handle) {
  handle_ = std::move(handle);
  thread_ = std::thread([this] { Run(); });
}

ProbeServer::ProbeServer(ListeningSockets sockets, const Limits& limits, std::shared_ptr<ConnectionRefusals> refusals)
    : sockets_(std::move(sockets)),
      limits_(limits),
      refusals_(std::move(refusals)),
      stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      reserve_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

ProbeServer::~ProbeServer() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  (void)!write(stop_.get(), &one, sizeof one);
  thread_.join();
}

void ProbeServer::Run() {
  while (true) {
    std::vector<pollfd> watched = Watched();
    const int timeout_ms = UntilNextDeadlineMs(std::chrono::steady_clock::now());
    if (poll(watched.data(), static_cast<nfds_t>(watched.size()), timeout_ms) < 0) continue;
    if (watched[0].revents != 0) return;
    const Time now = std::chrono::steady_clock::now();
    // Requests that are there come before new connections, which may take the place of the oldest.
    std::size_t n = 1 + sockets_.sockets.size();
    for (auto client = clients_.begin(); client != clients_.end(); ++n) {
      bool stays = now < client->deadline;
      if (stays && watched[n].revents != 0) stays = client->out.empty() ? Read(&*client) : Write(&*client);
      client = stays ? std::next(client) : clients_.erase(client);
    }
    for (std::size_t l = 0; l < sockets_.sockets.size(); ++l) {
      if (watched[1 + l].revents != 0) Accept(sockets_.sockets[l].get(), now);
    }
    open_ = clients_.size();
  }
}

// The eventfd, the listening sockets, the clients.
std::vector<pollfd> ProbeServer::Watched() const {
  std::vector<pollfd> watched = {{stop_.get(), POLLIN, 0}};
  for (const OwnedFd& socket : sockets_.sockets) watched.push_back({socket.get(), POLLIN, 0});
  for (const Client& client : clients_) {
    watched.push_back({client.fd.get(), static_cast<short>(client.out.empty() ? POLLIN : POLLOUT), 0});
  }
  return watched;
}

int ProbeServer::UntilNextDeadlineMs(Time now) const {
  if (clients_.empty()) return -1;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(clients_.front().deadline - now).count();
  return static_cast<int>(std::max<std::int64_t>(0, left + 1));
}

void ProbeServer::Accept(int listening, Time now) {
  for (int n = 0; n < kAcceptedInARound; ++n) {
    OwnedFd fd(AcceptOne(listening));
    if (!fd.valid()) {
      if (WouldBlock(errno)) return;
      if (!IsWithoutFiles(errno)) continue;  // this connection is over already; the next may be sound
      Log(v1::WARNING, "files.exhausted", {{"why", std::strerror(errno)}, {"port", "health"}});
      Refuse(ConnectionRefusal::kFilesExhausted);
      if (clients_.empty()) {  // no client's file can be had: one is told at once that there is none
        reserve_.Close();
        OwnedFd(AcceptOne(listening)).Close();
        reserve_ = OwnedFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        return;
      }
      clients_.pop_front();
      continue;
    }
    if (clients_.size() >= limits_.connections) {
      Refuse(ConnectionRefusal::kConnectionsFull);
      clients_.pop_front();
    }
    clients_.push_back({std::move(fd), now + limits_.timeout, {}, {}, false});
    if (!Read(&clients_.back())) clients_.pop_back();
  }
}

bool ProbeServer::Read(Client* client) {
  std::array<char, 4096> buffer{};
  for (int n = 0; n < kReadsInARound; ++n) {
    const ssize_t size = recv(client->fd.get(), buffer.data(), buffer.size(), 0);
    if (size < 0) return WouldBlock(errno);
    if (size == 0) return false;
    // After the answer the rest of the request is read and dropped: closing a socket with unread bytes would reset the
    // connection, and the client might lose the answer.
    if (client->answered) continue;
    client->in.append(buffer.data(), static_cast<std::size_t>(size));
    const bool whole = client->in.find("\r\n\r\n") != std::string::npos;
    if (!whole && client->in.size() <= limits_.request_bytes) continue;
    Answer(client);
    return Write(client);
  }
  return true;
}

bool ProbeServer::Write(Client* client) {
  while (!client->out.empty()) {
    const ssize_t size = send(client->fd.get(), client->out.data(), client->out.size(), MSG_NOSIGNAL);
    if (size < 0) return WouldBlock(errno);
    client->out.erase(0, static_cast<std::size_t>(size));
  }
  return shutdown(client->fd.get(), SHUT_WR) == 0;
}

void ProbeServer::Answer(Client* client) {
  ProbeAnswer answer;
  std::string_view method;
  if (client->in.find("\r\n\r\n") == std::string::npos || client->in.size() > limits_.request_bytes) {
    answer = {431, absl::StrCat("a request is at most ", limits_.request_bytes, " bytes long\n")};
  } else {
    answer = AnswerTo(std::string_view(client->in).substr(0, client->in.find("\r\n")), &method);
  }
  client->out = absl::StrCat("HTTP/1.1 ", answer.code, " ", ReasonOf(answer.code), "\r\nContent-Type: ", answer.type,
                             "\r\nContent-Length: ", answer.text.size(), "\r\nCache-Control: no-store\r\n",
                             answer.code == 405 ? "Allow: GET, HEAD\r\n" : "", "Connection: close\r\n\r\n");
  if (method != "HEAD") client->out += answer.text;
  client->in.clear();
  client->answered = true;
}

ProbeAnswer ProbeServer::AnswerTo(std::string_view line, std::string_view* method) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || !line.substr(last + 1).starts_with("HTTP/1.")) {
    return {400, "this is no HTTP request\n"};
  }
  *method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  try {
    return handle_(*method, target.substr(0, target.find('?')));
  } catch (const std::exception& e) {
    return {500, absl::StrCat("this must not happen: ", e.what(), "\n")};
  }
}

void ProbeServer::Refuse(ConnectionRefusal refusal) const {
  if (refusals_ != nullptr) refusals_->Add(refusal);
}

}  // namespace lvs::services
