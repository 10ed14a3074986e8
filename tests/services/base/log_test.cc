#include "services/base/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpc/support/log.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace lvs::services {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class LogTest : public ::testing::Test {
 protected:
  LogTest() {
    ConfigureLog(v1::INFO, 3);
    SetLogSink([this](std::string_view line) { lines_.emplace_back(line); });
    SetLogClock([this] { return now_us_; });
  }
  ~LogTest() override {
    SetLogSink(nullptr);
    SetLogClock(nullptr);
    ConfigureLog(v1::INFO, 20);
  }

  std::int64_t now_us_ = 1'795'260'153'123'456;  // 2026-11-21T11:22:33.123456Z
  std::vector<std::string> lines_;
};

TEST_F(LogTest, OneObjectALineInOrder) {
  Log(v1::WARNING, "peer.connected",
      {{"peer", "10.0.0.7:7400"},
       {"rtt_ms", 1.5},
       {"dialled", true},
       {"links", 3},
       {"bytes", std::uint64_t{1} << 63},
       {"behind", -1}});
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_EQ(lines_[0],
            R"({"ts":"2026-11-21T11:22:33.123Z","level":"warning","event":"peer.connected","peer":"10.0.0.7:7400",)"
            R"("rtt_ms":1.5,"dialled":true,"links":3,"bytes":9223372036854775808,"behind":-1})");
}

TEST_F(LogTest, EveryTextIsEscaped) {
  const std::string nasty("a\"b\\c\nd\x01\xff\0e\xe2\x82\xac", 14);
  Log(v1::INFO, "bad\nevent", {{"text", nasty}, {"nan", std::numeric_limits<double>::quiet_NaN()}, {nasty, "x"}});
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_EQ(lines_[0].find('\n'), std::string::npos);
  const json line = json::parse(lines_[0]);
  EXPECT_EQ(line["event"], "bad\nevent");
  EXPECT_TRUE(line["nan"].is_null());
  EXPECT_EQ(line["text"].get<std::string>(), std::string("a\"b\\c\nd\x01\xef\xbf\xbd\0e\xe2\x82\xac", 16));
}

TEST_F(LogTest, LevelsBelowTheConfiguredAreDropped) {
  Log(v1::DEBUG, "d");
  EXPECT_FALSE(LogsLevel(v1::DEBUG));
  Log(v1::INFO, "i");
  Log(v1::ERROR, "e");
  EXPECT_EQ(lines_.size(), 2u);
  ConfigureLog(v1::ERROR, 3);
  Log(v1::WARNING, "w");
  EXPECT_EQ(lines_.size(), 2u);
  ConfigureLog(v1::DEBUG, 3);
  Log(v1::DEBUG, "d");
  ASSERT_EQ(lines_.size(), 3u);
  EXPECT_THAT(lines_[2], HasSubstr(R"("level":"debug")"));
}

TEST_F(LogTest, TooManyOfOneKindAreCountedAndSaidLater) {
  for (int i = 0; i < 10; ++i) Log(v1::INFO, "often", {{"i", i}});
  Log(v1::INFO, "seldom");
  ASSERT_EQ(lines_.size(), 4u) << "another kind has its own limit";
  EXPECT_THAT(lines_[2], HasSubstr(R"("i":2)"));
  now_us_ += 999'999;
  Log(v1::INFO, "often");
  EXPECT_EQ(lines_.size(), 4u);
  now_us_ += 1;
  Log(v1::INFO, "often", {{"i", 11}});
  Log(v1::INFO, "often", {{"i", 12}});
  ASSERT_EQ(lines_.size(), 6u);
  EXPECT_EQ(json::parse(lines_[4])["suppressed"], 8);
  EXPECT_FALSE(json::parse(lines_[5]).contains("suppressed")) << "said once";
}

TEST_F(LogTest, AClockThatIsSetBackDoesNotSilenceIt) {
  for (int i = 0; i < 4; ++i) Log(v1::INFO, "often");
  now_us_ -= 3'600'000'000;
  Log(v1::INFO, "often");
  EXPECT_EQ(lines_.size(), 4u);
}

TEST_F(LogTest, NeverThrows) {
  SetLogSink([](std::string_view) { throw std::runtime_error("full"); });
  Log(v1::INFO, "x");
  SetLogSink([this](std::string_view line) { lines_.emplace_back(line); });
  Log(v1::INFO, "x");
  EXPECT_EQ(lines_.size(), 1u) << "and goes on";
}

TEST_F(LogTest, LinesOfManyThreadsDoNotMix) {
  ConfigureLog(v1::INFO, 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 250; ++i) Log(v1::INFO, "thread", {{"t", t}, {"i", i}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(lines_.size(), 1000u);
  std::vector<int> next(4, 0);
  for (const std::string& text : lines_) {
    const json line = json::parse(text);
    EXPECT_EQ(line["i"], next[line["t"].get<std::size_t>()]++);
  }
}

TEST_F(LogTest, GrpcLogsHereToo) {
  RouteGrpcLog();
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_DEBUG);
  gpr_log(GPR_ERROR, "  handshake failed: %d", 7);
  gpr_log(GPR_ERROR, "No match found for server name: 127.0.0.1.");
  gpr_log(GPR_INFO, "detail");
  gpr_log(GPR_ERROR, "assertion failed: x");
  gpr_set_log_function(nullptr);
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
  ASSERT_EQ(lines_.size(), 2u) << "what is below warning is not written here";
  EXPECT_EQ(json::parse(lines_[0])["event"], "grpc");
  EXPECT_EQ(json::parse(lines_[0])["level"], "warning");
  EXPECT_EQ(json::parse(lines_[0])["message"], "handshake failed: 7");
  EXPECT_EQ(json::parse(lines_[0])["source"], "log_test.cc");
  EXPECT_EQ(json::parse(lines_[1])["event"], "grpc.bug");
  EXPECT_EQ(json::parse(lines_[1])["level"], "error");
}

TEST_F(LogTest, GoesToStderr) {
  SetLogSink(nullptr);
  ::testing::internal::CaptureStderr();
  Log(v1::INFO, "x");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "{\"ts\":\"2026-11-21T11:22:33.123Z\",\"level\":\"info\",\"event\":\"x\"}\n");
}

}  // namespace
}  // namespace lvs::services
