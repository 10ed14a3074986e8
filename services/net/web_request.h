// Requests of the web server and their answers; what of them needs no socket.
//
//   const auto page = MakeContent("text/html; charset=utf-8", bytes, gzipped);    // once; shared by all answers
//   WebAnswer answer{.content = page};
//   WebAnswer none{.code = 404, .content = MakeText("there is no such page\n")};
//   FormattedAnswer formatted = FormatAnswer(request, answer, true, {});          // status line, headers and body
//
// Content with an ETag is answered with 304 to a client that has it. Every answer carries headers that keep a page to its
// own scripts and this node: a strict Content-Security-Policy (WebAssembly is allowed, inline script is not),
// cross-origin isolation, no sniffing, no referrer.
//
// Pure and stateless: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lvs::services {

struct WebContent {
  std::string type;
  std::string bytes;
  std::string gzip;  // the same bytes compressed; empty: only as they are
  std::string etag;  // without quotes; empty: made for one answer, and never stored
};

// With an ETag of the bytes.
std::shared_ptr<const WebContent> MakeContent(std::string type, std::string bytes, std::string gzip = "");
std::shared_ptr<const WebContent> MakeText(std::string text, std::string type = "text/plain; charset=utf-8");

struct WebRequest {
  std::string_view method = {};  // GET or HEAD
  std::string_view path = {};    // as it was sent, without the query
  std::string_view query = {};   // without the question mark
  std::string_view host = {};    // as the client named this node, with the port where it is not the usual one
  std::string_view source = {};  // the address of the far end (PeerText of connections.h)
  std::string_view if_none_match = {};
  bool accepts_gzip = false;
  std::map<std::string, std::string_view> headers = {};  // those that the server's options name
};

struct WebAnswer {
  int code = 200;
  std::shared_ptr<const WebContent> content = {};
  std::vector<std::pair<std::string, std::string>> headers = {};  // beside the usual ones, or in their place
};

// An answer as it is sent. `body` points into its content, and is empty for HEAD and 304.
struct FormattedAnswer {
  std::string head;
  std::string_view body;
  std::shared_ptr<const WebContent> content;
};

// `connect_to`: sources that pages may connect to beside this node, as a Content-Security-Policy names them.
FormattedAnswer FormatAnswer(const WebRequest& request, const WebAnswer& answer, bool keep_alive,
                             const std::vector<std::string>& connect_to);

// The reason phrase of a status code.
std::string_view PhraseOf(int code);

// Whether a page of this origin may open a WebSocket to `host`. Pages of the node itself may; `*` among the allowed lets
// every page in. Programs that are no browsers send no origin, and are let in.
bool OriginAllowed(std::string_view origin, std::string_view host, const std::vector<std::string>& allowed);

// Whether an If-None-Match header names the tag.
bool NamesEtag(std::string_view if_none_match, std::string_view etag);

// Whether an Accept-Encoding header lets gzip through.
bool AcceptsGzip(std::string_view accept_encoding);

// The first of the protocols that a Sec-WebSocket-Protocol header offers and that is spoken here; empty: none.
std::string ChooseProtocol(std::string_view offered, const std::vector<std::string>& spoken);

// What one source address has: connections, by address; IPv6 addresses count by their first 64 bits, which one host has
// to itself.
std::uint64_t SourceOfIpv4(std::uint32_t address);
std::uint64_t SourceOfIpv6(const unsigned char (&address)[16]);

}  // namespace lvs::services
