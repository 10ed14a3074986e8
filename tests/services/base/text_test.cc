#include "services/base/text.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cmath>
#include <cstdint>
#include <limits>

namespace lvs::services {
namespace {

TEST(Text, NumbersAreShort) {
  EXPECT_EQ(FormatNumber(0.012345), "0.0123");
  EXPECT_EQ(FormatNumber(0), "0");
  EXPECT_EQ(FormatNumber(1e9), "1e+09");
  EXPECT_EQ(FormatNumber(1234567, 9), "1234567");
  EXPECT_EQ(FormatNumber(-2.5), "-2.5");
  EXPECT_EQ(FormatNumber(std::nan("")), "nan");
}

TEST(Text, CountsAreGrouped) {
  EXPECT_EQ(FormatGrouped(0), "0");
  EXPECT_EQ(FormatGrouped(999), "999");
  EXPECT_EQ(FormatGrouped(1'000), "1,000");
  EXPECT_EQ(FormatGrouped(1'234'567), "1,234,567");
  EXPECT_EQ(FormatGrouped(~std::uint64_t{0}), "18,446,744,073,709,551,615");
  EXPECT_EQ(FormatCount(0, "node"), "0 nodes");
  EXPECT_EQ(FormatCount(1, "node"), "1 node");
  EXPECT_EQ(FormatCount(2'000, "node"), "2,000 nodes");
}

TEST(Text, BytesAndShares) {
  EXPECT_EQ(FormatMegabytes(0), "0 MB");
  EXPECT_EQ(FormatMegabytes(1'500'000), "1.5 MB");
  EXPECT_EQ(FormatMegabytes(999'400'000), "999 MB");
  EXPECT_EQ(FormatMegabytes(2'500'000'000), "2.5 GB");
  EXPECT_EQ(FormatPercent(0.05), "5%");
  EXPECT_EQ(FormatPercent(1), "100%");
  EXPECT_EQ(FormatPercent(1.0 / 3), "33.3333%");
  EXPECT_EQ(FormatPercent(1.0 / 3, 9), "33.3333333%");
}

TEST(Text, DurationsAreWrittenShort) {
  EXPECT_EQ(FormatDurationUs(100'000), "100ms");
  EXPECT_EQ(FormatDurationUs(1'500'000), "1.5s");
  EXPECT_EQ(FormatDurationUs(90'000'000), "90s");
  EXPECT_EQ(FormatDurationUs(120'000'000), "2m");
  EXPECT_EQ(FormatDurationUs(3'600'000'000), "1h");
  EXPECT_EQ(FormatDurationUs(250), "250us");
  EXPECT_EQ(FormatDurationUs(0), "0s");
  EXPECT_EQ(FormatDurationUs(-1), "0s");
}

TEST(Text, HashesHaveSixteenDigits) {
  EXPECT_EQ(FormatHex(0), "0000000000000000");
  EXPECT_EQ(FormatHex(255), "00000000000000ff");
  EXPECT_EQ(FormatHex(~std::uint64_t{0}), "ffffffffffffffff");
}

TEST(Text, MillionthsAreExact) {
  EXPECT_EQ(FormatMillionths(0), "0");
  EXPECT_EQ(FormatMillionths(1), "0.000001");
  EXPECT_EQ(FormatMillionths(2'500'000), "2.5");
  EXPECT_EQ(FormatMillionths(10'000'000), "10");
  EXPECT_EQ(FormatMillionths(123'456'789'012'345), "123456789.012345");
  EXPECT_EQ(FormatMillionths(-1'050'000), "-1.05");
  EXPECT_EQ(FormatMillionths(std::numeric_limits<std::int64_t>::min()), "-9223372036854.775808");
}

TEST(Text, NearestWords) {
  const std::vector<std::string> words{"latency", "jitter", "loss"};
  EXPECT_EQ(Nearest("latancy", words), "latency");
  EXPECT_EQ(Nearest("los", words), "loss");
  EXPECT_EQ(Nearest("bandwidth", words), "");
  EXPECT_EQ(Nearest("", words), "");
}

TEST(Text, WordsAreJoined) {
  EXPECT_EQ(JoinWords({}), "");
  EXPECT_EQ(JoinWords({"eu"}), "eu");
  EXPECT_EQ(JoinWords({"eu", "us"}), "eu, us");
}

TEST(Text, AShellGetsTheWordBack) {
  EXPECT_EQ(ShellWord("runs/a-1.yaml"), "runs/a-1.yaml");
  EXPECT_EQ(ShellWord("two words"), "'two words'");
  EXPECT_EQ(ShellWord("$HOME"), "'$HOME'");
  EXPECT_EQ(ShellWord("it's"), "'it'\\''s'");
  EXPECT_EQ(ShellWord(""), "''");
}

TEST(Text, ErrnosHaveTheTextOfTheSystem) { EXPECT_EQ(ErrnoText(ENOENT), "No such file or directory"); }

}  // namespace
}  // namespace lvs::services
