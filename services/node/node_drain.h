// The drain of a node, from the request to the end of the process (SPEC-9.4), as a state machine.
//
//   NodeDrain drain(std::chrono::seconds(1), std::chrono::seconds(10));
//   drain.Begin("SIGTERM", /*serving=*/true, now);
//   switch (drain.Look({.handed_over = true, .idle = true}, now)) {   // once a cycle, and at drain.next_look()
//     case NodeDrain::Action::kNone: break;
//     case NodeDrain::Action::kSayGoodbye: ...                            // to every peer
//     case NodeDrain::Action::kEnd: ...                                   // the process may end
//   }
//
//   kNotDraining --Begin--> kGrace --grace over--> kHandingOver --all safe, or deadline--> kSaidGoodbye --Look--> kEnded
//
// The grace lets clients find their way to other nodes: a node that served goes on taking work until the grace is over.
// The deadline counts from Begin as well. Between goodbye and end lies kGoodbye, so that the goodbye is sent before the
// connections close. Cycles may bring what a look is about, but the drain waits for none of them: next_look() passes
// whether cycles run or not.
//
// Pure: no threads, no clock. Time is any steady clock's. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace lvs::services {

class NodeDrain {
 public:
  using Time = std::chrono::steady_clock::time_point;

  enum class State : std::uint8_t { kNotDraining, kGrace, kHandingOver, kSaidGoodbye, kEnded };
  enum class Action : std::uint8_t { kNone, kSayGoodbye, kEnd };

  // Time from the goodbye to the end.
  static constexpr std::chrono::milliseconds kGoodbye{100};

  // What a look is about.
  struct Facts {
    bool handed_over = false;  // whatever this node holds outlives the process
    bool alone = false;        // no peer that stays is there to take anything over, and none is expected
    bool idle = false;         // no contribution waits for its answer
  };

  NodeDrain(std::chrono::microseconds grace, std::chrono::microseconds deadline) : grace_(grace), deadline_(deadline) {}

  // False where a drain has begun before: that one goes on, with its own reason and times.
  bool Begin(std::string_view reason, bool serving, Time now);

  // Advances the state by at most one step past the grace. Each action is returned once.
  Action Look(const Facts& facts, Time now);

  // When a look is due whatever the facts are; Time::max() where none is.
  Time next_look() const;

  // Whether a draining node still takes contributions.
  bool TakesWork(Time now) const { return state_ == State::kGrace && served_ && now - began_ < grace_; }

  State state() const { return state_; }
  bool draining() const { return state_ != State::kNotDraining; }
  bool ended() const { return state_ == State::kEnded; }
  // Whether everything was handed over at the goodbye.
  bool complete() const { return complete_; }
  const std::string& reason() const { return reason_; }

 private:
  const std::chrono::microseconds grace_;
  const std::chrono::microseconds deadline_;
  State state_ = State::kNotDraining;
  bool served_ = false;
  bool complete_ = false;
  Time began_;
  Time said_goodbye_;
  std::string reason_;
};

}  // namespace lvs::services
