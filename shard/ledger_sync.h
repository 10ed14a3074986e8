// Redundancy sync (SPEC-14, ARCH-2.1): what makes the ledgers of one shard equal on all server nodes, whatever the
// links between them lose, repeat, delay or turn round. Pure: no actors, no I/O, no clock; cycles come in as arguments,
// and the same calls give the same frames.
//
//   LedgerSync sync(config, &owner);                      // owner: the ledger, and the way into it
//   sync.Receive(/*link=*/0, due_cycle, heard);           // at any time
//   // In each cycle:
//   sync.Begin(cycle);
//   for (const LedgerSync::Arrival& a : sync.Due(cycle)) sync.Take(a.link, *a.frame, cycle, &refused);
//   for (std::uint32_t link = 0; link < links; ++link) {
//     sync.Fill(link, cycle, &frame);                     // the ledger's part of a frame
//     if (sync.Speaks(link, cycle, frame, urgent)) Send(frame);
//   }
//
// Four rules, from cheap to thorough:
//   news      A frame carries the entries that changed since what was last sent, and their range of change numbers. The
//             other side acknowledges a range once it holds all of it; what stays unacknowledged for `resend_cycles` is
//             sent again from there, and ever more rarely where the other side is heard but refuses some of it for
//             good.
//   all       Who starts empty asks for everything (Correction::kSyncAll) until it has heard a range from 0.
//   buckets   Each frame carries a digest of the whole ledger. Where they differ for 50 cycles although all news was
//             acknowledged, both sides say the digests of their buckets, then the entries of those that differ.
//   silence   Ledgers that are equal say nothing but digests, every 20 cycles.
//
// A link is a place, not a peer: who is at its far end shows as a session, and a new session starts from nothing. What
// is acknowledged holds for one session of each side only.
//
// What a link can cost is bounded, whatever it says: frames in the inbox (an equal part each), new sessions a cycle,
// one frame a cycle of at most kMaxFrameEntries, and, while it keeps its session, pauses that grow to 1600 cycles
// between answers to "everything" and to buckets. A frame may lie about what its sender holds: that one then counts as
// a holder (Holders), but nothing is lost or changed by it.
//
// A cycle in which nothing is new allocates nothing. A link is a number below `links`, always. Not thread-safe: one
// owner.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "shard/frame.h"
#include "shard/ledger.h"
#include "vaultguard/limits.h"
#include "vaultguard/refusals.h"

namespace lvs::shard {

// A link sends a frame with nothing new in it at least this often, as a sign of life.
inline constexpr std::uint64_t kSignOfLifeCycles = 20;

struct LedgerSyncConfig {
  std::uint32_t links = 1;  // places for peers, at most 255; a server node may leave one for itself and never use it
  bool up = true;           // somebody is at the far end of each link from the start
  bool holds = true;        // the ledger is kept here from the start
  // Cycles after which unacknowledged news is sent again, by link: a round trip and some.
  std::vector<std::uint32_t> resend_cycles;
  // Ledger news waits this long for more of it; a frame with nothing but an acknowledgement waits this long for
  // company.
  std::uint32_t news_cycles = 6;
  std::uint32_t acknowledge_cycles = 10;
  // Who starts and hears nobody for this long is alone.
  std::uint32_t alone_cycles = vaultguard::kSilenceCycles;
};

class LedgerSync {
 public:
  // Whose ledger it is.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual const Ledger& ledger() const = 0;
    // Joins what a link told: Ledger::Merge, and whatever else the owner does with what is new.
    virtual Ledger::Outcome Join(const LedgerEntry& entry, std::uint64_t cycle, std::uint8_t link, bool may_open) = 0;
    // Clears the ledger. Its changes go on being numbered.
    virtual void Forget() = 0;
    // A session that was never used before, by anybody.
    virtual SessionId NewSession(std::uint64_t cycle) = 0;
  };

  struct Arrival {
    std::uint32_t link = 0;
    std::uint64_t due_cycle = 0;
    std::shared_ptr<const Frame> frame;
    std::uint64_t order = 0;  // of arrival
  };

  // What a frame turned out to be, for the part of it that is not the ledger's.
  struct Taken {
    bool read = false;         // not of an earlier life of the server node at the far end
    bool newest = false;       // the newest of its session: its beacon and its state diffs count
    bool new_session = false;  // another session than before is at the far end
    bool tell_all = false;     // it asked for everything and is told: its state diffs have to be said anew, too
  };

  // The ledger that `owner` has now is held by all: no news about it. Begins the session NewSession(0).
  LedgerSync(LedgerSyncConfig config, Owner* owner);

  // ---- Life ----

  // The process died and a new one runs with an empty ledger: a new session, which asks every link for everything. What
  // is still on its way arrives at the new process, except for frames that are due by `cycle`.
  void Restart(std::uint64_t cycle);
  // The ledger lives with the replicas: the last one takes it along (true: forgotten just now), the first one begins a
  // new session and fetches it again. After a restart it is kept while the first replica has yet to join.
  bool Hold(std::uint32_t replicas, std::uint64_t cycle);
  // Asks every link for everything, once more.
  void AskAll();
  // Somebody came to, or left, the far end of a link.
  void SetUp(std::uint32_t link, bool up);

  // ---- A cycle ----

  // What links may tell of new sessions grows with time. Once a cycle, before its frames.
  void Begin(std::uint64_t cycle);
  // Keeps a frame until it is due; false where the link's part of the inbox is full, and nothing was kept.
  bool Receive(std::uint32_t link, std::uint64_t due_cycle, std::shared_ptr<const Frame> frame);
  // Removes and returns the frames that are due by `cycle`, by link and then by the cycle that they were said in. Valid
  // until the next call.
  const std::vector<Arrival>& Due(std::uint64_t cycle);
  // One frame that has passed CheckFrame. What it refuses is counted in `refused`; entries of an old frame still join.
  Taken Take(std::uint32_t link, const Frame& frame, std::uint64_t cycle, vaultguard::RefusalCounts* refused);
  // The same for a frame that carries no ledger (the emulator's plain rule).
  Taken TakeWithoutLedger(std::uint32_t link, const Frame& frame, vaultguard::RefusalCounts* refused);
  // Sets cycle, sender, digest, acknowledgement, news, buckets and correction of the frame that is to be said on this
  // link. Other fields are left as they are.
  void Fill(std::uint32_t link, std::uint64_t cycle, Frame* frame);
  // The same without news and corrections.
  void FillWithoutLedger(std::uint32_t link, std::uint64_t cycle, Frame* frame);
  // Whether the filled frame is worth saying now. News waits for more of it, an acknowledgement for company, and
  // nothing at all for the next sign of life; a frame that is `urgent` never waits. What is not said now is said later.
  bool Speaks(std::uint32_t link, std::uint64_t cycle, const Frame& frame, bool urgent);

  // ---- What is known ----

  bool holds() const { return holds_; }
  SessionId session() const { return session_; }
  // Somebody is there, and was heard within kSilenceCycles.
  bool IsHeard(std::uint32_t link, std::uint64_t cycle) const;
  bool IsUp(std::uint32_t link) const { return peers_[link].up; }
  // Of the last frame that was said on the link; 0: to none yet.
  std::uint64_t spoke_cycle(std::uint32_t link) const { return peers_[link].spoke_cycle; }
  // Server nodes that say that they hold this change of the ledger, this one included, each counted once however many
  // links lead to it. It is their word: a liar counts too.
  std::uint32_t Holders(std::uint64_t version) const;
  // More than half of the peers that are there have merged all of the ledger: one that only says so is not enough.
  bool HandedOver(std::uint64_t cycle) const;
  // Has all that its peers had when they were asked, or has no peer that answers.
  bool Synced(std::uint64_t cycle) const;

 private:
  // Keeps apart what a peer may ask for, however often it asks: asking is cheap and answering is not. Each pause is
  // twice the one before, until nothing was asked for eight times as long.
  class Pause {
   public:
    explicit Pause(std::uint64_t cycles) : first_(cycles), cycles_(cycles) {}
    bool Over(std::uint64_t cycle) const { return cycle >= since_ + cycles_; }
    void Begin(std::uint64_t cycle);

   private:
    std::uint64_t first_;
    std::uint64_t cycles_;
    std::uint64_t since_ = 0;
  };

  // A peer that asks for everything again is heard after a pause; buckets that differ are told again after a pause,
  // once all that is in them has been said.
  static constexpr std::uint64_t kTellAllCycles = 10;
  static constexpr std::uint64_t kRepairCycles = 50;

  // What is known of the same shard at the far end of a link.
  struct Peer {
    bool up = true;
    std::size_t in_inbox = 0;  // frames that wait for their cycle
    SessionId session;
    std::uint64_t newest_cycle = 0;  // of a frame; older ones have no voice
    std::uint64_t merged = 0;        // newest change of its ledger that is merged here
    std::uint64_t acknowledged = 0;  // newest change of this ledger that it has merged
    std::uint64_t sent = 0;          // newest change that was sent to it
    std::uint64_t sent_cycle = 0;    // when something new was sent, all had been sent, or some was acknowledged
    bool told_all = true;            // the last frame's news reached the newest change
    std::uint32_t fruitless = 0;     // how often news was sent again since it last acknowledged some
    std::uint64_t disagrees_since = 0;
    std::uint32_t buckets_wanted = 0;  // that it lacks
    std::size_t bucket_cursor = 0;
    Pause tell_all{kTellAllCycles};    // since it last asked for everything and was heard
    Pause repair{kRepairCycles};       // since it was last told all of the buckets that differ
    std::uint64_t tell_all_until = 0;  // up to this change it is told even what came from itself: it forgot
    bool ask_all = false;              // this side is empty: ask for everything
    std::uint32_t new_sessions = 0;    // that the link may still tell
    std::uint64_t spoke_cycle = 0;     // of the last frame to it, and what that acknowledged
    std::uint64_t spoke_acknowledged = 0;
    bool synced = false;  // everything that it had to tell has been merged once
  };

  void NewPeers();
  bool IsThere(const Peer& peer, std::uint64_t cycle) const;
  // Who says the frame. False, and refused: an earlier life of that server node.
  bool Recognise(const Frame& frame, Peer* peer, Taken* taken, vaultguard::RefusalCounts* refused);
  std::uint64_t ResendPause(std::uint32_t link) const;
  void JoinEntries(std::uint32_t link, const Frame& frame, std::uint64_t cycle, vaultguard::RefusalCounts* refused);
  void TakeAcknowledgement(const Frame& frame, std::uint64_t cycle, Peer* peer);
  bool TakeCorrection(const Frame& frame, std::uint64_t cycle, Peer* peer);
  void CompareLedgers(const Frame& frame, std::uint64_t cycle, Peer* peer);

  LedgerSyncConfig config_;
  Owner* owner_;
  SessionId session_;
  std::uint64_t started_cycle_ = 0;
  bool holds_;
  bool populated_ = true;  // replicas live, or lived, here since holding began
  std::vector<Peer> peers_;
  std::vector<Arrival> inbox_;
  std::vector<Arrival> due_;
  std::uint64_t received_ = 0;
  std::uint32_t new_sessions_ = vaultguard::kNewSessionsAtOnce;  // that links may tell beside what each link may
  std::uint64_t allowed_cycle_ = 0;
};

}  // namespace lvs::shard
