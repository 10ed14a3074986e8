#include "services/node/node_drain.h"

namespace lvs::services {

bool NodeDrain::Begin(std::string_view reason, bool serving, Time now) {
  if (draining()) return false;
  state_ = State::kGrace;
  served_ = serving;
  began_ = now;
  reason_ = std::string(reason);
  return true;
}

NodeDrain::Action NodeDrain::Look(const Facts& facts, Time now) {
  if (state_ == State::kGrace && now - began_ >= grace_) state_ = State::kHandingOver;
  switch (state_) {
    case State::kHandingOver: {
      const bool safe = (facts.handed_over || facts.alone) && facts.idle;
      if (!safe && now - began_ < deadline_) return Action::kNone;
      state_ = State::kSaidGoodbye;
      said_goodbye_ = now;
      complete_ = facts.handed_over;
      return Action::kSayGoodbye;
    }
    case State::kSaidGoodbye:
      if (now - said_goodbye_ < kGoodbye) break;
      state_ = State::kEnded;
      return Action::kEnd;
    case State::kNotDraining:
    case State::kGrace:
    case State::kEnded: break;
  }
  return Action::kNone;
}

NodeDrain::Time NodeDrain::next_look() const {
  switch (state_) {
    case State::kGrace: return began_ + grace_;
    case State::kHandingOver: return began_ + deadline_;
    case State::kSaidGoodbye: return said_goodbye_ + kGoodbye;
    case State::kNotDraining:
    case State::kEnded: break;
  }
  return Time::max();
}

}  // namespace lvs::services
