// Cases of one shard alone: every path of the kernel, with liars that publish words which no honest program produces.
#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "shard/entropy_engine.h"
#include "tests/wasm/case.h"
#include "vaultguard/limits.h"

namespace lvs::wasm {

namespace {

using shard::Below;
using shard::Draw;
using shard::Stream;
using shard::Unit;

struct Settings {
  const char* name;
  std::uint32_t replicas;
  shard::Shape shape;
  double loss = 0;
  std::int64_t opening_balance_uvu = 0;
  bool contributions = false;
  bool churn = false;
  std::uint32_t liar_every = 0;  // one liar in so many rows; 0: none
  bool plain = false;
  std::uint32_t halo_rows = 0;
};

constexpr Settings kSettings[] = {
    {"five replicas", 5, {2, 2, 8}},
    {"two hundred at rest", 200, {2, 2, 8}},
    {"contributions and loss", 200, {2, 2, 8}, 0.05, 100'000'000, true},
    {"everything at once", 1000, {2, 2, 8}, 0.02, 100'000'000, true, true, 10, false, 32},
    {"ten thousand", 10'000, {2, 2, 8}, 0.01, 5'000'000'000, true, true, 10, false, 64},
    {"smallest shape", 777, {1, 0, 2}, 0.1, 0, true, true, 10},
    {"odd shape", 777, {3, 1, 5}, 0.1, 1'000'000, true, true, 10, false, 16},
    {"largest shape", 777, {8, 4, 16}, 0.3, 1'000'000, true, true, 10, false, 16},
    {"half an octet of slots", 333, {4, 3, 12}, 0.1, 0, true, true, 7, false, 5},
    {"plain rule", 300, {2, 2, 8}, 0.2, 0, true, true, 0, true},
    {"half of them lie", 4000, {2, 1, 8}, 0.5, 1'000'000'000, true, true, 2},
};

constexpr std::uint64_t kLiesFrom = 10;
constexpr std::uint64_t kLiesUntil = 150;  // from here on the liars are honest, and what they said last stays
constexpr std::uint64_t kLowPowerFrom = 40;
constexpr std::uint64_t kRepins = 90;
constexpr std::uint64_t kScatters = 120;
constexpr std::uint64_t kRestarts = 220;
constexpr std::uint64_t kShortRest = 3;

class ShardCase final : public Case {
 public:
  ShardCase(const Settings& settings, std::uint64_t seed) : settings_(settings), seed_(seed) {
    facts_.name = settings.name;
    facts_.value_slots = settings.shape.value_slots;
    facts_.free_coordinates = settings.shape.free_coordinates;
    facts_.peers = settings.shape.peers;
    Start();
  }

  void Step(std::uint64_t cycle) override {
    if (settings_.churn && cycle == kRestarts) Restart();
    if (settings_.contributions) Contribute(cycle);
    if (settings_.churn) Churn(cycle);
    HearHalo(cycle);
    counts_ = {};
    shard_->Advance(cycle, settings_.loss, &counts_);
    facts_.replica_cycles += counts_.step.updated;
    facts_.refusals += counts_.step.refused.Total();
    facts_.low_power += shard_->low_power();
    if (settings_.liar_every > 0) Lie(cycle);
  }

  Shown Show() const override {
    Hasher rest;
    AddCounts(counts_, &rest);
    AddRest(*shard_, &rest);
    return {shard_->StateHash(), rest.hash()};
  }

  void PlantDifference() override { FlipOneBit(shard_.get()); }

 private:
  void Start() {
    shard::StateShardConfig config;
    config.shard = 7;
    config.shape = settings_.shape;
    config.seed = seed_;
    config.halo_rows = settings_.halo_rows;
    config.remote_share = settings_.halo_rows > 0 ? 0.25 : 0;
    config.drift.plain = settings_.plain;
    shard_ = std::make_unique<shard::StateShard>(config);
    shard_->Start(settings_.replicas, settings_.opening_balance_uvu);
  }

  void Restart() {
    Start();
    gone_.clear();
    ++facts_.restarts;
  }

  void Contribute(std::uint64_t cycle) {
    for (std::uint64_t n = 0; n < 3; ++n) {
      const std::uint64_t draw = Draw(seed_, Stream::kWorkload, n, cycle);
      const std::uint64_t who = draw % 50 + cycle / 40 * 50;
      shard::LedgerEntry entry;
      entry.session = {shard::Mix(who + 11), shard::Mix(~who) | 1};
      entry.opened_cycle = cycle > 20 ? cycle - 20 : 0;
      for (int slot = 0; slot < settings_.shape.value_slots; ++slot) {
        entry.amount_uvu[static_cast<std::size_t>(slot)] =
            static_cast<std::int64_t>((draw >> (slot + 8)) % 900'000'000);
      }
      if (!shard_->Contribute(entry, cycle, n == 1 ? 3 : shard::Ledger::kHere).refused) ++facts_.contributions;
    }
  }

  void Churn(std::uint64_t cycle) {
    const std::uint32_t first = shard_->first_row();
    for (std::uint64_t n = 0; n < 1 + settings_.replicas / 300; ++n) {
      const std::uint32_t row = first + Below(Draw(seed_, Stream::kChurn, n, cycle), settings_.replicas);
      if (!shard_->columns().Alive(row)) continue;
      shard_->Leave(row);
      ++facts_.left;
      // One row in three is used again while what was said there is still heard.
      gone_.emplace_back(row, cycle + (n % 3 == 0 ? kShortRest : shard::kRestCycles));
    }
    std::erase_if(gone_, [&](const std::pair<std::uint32_t, std::uint64_t>& gone) {
      if (gone.second > cycle) return false;
      shard_->Join(gone.first, cycle);
      ++facts_.entered;
      return true;
    });
    if (cycle == kLowPowerFrom) {
      for (std::uint32_t row = first; row < first + settings_.replicas; row += 9) {
        if (shard_->columns().Alive(row)) shard_->SetFlag(row, shard::kLowPower, true);
      }
    }
    if (cycle == kRepins) shard_->Repin();
    if (cycle == kScatters) shard_->Scatter(cycle);
  }

  // A third of the remote neighbours speak; every other cycle they repeat the cycle that they said last.
  void HearHalo(std::uint64_t cycle) {
    for (std::uint32_t row = 0; row < settings_.halo_rows; ++row) {
      if ((row + cycle) % 3 != 0) continue;
      std::array<float, vaultguard::kMaxDimensions> said{};
      for (int c = 0; c < settings_.shape.dimensions(); ++c) {
        const double low = c < settings_.shape.value_slots ? -100 : 0;
        const double drawn = Unit(Draw(seed_, Stream::kCorrupt, row * 16 + static_cast<std::uint32_t>(c), cycle));
        said[static_cast<std::size_t>(c)] = static_cast<float>(drawn * 200 + low) / static_cast<float>(1 + cycle);
      }
      shard_->SetHalo(row, cycle - cycle % 2, 200, said.data(), shard::EntropyWord(seed_, row, cycle));
    }
  }

  void Lie(std::uint64_t cycle) {
    const std::uint32_t first = shard_->first_row();
    for (std::uint32_t row = first; row < first + settings_.replicas; row += settings_.liar_every) {
      if (!shard_->columns().Alive(row)) continue;
      if (cycle == kLiesUntil && (shard_->columns().flags[row] & shard::kAdversary) != 0) {
        shard_->SetFlag(row, shard::kAdversary, false);
        ++facts_.liars_stopped;
      }
      if (cycle < kLiesFrom || cycle >= kLiesUntil) continue;
      shard_->SetFlag(row, shard::kAdversary, true);
      std::array<float, vaultguard::kMaxDimensions> lie{};
      const std::uint64_t draw = Draw(seed_, Stream::kAttack, row, cycle);
      for (int c = 0; c < settings_.shape.dimensions(); ++c) {
        lie[static_cast<std::size_t>(c)] = Word(draw >> (3 * c), shard_->said(row)[c]);
      }
      shard_->OverwriteSaid(row, lie.data(), shard::Meta(cycle, 255) | shard::kMetaPacket,
                            static_cast<std::uint32_t>(draw >> 32));
      ++facts_.lies[kRawWords];
    }
  }

  float Word(std::uint64_t draw, float honest) {
    switch (draw & 7) {
      case 0: ++facts_.not_finite; return std::numeric_limits<float>::quiet_NaN();
      case 1: ++facts_.not_finite; return std::numeric_limits<float>::infinity();
      case 2: return -1e13f;
      case 3: return -0.0f;
      case 4: return 1e-40f;  // denormal
      case 5: return 9e11f;
      default: return honest * 3 - 50;
    }
  }

  const Settings& settings_;
  const std::uint64_t seed_;
  std::unique_ptr<shard::StateShard> shard_;
  shard::CycleCounts counts_;                                  // of the last step
  std::vector<std::pair<std::uint32_t, std::uint64_t>> gone_;  // row, and the cycle in which it is used again
};

}  // namespace

std::size_t ShardCaseCount() { return std::size(kSettings); }

std::unique_ptr<Case> StartShardCase(std::size_t index) {
  if (index >= ShardCaseCount()) return nullptr;
  return std::make_unique<ShardCase>(kSettings[index], index + 1);
}

}  // namespace lvs::wasm
