// The shard host: one shard on one server node. A cycle takes due frames, refreshes the halo, joins ledger news, runs
// one drift cycle, and sends each peer what is new: state diffs of the shard's ambassadors, and ledger entries
// (SPEC-7.2).
//
//   ShardHost host(config);
//   host.Receive({/*from=*/1, /*due_cycle=*/7, frame});   // at any time between two ticks
//   ShardReport report;
//   host.Tick({.cycle = 7}, &report);
//   for (ShardHost::Said& said : host.said()) Send(said.to, std::move(said.frame));
//
// Pure: no actors, no clock, no sockets. The same configuration and calls give the same reports and frames, whatever
// the order in which the frames of one cycle arrive. One owner at a time.
//
// The redundancy sync (shard/ledger_sync.h) keeps the ledgers of the server nodes equal (SPEC-14, ARCH-2.1).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "shard/hosting/adversary.h"
#include "shard/hosting/ambassadors.h"
#include "shard/hosting/messages.h"
#include "shard/hosting/pending_answers.h"
#include "shard/hosting/remote_shards.h"
#include "shard/hosting/shard_layout.h"
#include "shard/hosting/stopwatch.h"
#include "shard/ledger_sync.h"

namespace lvs::hosting {

struct ShardHostConfig {
  std::uint32_t node = 0;                // this server node
  std::uint32_t nodes = 1;               // server nodes in all
  shard::StateShardConfig shard;         // whose halo_rows the layout decides
  ShardLayout layout;                    // empty for a server node alone
  std::uint32_t replicas = 0;            // at the start
  std::int64_t opening_balance_uvu = 0;  // a slot
  std::uint64_t seed = 0;                // of the scenario
  std::uint64_t last_cycle = 0;          // its report carries the state hash
  std::uint32_t ambassadors = 0;         // sampled replicas that speak to the other server nodes
  // Cycles after which unacknowledged news is sent again, by server node: a round trip and some.
  std::vector<std::uint32_t> resend_cycles;
  std::vector<std::uint32_t> round_trip_cycles{};  // by server node; empty: as LedgerSyncConfig says
  // Delays that gather more into one frame: for ledger news, and for a frame with nothing but an acknowledgement.
  std::uint32_t news_cycles = shard::LedgerSyncConfig{}.news_cycles;
  std::uint32_t acknowledge_cycles = shard::LedgerSyncConfig{}.acknowledge_cycles;
  // A server node that starts and hears no peer for this long is alone.
  std::uint32_t alone_cycles = shard::LedgerSyncConfig{}.alone_cycles;
  std::uint32_t sign_of_life_cycles = shard::LedgerSyncConfig{}.sign_of_life_cycles;
  std::size_t frame_entries = shard::LedgerSyncConfig{}.frame_entries;
  // A server node that was not heard for this long is missing: RemoteShards.
  std::uint64_t missing_cycles = kMissingCycles;
  // Server nodes come and go at the far ends of the links (LinkChange): at first there is none, and the peers' beacons
  // decide how many of the neighbours are remote.
  bool links_change = false;
  // Reports carry the entries that changed, and an answer for each further server node that holds a contribution.
  bool tell_changes = false;
  // With a clock, reports say how long each stage took.
  NanosecondClock clock_ns = nullptr;
  // Makes an empty frame. The owner may reuse the memory of frames without readers.
  std::shared_ptr<shard::Frame> (*make_frame)() = [] { return std::make_shared<shard::Frame>(); };
};

class ShardHost : private shard::LedgerSync::Owner {
 public:
  struct Said {
    std::uint32_t to = 0;  // server node
    Payload<shard::Frame> frame;
  };

  explicit ShardHost(ShardHostConfig config);
  ShardHost(const ShardHost&) = delete;
  ShardHost& operator=(const ShardHost&) = delete;

  // Keeps a frame until it is due. A frame for which the inbox has no room is counted as refused.
  void Receive(const IncomingFrame& frame);
  void Change(const LinkChange& change);
  // Runs one cycle and fills in `report`, which must be empty. Cycle 0 is the state that was drawn, before the first
  // step.
  void Tick(const ShardTick& tick, ShardReport* report);
  // Frames of the last tick. The caller may move them out.
  std::vector<Said>& said() { return said_; }

  const shard::StateShard& state() const { return *shard_; }
  const shard::LedgerSync& sync() const { return *sync_; }
  // Rows of the ambassadors, by number: what the halo rows of the other server nodes stand for.
  const std::vector<std::uint32_t>& ambassadors() const { return ambassadors_.rows(); }

 private:
  bool plain() const { return config_.shard.drift.plain; }
  std::unique_ptr<shard::StateShard> NewShard() const;

  // ---- The ledger's owner, for the redundancy sync ----
  const shard::Ledger& ledger() const override { return shard_->ledger(); }
  shard::Ledger::Outcome Join(const shard::LedgerEntry& entry, std::uint64_t cycle, std::uint8_t link,
                              bool may_open) override {
    return shard_->Contribute(entry, cycle, link, may_open);
  }
  void Forget() override { shard_->ForgetLedger(); }
  shard::SessionId NewSession(std::uint64_t cycle) override;

  // ---- The stages of a tick, in their order ----
  void Populate(const ShardTick& tick, ShardReport* report);
  void Restart(std::uint64_t cycle);
  void Restore(const std::vector<shard::LedgerEntry>& cached, std::uint64_t cycle, RestoreCounts* counts);
  void Recover(vaultguard::RecoveryAction action);
  void Apply(const RowCommand& command, std::uint64_t cycle);
  void Listen(const ShardTick& tick, ShardReport* report);
  void Take(std::uint32_t from, const shard::Frame& frame, std::uint64_t cycle);
  void Accept(const Contribution& contribution, std::uint64_t cycle, ShardReport* report);
  void Speak(const ShardTick& tick);
  void Draft(std::uint32_t node, const ShardTick& tick);
  void TellChanges(const ShardTick& tick, ShardReport* report);
  void Measure(const ShardTick& tick, ShardReport* report);

  ShardHostConfig config_;
  std::unique_ptr<shard::StateShard> shard_;
  std::optional<shard::LedgerSync> sync_;
  RemoteShards remotes_;
  Ambassadors ambassadors_;
  Adversaries adversaries_;
  PendingAnswers pending_;
  Picture picture_;
  Stopwatch watch_;
  std::shared_ptr<shard::Frame> draft_;  // overwritten by the next one: most drafts are never sent
  std::vector<Said> said_;
  float load_ = 0;  // how full the inbox was, 0..1
  bool leaving_ = false;
  vaultguard::RefusalCounts refused_;
  std::uint64_t told_version_ = 0;  // change up to which the reports have covered the ledger
  shard::SlotAmounts plain_increment_{};
};

}  // namespace lvs::hosting
