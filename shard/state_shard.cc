#include "shard/state_shard.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "shard/column_sums.h"
#include "shard/median.h"
#include "shard/random.h"

namespace lvs::shard {

namespace {

// How many rows a new replica asks for their state, in the halo and among the local ones each.
constexpr std::uint32_t kJoinSample = 48;

// The bound that lets a replica reach any coordinate.
float WidestBound(const StateShardConfig& config) {
  return std::max(config.coordinate_range, vaultguard::kMinBoundFree);
}

// How many rows are weighed and summed at a time.
constexpr std::size_t kBlock = News::kBehindRows;
static_assert(kRowAlign % kSumLanes == 0 && kBlock % kSumLanes == 0);

// Sets weight 1 for each row of an honest live replica, 0 for the others. Returns how many have weight 1.
std::size_t WeighHonest(const std::uint8_t* flags, std::size_t rows, double* weight) {
  constexpr std::uint8_t kMask = kAlive | kAdversary;
  constexpr std::uint8_t kWanted = kAlive;
  constexpr std::uint64_t kEachByte = 0x0101010101010101ull;
  std::size_t counted = 0;
  for (std::size_t row = 0; row < rows; row += 8) {
    std::uint64_t eight;
    std::memcpy(&eight, flags + row, sizeof(eight));
    if ((eight & kEachByte * kMask) == kEachByte * kWanted) {
      std::fill_n(weight + row, 8, 1.0);
      counted += 8;
      continue;
    }
    for (std::size_t n = row; n < row + 8; ++n) {
      const bool counts = (flags[n] & kMask) == kWanted;
      weight[n] = counts ? 1.0 : 0.0;
      counted += counts ? 1 : 0;
    }
  }
  return counted;
}

}  // namespace

SentBytes& SentBytes::operator+=(const SentBytes& other) {
  state_diff += other.state_diff;
  entropy += other.entropy;
  ledger += other.ledger;
  beacon += other.beacon;
  frames += other.frames;
  return *this;
}

void Moments::Merge(const Moments& other) {
  if (other.count == 0) return;
  const double both = count + other.count;
  const double apart = other.mean - mean;
  m2 += other.m2 + apart * apart * count * other.count / both;
  mean += apart * other.count / both;
  count = both;
}

StateShard::StateShard(const StateShardConfig& config)
    : config_(config),
      dims_(config.shape.dimensions()),
      sizes_(config.shape),
      ledger_(config.shape.value_slots, config.policy, config.session_key),
      overlay_(config.shape, config.seed),
      news_(config.seed, sizes_),
      halo_in_use_(config.halo_rows),
      remote_share_(config.remote_share) {
  columns_.said_words = SaidWords(dims_);
  columns_.first_local = AlignRows(config.halo_rows);
  columns_.end = columns_.first_local;
  if (columns_.first_local > 0) Grow(columns_.first_local, 0);
}

void StateShard::Grow(std::size_t rows, std::size_t departed) {
  const std::size_t halo = columns_.first_local;
  const std::size_t old_stride = columns_.stride;
  const std::size_t old_departed = departed_rows_;
  std::size_t stride = old_stride;
  if (memory_ == nullptr || rows > halo + stride) {
    stride = AlignRows(std::max(rows - halo, old_stride + old_stride / 32));
    // Keep the number of 16-row groups odd: columns at powers of two alias in the caches.
    if (stride / kRowAlign % 2 == 0) stride += kRowAlign;
  }
  // Enough for churn of a hundredth a second, and more where more leave.
  if (departed > old_departed) departed_rows_ = AlignRows(std::max(departed + departed / 2, stride / 8));
  if (memory_ != nullptr && stride == old_stride && departed_rows_ == old_departed) return;
  if (halo + stride + departed_rows_ > kMaxRows) std::abort();  // a slot has no bits for them
  const std::size_t used = columns_.end - halo;
  const auto dims = static_cast<std::size_t>(dims_);
  const auto peers = static_cast<std::size_t>(config_.shape.peers);
  const std::size_t words = columns_.said_words;
  // One block for all columns: a million replicas are hundreds of shards, and each allocation costs a page or two.
  // Publications come first, so that the other columns, which have no halo, can be indexed by row as well.
  const std::size_t elsewhere_bytes = (halo + departed_rows_) * words * sizeof(float);
  Block memory = AllocateBlock(elsewhere_bytes + stride * ReplicaBytes(config_.shape));
  auto* const said = reinterpret_cast<float*>(memory.get());
  const auto take = [&](std::size_t kept, std::size_t from, std::size_t to, std::size_t rows_now) {
    if (kept > 0) std::copy_n(columns_.said + from * words, kept * words, said + to * words);
    std::fill_n(said + (to + kept) * words, (rows_now - kept) * words, 0.0f);
  };
  take(memory_ == nullptr ? 0 : halo + used, 0, 0, halo + stride);
  take(old_departed, halo + old_stride, halo + stride, departed_rows_);
  columns_.said = said;
  auto* next = reinterpret_cast<std::uint8_t*>(said + (halo + stride + departed_rows_) * words);
  // `parts` runs of `used` elements move into runs of `stride` elements; the rest is zero.
  const auto place = [&]<class T>(T** column, std::size_t parts) {
    const T* const old = *column;
    T* const to = reinterpret_cast<T*>(next);
    next += parts * stride * sizeof(T);
    for (std::size_t part = 0; part < parts; ++part) {
      if (used > 0) std::copy_n(old + part * old_stride + halo, used, to + part * stride);
      std::fill_n(to + part * stride + used, stride - used, T{});
    }
    *column = to - halo;
  };
  place(&columns_.known, 1);
  std::fill(columns_.known + halo + used, columns_.known + halo + stride, kLacksNothing);
  place(&columns_.state, dims);
  place(&columns_.bound_value, 1);
  place(&columns_.bound_free, 1);
  place(&columns_.bound_slow, 1);
  place(&columns_.band, 1);
  place(&columns_.link, peers);
  place(&columns_.link_entropy, peers);
  place(&columns_.flags, 1);
  columns_.stride = stride;
  memory_ = std::move(memory);
  for (std::size_t s = 0; s < peers; ++s) {
    for (std::size_t row = halo + used; row < halo + stride; ++row) {
      columns_.link[s * stride + row] = Link(static_cast<std::uint32_t>(row), 0);
    }
  }
  last_words_.Shift(&columns_, config_.shape.peers, stride - old_stride);
}

std::size_t StateShard::ReplicaBytes(const Shape& shape) {
  const auto dims = static_cast<std::size_t>(shape.dimensions());
  const auto peers = static_cast<std::size_t>(shape.peers);
  const std::size_t floats = SaidWords(shape.dimensions()) + dims + 4;  // the bounds and the band
  return sizeof(*Columns::known) + floats * sizeof(float) + peers * (sizeof(std::uint32_t) + 1) + 1;
}

void StateShard::Start(std::uint32_t n, std::int64_t opening_balance_uvu) {
  const std::size_t first = columns_.first_local;
  Grow(std::max<std::size_t>(AlignRows(first + n), kRowAlign), 0);
  columns_.end = AlignRows(first + n);

  // The opening balance is credited to earlier sessions, each within the policy's limit for one.
  for (int slot = 0; slot < config_.shape.value_slots; ++slot) {
    std::int64_t left = opening_balance_uvu;
    for (std::uint64_t part = 0; left > 0; ++part) {
      LedgerEntry entry;
      const std::uint64_t id =
          (static_cast<std::uint64_t>(config_.shard) << 32) | static_cast<std::uint64_t>(slot) << 28 | part;
      entry.session = {Mix(id + 1), Mix(~id)};
      entry.amount_uvu[static_cast<std::size_t>(slot)] = std::min(left, config_.policy.burst_uvu);
      left -= entry.amount_uvu[static_cast<std::size_t>(slot)];
      ledger_.Merge(entry, 0);
    }
  }
  opening_uvu_ = ledger_.totals_uvu();

  std::vector<std::uint32_t> rows(n);
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::size_t row = first + i;
    rows[i] = static_cast<std::uint32_t>(row);
    columns_.flags[row] = kAlive;
    columns_.known[row] = 0;
    float state[vaultguard::kMaxDimensions];
    for (int c = 0; c < dims_; ++c) {
      const double draw = Unit(Draw(config_.seed, Stream::kInitialState, row * 16 + static_cast<std::uint64_t>(c), 0));
      const double start =
          c < config_.shape.value_slots ? (2 * draw - 1) * config_.value_spread : draw * config_.coordinate_range;
      state[c] = static_cast<float>(start);
      columns_.state[static_cast<std::size_t>(c) * columns_.stride + row] = state[c];
    }
    columns_.bound_value[row] = std::max(2 * config_.value_spread, vaultguard::kMinBoundVu);
    columns_.bound_free[row] = columns_.bound_slow[row] = WidestBound(config_);
    columns_.band[row] = std::max(config_.value_spread, vaultguard::kMinBandVu);
    columns_.Say(row, dims_, state, Meta(0, 255), EntropyWord(config_.seed, static_cast<std::uint32_t>(row), 0));
  }
  replicas_ = n;
  overlay_.Draw(columns_, rows, halo_in_use_, remote_share_, 0);
}

void StateShard::Join(std::uint32_t row, std::uint64_t cycle) {
  if (row >= columns_.end) {
    Grow(AlignRows(row + 1), 0);
    columns_.end = AlignRows(row + 1);
  }
  if (columns_.Alive(row)) return;
  if ((columns_.flags[row] & kDeparted) != 0) MoveLastWords(cycle);
  // The first ones here agree among themselves before they have heard much of other server nodes. Whoever enters soon after
  // must be able to leave that place with them.
  if (replicas_ == 0) Hurry(cycle);
  columns_.flags[row] = kAlive | kFresh;
  fresh_.push_back(row);
  ++replicas_;
  overlay_.Join(columns_, row, halo_in_use_, remote_share_, cycle);
  FirstState(row, cycle);
  // The ledger comes whole from one live neighbour; the new replica will pull what that neighbour does not know yet.
  std::uint64_t known = 0;
  for (int s = 0; s < config_.shape.peers; ++s) {
    const std::uint32_t peer = NeighbourOf(columns_.link[static_cast<std::size_t>(s) * columns_.stride + row]);
    if (peer < columns_.first_local || peer >= columns_.end || peer == row || !columns_.Alive(peer)) continue;
    known = (columns_.flags[peer] & kAdversary) != 0 ? 0 : columns_.known[peer] & news_.outstanding();
    break;
  }
  columns_.known[row] = known;
  joined_bytes_ += sizes_.ledger_entry * ledger_.size();
}

void StateShard::FirstState(std::uint32_t row, std::uint64_t cycle) {
  // The rows that a new replica asks: its neighbours, and a sample of all that can be heard from here.
  std::uint32_t asked[vaultguard::kMaxPeers + 2 * kJoinSample];
  static_assert(std::size(asked) <= kMedianValues);
  int n = 0;
  const auto ask = [&](std::uint32_t peer) { asked[n++] = peer; };
  for (int s = 0; s < config_.shape.peers; ++s)
    ask(NeighbourOf(columns_.link[static_cast<std::size_t>(s) * columns_.stride + row]));
  // Takes all of `count` rows, or kJoinSample draws. Draws are scattered, because replicas that entered together lie
  // together.
  const auto sample = [&](std::uint32_t first, std::uint32_t count, std::uint64_t salt, const auto& row_of) {
    const std::uint64_t draw = Draw(config_.seed, Stream::kInitialState, row * 16ull + salt, cycle);
    for (std::uint32_t k = 0; k < std::min(count, kJoinSample); ++k) {
      ask(count <= kJoinSample ? first + k : row_of(Mix(draw + k)));
    }
  };
  const auto first_local = static_cast<std::uint32_t>(columns_.first_local);
  sample(0, halo_in_use_, 14, [&](std::uint64_t draw) { return Below(draw, halo_in_use_); });
  sample(first_local, static_cast<std::uint32_t>(columns_.end) - first_local, 15,
         [&](std::uint64_t draw) { return columns_.RandomLive(draw); });
  const auto is_mute = [&](std::uint32_t peer) { return peer == row || !columns_.Heard(peer, cycle); };
  n = static_cast<int>(std::remove_if(asked, asked + n, is_mute) - asked);
  // With few live rows left, the draws may miss them all.
  if (n == 0 && FindAnyHeard(cycle)) asked[n++] = static_cast<std::uint32_t>(any_heard_.row);

  // The median of their publications, coordinate by coordinate: a minority of liars cannot move it far.
  float bound[2] = {vaultguard::kMinBoundVu, vaultguard::kMinBoundFree};
  float first[vaultguard::kMaxDimensions];
  for (int c = 0; c < dims_; ++c) {
    float said_by[std::size(asked)];
    int heard = 0;
    for (int k = 0; k < n; ++k) {
      const float x = said(asked[k])[c];
      if (std::abs(x) <= vaultguard::kMaxDistance) said_by[heard++] = x;
    }
    // Without a row to ask, all replicas start at the same place. Server nodes that start side by side, each alone at
    // first, would otherwise agree within themselves before they meet, and a tight crowd does not move towards another.
    const bool value_slot = c < config_.shape.value_slots;
    float state = value_slot ? 0.0f : config_.coordinate_range / 2;
    // A new replica has just verified the ledger, so its value starts on it.
    if (heard > 0 && (!value_slot || config_.drift.plain)) {
      state = UpperMedian(said_by, static_cast<std::size_t>(heard));
    }
    if (heard > 0) {
      // The bound is twice the median distance.
      for (int k = 0; k < heard; ++k) said_by[k] = std::abs(said_by[k] - state);
      float& b = bound[value_slot ? 0 : 1];
      b = std::max(b, 2 * UpperMedian(said_by, static_cast<std::size_t>(heard)));
    }
    columns_.state[static_cast<std::size_t>(c) * columns_.stride + row] = first[c] = state;
  }
  columns_.bound_value[row] = bound[0];
  columns_.bound_free[row] = bound[1];
  columns_.bound_slow[row] = FirstSlowBound(asked, n, bound[1], cycle);
  columns_.band[row] = vaultguard::kMinBandVu;
  columns_.Say(row, dims_, first, 0, columns_.Entropy(row));  // not valid: the replica has not published yet
}

// Usually a new replica may change its mind no further than its bound says. The first one here must be able to follow any
// crowd that it meets later; and where the others wait for a server node that is missing, or has just come, it waits as
// well.
float StateShard::FirstSlowBound(const std::uint32_t* asked, int n, float bound, std::uint64_t cycle) const {
  float slow[vaultguard::kMaxPeers + 2 * kJoinSample];
  std::size_t told = 0;
  for (int k = 0; k < n; ++k) {
    const bool local = asked[k] >= columns_.first_local && asked[k] < columns_.end;
    if (local && columns_.Alive(asked[k])) slow[told++] = columns_.bound_slow[asked[k]];
  }
  if (told == 0) return std::max(bound, WidestBound(config_));
  return apart_ || Hurries(cycle) ? std::max(bound, UpperMedian(slow, told)) : bound;
}

bool StateShard::FindAnyHeard(std::uint64_t cycle) {
  const std::size_t end = columns_.departed_end;
  if (any_heard_.cycle != cycle) any_heard_ = {cycle, columns_.first_local};
  while (any_heard_.row < end && !columns_.Heard(any_heard_.row, cycle)) ++any_heard_.row;
  return any_heard_.row < end;
}

void StateShard::Leave(std::uint32_t row) {
  if (row >= columns_.end || !columns_.Alive(row)) return;
  if ((columns_.flags[row] & kLowPower) != 0) --low_power_;
  columns_.flags[row] = kDeparted;
  last_words_.Add(row);
  columns_.known[row] = kLacksNothing;
  for (int c = 0; c < dims_; ++c) columns_.state[static_cast<std::size_t>(c) * columns_.stride + row] = 0.0f;
  --replicas_;
}

void StateShard::MoveLastWords(std::uint64_t cycle) {
  Grow(columns_.end, last_words_.RowsToMove());
  last_words_.Move(&columns_, config_.shape.peers, cycle);
}

void StateShard::SetFlag(std::uint32_t row, std::uint8_t flag, bool on) {
  if (row >= columns_.end || !columns_.Alive(row)) return;
  if (((columns_.flags[row] & flag) != 0) == on) return;
  columns_.flags[row] ^= flag;
  if (flag == kLowPower) low_power_ += on ? 1 : -1;
}

void StateShard::Scatter(std::uint64_t cycle) {
  for (auto row = static_cast<std::uint32_t>(columns_.first_local); row < columns_.end; ++row) {
    if (columns_.Alive(row)) ScatterRow(row, cycle);
  }
}

void StateShard::ScatterRow(std::uint32_t row, std::uint64_t cycle) {
  // An adversary's own state follows the others, so that it finds back when its lies end.
  columns_.bound_free[row] = columns_.bound_slow[row] = WidestBound(config_);
  if ((columns_.flags[row] & kAdversary) != 0) return;
  for (int c = config_.shape.value_slots; c < dims_; ++c) {
    const double draw =
        Unit(Draw(config_.seed, Stream::kInitialState, row * 16 + static_cast<std::uint64_t>(c), cycle));
    columns_.state[static_cast<std::size_t>(c) * columns_.stride + row] =
        static_cast<float>(draw * config_.coordinate_range);
  }
}

Ledger::Outcome StateShard::Contribute(const LedgerEntry& entry, std::uint64_t cycle, std::uint8_t source,
                                       bool may_open) {
  const Ledger::Outcome outcome = ledger_.Merge(entry, cycle, source, may_open);
  if (outcome.grew) news_.Add(outcome.gained_uvu);
  return outcome;
}

Ledger::Outcome StateShard::Restore(const LedgerEntry& entry, std::uint64_t cycle) {
  const Ledger::Outcome outcome = ledger_.Restore(entry, cycle);
  if (outcome.grew) news_.Add(outcome.gained_uvu);
  return outcome;
}

void StateShard::SetRemote(std::uint32_t halo_rows, double remote_share) {
  halo_in_use_ = std::min(halo_rows, config_.halo_rows);
  remote_share_ = halo_in_use_ == 0 ? 0.0 : remote_share;
}

void StateShard::Advance(std::uint64_t cycle, double loss, CycleCounts* counts, StageWatch* watch) {
  if (memory_ == nullptr) return;
  const auto enter = [watch](Stage stage) {
    if (watch != nullptr) watch->Enter(stage);
  };
  enter(Stage::kLedger);
  NewsCounts news;
  const Crowd crowd{replicas_, low_power_};
  news_.Open(columns_, crowd, config_.shape.peers, cycle, &news);

  StepInput input;
  input.cycle = cycle;
  input.seed = config_.seed;
  input.loss = loss;
  input.range = config_.coordinate_range;
  input.apart = apart_;
  for (int s = 0; s < config_.shape.value_slots; ++s) {
    const auto slot = static_cast<std::size_t>(s);
    const std::int64_t settled = ledger_.total_uvu(s) - news_.OutstandingUvu(slot);
    // Rounding is towards zero, so that no state can fall below -T.
    input.floor[slot] = std::nextafter(-static_cast<float>(Vu(settled)), 0.0f);
  }
  enter(Stage::kDrift);
  FetchSaid();
  said_is_near_ = false;  // other shards run before the next cycle and evict it
  DriftStep(config_.shape, config_.drift, input, columns_, &counts->step);
  enter(Stage::kLedger);
  // Each replica is heard by as many others as it hears: d, or all there are. Replicas on other server nodes hear it
  // through frames, which are counted there.
  const double heard_by =
      std::min<double>(config_.shape.peers, replicas_ > 1 ? replicas_ - 1 : 0) * (1 - remote_share_);
  counts->sent.state_diff +=
      static_cast<std::uint64_t>(static_cast<double>(counts->step.published * sizes_.state_diff) * heard_by);
  counts->sent.entropy +=
      static_cast<std::uint64_t>(static_cast<double>(counts->step.packets * sizes_.entropy_packet) * heard_by);

  if (!config_.drift.plain) {
    news_.Spread(columns_, crowd, cycle, loss, &news);
    counts->sent.ledger += joined_bytes_;
    joined_bytes_ = 0;
  }
  counts->sent.ledger += news.ledger_bytes;
  counts->sent.beacon += news.beacon_bytes;
  counts->redundancy_syncs += news.redundancy_syncs;

  for (const std::uint32_t row : fresh_) columns_.flags[row] &= static_cast<std::uint8_t>(~kFresh);
  fresh_.clear();
  // A publication that is about to leave the 16 bit circle becomes silence.
  for (std::size_t row = cycle & 63; row < columns_.end; row += 64) {
    const std::uint32_t meta = columns_.Meta(row);
    if (Age(meta, cycle) > 0x7000) columns_.SetMeta(row, meta & ~kMetaValid);
  }

  enter(Stage::kOverlay);
  if ((cycle + config_.shard) % kRestCycles == 0) MoveLastWords(cycle);
  if (!config_.drift.plain) {
    counts->fallback_links +=
        overlay_.Maintain(columns_, config_.shuffle, halo_in_use_, remote_share_, Hurries(cycle), cycle);
  }
}

void StateShard::OverwriteSaid(std::uint32_t row, const float* state, std::uint32_t meta, std::uint32_t entropy) {
  columns_.Say(row, dims_, state, meta, entropy);
}

std::array<double, vaultguard::kMaxValueSlots> StateShard::MeanDriftVu() const {
  std::array<double, vaultguard::kMaxValueSlots> mean{};
  if (replicas_ == 0) return mean;
  // Unoccupied rows are zeroed.
  for (std::size_t slot = 0; slot < static_cast<std::size_t>(config_.shape.value_slots); ++slot) {
    const float* x = columns_.state + slot * columns_.stride + columns_.first_local;
    mean[slot] = Sum(x, columns_.end - columns_.first_local) / replicas_;
  }
  return mean;
}

void StateShard::Repin() {
  for (std::size_t row = columns_.first_local; row < columns_.end; ++row) {
    if (!columns_.Alive(row)) continue;
    for (int c = 0; c < config_.shape.value_slots; ++c)
      columns_.state[static_cast<std::size_t>(c) * columns_.stride + row] = 0.0f;
    columns_.bound_value[row] = vaultguard::kMinBoundVu;
    columns_.band[row] = vaultguard::kMinBandVu;
  }
}

void StateShard::AddToAll(const SlotAmounts& increment_uvu) {
  for (int c = 0; c < config_.shape.value_slots; ++c) {
    const auto add = static_cast<float>(Vu(increment_uvu[static_cast<std::size_t>(c)]));
    if (add == 0.0f) continue;
    for (std::size_t row = columns_.first_local; row < columns_.end; ++row) {
      if (columns_.Alive(row)) columns_.state[static_cast<std::size_t>(c) * columns_.stride + row] += add;
    }
  }
}

void StateShard::ForgetLedger() {
  ledger_.Clear();
  news_.Forget();
}

void StateShard::MeasureHonest(Measure* measure) const {
  measure->replicas = replicas_;
  std::size_t pivot_row = columns_.first_local;
  while (pivot_row < columns_.end && (columns_.flags[pivot_row] & (kAlive | kAdversary)) != kAlive) ++pivot_row;
  // Sums are relative to a pivot, so that a spread of 1e-6 around 100 is not lost in the squares.
  const auto pivot = [&](std::size_t dim) {
    return pivot_row < columns_.end ? static_cast<double>(columns_.state[dim * columns_.stride + pivot_row]) : 0.0;
  };
  const auto slots = static_cast<std::size_t>(config_.shape.value_slots);
  double weight[kBlock];
  double behind_vu[kBlock];
  std::size_t honest = 0;
  std::array<ColumnSums, vaultguard::kMaxDimensions> sums{};
  for (std::size_t first = columns_.first_local; first < columns_.end; first += kBlock) {
    const std::size_t rows = std::min(kBlock, columns_.end - first);
    honest += WeighHonest(columns_.flags + first, rows, weight);
    // Batches that a replica does not know are missing from its ledger, and so from its state.
    const std::uint64_t lacked = news_.Lacked(columns_, first, rows);
    for (std::size_t dim = 0; dim < static_cast<std::size_t>(dims_); ++dim) {
      // Free coordinates have no distance from the ledger.
      if (dim < slots) {
        const std::int64_t most_uvu = news_.Behind(columns_, first, rows, lacked, dim, behind_vu);
        if (replicas_ > 0) measure->behind_uvu[dim] = std::max(measure->behind_uvu[dim], most_uvu);
      }
      AddRows(columns_.state + dim * columns_.stride + first, weight, behind_vu, rows, pivot(dim), &sums[dim]);
    }
  }
  for (std::size_t dim = 0; dim < static_cast<std::size_t>(dims_) && honest > 0; ++dim) {
    const auto n = static_cast<double>(honest);
    const double distance = Total(sums[dim].distance);
    measure->moments[dim] = {n, pivot(dim) + distance / n,
                             std::max(0.0, Total(sums[dim].squares) - distance * distance / n)};
  }
  if (config_.drift.plain) {
    measure->worst_value_vu = 0;
    measure->behind_uvu = {};
    MeasurePlain(measure);
    return;
  }
  for (std::size_t slot = 0; slot < slots; ++slot) {
    measure->worst_value_vu = std::max(measure->worst_value_vu, Largest(sums[slot].worst));
  }
}

// Under the plain rule the state is the whole value of a replica.
void StateShard::MeasurePlain(Measure* measure) const {
  for (int c = 0; c < config_.shape.value_slots; ++c) {
    const auto slot = static_cast<std::size_t>(c);
    const float* x = columns_.state + slot * columns_.stride;
    const std::int64_t earned = ledger_.total_uvu(c) - opening_uvu_[slot];
    for (std::size_t row = columns_.first_local; row < columns_.end; ++row) {
      if ((columns_.flags[row] & (kAlive | kAdversary)) != kAlive) continue;
      const double held_vu = std::isnan(x[row]) ? 0 : x[row];  // what ran over holds nothing
      measure->worst_value_vu = std::max(measure->worst_value_vu, std::abs(held_vu - Vu(earned)));
      const auto held = static_cast<std::int64_t>(std::clamp(held_vu * 1e6, -1e18, 1e18));
      measure->behind_uvu[slot] = std::max(measure->behind_uvu[slot], earned - held);
    }
  }
}

std::uint64_t StateShard::StateHash() const {
  constexpr std::uint32_t kNanBits = 0x7fc00000u;
  std::uint64_t hash = Mix(ledger_.digest() ^ config_.shard);
  for (std::size_t row = columns_.first_local; row < columns_.end; ++row) {
    if (!columns_.Alive(row)) continue;
    hash = Mix(hash ^ (row << 8 | columns_.flags[row]));
    for (int c = 0; c < dims_; ++c) {
      const float state = columns_.state[static_cast<std::size_t>(c) * columns_.stride + row];
      // Processors differ in the sign of the NaN that they make of infinity minus infinity (plain rule).
      hash = Mix(hash ^ (std::isnan(state) ? kNanBits : std::bit_cast<std::uint32_t>(state)));
    }
    hash = Mix(hash ^ std::bit_cast<std::uint32_t>(columns_.bound_value[row]) ^
               (std::uint64_t{std::bit_cast<std::uint32_t>(columns_.bound_free[row])} << 32));
    hash = Mix(hash ^ std::bit_cast<std::uint32_t>(columns_.bound_slow[row]));
  }
  return hash;
}

std::size_t StateShard::resident_bytes() const {
  return (columns_.first_local + departed_rows_) * columns_.said_words * sizeof(float) +
         columns_.stride * ReplicaBytes(config_.shape) + ledger_.resident_bytes();
}

}  // namespace lvs::shard
