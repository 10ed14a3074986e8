// What waits for a slow link: bounded whatever is offered, the newest cycle of each shard, and every change of a ledger
// told in order. Frames are made up at random; a failure names its seed.
#include "services/peering/outbox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lvs/v1/messages.pb.h"
#include "lvs/v1/peer.pb.h"
#include "shard/random.h"
#include "vaultguard/limits.h"

namespace lvs::services {
namespace {

using shard::Frame;

constexpr std::uint32_t kShards = 8;
constexpr std::size_t kPlenty = std::size_t{1} << 30;

v1::Frame Parsed(const std::string& bytes) {
  v1::Frame frame;
  EXPECT_TRUE(frame.ParseFromString(bytes));
  return frame;
}

// A node that tells a peer about one shard's ledger: change n is the entry of session n.
class Teller {
 public:
  Teller(std::uint32_t shard, std::uint64_t seed) : shard_(shard), seed_(seed) {}

  // The frame of the next cycle: what is new since the last one, and some rows.
  std::shared_ptr<const Frame> Next() {
    auto frame = std::make_shared<Frame>();
    frame->shard = shard_;
    frame->cycle = ++cycle_;
    frame->sender = {1, 2};
    frame->value_slots = 2;
    frame->news_from = told_;
    for (std::uint64_t n = Below(4) == 0 ? Below(600) : Below(5); n > 0; --n) {
      frame->entries.push_back({{9, ++told_}, 0, {}});
    }
    frame->news_to = told_;
    for (std::uint64_t n = Below(33); n > 0; --n) {
      frame->halo_row.push_back(static_cast<std::uint32_t>(n - 1));
      frame->published_cycle.push_back(static_cast<std::uint32_t>(cycle_));
      frame->drift_weight.push_back(1);
      frame->entropy.push_back(7);
      frame->diff.insert(frame->diff.end(), {1, 2, 3, 4});
    }
    return frame;
  }
  // As the shard actor does for what is not acknowledged for long.
  void GoBackTo(std::uint64_t acknowledged) { told_ = acknowledged; }

  std::uint64_t told() const { return told_; }
  std::uint64_t cycle() const { return cycle_; }

 private:
  std::uint64_t Below(std::uint64_t n) { return shard::Mix(seed_ + ++draws_) % n; }

  std::uint32_t shard_;
  std::uint64_t seed_;
  std::uint64_t draws_ = 0;
  std::uint64_t cycle_ = 0;
  std::uint64_t told_ = 0;
};

// The peer: what it has heard of each shard.
class Listener {
 public:
  void Hear(const v1::PeerMessage& message) {
    for (const std::string& bytes : message.frames().frames()) {
      const v1::Frame frame = Parsed(bytes);
      Heard& heard = heard_[frame.shard_id()];
      EXPECT_GT(frame.cycle_id(), heard.cycle) << "an older frame after a newer one";
      heard.cycle = frame.cycle_id();
      if (frame.news_from() > heard.news) continue;
      for (const v1::LedgerEntry& entry : frame.entries()) heard.sessions.push_back(entry.session_low());
      heard.news = std::max(heard.news, frame.news_to());
    }
  }
  std::uint64_t cycle(std::uint32_t shard) const { return At(shard).cycle; }
  std::uint64_t news(std::uint32_t shard) const { return At(shard).news; }
  // Every change up to the newest that counts as heard.
  bool HasAll(std::uint32_t shard) const {
    std::vector<std::uint64_t> sessions = At(shard).sessions;
    std::sort(sessions.begin(), sessions.end());
    sessions.erase(std::unique(sessions.begin(), sessions.end()), sessions.end());
    return sessions.size() >= At(shard).news && (sessions.empty() || sessions[At(shard).news - 1] == At(shard).news);
  }

 private:
  struct Heard {
    std::uint64_t cycle = 0;
    std::uint64_t news = 0;
    std::vector<std::uint64_t> sessions;
  };
  const Heard& At(std::uint32_t shard) const {
    static const Heard nothing;
    const auto at = heard_.find(shard);
    return at == heard_.end() ? nothing : at->second;
  }
  std::map<std::uint32_t, Heard> heard_;
};

v1::PeerMessage Ping(std::uint64_t n) {
  v1::PeerMessage message;
  message.mutable_ping()->set_sent_us(n);
  return message;
}

// As the other side reads it.
bool Take(Outbox* outbox, v1::PeerMessage* message) {
  MessageBytes bytes;
  if (!outbox->Take(&bytes)) return false;
  EXPECT_TRUE(message->ParseFromArray(bytes.data.get(), static_cast<int>(bytes.size)));
  return true;
}

bool TakeAndWrite(Outbox* outbox, v1::PeerMessage* message) {
  if (!Take(outbox, message)) return false;
  outbox->Written();
  return true;
}

TEST(Outbox, OneWriteAtATime) {
  Outbox outbox({.shards = kShards, .bytes = kPlenty});
  outbox.SetReceiver({.many_frames = false, .halo_rows = 32});
  Teller a(1, 1), b(2, 2);
  outbox.Offer(a.Next());
  outbox.Offer(b.Next());
  v1::PeerMessage message;
  ASSERT_TRUE(Take(&outbox, &message));
  EXPECT_FALSE(Take(&outbox, &message));
  outbox.Written();
  EXPECT_TRUE(Take(&outbox, &message));
  outbox.Written();
  EXPECT_FALSE(Take(&outbox, &message)) << "nothing waits";
}

TEST(Outbox, NewestOfEachKindGoesBeforeFrames) {
  Outbox outbox({.shards = kShards, .bytes = kPlenty});
  Teller teller(0, 1);
  outbox.Offer(teller.Next());
  v1::PeerMessage goodbye;
  goodbye.mutable_goodbye()->set_reason("x");
  outbox.Say(goodbye);
  for (std::uint64_t n = 1; n <= 1000; ++n) outbox.Say(Ping(n));
  v1::PeerMessage message;
  ASSERT_TRUE(TakeAndWrite(&outbox, &message));
  EXPECT_EQ(message.ping().sent_us(), 1000u);
  ASSERT_TRUE(TakeAndWrite(&outbox, &message));
  EXPECT_TRUE(message.has_goodbye());
  ASSERT_TRUE(TakeAndWrite(&outbox, &message));
  EXPECT_EQ(message.frames().frames_size(), 1);
  EXPECT_FALSE(Take(&outbox, &message));
}

TEST(Outbox, RoundTheShardsInMessagesOfBoundedSize) {
  Outbox outbox({.shards = kShards, .bytes = kPlenty});
  outbox.SetReceiver({.many_frames = true, .halo_rows = 32});
  std::vector<std::uint32_t> order;
  for (int round = 0; round < 3; ++round) {
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
      Frame frame;
      frame.shard = shard;
      frame.cycle = static_cast<std::uint64_t>(round) + 1;
      for (std::uint64_t n = 0; n < vaultguard::kMaxFrameEntries; ++n) frame.entries.push_back({{n, ~n}, n, {}});
      outbox.Offer(std::make_shared<const Frame>(frame));
    }
    v1::PeerMessage message;
    ASSERT_TRUE(TakeAndWrite(&outbox, &message));
    EXPECT_LT(message.frames().frames_size(), static_cast<int>(kShards));
    EXPECT_LT(message.ByteSizeLong(), 2 * kBatchBytes);
    for (const std::string& bytes : message.frames().frames()) order.push_back(Parsed(bytes).shard_id());
  }
  for (std::size_t n = 1; n < order.size(); ++n) EXPECT_EQ(order[n], (order[n - 1] + 1) % kShards);
}

TEST(Outbox, RowsThatTheReceiverHasNoPlaceForAreLeftOut) {
  Outbox outbox({.shards = kShards, .bytes = kPlenty});
  outbox.SetReceiver({.many_frames = true, .halo_rows = 2});
  Frame frame;
  for (const std::uint32_t row : {3u, 0u, 2u, 1u}) {
    frame.halo_row.push_back(row);
    frame.published_cycle.push_back(row);
    frame.drift_weight.push_back(static_cast<std::uint8_t>(row));
    frame.entropy.push_back(row);
    frame.diff.insert(frame.diff.end(), {static_cast<float>(row), 1});
  }
  outbox.Offer(std::make_shared<const Frame>(frame));
  v1::PeerMessage message;
  ASSERT_TRUE(Take(&outbox, &message));
  const v1::Frame said = Parsed(message.frames().frames(0));
  ASSERT_EQ(said.halo_row_size(), 2);
  EXPECT_EQ(said.halo_row(0), 0u);
  EXPECT_EQ(said.halo_row(1), 1u);
  EXPECT_EQ(said.entropy(1), 1u);
  EXPECT_EQ(said.diff(2), 1.0f);
  EXPECT_EQ(said.diff_size(), 4);
}

TEST(Outbox, ClosedItTakesNothingAndGivesNothing) {
  Outbox outbox({.shards = kShards, .bytes = kPlenty});
  Teller teller(0, 1);
  outbox.Offer(teller.Next());
  outbox.Close();
  outbox.Offer(teller.Next());
  outbox.Say(Ping(1));
  v1::PeerMessage message;
  EXPECT_FALSE(Take(&outbox, &message));
  EXPECT_EQ(outbox.bytes(), 0u);
}

// A link that takes a message now and then: whatever it takes has the newest cycle, and its news begins where that of
// the oldest frame began that it stands for. (How far it reaches is bounded; the rest is told again.)
TEST(OutboxProperty, NewestCycleWinsAndNoNewsIsLost) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Outbox outbox({.shards = kShards, .bytes = kPlenty});
    outbox.SetReceiver({.many_frames = seed % 2 == 0, .halo_rows = 32});
    std::vector<Teller> tellers;
    for (std::uint32_t shard = 0; shard < kShards; ++shard) tellers.emplace_back(shard, seed * 100 + shard);
    Listener listener;
    std::map<std::uint32_t, std::uint64_t> untold;  // of each shard, where the news begins that waits
    v1::PeerMessage message;
    for (std::uint64_t step = 0; step < 600; ++step) {
      const std::uint64_t draw = shard::Mix(seed * 1000 + step);
      const auto frame = tellers[draw % kShards].Next();
      const auto waits = untold.emplace(frame->shard, frame->news_from).first;
      waits->second = std::min(waits->second, frame->news_from);
      outbox.Offer(frame);
      if (step % 50 == 0) outbox.Say(Ping(step));
      if ((draw >> 20) % 7 != 0 || !TakeAndWrite(&outbox, &message)) continue;
      listener.Hear(message);
      for (const std::string& bytes : message.frames().frames()) {
        const v1::Frame said = Parsed(bytes);
        EXPECT_EQ(said.cycle_id(), tellers[said.shard_id()].cycle()) << "not the newest";
        EXPECT_EQ(said.news_from(), untold.at(said.shard_id())) << "news was lost";
        untold.erase(said.shard_id());
      }
      // What was too much to be told at once is told again from where the peer is.
      if (step % 20 == 0) {
        for (std::uint32_t s = 0; s < kShards; ++s) tellers[s].GoBackTo(listener.news(s));
      }
    }
    for (int n = 0; n < 100; ++n) {
      while (TakeAndWrite(&outbox, &message)) listener.Hear(message);
      for (std::uint32_t s = 0; s < kShards; ++s) {
        if (n == 99) continue;
        tellers[s].GoBackTo(listener.news(s));
        outbox.Offer(tellers[s].Next());
      }
    }
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
      EXPECT_EQ(listener.news(shard), tellers[shard].told());
      EXPECT_TRUE(listener.HasAll(shard));
    }
    EXPECT_EQ(outbox.counts().dropped + outbox.counts().shortened, 0u);
  }
}

// Too little room for what is offered: the bound holds, all is counted, and what is told again gets through.
TEST(OutboxProperty, BytesNeverExceedTheBound) {
  std::uint64_t dropped = 0;
  std::uint64_t shortened = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const std::size_t bound = 2'000 + shard::Mix(seed) % 60'000;
    Outbox outbox({.shards = kShards, .bytes = bound});
    outbox.SetReceiver({.many_frames = true, .halo_rows = 32});
    std::vector<Teller> tellers;  // two of shards that there are not
    for (std::uint32_t shard = 0; shard < kShards + 2; ++shard) tellers.emplace_back(shard, seed * 100 + shard);
    Listener listener;
    v1::PeerMessage message;
    std::uint64_t offered = 0;
    for (std::uint64_t step = 0; step < 2000; ++step) {
      const std::uint64_t draw = shard::Mix(seed * 1000 + step);
      outbox.Offer(tellers[draw % tellers.size()].Next());
      ++offered;
      ASSERT_LE(outbox.bytes(), bound);
      if ((draw >> 20) % 16 == 0 && TakeAndWrite(&outbox, &message)) listener.Hear(message);
      ASSERT_LE(outbox.bytes(), bound);
    }
    while (TakeAndWrite(&outbox, &message)) listener.Hear(message);
    const Outbox::Counts counts = outbox.counts();
    EXPECT_EQ(offered, counts.frames_sent + counts.replaced + counts.dropped) << "a frame that nobody counted";
    dropped += counts.dropped;
    shortened += counts.shortened;
    EXPECT_EQ(outbox.bytes(), 0u);
    // What no frame got across is told from where the peer is, in frames that fit.
    for (std::uint32_t shard = 0; shard < kShards; ++shard) {
      const std::uint64_t all = tellers[shard].told();
      for (int n = 0; n < 5000 && listener.news(shard) < all; ++n) {
        tellers[shard].GoBackTo(listener.news(shard));
        outbox.Offer(tellers[shard].Next());
        while (TakeAndWrite(&outbox, &message)) listener.Hear(message);
      }
      EXPECT_GE(listener.news(shard), all);
      EXPECT_TRUE(listener.HasAll(shard));
    }
  }
  EXPECT_GT(dropped, 0u);
  EXPECT_GT(shortened, 0u);
}

// As in a node: shard actors offer, gRPC's threads take and write, others look on; the thread sanitizer watches.
TEST(OutboxThreads, ActorsOfferWhileTheLinkTakes) {
  constexpr std::uint64_t kFrames = 400;
  const std::size_t bound = kShards * 64 * 1024;
  Outbox outbox({.shards = kShards, .bytes = bound});
  outbox.SetReceiver({.many_frames = true, .halo_rows = 32});
  std::atomic<std::uint32_t> offering{kShards};
  std::vector<Teller> tellers;
  for (std::uint32_t shard = 0; shard < kShards; ++shard) tellers.emplace_back(shard, shard);
  std::vector<std::thread> threads;
  for (std::uint32_t shard = 0; shard < kShards; ++shard) {
    threads.emplace_back([&, shard] {
      for (std::uint64_t n = 0; n < kFrames; ++n) {
        outbox.Offer(tellers[shard].Next());
        if (n % 10 == 0) outbox.Say(Ping(n));
      }
      --offering;
    });
  }
  // Two who would write; the outbox lets one at a time.
  std::atomic<int> writing{0};
  Listener listener;
  std::vector<std::thread> writers;
  for (int w = 0; w < 2; ++w) {
    writers.emplace_back([&] {
      v1::PeerMessage message;
      while (true) {
        const bool last = offering == 0;
        if (Take(&outbox, &message)) {
          EXPECT_EQ(writing++, 0) << "two writes at a time";
          listener.Hear(message);
          --writing;
          outbox.Written();
        } else if (last) {
          return;
        }
      }
    });
  }
  threads.emplace_back([&] {
    while (offering > 0) {
      EXPECT_LE(outbox.bytes(), bound);
      const Outbox::Counts counts = outbox.counts();
      EXPECT_LE(counts.frames_sent, kShards * kFrames);
    }
  });
  for (std::thread& thread : threads) thread.join();
  for (std::thread& thread : writers) thread.join();
  v1::PeerMessage message;
  while (TakeAndWrite(&outbox, &message)) listener.Hear(message);
  for (std::uint32_t shard = 0; shard < kShards; ++shard) EXPECT_EQ(listener.cycle(shard), kFrames);
  const Outbox::Counts counts = outbox.counts();
  EXPECT_EQ(kShards * kFrames, counts.frames_sent + counts.replaced + counts.dropped);
}

// Messages of tabs are each read, in their order; frames and they take turns, so that neither waits for all of the other.
TEST(Outbox, QueuesMessagesOfTabsWithinABound) {
  Outbox outbox({.shards = kShards, .bytes = 1 << 20, .queued_bytes = 200});
  const auto offer = [](std::uint32_t attempt) {
    v1::PeerMessage message;
    message.mutable_offer()->set_attempt(attempt);
    message.mutable_offer()->set_description(std::string(40, 'd'));
    return message;
  };
  Teller teller(0, 1);
  for (std::uint32_t n = 1; n <= 9; ++n) outbox.Say(offer(n));
  outbox.Offer(teller.Next());
  v1::PeerMessage ping;
  ping.mutable_ping()->set_sent_us(1);
  outbox.Say(ping);
  std::string kinds;
  std::uint32_t attempts = 0;
  v1::PeerMessage message;
  while (TakeAndWrite(&outbox, &message)) {
    kinds += message.has_ping() ? 'p' : message.has_frames() ? 'f' : 'o';
    if (!message.has_offer()) continue;
    EXPECT_EQ(message.offer().attempt(), ++attempts);
  }
  EXPECT_EQ(kinds, "pofooo");
  EXPECT_EQ(outbox.counts().unqueued, 5u);
  outbox.Say(offer(1));  // room again
  EXPECT_TRUE(TakeAndWrite(&outbox, &message));
}

// The end may come at any moment.
TEST(OutboxThreads, ClosedWhileOthersAreAtIt) {
  for (int round = 0; round < 50; ++round) {
    Outbox outbox({.shards = kShards, .bytes = 1 << 20});
    std::vector<std::thread> threads;
    for (std::uint32_t shard = 0; shard < 3; ++shard) {
      threads.emplace_back([&, shard] {
        Teller teller(shard, shard);
        for (int n = 0; n < 20; ++n) outbox.Offer(teller.Next());
      });
    }
    threads.emplace_back([&] {
      v1::PeerMessage message;
      for (int n = 0; n < 20; ++n) TakeAndWrite(&outbox, &message);
    });
    threads.emplace_back([&] { outbox.Close(); });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(outbox.bytes(), 0u);
  }
}

}  // namespace
}  // namespace lvs::services
