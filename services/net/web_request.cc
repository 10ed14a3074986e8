#include "services/net/web_request.h"

#include <algorithm>
#include <initializer_list>

#include "services/base/text.h"

namespace lvs::services {

namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t'; }
char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool SameIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return Lower(x) == Lower(y); });
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

// Takes the part before the next separator off the text, without blanks around it.
std::string_view TakePart(std::string_view* text, char separator) {
  const std::size_t end = std::min(text->find(separator), text->size());
  const std::string_view part = Trimmed(text->substr(0, end));
  text->remove_prefix(std::min(end + 1, text->size()));
  return part;
}

// A weight of 0 (q=0, q=0.000) is a refusal.
bool IsRefused(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::string_view parameter = TakePart(&parameters, ';');
    if (!parameter.starts_with("q=") && !parameter.starts_with("Q=")) continue;
    return parameter.find_first_not_of("0.", 2) == std::string_view::npos;
  }
  return false;
}

std::string Joined(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) text += part;
  return text;
}

// FNV-1a: changes with the content, and is no secret.
std::uint64_t HashOf(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  return hash;
}

// A client's own words go into the policy only where they can be nothing but a host.
bool IsPlainHost(std::string_view host) {
  return !host.empty() && host.size() <= 260 && std::all_of(host.begin(), host.end(), [](char c) {
    const bool alphanumeric = (Lower(c) >= 'a' && Lower(c) <= 'z') || (c >= '0' && c <= '9');
    return alphanumeric || c == '.' || c == '-' || c == ':' || c == '[' || c == ']';
  });
}

std::string ContentPolicy(std::string_view host, const std::vector<std::string>& connect_to) {
  // Not every browser takes 'self' for WebSockets too.
  std::string connect = "'self'";
  if (IsPlainHost(host)) connect += Joined({" ws://", host, " wss://", host});
  for (const std::string& source : connect_to) connect += " " + source;
  return "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src " + connect +
         "; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}

using Headers = std::vector<std::pair<std::string, std::string>>;

Headers UsualHeaders(const WebRequest& request, const WebContent& content, bool zipped,
                     const std::vector<std::string>& connect_to) {
  Headers headers = {{"Content-Security-Policy", ContentPolicy(request.host, connect_to)},
                     {"Cross-Origin-Opener-Policy", "same-origin"},
                     {"Cross-Origin-Embedder-Policy", "require-corp"},
                     {"Cross-Origin-Resource-Policy", "same-origin"},
                     {"Referrer-Policy", "no-referrer"},
                     {"X-Content-Type-Options", "nosniff"},
                     {"Cache-Control", content.etag.empty() ? "no-store" : "no-cache"}};
  if (!content.gzip.empty()) headers.emplace_back("Vary", "Accept-Encoding");
  if (!content.etag.empty()) {
    headers.emplace_back("ETag", Joined({"\"", content.etag, zipped ? "-gzip" : "", "\""}));
  }
  return headers;
}

}  // namespace

std::shared_ptr<const WebContent> MakeContent(std::string type, std::string bytes, std::string gzip) {
  std::string etag = FormatHex(HashOf(bytes));
  return std::make_shared<const WebContent>(
      WebContent{std::move(type), std::move(bytes), std::move(gzip), std::move(etag)});
}

std::shared_ptr<const WebContent> MakeText(std::string text, std::string type) {
  return std::make_shared<const WebContent>(WebContent{std::move(type), std::move(text), "", ""});
}

std::string_view PhraseOf(int code) {
  switch (code) {
    case 200: return "OK";
    case 204: return "No Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 413: return "Content Too Large";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 503: return "Service Unavailable";
    default: return code < 400 ? "OK" : code < 500 ? "Bad Request" : "Internal Server Error";
  }
}

FormattedAnswer FormatAnswer(const WebRequest& request, const WebAnswer& answer, bool keep_alive,
                             const std::vector<std::string>& connect_to) {
  static const WebContent kNothing;
  const WebContent& content = answer.content == nullptr ? kNothing : *answer.content;
  const bool zipped = request.accepts_gzip && !content.gzip.empty();
  const std::string_view bytes = zipped ? content.gzip : content.bytes;
  const bool known = answer.code == 200 && !content.etag.empty() && NamesEtag(request.if_none_match, content.etag);
  const int code = known ? 304 : answer.code;

  FormattedAnswer formatted;
  formatted.content = answer.content;
  std::string& head = formatted.head;
  head = Joined({"HTTP/1.1 ", std::to_string(code), " ", PhraseOf(code), "\r\n"});
  for (const auto& [name, value] : answer.headers) head += Joined({name, ": ", value, "\r\n"});
  for (const auto& [name, value] : UsualHeaders(request, content, zipped, connect_to)) {
    const auto replaced = [&usual = name](const auto& own) { return SameIgnoringCase(own.first, usual); };
    if (std::any_of(answer.headers.begin(), answer.headers.end(), replaced)) continue;
    head += Joined({name, ": ", value, "\r\n"});
  }
  if (code != 304) {
    if (!content.type.empty()) head += Joined({"Content-Type: ", content.type, "\r\n"});
    if (zipped) head += "Content-Encoding: gzip\r\n";
    head += Joined({"Content-Length: ", std::to_string(bytes.size()), "\r\n"});
  }
  head += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  if (code != 304 && request.method != "HEAD") formatted.body = bytes;
  return formatted;
}

bool OriginAllowed(std::string_view origin, std::string_view host, const std::vector<std::string>& allowed) {
  if (origin.empty()) return true;
  const std::size_t scheme = origin.find("://");
  if (scheme != std::string_view::npos && !host.empty() && SameIgnoringCase(origin.substr(scheme + 3), host)) {
    return true;
  }
  return std::any_of(allowed.begin(), allowed.end(),
                     [&](const std::string& one) { return one == "*" || SameIgnoringCase(one, origin); });
}

bool NamesEtag(std::string_view if_none_match, std::string_view etag) {
  while (!if_none_match.empty()) {
    std::string_view named = TakePart(&if_none_match, ',');
    if (named == "*") return true;
    if (named.starts_with("W/")) named.remove_prefix(2);
    if (named.size() < 2 || named.front() != '"' || named.back() != '"') continue;
    named = named.substr(1, named.size() - 2);
    if (named.ends_with("-gzip")) named.remove_suffix(5);
    if (named == etag) return true;
  }
  return false;
}

bool AcceptsGzip(std::string_view accept_encoding) {
  while (!accept_encoding.empty()) {
    std::string_view parameters = TakePart(&accept_encoding, ',');
    if (SameIgnoringCase(TakePart(&parameters, ';'), "gzip")) return !IsRefused(parameters);
  }
  return false;
}

std::string ChooseProtocol(std::string_view offered, const std::vector<std::string>& spoken) {
  while (!offered.empty()) {
    const auto at = std::find(spoken.begin(), spoken.end(), TakePart(&offered, ','));
    if (at != spoken.end()) return *at;
  }
  return "";
}

std::uint64_t SourceOfIpv4(std::uint32_t address) { return 0xffff'0000'0000'0000 | address; }  // ffff::/16 is no source

std::uint64_t SourceOfIpv6(const unsigned char (&address)[16]) {
  std::uint64_t network = 0;
  for (int n = 0; n < 8; ++n) network = network << 8 | address[n];
  return network;
}

}  // namespace lvs::services
