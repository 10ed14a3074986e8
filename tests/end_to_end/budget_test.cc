// The memory that is announced before a run, against the memory that the run takes at its peak in a process of its own.
#include "services/emulator/budget.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/end_to_end/runs.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kUnderSanitizer = true;
#else
constexpr bool kUnderSanitizer = false;
#endif

namespace lvs {
namespace {

namespace fs = std::filesystem;

constexpr double kTolerance = 0.3;

std::string Regions(int count) {
  const int percent = 100 / count;
  std::string regions = "r0: " + std::to_string(100 - (count - 1) * percent) + "%";
  for (int n = 1; n < count; ++n) regions += ", r" + std::to_string(n) + ": " + std::to_string(percent) + "%";
  return "{" + regions + "}";
}

struct Case {
  std::string name;
  std::string text;
};

// Peak resident bytes of `lvs run`, which must not fail.
double PeakBytes(const Case& shape) {
  const fs::path folder = fs::temp_directory_path() / ("lvs_budget_" + shape.name + std::to_string(getpid()));
  fs::create_directories(folder);
  const std::string file = (folder / "scenario.yaml").string();
  std::ofstream(file) << shape.text;
  const std::string out = (folder / "run").string();
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen("/dev/null", "w", stdout) == nullptr) _exit(126);
    if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(126);
    execl(LVS_BINARY, LVS_BINARY, "run", file.c_str(), "--out", out.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  int status = 0;
  rusage usage{};
  EXPECT_EQ(wait4(child, &status, 0, &usage), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << shape.name;
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

void ExpectWithinTolerance(const Case& shape) {
  if (kUnderSanitizer) GTEST_SKIP() << "a sanitizer's memory is not the program's";
  const auto announced = static_cast<double>(services::EstimateBudget(Parse(shape.text)).resident_bytes);
  const double peak = PeakBytes(shape);
  EXPECT_NEAR(announced / peak, 1, kTolerance) << shape.name << ": announced " << announced << ", took " << peak;
}

// Suites with Full in their names are the slow tier.
TEST(Budget, TheMemoryOfSmallRunsIsWithinATolerance) {
  ExpectWithinTolerance({"small", "name: x\npopulation: {micro_nodes: 100}\ncycle: {count: 20}\n"});
  ExpectWithinTolerance(
      {"regions16", "name: x\npopulation: {micro_nodes: 1600, regions: " + Regions(16) + "}\ncycle: {count: 20}\n"});
  ExpectWithinTolerance({"joins",
                         "name: x\npopulation: {micro_nodes: 10}\ncycle: {count: 5}\n"
                         "events: [{at: 0s, for: 200ms, join: {micro_nodes: 60000}}]\n"});
}

TEST(BudgetFull, TheMemoryOfEveryShapeIsWithinATolerance) {
  const std::vector<Case> shapes = {
      {"regions64", "name: x\npopulation: {micro_nodes: 6400, regions: " + Regions(64) + "}\ncycle: {count: 20}\n"},
      {"joins",
       "name: x\npopulation: {micro_nodes: 10}\ncycle: {count: 5}\n"
       "events: [{at: 0s, for: 200ms, join: {micro_nodes: 300000}}]\n"},
      {"slow_joins",
       "name: x\npopulation: {micro_nodes: 1000, regions: {a: 50%, b: 50%}}\ncycle: {count: 200}\n"
       "events: [{at: 1s, for: 15s, join: {micro_nodes: 200000}}]\n"},
      {"peers16",
       "name: x\nstate: {value_slots: 8, free_coordinates: 4}\ndrift: {peers: 16}\n"
       "population: {micro_nodes: 100000}\ncycle: {count: 20}\n"},
      {"peers2",
       "name: x\nstate: {value_slots: 1, free_coordinates: 0}\ndrift: {peers: 2}\n"
       "population: {micro_nodes: 200000}\ncycle: {count: 20}\n"},
      {"shards", "name: x\nstate: {shards: 2000}\npopulation: {micro_nodes: 20000, regions: " + Regions(3) +
                     "}\ncycle: {count: 20}\n"},
      {"large_regions", "name: x\nstate: {shards: 8}\npopulation: {micro_nodes: 100000, regions: " + Regions(8) +
                            "}\ncycle: {count: 40}\nlinks: {between: [{latency: 500ms}]}\n"},
      {"churn",
       "name: x\npopulation: {micro_nodes: 100000}\ncycle: {count: 100}\n"
       "events: [{at: 1s, churn: {rate: 20%/s}}]\n"},
      {"clients",
       "name: x\nstate: {shards: 64}\npopulation: {micro_nodes: 2000, regions: " + Regions(3) +
           "}\ncycle: {count: 200}\nworkload: {contributions_per_second: 20000, amount: {min: 1VU, max: 2VU}}\n"},
      {"opening",
       "name: x\nstate: {shards: 4, opening_balance: 50000000VU}\npopulation: {micro_nodes: 1000}\n"
       "cycle: {count: 20}\n"},
      {"long", "name: x\nstate: {shards: 1}\npopulation: {micro_nodes: 20}\ncycle: {count: 200000}\n"},
  };
  for (const Case& shape : shapes) ExpectWithinTolerance(shape);
}

}  // namespace
}  // namespace lvs
