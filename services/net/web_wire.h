// The bytes of one web connection, plain or TLS, as Boost.Beast reads and writes them; and the thread that all of them
// share. Only the sources of services/net include Boost: the headers that others use name none of it.
//
//   WebLoop loop(std::chrono::milliseconds(250));               // one thread
//   WebWire wire(std::make_shared<WireState>(&loop.context()));   // then connect or assign its socket
//   boost::asio::async_write(wire, buffer, done);               // on the loop's thread, as everything here but Post
//   loop.Watch(connection);                                     // connection->Look(now_s) on every sweep
//
// A connection has no timer of its own: one sweep looks at all of them, so that 10,000 idle ones cost no memory for it.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/role.hpp>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "services/net/grpc_stream.h"

namespace lvs::services {

using WebError = boost::system::error_code;

// A connection's socket and, with TLS, its session. Shared by all that read, write or watch the connection.
struct WireState {
  using Executor = boost::asio::io_context::executor_type;
  using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;
  using Tls = boost::asio::ssl::stream<Socket&>;

  explicit WireState(boost::asio::io_context* of) : socket(*of) {}

  void UseTls(std::shared_ptr<boost::asio::ssl::context> with) {
    context = std::move(with);
    tls = std::make_unique<Tls>(socket, *context);
  }
  // Whatever is outstanding ends with an error, soon.
  void Close() {
    WebError ignored;
    socket.close(ignored);
  }

  Socket socket;
  std::shared_ptr<boost::asio::ssl::context> context;
  std::unique_ptr<Tls> tls;
  std::uint64_t bytes_read = 0;
  bool lingering = false;  // all was sent; waits for the other side to close
};

// The handler of an operation in another handler's coat: it runs where that one would.
template <typename Handler>
class WireHandler {
 public:
  using allocator_type = boost::asio::associated_allocator_t<Handler>;
  using executor_type = boost::asio::associated_executor_t<Handler, WireState::Executor>;

  WireHandler(std::shared_ptr<WireState> state, Handler handler)
      : state_(std::move(state)), handler_(std::move(handler)) {}

  allocator_type get_allocator() const noexcept { return boost::asio::get_associated_allocator(handler_); }
  executor_type get_executor() const noexcept {
    return boost::asio::get_associated_executor(handler_, state_->socket.get_executor());
  }

 protected:
  std::shared_ptr<WireState> state_;
  Handler handler_;
};

// Counts the bytes that were read.
template <typename Handler>
class CountedRead final : public WireHandler<Handler> {
 public:
  using WireHandler<Handler>::WireHandler;
  void operator()(WebError error, std::size_t bytes) {
    this->state_->bytes_read += bytes;
    this->handler_(error, bytes);
  }
};

// Reads what still comes and throws it away, until the other side has closed: a socket that is closed with unread bytes
// resets the connection, and the other side might lose the last words. The sweep of whoever waits for this ends it.
template <typename Handler>
class LingeringClose final : public WireHandler<Handler> {
 public:
  using WireHandler<Handler>::WireHandler;
  void Begin() {
    this->state_->lingering = true;
    WebError ignored;
    this->state_->socket.shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
    Wait();
  }
  void operator()(WebError error) {
    if (!error && StaysOpen()) return Wait();
    this->state_->Close();
    this->handler_(WebError());
  }

 private:
  static constexpr int kReadsInARound = 16;

  void Wait() {
    WireState::Socket& socket = this->state_->socket;
    socket.async_wait(boost::asio::ip::tcp::socket::wait_read, std::move(*this));
  }
  bool StaysOpen() const {
    std::array<char, 4096> unread;  // NOLINT: written by recv
    for (int n = 0; n < kReadsInARound; ++n) {
      const ssize_t size = recv(this->state_->socket.native_handle(), unread.data(), unread.size(), MSG_DONTWAIT);
      if (size < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
      if (size == 0) return false;
    }
    return true;
  }
};

// What Beast's templates take for a stream.
class WebWire {
 public:
  using executor_type = WireState::Executor;

  explicit WebWire(std::shared_ptr<WireState> state) : state_(std::move(state)) {}

  executor_type get_executor() const noexcept { return state_->socket.get_executor(); }
  const std::shared_ptr<WireState>& state() const { return state_; }

  template <typename Buffers, typename Handler>
  void async_read_some(const Buffers& buffers, Handler&& handler) {
    CountedRead<std::decay_t<Handler>> counted(state_, std::forward<Handler>(handler));
    if (state_->tls != nullptr) {
      state_->tls->async_read_some(buffers, std::move(counted));
    } else {
      state_->socket.async_read_some(buffers, std::move(counted));
    }
  }
  template <typename Buffers, typename Handler>
  void async_write_some(const Buffers& buffers, Handler&& handler) {
    if (state_->tls != nullptr) {
      state_->tls->async_write_some(buffers, std::forward<Handler>(handler));
    } else {
      state_->socket.async_write_some(buffers, std::forward<Handler>(handler));
    }
  }

 private:
  std::shared_ptr<WireState> state_;
};

// Beast finds both by their argument.
inline void beast_close_socket(WebWire& wire) { wire.state()->Close(); }
template <typename Handler>
void async_teardown(boost::beast::role_type /*role*/, WebWire& wire, Handler&& handler) {
  const std::shared_ptr<WireState> state = wire.state();
  LingeringClose<std::decay_t<Handler>>(state, std::forward<Handler>(handler)).Begin();
}

// The thread that serves connections, and the sweep over them.
class WebLoop {
 public:
  // A connection. It is kept until Unwatch.
  class Watched {
   public:
    virtual ~Watched() = default;
    virtual void Look(double now_s) = 0;  // deadlines; may unwatch itself and others
    virtual void Abort() = 0;             // ends at once; reports its end soon

   private:
    friend class WebLoop;
    std::size_t place_ = 0;
  };

  explicit WebLoop(std::chrono::milliseconds sweep) : sweep_(sweep), timer_(context_) {}
  ~WebLoop() { Stop(std::chrono::milliseconds(0)); }
  WebLoop(const WebLoop&) = delete;
  WebLoop& operator=(const WebLoop&) = delete;

  void Start();
  // Waits until nothing is watched, as long as `patience`; then aborts what is left, and ends the thread. Not from the
  // loop's thread.
  void Stop(std::chrono::milliseconds patience);

  boost::asio::io_context& context() { return context_; }
  std::size_t watched() const { return count_; }  // any thread

  void Watch(std::shared_ptr<Watched> one);
  void Unwatch(Watched* one);

 private:
  void Sweep();

  const std::chrono::milliseconds sweep_;
  boost::asio::io_context context_{1};
  boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
                                    boost::asio::io_context::executor_type>
      timer_;
  std::vector<std::shared_ptr<Watched>> watched_;
  std::atomic<std::size_t> count_{0};
  std::thread thread_;
};

}  // namespace lvs::services
