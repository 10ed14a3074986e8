// Redundancy sync (SPEC-14, ARCH-2.1) makes the ledgers of one shard equal on all server nodes, whatever the links
// between them lose, repeat, delay or reorder. Pure: no actors, no I/O, no clock. Cycles are arguments, and the same
// calls give the same frames.
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
//   all       A node that starts empty asks every peer for everything (Correction::kSyncAll), in every frame, until it
//             has all that the peer has. Each peer tells it in parts, a frame a cycle. Of several peers each also tells
//             some buckets first, so that together they are faster; the asker joins the parts in any order, and says
//             which it holds. After the last part a peer goes round again, once a round trip, over what still lacks.
//   buckets   Each frame carries a digest of the whole ledger. Where they differ for 50 cycles although all news was
//             acknowledged, both sides say the digests of their buckets, then the entries of those that differ.
//   silence   Equal ledgers exchange nothing but digests, every 20 cycles.
//
// A link is a place, not a peer: the peer at its far end is known by its session, and a new session starts from
// nothing. An acknowledgement holds for one session of each side only.
//
// The cost of a link is bounded, whatever it sends: frames in the inbox (an equal part each), new sessions a cycle, one
// frame a cycle of at most kMaxFrameEntries, and a budget of bytes for entries that are sent again, whatever for
// (kRepeatBytesAtOnce, kRepeatBytesPerCycle). The budget belongs to the link: a sender cannot refill it by taking a new
// session. A frame may lie about what its sender holds. The sender then counts as a holder (Holders), but nothing is
// lost or changed.
//
// A cycle without anything new allocates nothing. Link arguments must be below `links`. Not thread-safe: one owner.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "shard/frame.h"
#include "shard/ledger.h"
#include "vaultguard/limits.h"
#include "vaultguard/refusals.h"

namespace lvs::shard {

// A link between server nodes sends a frame with nothing new in it at least this often, as a sign of life.
inline constexpr std::uint32_t kSignOfLifeCycles = 20;

struct LedgerSyncConfig {
  std::uint32_t links = 1;  // places for peers, at most 255; a server node may leave one for itself and never use it
  bool up = true;           // a peer is at the far end of each link from the start
  bool holds = true;        // the ledger is kept here from the start
  // Cycles after which unacknowledged news is sent again, by link: a round trip and some.
  std::vector<std::uint32_t> resend_cycles;
  // Cycles of a round trip, by link: a peer that asks for everything is told what it lacks again after so many. Empty:
  // two for every link.
  std::vector<std::uint32_t> round_trip_cycles{};
  // Delays that gather more into one frame: for ledger news, and for a frame with nothing but an acknowledgement.
  std::uint32_t news_cycles = 6;
  std::uint32_t acknowledge_cycles = 10;
  // A server node that starts and hears no peer for this long is alone.
  std::uint32_t alone_cycles = vaultguard::kSilenceCycles;
  // A link sends a frame with nothing new in it at least this often.
  std::uint32_t sign_of_life_cycles = kSignOfLifeCycles;
  // Entries of a frame, at most: half of them are news, and half are of buckets that differ.
  std::size_t frame_entries = vaultguard::kMaxFrameEntries;
};

class LedgerSync {
 public:
  // The owner of the ledger.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual const Ledger& ledger() const = 0;
    // Joins an entry that a link brought: Ledger::Merge, and whatever else the owner does with new entries.
    virtual Ledger::Outcome Join(const LedgerEntry& entry, std::uint64_t cycle, std::uint8_t link, bool may_open) = 0;
    // Clears the ledger. Change numbers go on.
    virtual void Forget() = 0;
    // Returns a session id that was never used before, by any process.
    virtual SessionId NewSession(std::uint64_t cycle) = 0;
  };

  struct Arrival {
    std::uint32_t link = 0;
    std::uint64_t due_cycle = 0;
    std::shared_ptr<const Frame> frame;
    std::uint64_t order = 0;  // of arrival
  };

  // Verdict on a frame, for the parts of it that do not concern the ledger.
  struct Taken {
    bool read = false;         // the frame is not from an earlier life of the server node at the far end
    bool newest = false;       // the newest of its session: its beacon and its state diffs count
    bool new_session = false;  // a different session is at the far end now
    bool tell_all = false;     // the peer asks for everything: state diffs have to be sent anew, too
  };

  // The present ledger of `owner` counts as held by all peers, so it is no news. Begins the session NewSession(0).
  LedgerSync(LedgerSyncConfig config, Owner* owner);

  // ---- Life ----

  // The process died and a new one runs with an empty ledger: a new session, which asks every link for everything.
  // Frames still on their way arrive at the new process, except for those due by `cycle`.
  void Restart(std::uint64_t cycle);
  // The ledger lives with the replicas. When the last one leaves, the ledger is forgotten (true: just now); the first
  // one that enters begins a new session and fetches the ledger again. After a restart the ledger is kept until the
  // first replica enters.
  bool Hold(std::uint32_t replicas, std::uint64_t cycle);
  // Begins to hold the ledger, before entries of a cache are restored; nothing where it is held. Where no replica lives
  // here, it is kept until the first one enters, as after a restart.
  void BeginToHold(std::uint64_t cycle);
  // Asks every link for everything, once more.
  void AskAll();
  // The server node drains. From now on peers are told so, and one of them counts in HandedOver only once it has been heard
  // kNoticeCycles later: had it begun to drain as well by then, it would have said so.
  void Leave(std::uint64_t cycle);
  // The server node hands over what it holds. Entries of frames join no more, so that there is an end to what is to be
  // handed over however much the peers go on taking in; they keep what they said, for nothing of it is acknowledged.
  void HandOver() { hands_over_ = true; }
  // A peer came to, or left, the far end of a link. `counts`: as one of Holders and in HandedOver. A browser tab, which may
  // close at any time, does not count at a server node.
  void SetUp(std::uint32_t link, bool up, bool counts = true);
  // Sets how many cycles news waits for its acknowledgement, and how many a round trip takes, where they depend on who is
  // at the far end.
  void SetPace(std::uint32_t link, std::uint32_t resend_cycles, std::uint32_t round_trip_cycles);

  // ---- A cycle ----

  // Refills the allowances of new sessions and of repeats. Call once a cycle, before its frames.
  void Begin(std::uint64_t cycle);
  // Keeps a frame until it is due. False: the link's part of the inbox is full, and the frame was not kept.
  bool Receive(std::uint32_t link, std::uint64_t due_cycle, std::shared_ptr<const Frame> frame);
  // Removes and returns the frames that are due by `cycle`, by link and then by the cycle in which they were sent.
  // Valid until the next call.
  const std::vector<Arrival>& Due(std::uint64_t cycle);
  // Takes one frame that has passed CheckFrame. Refusals are counted in `refused`; entries of an old frame still join.
  Taken Take(std::uint32_t link, const Frame& frame, std::uint64_t cycle, vaultguard::RefusalCounts* refused);
  // The same for a frame that carries no ledger (the emulator's plain rule).
  Taken TakeWithoutLedger(std::uint32_t link, const Frame& frame, vaultguard::RefusalCounts* refused);
  // Sets cycle, sender, digest, acknowledgement, news, buckets and correction of the next frame on this link. Other
  // fields stay as they are.
  void Fill(std::uint32_t link, std::uint64_t cycle, Frame* frame);
  // The same without news and corrections.
  void FillWithoutLedger(std::uint32_t link, std::uint64_t cycle, Frame* frame);
  // Decides whether the filled frame is sent now. News waits news_cycles, an acknowledgement acknowledge_cycles, and an
  // empty frame for the next sign of life; a frame that is `urgent` never waits. News that is held back goes into a
  // later frame.
  bool Speaks(std::uint32_t link, std::uint64_t cycle, const Frame& frame, bool urgent);

  // ---- What is known ----

  bool holds() const { return holds_; }
  SessionId session() const { return session_; }
  // True where a peer is there and was heard within kSilenceCycles.
  bool IsHeard(std::uint32_t link, std::uint64_t cycle) const;
  bool IsUp(std::uint32_t link) const { return peers_[link].up; }
  // Cycle of the last frame that was sent on the link; 0: none yet.
  std::uint64_t spoke_cycle(std::uint32_t link) const { return peers_[link].spoke_cycle; }
  // Counts the server nodes that count, are there, stay, and claim to hold this change of the ledger, this one included, each once
  // however many links lead to it. Claims are not verified: a liar counts too.
  std::uint32_t Holders(std::uint64_t version) const;
  // True where the peer there said that it leaves. It should be answered at once, for it waits.
  bool IsLeaving(std::uint32_t link) const { return peers_[link].up && peers_[link].leaving; }
  // True where more than half of the present peers that stay have merged the whole ledger, so that a single claim is not
  // enough. False without any.
  bool HandedOver(std::uint64_t cycle) const;
  // True where nothing is to be waited for: every peer that is there has told all, or tells nothing more; or no peer is
  // there for alone_cycles.
  bool Synced(std::uint64_t cycle) const;
  // True from when this side first had all that its peers had, since it began to hold the ledger: every peer that was
  // there had told everything, except for those that told nothing more. Stays true until the ledger is lost.
  bool compared() const { return compared_ || !holds_; }
  // The same, or no peer was heard for kSilenceCycles since: nobody is known to hold more.
  bool HoldsAll(std::uint64_t cycle) const;

 private:
  // A range of change numbers: after `from`, up to `to`.
  struct Range {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
  };

  // From a peer's decision to leave until this side has heard of it: a round trip and some.
  static constexpr std::uint64_t kNoticeCycles = 3;

  // The state of one link: what is known about the same shard at its far end.
  struct Peer {
    bool up = true;
    bool counts = true;
    std::size_t in_inbox = 0;  // frames that wait for their cycle
    SessionId session;
    std::uint64_t newest_cycle = 0;  // of a frame; older ones only bring entries
    std::uint64_t heard_cycle = 0;   // when that frame was taken
    std::uint64_t merged = 0;        // newest change of its ledger that is merged here
    std::uint64_t acknowledged = 0;  // newest change of this ledger that it has merged
    std::uint64_t sent = 0;          // newest change that was sent to it; or, while it asks, where the next part begins
    std::uint64_t told = 0;          // newest change that was ever sent on the link: up to here it is a repeat
    std::uint64_t sent_cycle = 0;    // when news was sent, all had been sent, or some was acknowledged
    bool told_all = true;            // the last frame's news reached the newest change
    std::uint32_t fruitless = 0;     // how often news was sent again since it last acknowledged some
    std::uint64_t disagrees_since = 0;
    std::uint32_t buckets_wanted = 0;  // buckets that it lacks
    std::size_t bucket_cursor = 0;
    std::uint64_t repair_cycle = 0;  // from here on the buckets that differ may be sent once more
    std::int64_t repeat_bytes = vaultguard::kRepeatBytesAtOnce;  // of entries, that may be sent again by now
    std::uint64_t tell_all_until = 0;  // up to this change even its own entries are sent back: it forgot them
    // The peer asks for everything.
    std::uint64_t asked_cycle = 0;        // when it was last heard to ask; 0: it does not ask
    std::uint32_t buckets_first = 0;      // that it asked for; 0: it takes no parts
    std::vector<std::uint64_t> it_holds;  // pairs of change numbers, as it said
    std::uint64_t round_cycle = 0;        // when it was last begun to be told what it lacks
    std::uint64_t everybody_cycle = 0;    // when state diffs were last sent anew
    // This side asks for everything.
    bool ask_all = false;
    std::vector<Range> merged_ranges;  // beyond `merged`, ascending and apart
    std::uint64_t progress_cycle = 0;  // when the session began, or something new was last merged from it
    std::uint32_t idle_frames = 0;     // heard since then
    bool refused = false;              // it told something that is refused here for good
    std::uint32_t new_sessions = 0;    // that the link may still open
    std::uint64_t spoke_cycle = 0;     // of the last frame to it, and what that acknowledged
    std::uint64_t spoke_acknowledged = 0;
    bool synced = false;   // everything that it had to tell has been merged once
    bool leaving = false;  // by its newest frame
  };

  void NewPeers();
  std::size_t NewsMax() const { return config_.frame_entries / 2; }
  // Asks every link for everything: the ledger is empty as of this cycle.
  void Fetch(std::uint64_t cycle);
  bool AnyIsThere(std::uint64_t cycle) const;
  // Whether the peer may still tell something that is worth waiting for.
  bool IsAwaited(const Peer& peer, std::uint64_t cycle) const;
  bool HasAllOfPeers(std::uint64_t cycle) const;
  bool IsThere(const Peer& peer, std::uint64_t cycle) const;
  // Identifies the sender by its session. False, and counted as refused: an earlier life of that server node.
  bool Recognise(const Frame& frame, Peer* peer, Taken* taken, vaultguard::RefusalCounts* refused);
  std::uint64_t ResendPause(std::uint32_t link) const;
  void JoinEntries(std::uint32_t link, const Frame& frame, std::uint64_t cycle, vaultguard::RefusalCounts* refused);
  void TakeRange(const Frame& frame, Peer* peer);
  void TakeAcknowledgement(const Frame& frame, std::uint64_t cycle, Peer* peer);
  bool TakeCorrection(const Frame& frame, std::uint64_t cycle, Peer* peer, vaultguard::RefusalCounts* refused);
  // Takes a request for everything. Returns whether state diffs are sent anew.
  bool TakeRequest(const Frame& frame, std::uint64_t cycle, Peer* peer);
  bool Asks(const Peer& peer, std::uint64_t cycle) const {
    return peer.asked_cycle != 0 && cycle < peer.asked_cycle + config_.sign_of_life_cycles;
  }
  void CompareLedgers(const Frame& frame, std::uint64_t cycle, Peer* peer);
  std::uint32_t BucketsFirst(std::uint32_t link, std::uint64_t cycle) const;
  void FillPart(std::uint32_t link, std::uint64_t cycle, Frame* frame);
  void FillNews(std::uint32_t link, std::uint64_t cycle, Frame* frame);
  void FillBuckets(std::uint64_t cycle, Peer* peer, Frame* frame) const;

  LedgerSyncConfig config_;
  Owner* owner_;
  SessionId session_;
  std::uint64_t started_cycle_ = 0;
  std::uint64_t fetching_since_ = 0;  // when the ledger that is held began empty
  bool compared_ = false;
  bool alone_ = false;  // no peer was heard for kSilenceCycles
  bool holds_;
  bool populated_ = true;  // replicas live, or lived, here since holding began
  bool hands_over_ = false;
  std::optional<std::uint64_t> leaves_since_;
  std::vector<Peer> peers_;
  std::vector<Arrival> inbox_;
  std::vector<Arrival> due_;
  std::uint64_t received_ = 0;
  std::uint32_t new_sessions_ = vaultguard::kNewSessionsAtOnce;  // shared by all links, beyond what each may open
  std::uint64_t begun_cycle_ = 0;
};

}  // namespace lvs::shard
