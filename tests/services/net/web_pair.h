// Both ends of web connections over loopback: a server with streams whose owner writes everything down, and a client that
// sends whatever bytes a test likes.
//
//   auto owner = std::make_shared<Recorder>();
//   RawWeb client(server->port());
//   client.Send("GET / HTTP/1.1\r\nHost: here\r\n\r\n");
//   EXPECT_THAT(client.Answer(), HasSubstr("200 OK"));
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/base/mutex.h"
#include "services/base/poll.h"
#include "services/peering/peer_stream.h"
#include "tests/services/net/tcp_pair.h"

namespace lvs::services {

inline bool Soon(const std::function<bool()>& holds) {
  return PollUntil(holds, std::chrono::milliseconds(10'000), std::chrono::milliseconds(1));
}

class Recorder final : public StreamOwner {
 public:
  void Take(const std::shared_ptr<PeerStream>& /*stream*/, const v1::PeerMessage& message, std::size_t /*bytes*/,
            double /*now_s*/) override {
    const MutexLock lock(&mu_);
    taken_.push_back(message);
  }
  void Unreadable() override {
    const MutexLock lock(&mu_);
    ++unreadable_;
  }
  void Gone(const std::shared_ptr<PeerStream>& /*stream*/, const absl::Status& why, double /*now_s*/) override {
    const MutexLock lock(&mu_);
    ends_.push_back(why);
  }

  std::shared_ptr<PeerStream> NewStream(const std::shared_ptr<Recorder>& self) {
    auto stream = std::make_shared<PeerStream>(++last_id_, "", self, Outbox::Limits{.shards = 4, .bytes = 1 << 20});
    const MutexLock lock(&mu_);
    streams_.push_back(stream);
    return stream;
  }

  std::vector<v1::PeerMessage> taken() const {
    const MutexLock lock(&mu_);
    return taken_;
  }
  std::vector<absl::Status> ends() const {
    const MutexLock lock(&mu_);
    return ends_;
  }
  std::vector<std::shared_ptr<PeerStream>> streams() const {
    const MutexLock lock(&mu_);
    return streams_;
  }
  // The streams hold this owner: drop them, or neither is ever destroyed.
  void Forget() {
    const MutexLock lock(&mu_);
    streams_.clear();
  }
  int unreadable() const {
    const MutexLock lock(&mu_);
    return unreadable_;
  }

 private:
  mutable Mutex mu_;
  std::vector<v1::PeerMessage> taken_ ABSL_GUARDED_BY(mu_);
  std::vector<absl::Status> ends_ ABSL_GUARDED_BY(mu_);
  std::vector<std::shared_ptr<PeerStream>> streams_ ABSL_GUARDED_BY(mu_);
  int unreadable_ ABSL_GUARDED_BY(mu_) = 0;
  std::atomic<LinkId> last_id_{0};
};

enum class WebOpcode : std::uint8_t { kContinuation = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };

// A frame of a client: masked, with a mask that changes nothing.
inline std::string WebFrame(WebOpcode opcode, const std::string& payload, bool last = true) {
  std::string frame;
  frame += static_cast<char>((last ? 0x80 : 0) | static_cast<int>(opcode));
  if (payload.size() < 126) {
    frame += static_cast<char>(0x80 | payload.size());
  } else if (payload.size() < 65536) {
    frame += static_cast<char>(0x80 | 126);
    for (int shift = 8; shift >= 0; shift -= 8) frame += static_cast<char>(payload.size() >> shift & 0xff);
  } else {
    frame += static_cast<char>(0x80 | 127);
    for (int shift = 56; shift >= 0; shift -= 8) frame += static_cast<char>(payload.size() >> shift & 0xff);
  }
  return frame + std::string(4, '\0') + payload;
}

class RawWeb {
 public:
  explicit RawWeb(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    const sockaddr_in to = OnLoopback(port);
    EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  }
  RawWeb(RawWeb&& other) noexcept : fd_(std::exchange(other.fd_, -1)), in_(std::move(other.in_)) {}
  RawWeb& operator=(RawWeb&&) = delete;
  ~RawWeb() {
    if (fd_ >= 0) close(fd_);
  }

  // False once the other side has closed.
  bool Send(const std::string& bytes) const {
    for (std::size_t sent = 0; sent < bytes.size();) {
      const ssize_t size = send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (size <= 0) return false;
      sent += static_cast<std::size_t>(size);
    }
    return true;
  }
  // As far as the other side takes it without waiting.
  bool SendSome(const std::string& bytes) const {
    return send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 || errno == EAGAIN;
  }
  // The head of an answer and, with a Content-Length, its body; what was read of it where the connection ends before.
  std::string Answer(bool with_body = true) {
    while (in_.find("\r\n\r\n") == std::string::npos && Read()) {
    }
    std::size_t size = in_.find("\r\n\r\n");
    if (size == std::string::npos) return std::exchange(in_, {});
    size += 4;
    const std::size_t length = in_.find("Content-Length: ");
    if (with_body && length < size) size += std::stoul(in_.substr(length + 16));
    while (in_.size() < size && Read()) {
    }
    const std::string answer = in_.substr(0, size);
    in_.erase(0, answer.size());
    return answer;
  }
  bool Upgrade(const std::string& headers = "") {
    Send(
        "GET /peer HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
        headers + "\r\n");
    last_answer = Answer();
    return last_answer.starts_with("HTTP/1.1 101");
  }
  // The payload of the next frame of this kind; others are skipped. Nothing: the connection ended.
  std::optional<std::string> Next(WebOpcode opcode) {
    while (true) {
      while (in_.size() < 2 || in_.size() < FrameBytes()) {
        if (!Read()) return std::nullopt;
      }
      const int kind = in_[0] & 0x0f;
      const std::string payload = in_.substr(HeadBytes(), PayloadBytes());
      in_.erase(0, FrameBytes());
      if (kind == static_cast<int>(opcode)) return payload;
    }
  }
  // The close code that the server says; 0: none.
  int CloseCode() {
    const std::optional<std::string> said = Next(WebOpcode::kClose);
    if (!said || said->size() < 2) return 0;
    close_words = said->substr(2);
    return static_cast<unsigned char>((*said)[0]) << 8 | static_cast<unsigned char>((*said)[1]);
  }
  // False: the other side has closed, or says nothing for ten seconds.
  bool Read() {
    pollfd waiting{fd_, POLLIN, 0};
    char bytes[4096];
    if (poll(&waiting, 1, 10'000) <= 0) return false;
    const ssize_t size = recv(fd_, bytes, sizeof bytes, 0);
    if (size <= 0) return false;
    in_.append(bytes, static_cast<std::size_t>(size));
    return true;
  }
  bool Ends() {
    while (Read()) {
    }
    return true;
  }

  std::string last_answer;
  std::string close_words;

 private:
  std::size_t HeadBytes() const {
    const int size = in_[1] & 0x7f;
    return size == 126 ? 4 : size == 127 ? 10 : 2;
  }
  std::size_t PayloadBytes() const {
    const std::size_t head = HeadBytes();
    if (head == 2) return static_cast<std::size_t>(in_[1] & 0x7f);
    std::size_t size = 0;
    for (std::size_t n = 2; n < head && n < in_.size(); ++n) size = size << 8 | static_cast<unsigned char>(in_[n]);
    return size;
  }
  std::size_t FrameBytes() const { return HeadBytes() + PayloadBytes(); }

  int fd_;
  std::string in_;
};

}  // namespace lvs::services
