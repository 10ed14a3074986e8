// A hub with tabs, a clock, peers of other hubs and an operator on threads of their own. The thread sanitizer looks on.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "services/base/log.h"
#include "services/base/mutex.h"
#include "shard/random.h"
#include "tests/services/web/hub_side.h"

namespace lvs::services {
namespace {

using namespace std::chrono_literals;

// What a stream asks of its carrier, to be read on another thread.
class Line {
 public:
  void Read() {
    const MutexLock lock(&mu_);
    ++reads_;
  }
  void Write() {
    const MutexLock lock(&mu_);
    writing_ = true;
  }
  void End() {
    const MutexLock lock(&mu_);
    ended_ = true;
  }
  bool TakeRead() {
    const MutexLock lock(&mu_);
    return reads_ > 0 && reads_-- > 0;
  }
  bool TakeWrite() {
    const MutexLock lock(&mu_);
    return std::exchange(writing_, false);
  }
  bool ended() {
    const MutexLock lock(&mu_);
    return ended_;
  }

 private:
  Mutex mu_;
  int reads_ ABSL_GUARDED_BY(mu_) = 0;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

class LineCarrier final : public Carrier {
 public:
  explicit LineCarrier(std::shared_ptr<Line> line) : line_(std::move(line)) {}
  void Read() override { line_->Read(); }
  void Write(MessageBytes) override { line_->Write(); }
  void End(const absl::Status&) override { line_->End(); }
  void Abort() override { line_->End(); }

 private:
  const std::shared_ptr<Line> line_;
};

// The links of the node as its actors see them: up and down in turns, and nothing heard while down.
class Actors {
 public:
  void Change(std::uint32_t link, const TabLink* up) {
    const MutexLock lock(&mu_);
    EXPECT_NE(up_[link], up != nullptr) << "link " << link;
    up_[link] = up != nullptr;
    ++changes_;
  }
  void Deliver(std::uint32_t link) {
    const MutexLock lock(&mu_);
    EXPECT_TRUE(up_[link]) << "link " << link;
    ++delivered_;
  }
  std::uint64_t changes() {
    const MutexLock lock(&mu_);
    return changes_;
  }
  std::uint64_t delivered() {
    const MutexLock lock(&mu_);
    return delivered_;
  }

 private:
  Mutex mu_;
  std::array<bool, 16> up_ ABSL_GUARDED_BY(mu_){};
  std::uint64_t changes_ ABSL_GUARDED_BY(mu_) = 0;
  std::uint64_t delivered_ ABSL_GUARDED_BY(mu_) = 0;
};

// Time runs fast: a hundred milliseconds of the hub in each tick.
class Clock {
 public:
  double now_s() const { return 100 + 0.1 * static_cast<double>(ticks_.load()); }
  std::uint64_t cycle() const { return kCycle + ticks_.load(); }
  void Advance() { ++ticks_; }

 private:
  std::atomic<std::uint64_t> ticks_{0};
};

// One life of a tab: it comes, says a few things, and goes in one of several ways.
void Live(Hub* hub, const HubSide& side, const Clock& clock, std::uint64_t seed, std::uint64_t session) {
  const auto draw = [&seed](std::uint32_t below) { return shard::Below(seed = shard::Mix(seed + 1), below); };
  const auto stream = hub->Accept(clock.now_s());
  if (stream == nullptr) return;
  const auto line = std::make_shared<Line>();
  stream->Begin(std::make_unique<LineCarrier>(line));
  HubSide::Tab tab;
  tab.session = {session, session};
  tab.mask = tab::MaskOfGroup(draw(2));
  const auto say = [&](const v1::PeerMessage& message) {
    for (int n = 0; n < 200 && !line->ended(); ++n) {
      if (line->TakeWrite()) stream->Written();
      if (line->TakeRead()) return stream->Received(message.SerializeAsString(), clock.now_s());
      std::this_thread::sleep_for(100us);  // paused, until a tick resumes it
    }
    return false;
  };
  say(side.HelloOf(session));
  say(WriteTabMessage(tab::Announce{HubSide::CardOf(tab)}));
  const tab::TabId other{session % 8 + 1000, session % 8 + 1000};
  for (std::uint32_t n = 0; n < 60 && !line->ended(); ++n) {
    v1::PeerMessage frames;
    NodeTerms terms = side.options;
    terms.session = tab.session;
    for (std::uint32_t s = 0; s < 8; ++s) {
      frames.mutable_frames()->add_frames(GoodFrame(terms, s, clock.cycle()).SerializeAsString());
    }
    tab::Need need;
    need.mask = tab.mask;
    switch (draw(6)) {
      case 0: say(WriteTabMessage(need)); break;
      case 1: say(WriteTabMessage(tab::Offer{other, HubSide::CardOf(tab), n, false, "offer"})); break;
      case 2: say(WriteTabMessage(tab::Answer{other, HubSide::CardOf(tab), n, tab::Reason::kNone, "answer"})); break;
      case 3: say(WriteTabMessage(tab::Relay{other, tab.session, "relayed"})); break;
      case 4: {
        tab.mask = tab::MaskOfGroup(draw(2));
        say(WriteTabMessage(tab::Announce{HubSide::CardOf(tab)}));
        break;
      }
      default: say(frames);
    }
    std::this_thread::sleep_for(200us);
  }
  if (draw(2) == 0) say(WriteTabMessage(tab::Goodbye{"closed"}));
  stream->Close(absl::UnavailableError("closed"));
  stream->Ended(stream->why(), clock.now_s());
}

TEST(HubThreads, Test3_1TabsComeAndGoWhileEverythingElseGoesOn) {
  ConfigureLog(v1::ERROR, 20);
  HubSide side(TestHubOptions(1));
  Clock clock;
  Actors actors;
  const auto hub = std::make_shared<Hub>(side.options);
  hub->Start([&](std::uint32_t link, const Hub::FramePtr&) { actors.Deliver(link); },
             [&](std::uint32_t link, const TabLink* up) { actors.Change(link, up); }, clock.now_s());
  std::atomic<bool> end{false};
  std::vector<std::thread> tabs, others;
  for (std::uint64_t n = 0; n < 3; ++n) {
    tabs.emplace_back([&, n] {
      for (std::uint64_t life = 0; life < 12; ++life)
        Live(hub.get(), side, clock, n * 1000 + life, 1000 + n * 3 + life % 3);
    });
  }
  others.emplace_back([&] {
    while (!end) {
      clock.Advance();
      hub->Tick(clock.cycle(), clock.now_s());
      std::this_thread::sleep_for(200us);
    }
  });
  others.emplace_back([&] {
    std::atomic<std::uint64_t> said{0};
    for (std::uint64_t n = 0; !end; ++n) {
      if (n % 50 == 0)
        hub->HubUp(
            2, [&said](const v1::PeerMessage&) { ++said; }, clock.now_s(), "other", 3);
      v1::PeerMessage news;
      WriteCard({{n % 20 + 1, 77}, tab::MaskOfGroup(0), 1, 0}, news.mutable_hub_news()->add_cards());
      hub->TakeFromHub(2, news, clock.now_s());
      hub->TakeFromHub(2, WriteTabMessage(tab::Offer{{1000, 1000}, {{n % 20 + 1, 77}, 15, 1, 0}, 1, false, "x"}),
                       clock.now_s());
      std::this_thread::sleep_for(100us);
    }
    hub->HubDown(2);  // `said` ends here
  });
  others.emplace_back([&] {
    while (!end) {
      const HubFigures figures = hub->Figures();
      EXPECT_LE(figures.places_taken, figures.places);
      static_cast<void>(hub->IncompleteShards());
      static_cast<void>(hub->Builds());
      auto frame = std::make_shared<shard::Frame>();
      frame->cycle = clock.cycle();
      frame->value_slots = side.options.shape.value_slots;
      for (const auto& outlet : hub->outlets()) {
        outlet->Offer(frame);
        outlet->Flush();
      }
      std::this_thread::sleep_for(100us);
    }
  });
  for (std::thread& thread : tabs) thread.join();
  hub->Drain("the test ends");
  hub->Stop();
  hub->Disconnect();
  end = true;
  for (std::thread& thread : others) thread.join();
  EXPECT_EQ(hub->stream_count(), 0u);
  EXPECT_GT(actors.changes(), 0u);
  EXPECT_GT(actors.delivered(), 0u);
}

}  // namespace
}  // namespace lvs::services
