#include "services/net/web_fetch.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <utility>

#include "absl/strings/str_cat.h"

namespace lvs::services {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using FetchError = boost::system::error_code;

// One request and its answer, over whichever stream.
class Fetch {
 public:
  Fetch(const WebUrl& url, std::string ca_file)
      : url_(url),
        ca_file_(std::move(ca_file)),
        resolver_(context_),
        tls_(asio::ssl::context::tls_client),
        socket_(context_),
        stream_(socket_, tls_) {
    parser_.body_limit(kPageBytesMax);
  }

  absl::StatusOr<std::string> Run(std::chrono::milliseconds patience) {
    FetchError error;
    if (ca_file_.empty()) {
      tls_.set_default_verify_paths(error);
    } else {
      tls_.load_verify_file(ca_file_, error);
    }
    if (error) {
      return absl::FailedPreconditionError(
          absl::StrCat(ca_file_.empty() ? "the system's CAs" : ca_file_, " cannot be read: ", error.message()));
    }
    resolver_.async_resolve(url_.at.host, std::to_string(url_.at.port), tcp::resolver::numeric_service,
                            [this](FetchError failed, const tcp::resolver::results_type& found) {
                              if (failed) return Fail("has no address", failed);
                              Connect(found);
                            });
    context_.run_for(patience);
    if (done_) return std::move(page_);
    return absl::DeadlineExceededError(
        absl::StrCat("no answer of ", url_.authority, " in time; is the address right?"));
  }

 private:
  void Fail(const char* what, FetchError error) {
    done_ = true;
    page_ = absl::UnavailableError(
        absl::StrCat(url_.authority, " ", what, " (", error.message(), "); is the node's web server on?"));
  }
  void Connect(const tcp::resolver::results_type& found) {
    asio::async_connect(socket_, found, [this](FetchError error, const tcp::endpoint&) {
      if (error) return Fail("cannot be reached", error);
      if (!url_.tls) return Ask(&socket_);
      stream_.set_verify_mode(asio::ssl::verify_peer);
      stream_.set_verify_callback(asio::ssl::host_name_verification(url_.at.host));
      SSL_set_tlsext_host_name(stream_.native_handle(), url_.at.host.c_str());
      stream_.async_handshake(asio::ssl::stream_base::client, [this](FetchError failed) {
        if (!failed) return Ask(&stream_);
        done_ = true;
        page_ = absl::UnauthenticatedError(
            absl::StrCat("TLS with ", url_.authority, " failed (", failed.message(),
                         "); name the CA of its certificate, and the name that the certificate is for"));
      });
    });
  }
  template <class Stream>
  void Ask(Stream* stream) {
    request_ = {http::verb::get, url_.target, 11};
    request_.set(http::field::host, url_.authority);
    request_.set(http::field::user_agent, "lvs");
    request_.keep_alive(false);
    http::async_write(*stream, request_, [this, stream](FetchError error, std::size_t) {
      if (error) return Fail("did not take a request", error);
      http::async_read(*stream, buffer_, parser_, [this](FetchError failed, std::size_t) {
        if (failed) return Fail("did not answer", failed);
        Answered();
      });
    });
  }
  void Answered() {
    done_ = true;
    if (parser_.get().result() == http::status::ok) {
      page_ = std::move(parser_.get().body());
    } else {
      page_ = absl::NotFoundError(absl::StrCat(url_.authority, " answered ", parser_.get().result_int(), " to ",
                                               url_.target, "; is it a node's web server?"));
    }
  }

  const WebUrl url_;
  const std::string ca_file_;
  asio::io_context context_{1};
  tcp::resolver resolver_;
  asio::ssl::context tls_;
  tcp::socket socket_;
  asio::ssl::stream<tcp::socket&> stream_;
  http::request<http::empty_body> request_;
  boost::beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
  bool done_ = false;
  absl::StatusOr<std::string> page_;
};

}  // namespace

absl::StatusOr<std::string> FetchPage(const WebUrl& url, const std::string& ca_file,
                                      std::chrono::milliseconds patience) {
  return Fetch(url, ca_file).Run(patience);
}

}  // namespace lvs::services
