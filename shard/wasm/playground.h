// The playground's network: server nodes of a few regions in one process, over virtual links, as the emulator wires them,
// and whatever a visitor does to it. One shard, which every micro-node holds, so that a replica and a micro-node are one
// point of the picture.
//
//   Playground playground({.seed = 21, .regions = 3, .micro_nodes = 480});
//   playground.Do({Action::Kind::kContribute, 5'000'000});   // happens in the next cycle
//   playground.Step();
//   playground.points().x[slot];
//   playground.StateHash();
//
// Deterministic: the configuration and the actions with their cycles give the same hashes, natively and in every
// browser. That is what a link to a playground holds.
//
// A point keeps its slot while it lives. A micro-node that enters takes the slot of one that left, so the slots are as
// many as there are micro-nodes.
//
// Pure; one owner.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "shard/hosting/attack.h"
#include "shard/hosting/messages.h"
#include "shard/hosting/shard_layout.h"
#include "vaultguard/refusals.h"

namespace lvs::playground {

inline constexpr std::uint32_t kRegionsMax = 8;
inline constexpr std::uint32_t kMicroNodesMax = 8192;
inline constexpr std::int64_t kContributionUvuMax = 1'000'000'000'000;  // a million VU

// A configuration out of these bounds is moved to the nearest one within.
struct PlaygroundConfig {
  std::uint64_t seed = 1;
  std::uint32_t regions = 3;        // 1 to kRegionsMax
  std::uint32_t micro_nodes = 480;  // of all regions; at least 8 a region
};

struct Action {
  enum class Kind : std::uint8_t {
    kContribute,  // `a` micro-VU by the visitor, to a server node of the visitor's region
    kThrow,       // the visitor's replica goes to a random place
    kScatter,     // all of them do
    kCut,         // regions whose bit is set in `a` hear the others no more; 0: the cut is healed
    kLoss,        // `a` per mille of all messages are lost
    kAttack,      // hosting::Attack `a` by `b` per mille of the micro-nodes; 0: everybody is honest
    kKill,        // region `a` dies, and its memory with it
    kStart,       // region `a` starts again, empty
    kChurn,       // `a` per mille of the micro-nodes leave in every cycle, and as many new ones enter
    kCount,
  };
  Kind kind = Kind::kScatter;
  std::int64_t a = 0;
  std::int64_t b = 0;
};

enum class PointKind : std::uint8_t {
  kNobody = 0,  // the slot waits for a micro-node
  kMember = 1,
  kLiar = 2,
  kGone = 4,  // died with its region
};

// By slot. Regions follow each other.
struct Points {
  std::vector<float> x;  // free coordinates; of a liar, those that it claims
  std::vector<float> y;
  std::vector<float> behind;       // VU that it does not know of
  std::vector<float> drift;        // its bound tau for free coordinates
  std::vector<float> entropy;      // mean size of its last packet's components, 0..1
  std::vector<float> trust;        // mean trust in its neighbours, 0..1
  std::vector<std::uint32_t> age;  // cycles since it entered
  std::vector<std::uint8_t> kind;
  std::vector<std::uint8_t> region;
};

// The neighbours of each slot, kPeers a slot; kNobody where a neighbour is no point of the picture.
inline constexpr std::uint32_t kPeers = 8;
inline constexpr std::uint32_t kNoSlot = ~std::uint32_t{0};
struct Links {
  std::vector<std::uint32_t> to;
  std::vector<float> trust;
};

// Plain numbers, in the order in which a browser reads them.
struct Figures {
  double cycle = 0;
  double spread = 0;       // of the honest, where random states have 1
  double total_vu = 0;     // the most that a live region knows of
  double value_error = 0;  // the worst of an honest replica, VU
  double honest = 0;
  double knowing = 0;  // of these, how many know of everything
  double liars = 0;
  double regions_up = 0;
  double anomalies = 0;       // that VaultGuard has raised so far
  double claims_refused = 0;  // forged claims so far (Attack::kForgedLedger)
  double heard = 0;           // messages of the last cycle
  double lost = 0;
  double strikes = 0;
  double bytes = 0;
  double entered = 0;  // micro-nodes so far
  double left = 0;
  double mine_vu = 0;  // accepted from the visitor so far
  double me = 0;       // the visitor's slot
  double answer = 0;   // to the last contribution: 0 none yet, 1 accepted, 2 + vaultguard::Refusal
  double answers = 0;  // so far
  // How far the middle of the honest has moved, in free coordinates, since somebody began to lie; and when that was, -1
  // before the first time.
  double carried = 0;
  double lies_since = -1;
  std::array<double, kRegionsMax> region_vu{};
};
inline constexpr std::size_t kFigures = sizeof(Figures) / sizeof(double);

class Playground {
 public:
  explicit Playground(PlaygroundConfig config);
  ~Playground();
  Playground(const Playground&) = delete;
  Playground& operator=(const Playground&) = delete;

  // False: the action has numbers that mean nothing here, and nothing happens.
  bool Do(const Action& action);
  void Step();

  std::uint64_t cycle() const { return cycle_; }
  std::uint32_t slots() const { return static_cast<std::uint32_t>(points_.x.size()); }
  std::uint32_t regions() const { return config_.regions; }
  const Points& points() const { return points_; }
  const Links& links() const { return links_; }
  const Figures& figures() const { return figures_; }
  // Of every replica's state and of the ledgers.
  std::uint64_t StateHash() const;

 private:
  struct Region;

  void StartRegion(std::uint32_t region, const std::vector<std::uint32_t>& populations);
  bool IsSevered(std::uint32_t a, std::uint32_t b) const;
  bool AttackIsOn() const { return attack_.attack != hosting::Attack::kNone; }
  hosting::NodeTick TickFor(std::uint32_t region);
  void AddContributions(std::uint32_t region, hosting::NodeTick* tick);
  void StepRegion(std::uint32_t region);
  void StepShard(Region* region, hosting::ShardTick* tick, hosting::Verdict* verdict);
  void TakeAnswers(const std::vector<hosting::Answer>& answers);
  void Flush(std::uint32_t region);

  // Which region takes the visitor's contributions; null where nobody is left.
  std::optional<std::uint32_t> ContributionRegion() const;
  void FindMe();

  void Look();
  void Assign(Region* region);
  void LookAtRegion(std::uint32_t region, double most_vu);
  void LookAtLinks(const Region& region);
  void LookAtPoint(const Region& region, std::uint32_t slot, std::uint32_t row, double behind_vu);
  void Measure();

  PlaygroundConfig config_;
  std::vector<std::unique_ptr<Region>> regions_;
  std::uint64_t cycle_ = 0;
  std::uint32_t me_ = 0;

  // What was done, and holds until something else is done.
  std::uint32_t cut_ = 0;
  double loss_ = 0;
  double churn_ = 0;
  hosting::NodeTick::AttackOrder attack_;
  // What happens in the next cycle.
  bool attack_changed_ = false;
  bool scatter_ = false;
  bool throw_me_ = false;
  std::int64_t contribution_uvu_ = 0;

  std::array<double, 2> middle_{};  // of the honest
  std::array<double, 2> home_{};    // the same when somebody began to lie

  std::int64_t mine_uvu_ = 0;   // accepted
  std::int64_t asked_uvu_ = 0;  // the cumulative amount that waits for its answer; 0: none

  Points points_;
  Links links_;
  Figures figures_;
};

}  // namespace lvs::playground
