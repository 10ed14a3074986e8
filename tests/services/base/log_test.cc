#include "services/base/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpc/support/log.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
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

// A pipe with room for nothing until somebody reads it.
class FullPipe {
 public:
  FullPipe() {
    EXPECT_EQ(pipe2(ends_, O_NONBLOCK), 0);
    const std::string filler(4096, '.');
    while (write(ends_[1], filler.data(), filler.size()) > 0) {
    }
    fcntl(ends_[1], F_SETFL, 0);
  }
  ~FullPipe() {
    close(ends_[0]);
    close(ends_[1]);
  }
  int writing_end() const { return ends_[1]; }
  // What was written behind the filler, up to a text that must come.
  std::string ReadUntil(const std::string& last) {
    std::string all;
    std::string chunk(65536, ' ');
    for (int n = 0; n < 2000 && all.find(last) == std::string::npos; ++n) {
      const ssize_t got = read(ends_[0], chunk.data(), chunk.size());
      if (got > 0) all += chunk.substr(0, static_cast<std::size_t>(got));
      if (got < 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return all.substr(std::min(all.size(), all.find_first_not_of('.')));
  }

 private:
  int ends_[2] = {-1, -1};
};

TEST_F(LogTest, NobodyWaitsForAReader) {
  FullPipe pipe;
  SetLogSink(nullptr);
  ConfigureLog(v1::INFO, 0);
  StartLogWriter(pipe.writing_end());
  const std::string text(1000, 'x');
  const int lines = static_cast<int>(kLogWaitingBytesMax / text.size()) + 100;
  for (int i = 0; i < lines; ++i) Log(v1::INFO, "much", {{"text", text}, {"i", i}});
  const std::uint64_t dropped = LogLinesDropped();
  EXPECT_GT(dropped, 100u) << "what waits is bounded";
  EXPECT_LT(dropped, 400u);
  // Once somebody reads, all that waited is there, and the next line says how many are missing.
  const std::string read = pipe.ReadUntil("\"i\":" + std::to_string(lines - static_cast<int>(dropped) - 1) + "}\n");
  EXPECT_THAT(read, HasSubstr("\"i\":0}\n"));
  Log(v1::INFO, "next");
  const std::string more = pipe.ReadUntil("next");
  EXPECT_THAT(more, HasSubstr("\"event\":\"log.dropped\",\"lines\":" + std::to_string(dropped) + "}\n{"));
  EndLogWriter(std::chrono::milliseconds(1000));
  EXPECT_EQ(LogLinesDropped(), dropped);
}

TEST_F(LogTest, TheEndWaitsForAllThatCanBeWritten) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  SetLogSink(nullptr);
  ConfigureLog(v1::INFO, 0);
  StartLogWriter(ends[1]);
  for (int i = 0; i < 100; ++i) Log(v1::INFO, "last", {{"i", i}});
  EndLogWriter(std::chrono::milliseconds(10'000));
  std::string all(1 << 16, ' ');
  all.resize(static_cast<std::size_t>(std::max<ssize_t>(0, read(ends[0], all.data(), all.size()))));
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 100);
  close(ends[0]);
  close(ends[1]);
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
