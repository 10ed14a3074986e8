// TCP connections over loopback, for tests of what accepts them.
//
//   const TcpListener listener;
//   const TcpClient client(listener.port());
//   const int fd = listener.Accept();
//   EXPECT_TRUE(client.IsOpen());
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <utility>

namespace lvs::services {

inline sockaddr_in OnLoopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  return address;
}

class TcpListener {
 public:
  TcpListener() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = OnLoopback(0);
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(fd_, 64), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~TcpListener() { close(fd_); }
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;

  std::uint16_t port() const { return port_; }
  int Accept() const { return accept(fd_, nullptr, nullptr); }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

// Made without a connection, so that a test may open it before it runs out of files.
class TcpClient {
 public:
  TcpClient() : fd_(socket(AF_INET, SOCK_STREAM, 0)) { EXPECT_GE(fd_, 0); }
  explicit TcpClient(std::uint16_t port) : TcpClient() { EXPECT_TRUE(Connect(port)); }
  TcpClient(TcpClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  TcpClient& operator=(TcpClient&&) = delete;
  ~TcpClient() {
    if (fd_ >= 0) close(fd_);
  }

  bool Connect(std::uint16_t port) const {
    const sockaddr_in to = OnLoopback(port);
    return connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  bool Send(const std::string& text) const {
    return send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  // False once the other side has closed or reset the connection, within the time.
  bool IsOpen(int wait_ms = 0) const {
    pollfd waiting{fd_, POLLIN | POLLRDHUP, 0};
    if (poll(&waiting, 1, wait_ms) == 0) return true;
    char byte = 0;
    return (waiting.revents & (POLLHUP | POLLERR | POLLRDHUP)) == 0 && recv(fd_, &byte, 1, MSG_PEEK) > 0;
  }
  // As the other side sees it.
  std::string Text() const {
    sockaddr_in own{};
    socklen_t size = sizeof own;
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&own), &size), 0);
    return "ipv4:127.0.0.1:" + std::to_string(ntohs(own.sin_port));
  }

 private:
  int fd_;
};

}  // namespace lvs::services
