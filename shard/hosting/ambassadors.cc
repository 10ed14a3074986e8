#include "shard/hosting/ambassadors.h"

#include <algorithm>
#include <cmath>

#include "shard/random.h"
#include "vaultguard/limits.h"

namespace lvs::hosting {

namespace {

// The share makes the sample fair, and the limits bound the load of the link. What a shard hears of all others together
// is a fair sample, too: two regions that know each other by few replicas agree on a mean that is off by the error of so
// small a sample.
constexpr std::uint32_t kReplicasAnAmbassador = 32;
constexpr std::uint32_t kAmbassadorsMin = 16;
constexpr std::uint32_t kHeardMin = 64;  // ambassadors of all other server nodes together
constexpr std::uint32_t kAmbassadorsMax = 1024;
// A number without a replica: beyond the rows of any shard.
constexpr std::uint32_t kNobody = ~std::uint32_t{0};
// Random draws before the rows are searched in order.
constexpr std::uint64_t kAttempts = 16;
// Above so many ambassadors a search in order would cost more than an ambassador is worth.
constexpr std::size_t kFewAmbassadors = 64;

bool IsLive(const shard::Columns& columns, std::uint32_t row) {
  return row >= columns.first_local && row < columns.end && columns.Alive(row);
}

// A state that no frame can carry is not sent: an adversary that publishes nonsense is not heard.
bool CanBeTold(const float* said, int dimensions) {
  return std::all_of(said, said + dimensions,
                     [](float number) { return std::abs(number) <= vaultguard::kMaxDistance; });
}

}  // namespace

std::uint32_t AmbassadorsOf(std::uint32_t replicas, std::uint32_t nodes) {
  // Rows that nobody speaks from are in the way of those that draw one: no more of them than there are replicas.
  const std::uint32_t heard = nodes > 1 ? std::min(replicas, kHeardMin / (nodes - 1)) : 0;
  return std::clamp(replicas / kReplicasAnAmbassador, std::max(kAmbassadorsMin, heard), kAmbassadorsMax);
}

bool Ambassadors::Serves(std::uint32_t row) const { return std::find(rows_.begin(), rows_.end(), row) != rows_.end(); }

std::uint32_t Ambassadors::Pick(const shard::StateShard& shard, std::uint32_t number, std::uint64_t cycle) const {
  const shard::Columns& columns = shard.columns();
  const auto first = static_cast<std::uint32_t>(columns.first_local);
  const auto locals = static_cast<std::uint32_t>(columns.end) - first;
  for (std::uint64_t attempt = 0; locals > 0 && attempt < kAttempts; ++attempt) {
    const std::uint64_t draw =
        shard::Draw(config_.seed, shard::Stream::kAmbassador, number * kAttempts + attempt, cycle);
    const std::uint32_t row = first + shard::Below(draw, locals);
    if (IsLive(columns, row) && !Serves(row)) return row;
  }
  // Nearly all replicas of a small shard are ambassadors already: take the next one that is not.
  for (std::uint32_t row = first; row < first + locals && rows_.size() <= kFewAmbassadors; ++row) {
    if (IsLive(columns, row) && !Serves(row)) return row;
  }
  return kNobody;
}

void Ambassadors::Renew(const shard::StateShard& shard, std::uint64_t cycle) {
  if (rows_.size() < config_.wanted) {
    rows_.resize(std::min<std::size_t>(config_.wanted, shard.replicas()), kNobody);
  }
  for (std::uint32_t number = 0; number < rows_.size(); ++number) {
    if (!IsLive(shard.columns(), rows_[number])) rows_[number] = Pick(shard, number, cycle);
  }
}

void Ambassadors::Tell(const shard::StateShard& shard, std::uint64_t cycle, std::uint64_t since_cycle, bool everybody,
                       shard::Frame* frame) const {
  const int dimensions = shard.config().shape.dimensions();
  shard::RowWriter rows(frame, rows_.size(), dimensions);
  for (std::uint32_t number = 0; number < rows_.size(); ++number) {
    const std::uint32_t row = rows_[number];
    if (!IsLive(shard.columns(), row)) continue;
    const std::uint32_t meta = shard.said_meta(row);
    const std::uint32_t age = shard::Age(meta, cycle);
    if ((meta & shard::kMetaValid) == 0 || age > cycle) continue;
    if (age >= cycle - since_cycle && !everybody) continue;
    const float* said = shard.said(row);
    if (!CanBeTold(said, dimensions)) continue;
    rows.Add(number, static_cast<std::uint32_t>(cycle - age), static_cast<std::uint8_t>(meta >> 24),
             shard.said_entropy(row), said);
  }
}

}  // namespace lvs::hosting
