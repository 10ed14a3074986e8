#include "services/net/web_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/net/web_client.h"
#include "services/net/web_socket.h"

namespace lvs::services {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(WebRequestTest, ContentCarriesStrictHeadersAndAnEtag) {
  const WebAnswer answer{.content = MakeContent("text/html", "page", "zip")};
  WebRequest request{.method = "GET", .host = "hub.example:8080"};
  FormattedAnswer formatted = FormatAnswer(request, answer, true, {"wss://other.example"});
  EXPECT_EQ(formatted.body, "page");
  EXPECT_THAT(formatted.head, HasSubstr("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(formatted.head, HasSubstr("default-src 'self'; script-src 'self' 'wasm-unsafe-eval';"));
  EXPECT_THAT(formatted.head,
              HasSubstr("connect-src 'self' ws://hub.example:8080 wss://hub.example:8080 wss://other.example;"));
  for (const char* header : {"X-Content-Type-Options: nosniff", "Referrer-Policy: no-referrer",
                             "Cross-Origin-Opener-Policy: same-origin", "Cross-Origin-Embedder-Policy: require-corp",
                             "Vary: Accept-Encoding", "Cache-Control: no-cache", "Content-Length: 4"}) {
    EXPECT_THAT(formatted.head, HasSubstr(std::string(header) + "\r\n"));
  }
  request.accepts_gzip = true;
  formatted = FormatAnswer(request, answer, true, {});
  EXPECT_EQ(formatted.body, "zip");
  EXPECT_THAT(formatted.head, HasSubstr("Content-Encoding: gzip\r\n"));
  request.method = "HEAD";
  EXPECT_EQ(FormatAnswer(request, answer, true, {}).body, "");
  const std::string etags = "W/\"other\", \"" + answer.content->etag + "-gzip\"";
  request.if_none_match = etags;
  formatted = FormatAnswer(request, answer, true, {});
  EXPECT_THAT(formatted.head, HasSubstr("HTTP/1.1 304 Not Modified\r\n"));
  EXPECT_THAT(formatted.head, Not(HasSubstr("Content-Length")));
}

TEST(WebRequestTest, AnAnswersOwnHeadersReplaceTheUsualOnes) {
  const WebAnswer answer{.content = MakeText("x"), .headers = {{"cache-control", "max-age=9"}}};
  const std::string head = FormatAnswer({.method = "GET", .host = "a;script-src *"}, answer, false, {}).head;
  EXPECT_THAT(head, HasSubstr("cache-control: max-age=9\r\n"));
  EXPECT_THAT(head, Not(HasSubstr("no-store")));
  EXPECT_THAT(head, Not(HasSubstr("script-src *"))) << "a client's words do not enter the policy";
  EXPECT_THAT(head, HasSubstr("Connection: close\r\n"));
}

TEST(WebRequestTest, OriginsEncodingsAndProtocolsAreMatched) {
  EXPECT_TRUE(OriginAllowed("", "hub", {}));
  EXPECT_TRUE(OriginAllowed("https://Hub:81", "hub:81", {}));
  EXPECT_FALSE(OriginAllowed("https://hub", "hub:81", {}));
  EXPECT_FALSE(OriginAllowed("null", "hub", {}));
  EXPECT_TRUE(OriginAllowed("https://page.example", "hub", {"https://page.example"}));
  EXPECT_FALSE(OriginAllowed("https://page.example.evil", "hub", {"https://page.example"}));
  EXPECT_TRUE(OriginAllowed("null", "hub", {"*"}));
  EXPECT_TRUE(AcceptsGzip("br, gzip;q=0.5"));
  EXPECT_FALSE(AcceptsGzip("br, gzip; q=0"));
  EXPECT_FALSE(AcceptsGzip(""));
  EXPECT_EQ(ChooseProtocol("chat, lvs.v2,lvs.v1", {"lvs.v1", "lvs.v2"}), "lvs.v2");
  EXPECT_EQ(ChooseProtocol("chat", {"lvs.v1"}), "");
  EXPECT_FALSE(NamesEtag("", "a"));
  EXPECT_TRUE(NamesEtag("*", "a"));
}

TEST(WebRequestTest, HostsOfOneIpv6NetworkAreOneSource) {
  const unsigned char one[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 1};
  const unsigned char other[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 2};
  const unsigned char far[16] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 2, 1};
  EXPECT_EQ(SourceOfIpv6(one), SourceOfIpv6(other));
  EXPECT_NE(SourceOfIpv6(one), SourceOfIpv6(far));
  EXPECT_NE(SourceOfIpv4(1), SourceOfIpv4(2));
}

TEST(WebSocketCodes, AStatusGoesThereAndBack) {
  for (const absl::Status& status :
       {absl::UnavailableError("the node is draining"), absl::ResourceExhaustedError("full"),
        absl::UnauthenticatedError("who"), absl::CancelledError("no")}) {
    EXPECT_EQ(StatusOfClose(CloseCodeOf(status), CloseWordsOf(status)), status);
  }
  EXPECT_EQ(CloseCodeOf(absl::OkStatus()), 1000);
  EXPECT_EQ(CloseCodeOf(absl::ResourceExhaustedError("")), 4008);
  for (const int code : {0, 1000, 1001, 1005, 1006, 3000, 4000, 4017, 4999, 65535}) {
    EXPECT_EQ(StatusOfClose(static_cast<std::uint16_t>(code), "").code(), absl::StatusCode::kUnavailable) << code;
  }
  EXPECT_EQ(StatusOfClose(1009, "").code(), absl::StatusCode::kInvalidArgument);
}

TEST(WebSocketCodes, WordsAreCutBetweenCharactersAndAreUtf8) {
  const std::string euro = "\xe2\x82\xac";
  std::string text;
  for (int n = 0; n < 60; ++n) text += euro;
  EXPECT_EQ(CloseWordsOf(absl::InternalError(text)).size(), 123u);
  EXPECT_EQ(CloseWordsOf(absl::InternalError("a" + text)).size(), 121u);
  EXPECT_EQ(CloseWordsOf(absl::InternalError("a\xff"
                                             "b\xe2\x82")),
            "a?b??");
  EXPECT_EQ(CloseWordsOf(absl::InternalError("\xed\xa0\x80")), "???") << "a surrogate";
}

TEST(WebUrlTest, IsReadOrRefusedWithWords) {
  const auto url = ParseWebUrl("wss://hub.example/peer?x=1#part");
  ASSERT_TRUE(url.ok()) << url.status();
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->at, (HostPort{"hub.example", 443}));
  EXPECT_EQ(url->authority, "hub.example");
  EXPECT_EQ(url->target, "/peer?x=1");
  EXPECT_EQ(ParseWebUrl("ws://[::1]:8080")->at, (HostPort{"::1", 8080}));
  EXPECT_EQ(ParseWebUrl("ws://[::1]/peer")->at, (HostPort{"::1", 80}));
  EXPECT_EQ(ParseWebUrl("ws://h:1?q")->target, "/?q");
  for (const char* bad :
       {"", "http://hub", "ws://", "ws://hub:0/", "ws://hub:x/", "ws://a b/", "ws://hub/a b", "ws://u@h/"}) {
    EXPECT_EQ(ParseWebUrl(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace lvs::services
