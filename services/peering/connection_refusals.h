// Refused connections and streams, by reason. Refused messages on a stream are counted in vaultguard/refusals.h;
// NodeStatus.refused and lvs_refused_total show both.
//
//   ConnectionRefusals refusals;
//   refusals.Add(ConnectionRefusal::kTlsExpired);     // any thread
//   refusals.AddTo(status.mutable_refused());         // {"tls_expired": 1}
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "google/protobuf/map.h"

namespace lvs::services {

enum class ConnectionRefusal : std::uint8_t {
  kTlsNoCertificate,   // no certificate was shown
  kTlsUntrusted,       // the certificate is not signed by the CA of this network
  kTlsExpired,         // the certificate is expired, or not valid yet
  kTlsUnfit,           // the certificate is for another use, or has a weak key
  kHelloMissing,       // a stream said no hello in time, or had to make room before
  kHelloInvalid,       // the hello is one that no node would say
  kHelloMisfit,        // the hello has another protocol, state or period
  kUnreadable,         // bytes that are no message, although the connection stood
  kStreamsFull,        // more streams than carriers have ended yet
  kConnectionsFull,    // a connection that made room for a newer one, or found no room
  kCallsTooFast,       // a connection began calls faster than it may, and was reset
  kCallsOpen,          // a connection had more calls open than it may, or the most of too many, and was reset
  kBytesWithoutCalls,  // a connection sent more than its calls need, and was reset
  kFilesExhausted,     // a connection could not be accepted for want of a file
  // Web connections (services/net/web_server.h); connections_full counts theirs too.
  kTlsFailed,        // a client gave up the TLS handshake, or spoke no TLS
  kRequestLate,      // a connection sent no whole request in time
  kRequestInvalid,   // bytes that are no HTTP request, or one that is not answered here: a body, a method, an upgrade
  kHeadersTooLong,   // the headers of a request are longer than allowed
  kRequestsTooFast,  // a source address asked faster than it may
  kSourceFull,       // a source address had as many connections as it may
  kOriginForbidden,  // a page of another origin opened a WebSocket
  kSocketsFull,      // there are as many WebSockets as may be
  kUnread,           // a connection did not read what it was sent
  kSilent,           // a WebSocket was not heard for too long
  kMessageLate,      // a message was not whole in time
  kMessagesPartial,  // a message was not whole, and all such together took too much memory
  kBytesWithoutMessages,  // a WebSocket sent more than its messages need: empty fragments, pings
  kPingsTooFast,          // a WebSocket sent more pings than it may
  kCount,
};

constexpr std::string_view Name(ConnectionRefusal refusal) {
  switch (refusal) {
    case ConnectionRefusal::kTlsNoCertificate: return "tls_no_certificate";
    case ConnectionRefusal::kTlsUntrusted: return "tls_untrusted";
    case ConnectionRefusal::kTlsExpired: return "tls_expired";
    case ConnectionRefusal::kTlsUnfit: return "tls_unfit";
    case ConnectionRefusal::kHelloMissing: return "hello_missing";
    case ConnectionRefusal::kHelloInvalid: return "hello_invalid";
    case ConnectionRefusal::kHelloMisfit: return "hello_misfit";
    case ConnectionRefusal::kUnreadable: return "unreadable";
    case ConnectionRefusal::kStreamsFull: return "streams_full";
    case ConnectionRefusal::kConnectionsFull: return "connections_full";
    case ConnectionRefusal::kCallsTooFast: return "calls_too_fast";
    case ConnectionRefusal::kCallsOpen: return "calls_open";
    case ConnectionRefusal::kBytesWithoutCalls: return "bytes_without_calls";
    case ConnectionRefusal::kFilesExhausted: return "files_exhausted";
    case ConnectionRefusal::kTlsFailed: return "tls_failed";
    case ConnectionRefusal::kRequestLate: return "request_late";
    case ConnectionRefusal::kRequestInvalid: return "request_invalid";
    case ConnectionRefusal::kHeadersTooLong: return "headers_too_long";
    case ConnectionRefusal::kRequestsTooFast: return "requests_too_fast";
    case ConnectionRefusal::kSourceFull: return "source_full";
    case ConnectionRefusal::kOriginForbidden: return "origin_forbidden";
    case ConnectionRefusal::kSocketsFull: return "sockets_full";
    case ConnectionRefusal::kUnread: return "unread";
    case ConnectionRefusal::kSilent: return "silent";
    case ConnectionRefusal::kMessageLate: return "message_late";
    case ConnectionRefusal::kMessagesPartial: return "messages_partial";
    case ConnectionRefusal::kBytesWithoutMessages: return "bytes_without_messages";
    case ConnectionRefusal::kPingsTooFast: return "pings_too_fast";
    case ConnectionRefusal::kCount: break;
  }
  return "";
}

class ConnectionRefusals {
 public:
  void Add(ConnectionRefusal refusal) { ++counts_[static_cast<std::size_t>(refusal)]; }
  std::uint64_t Of(ConnectionRefusal refusal) const { return counts_[static_cast<std::size_t>(refusal)]; }

  // Adds the counts that are not 0.
  void AddTo(google::protobuf::Map<std::string, std::uint64_t>* refused) const {
    for (std::size_t n = 0; n < counts_.size(); ++n) {
      if (counts_[n] > 0) (*refused)[std::string(Name(static_cast<ConnectionRefusal>(n)))] += counts_[n];
    }
  }

 private:
  std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(ConnectionRefusal::kCount)> counts_{};
};

}  // namespace lvs::services
