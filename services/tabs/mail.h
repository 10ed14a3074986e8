// What reaches a tab of a load: from its socket, and from tabs that it is linked with. Each worker has a mailbox; tabs are
// spread over workers by their key.
//
//   Mail mail(/*workers=*/2);
//   mail.Post({.to = key, .kind = Letter::Kind::kHubSaid, .at = socket, .text = bytes});   // any thread
//   for (Letter& letter : mail.Take(worker)) ...
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "services/base/mutex.h"

namespace lvs::services {

using TabKey = std::uint64_t;  // never used twice

struct Letter {
  enum class Kind : std::uint8_t {
    kHubSaid,    // text: a message
    kHubGone,    // code and text: why
    kConnect,    // the far end applies the answer to its offer
    kConnected,  // and this side has taken note
    kSaid,       // text: a message of the far end of a link
    kLost,       // the far end closed the connection
  };
  TabKey to = 0;
  Kind kind = Kind::kHubSaid;
  std::uint32_t at = 0;  // the socket, or the receiver's link
  TabKey from = 0;
  std::uint32_t from_link = 0;
  std::uint16_t code = 0;
  std::string text = {};
};

class Mail {
 public:
  explicit Mail(std::size_t workers) {
    for (std::size_t n = 0; n < workers; ++n) boxes_.push_back(std::make_unique<Box>());
  }

  std::size_t WorkerOf(TabKey key) const { return key % boxes_.size(); }
  void Post(Letter letter) {
    Box& box = *boxes_[WorkerOf(letter.to)];
    const MutexLock lock(&box.mu);
    box.letters.push_back(std::move(letter));
  }
  // Letters for one worker, in their order; empties them.
  void Post(std::size_t worker, std::vector<Letter>* letters) {
    if (letters->empty()) return;
    Box& box = *boxes_[worker];
    const MutexLock lock(&box.mu);
    for (Letter& letter : *letters) box.letters.push_back(std::move(letter));
    letters->clear();
  }
  std::vector<Letter> Take(std::size_t worker) {
    Box& box = *boxes_[worker];
    const MutexLock lock(&box.mu);
    return std::exchange(box.letters, {});
  }

 private:
  struct Box {
    Mutex mu;
    std::vector<Letter> letters ABSL_GUARDED_BY(mu);
  };
  std::vector<std::unique_ptr<Box>> boxes_;
};

}  // namespace lvs::services
