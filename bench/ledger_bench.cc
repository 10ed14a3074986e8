// The ledger: joins of entries, the digest, and the news for a peer. The item is an entry; for the digest, one query.
//
//   build/release/lvs_bench --benchmark_filter=Ledger
#include <benchmark/benchmark.h>

#include <cstdint>
#include <map>
#include <vector>

#include "shard/ledger.h"

namespace lvs::shard {
namespace {

LedgerEntry EntryOf(std::uint64_t n) {
  LedgerEntry entry;
  entry.session = {Mix(n), Mix(~n)};
  entry.amount_uvu[0] = static_cast<std::int64_t>(n % 1000) + 1;
  return entry;
}

void Fill(Ledger* ledger, std::uint64_t entries) {
  for (std::uint64_t n = 0; n < entries; ++n) ledger->Merge(EntryOf(n), 1);
}

// A ledger of this size, built once and not changed by callers.
Ledger& Filled(std::uint64_t entries) {
  static std::map<std::uint64_t, Ledger> ledgers;
  const auto [at, fresh] = ledgers.try_emplace(entries, 2, ContributionPolicy{});
  if (fresh) Fill(&at->second, entries);
  return at->second;
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("entries")->Arg(1000)->Arg(100'000)->Arg(1'000'000);
}

void LedgerJoinNew(benchmark::State& state) {
  for (auto _ : state) {
    Ledger ledger(2, {});
    Fill(&ledger, static_cast<std::uint64_t>(state.range(0)));
    benchmark::DoNotOptimize(ledger.digest());
  }
  state.SetItemsProcessed(state.range(0) * state.iterations());
}
BENCHMARK(LedgerJoinNew)->ArgName("entries")->Arg(1000)->Arg(100'000);

void LedgerJoinKnown(benchmark::State& state) {
  const auto entries = static_cast<std::uint64_t>(state.range(0));
  Ledger& ledger = Filled(entries);
  std::uint64_t n = 0;
  for (auto _ : state) benchmark::DoNotOptimize(ledger.Merge(EntryOf(n++ % entries), 1));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(LedgerJoinKnown)->Apply(Sizes);

// A known session earns more, which is the cost of a contribution in the ledger.
void LedgerJoinGrown(benchmark::State& state) {
  Ledger ledger(2, {});
  const auto entries = static_cast<std::uint64_t>(state.range(0));
  Fill(&ledger, entries);
  std::uint64_t n = 0;
  for (auto _ : state) {
    LedgerEntry entry = EntryOf(n % entries);
    entry.amount_uvu[1] = static_cast<std::int64_t>(1 + n / entries);
    ++n;
    benchmark::DoNotOptimize(ledger.Merge(entry, 1));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(LedgerJoinGrown)->Apply(Sizes);

void LedgerDigest(benchmark::State& state) {
  const Ledger& ledger = Filled(static_cast<std::uint64_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(ledger.digest());
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(LedgerDigest)->Apply(Sizes);

// The newest hundred changes are read as for a frame.
void LedgerNewsTold(benchmark::State& state) {
  constexpr std::uint64_t kNews = 100;
  const Ledger& ledger = Filled(static_cast<std::uint64_t>(state.range(0)));
  std::vector<LedgerEntry> news;
  for (auto _ : state) {
    news.clear();
    benchmark::DoNotOptimize(ledger.Changes(ledger.version() - kNews, kNews, &news));
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(kNews) * state.iterations());
}
BENCHMARK(LedgerNewsTold)->Apply(Sizes);

}  // namespace
}  // namespace lvs::shard
