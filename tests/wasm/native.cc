// The native side of the comparison (equality_test.mjs) and of the measurement (bench/wasm.mjs).
//
//   lvs_wasm_native targets                            the SIMD targets of this machine, a line each
//   lvs_wasm_native cases TARGET CYCLES [CASE CYCLE]   "case cycle state rest" a line, then "facts case JSON"; with CASE
//                                                      and CYCLE, one bit of that case is flipped after that cycle
//   lvs_wasm_native bench TARGET SHARDS REPLICAS CYCLES   nanoseconds of processor time a replica cycle, and a hash
#include <charconv>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shard/simd_target.h"
#include "tests/wasm/case.h"
#include "tests/wasm/throughput.h"

namespace lvs::wasm {
namespace {

int Usage() {
  std::fputs(
      "usage: lvs_wasm_native targets | cases TARGET CYCLES [CASE CYCLE] | bench TARGET SHARDS REPLICAS CYCLES\n",
      stderr);
  return 2;
}

int PrintTargets() {
  for (const std::string& target : shard::SimdTargets()) std::puts(target.c_str());
  return 0;
}

int RunCases(std::uint64_t cycles, std::optional<std::size_t> planted_case, std::uint64_t planted_cycle) {
  for (std::size_t index = 0; const std::unique_ptr<Case> run = StartCase(index); ++index) {
    for (std::uint64_t cycle = 1; cycle <= cycles; ++cycle) {
      run->Step(cycle);
      if (planted_case == index && planted_cycle == cycle) run->PlantDifference();
      const Shown shown = run->Show();
      std::printf("%zu %" PRIu64 " %016" PRIx64 " %016" PRIx64 "\n", index, cycle, shown.state, shown.rest);
    }
    std::printf("facts %zu %s\n", index, run->facts().ToJson().c_str());
  }
  return 0;
}

double ProcessorNs() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

int Bench(std::uint32_t shards, std::uint32_t replicas, std::uint32_t cycles) {
  Throughput run(shards, replicas);
  run.Cycles(cycles / 2 + 20);
  const double began_ns = ProcessorNs();
  const std::uint64_t replica_cycles = run.Cycles(cycles);
  const double took_ns = ProcessorNs() - began_ns;
  std::printf("%.3f %016" PRIx64 "\n", took_ns / static_cast<double>(replica_cycles), run.Hash());
  return 0;
}

int Main(const std::vector<std::string_view>& words) {
  if (words.size() == 1 && words[0] == "targets") return PrintTargets();
  if (words.size() < 3) return Usage();
  std::vector<std::uint64_t> numbers;
  for (std::size_t n = 2; n < words.size(); ++n) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(words[n].data(), words[n].data() + words[n].size(), number);
    if (error != std::errc() || end != words[n].data() + words[n].size()) return Usage();
    numbers.push_back(number);
  }
  if (!shard::SelectSimdTarget(words[1])) {
    std::fprintf(stderr, "lvs_wasm_native: this machine has no SIMD target \"%s\"\n", std::string(words[1]).c_str());
    return 2;
  }
  if (words[0] == "cases" && numbers.size() == 1) return RunCases(numbers[0], std::nullopt, 0);
  if (words[0] == "cases" && numbers.size() == 3) return RunCases(numbers[0], numbers[1], numbers[2]);
  if (words[0] == "bench" && numbers.size() == 3) {
    return Bench(static_cast<std::uint32_t>(numbers[0]), static_cast<std::uint32_t>(numbers[1]),
                 static_cast<std::uint32_t>(numbers[2]));
  }
  return Usage();
}

}  // namespace
}  // namespace lvs::wasm

int main(int argc, char** argv) { return lvs::wasm::Main({argv + 1, argv + argc}); }
