#include "vaultguard/recovery.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "vaultguard/limits.h"

namespace lvs::vaultguard {
namespace {

const RecoveryOptions& Required(const RecoveryOptions& options) {
  if (!WhyInvalid(options).empty()) std::abort();
  return options;
}

}  // namespace

std::string_view WhyInvalid(const RecoveryOptions& options) {
  if (!(options.drop_share >= 1e-6 && options.drop_share <= 1 - 1e-6)) {
    return "drop_share must be above 0 and below 1";
  }
  if (options.min_mark_uvu < 1) return "min_mark_uvu must be at least 1";
  if (options.window_cycles < 1 || options.window_cycles > RecoveryOptions::kMaxWindowCycles) {
    return "window_cycles must be from 1 to 36000";
  }
  if (options.cooldown_cycles < 1) return "cooldown_cycles must be at least 1";
  return {};
}

RecoveryPolicy::RecoveryPolicy(const RecoveryOptions& options)
    : keep_ppm_(kPpmPerWhole - std::llround(Required(options).drop_share * kPpmPerWhole)),
      min_mark_uvu_(options.min_mark_uvu) {}

RecoveryAction RecoveryPolicy::Decide(const RecoveryEvidence& evidence) const {
  if (evidence.ledger_total_uvu < evidence.ledger_mark_uvu) return RecoveryAction::kResyncLedger;
  if (evidence.effective_mark_uvu >= min_mark_uvu_ && Dropped(evidence.effective_uvu, evidence.effective_mark_uvu)) {
    return RecoveryAction::kRepinDrift;
  }
  return RecoveryAction::kNone;
}

bool RecoveryPolicy::Dropped(std::int64_t value_uvu, std::int64_t mark_uvu) const {
  return static_cast<__int128>(value_uvu) * kPpmPerWhole < static_cast<__int128>(mark_uvu) * keep_ppm_;
}

CatastrophicDropDetector::CatastrophicDropDetector(const RecoveryOptions& options)
    : options_(Required(options)), policy_(options), ring_(options.window_cycles) {}

std::optional<RecoveryOrder> CatastrophicDropDetector::Observe(std::int64_t effective_uvu,
                                                               std::int64_t ledger_total_uvu) {
  Remember(effective_uvu);
  ledger_mark_uvu_ = std::max(ledger_mark_uvu_, ledger_total_uvu);
  RecoveryEvidence evidence{.effective_uvu = effective_uvu,
                            .effective_mark_uvu = WindowMark(),
                            .ledger_total_uvu = ledger_total_uvu,
                            .ledger_mark_uvu = ledger_mark_uvu_};
  // After a fall the mark is the one it fell from; a value that is back at the ledger's total is mended too.
  if (recovering_) evidence.effective_mark_uvu = std::min(fallen_from_uvu_, ledger_total_uvu);
  const RecoveryAction action = policy_.Decide(evidence);
  if (action == RecoveryAction::kNone) {
    if (recovering_) Forget(effective_uvu);
    return std::nullopt;
  }
  if (recovering_ && --cooldown_left_ > 0) return std::nullopt;

  const RecoveryOrder order{.action = action, .evidence = evidence, .retry = recovering_};
  ++orders_;
  if (recovering_) ++retries_;
  if (!recovering_) fallen_from_uvu_ = evidence.effective_mark_uvu;
  recovering_ = true;
  cooldown_left_ = options_.cooldown_cycles;
  return order;
}

void CatastrophicDropDetector::Forget(std::int64_t effective_uvu) {
  recovering_ = false;
  ++mended_;
  size_ = 0;  // the mark from before the fall would order again
  Remember(effective_uvu);
}

void CatastrophicDropDetector::Remember(std::int64_t effective_uvu) {
  const std::size_t capacity = ring_.size();
  ++cycle_;
  if (size_ > 0 && ring_[first_].cycle + capacity <= cycle_) {
    first_ = (first_ + 1) % capacity;
    --size_;
  }
  while (size_ > 0 && ring_[(first_ + size_ - 1) % capacity].value_uvu <= effective_uvu) --size_;
  ring_[(first_ + size_) % capacity] = {cycle_, effective_uvu};
  ++size_;
}

}  // namespace lvs::vaultguard
