#include "services/base/host_port.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace lvs::services {
namespace {

using ::testing::HasSubstr;

TEST(HostPort, ReadsAndWritesBack) {
  for (const auto& [text, host, port] : std::vector<std::tuple<std::string, std::string, int>>{
           {"127.0.0.1:7400", "127.0.0.1", 7400},
           {"0.0.0.0:0", "0.0.0.0", 0},
           {"[::1]:65535", "::1", 65535},
           {"[2001:db8::7]:1", "2001:db8::7", 1},
           {"node-1.lvs_net.example.:80", "node-1.lvs_net.example.", 80},
           {"localhost:7400", "localhost", 7400},
           {"7a:1", "7a", 1}}) {
    const auto at = ParseHostPort(text);
    ASSERT_TRUE(at.ok()) << text << ": " << std::string(at.status().message());
    EXPECT_EQ(at->host, host);
    EXPECT_EQ(at->port, port);
    EXPECT_EQ(FormatHostPort(*at), text);
  }
}

TEST(HostPort, RefusalsSayTheMend) {
  for (const auto& [text, mend] : std::vector<std::pair<std::string, std::string>>{
           {"", "has no port"},
           {"node1", "write host:port, for example node1:7400"},
           {":7400", "write 127.0.0.1:7400 for this machine only, or 0.0.0.0:7400"},
           {"http://node1:80", "is a URL"},
           {"7400", "write 127.0.0.1:7400 for this machine only, or 0.0.0.0:7400"},
           {"::1:7401", "write an IPv6 address in brackets"},
           {"node1:07400", "port of 0 to 65535"},
           {"::1", "in brackets"},
           {"::1:7400", "in brackets, [::1]:7400"},
           {"::1:7401", "in brackets, [::1]:7401"},
           {"2001:db8::7", "in brackets, [2001:db8::7]:7400"},
           {"a:b:c", "in brackets, [2001:db8::7]:7400"},
           {"fe80::1:2:7400", "in brackets"},
           {"[::1]", "write [::1]:7400"},
           {"[::1]7400", "write [::1]:7400"},
           {"[::1", "has no ]"},
           {"[127.0.0.1]:80", "no IPv6 address between"},
           {"[node]:80", "no IPv6 address between"},
           {"256.0.0.1:80", "four numbers"},
           {"10.0.1:80", "four numbers"},
           {"a b:80", "is not host:port"},
           {"-a:80", "is not host:port"},
           {"a-:80", "is not host:port"},
           {"a..b:80", "is not host:port"},
           {std::string(64, 'a') + ":80", "is not host:port"},
           {"node1:", "port of 0 to 65535"},
           {"node1:65536", "port of 0 to 65535"},
           {"node1:-1", "port of 0 to 65535"},
           {"node1:+1", "port of 0 to 65535"},
           {"node1:80x", "port of 0 to 65535"},
           {"node1: 80", "port of 0 to 65535"}}) {
    const auto at = ParseHostPort(text);
    ASSERT_FALSE(at.ok()) << text;
    EXPECT_EQ(at.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(at.status().message()), HasSubstr(mend)) << text;
  }
}

TEST(HostPort, TargetsCanBeConnectedTo) {
  EXPECT_EQ(ParseTarget("[::1]:7400")->host, "::1");
  EXPECT_EQ(ParseTarget("node1:1")->port, 1);
  for (const auto& [text, mend] :
       std::vector<std::pair<std::string, std::string>>{{"node1:0", "write 1 to 65535"},
                                                        {"0.0.0.0:7400", "write one address or a name"},
                                                        {"[::]:7400", "write one address or a name"},
                                                        {"::1:7401", "write an IPv6 address in brackets"}}) {
    const auto at = ParseTarget(text);
    ASSERT_FALSE(at.ok()) << text;
    EXPECT_EQ(at.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(at.status().message()), HasSubstr(mend)) << text;
  }
}

TEST(HostPort, QuotesAtMost256CharactersOfNonsense) {
  for (const std::string& nonsense : {std::string(1 << 20, 'x'), std::string(1 << 20, ':'), std::string(1 << 20, '7'),
                                      "[" + std::string(1 << 20, '1')}) {
    EXPECT_LT(ParseHostPort(nonsense).status().message().size(), 1000u);
  }
}

TEST(HostPort, KnowsAddressesFromNames) {
  EXPECT_TRUE(IsIpv4("10.0.0.7"));
  EXPECT_TRUE(IsIpv6("2001:db8::7"));
  for (const char* host : {"node1", "localhost", "10.0.0", "", "[::1]"}) {
    EXPECT_FALSE(IsIpv4(host)) << host;
    EXPECT_FALSE(IsIpv6(host)) << host;
  }
}

TEST(HostPort, KnowsLoopbackAndWildcard) {
  for (const char* host : {"127.0.0.1", "127.9.9.9", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "localhost",
                           "LocalHost", "localhost."}) {
    EXPECT_TRUE(IsLoopback(host)) << host;
    EXPECT_FALSE(IsWildcard(host)) << host;
  }
  for (const char* host : {"0.0.0.0", "::", "::ffff:0.0.0.0"}) {
    EXPECT_TRUE(IsWildcard(host)) << host;
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
  for (const char* host :
       {"10.0.0.1", "128.0.0.1", "::2", "1::1", "::ffff:10.0.0.1", "node1", "localhost.example", ""}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
    EXPECT_FALSE(IsWildcard(host)) << host;
  }
}

}  // namespace
}  // namespace lvs::services
