// The exports of the WebAssembly module (module.mjs calls them). One case and one measurement are open at a time.
#include <cstdint>
#include <memory>
#include <string>

#include "shard/wasm/export.h"
#include "tests/wasm/case.h"
#include "tests/wasm/throughput.h"

namespace {

std::unique_ptr<lvs::wasm::Case> open_case;
lvs::wasm::Shown shown;
std::string facts;
std::unique_ptr<lvs::wasm::Throughput> throughput;

}  // namespace

LVS_EXPORT(case_count) std::uint32_t case_count() { return static_cast<std::uint32_t>(lvs::wasm::CaseCount()); }
LVS_EXPORT(case_start) void case_start(std::uint32_t index) { open_case = lvs::wasm::StartCase(index); }
// Two words of 64 bits.
LVS_EXPORT(case_step) const lvs::wasm::Shown* case_step(std::uint32_t cycle) {
  open_case->Step(cycle);
  shown = open_case->Show();
  return &shown;
}
// Ends with a zero byte.
LVS_EXPORT(case_facts) const char* case_facts() {
  facts = open_case->facts().ToJson();
  return facts.c_str();
}

LVS_EXPORT(throughput_start) void throughput_start(std::uint32_t shards, std::uint32_t replicas) {
  throughput.reset();
  throughput = std::make_unique<lvs::wasm::Throughput>(shards, replicas);
}
LVS_EXPORT(throughput_cycles) double throughput_cycles(std::uint32_t cycles) {
  return static_cast<double>(throughput->Cycles(cycles));
}
LVS_EXPORT(throughput_hash) std::uint64_t throughput_hash() { return throughput->Hash(); }
