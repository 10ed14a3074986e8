// The rules one by one, then what they add up to: a few hundred nodes in a simulated network, where a message takes one
// tick. Every run is a function of its seed, which a failure prints.
#include "services/peering/membership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shard/random.h"

namespace lvs::services {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// ---- One node ------------------------------------------------------------------------------------------------------

MembershipOptions Options() {
  MembershipOptions options;
  options.seed = 7;
  options.session = {1, 1000};
  options.self = "10.0.0.1:7000";
  return options;
}

PeerLink Dialled(LinkId link, const std::string& address, std::uint64_t session) {
  return {link, address, address, "eu", {1, session}};
}

PeerLink Incoming(LinkId link, const std::string& advertised, std::uint64_t session) {
  return {link, advertised, "", "eu", {1, session}};
}

v1::PeerExchange Exchange(const std::vector<std::string>& addresses, std::uint32_t age_s = 0) {
  v1::PeerExchange exchange;
  for (const std::string& address : addresses) {
    v1::PeerAddress* peer = exchange.add_peers();
    peer->set_address(address);
    peer->set_age_s(age_s);
  }
  return exchange;
}

std::vector<std::string> Addresses(const Membership& membership) {
  std::vector<std::string> addresses;
  for (const v1::KnownAddress& known : membership.Known()) addresses.push_back(known.address());
  return addresses;
}

// Dials until `until`, all of which fail; the times of the dials.
std::vector<double> DialTimes(Membership* membership, double from, double until) {
  std::vector<double> times;
  for (double now = from; now < until; now += 0.05) {
    for (const std::string& address : membership->Tick(now).dial) {
      times.push_back(now);
      membership->DialFailed(address, absl::UnavailableError("nobody there"), now);
    }
  }
  return times;
}

TEST(Membership, AddressesHaveOneForm) {
  for (const char* good : {"a:1", "seed.example:7000", "10.0.0.5:65535", "[::1]:7000", "[fe80::1]:80", "node_1:9"}) {
    EXPECT_TRUE(CanonicalAddress(good).ok()) << good;
  }
  EXPECT_EQ(*CanonicalAddress("Seed.Example:7000"), "seed.example:7000");
  for (const char* bad :
       {"",          ":",    "a",     "a:",    ":7000",    "a:0",   "a:65536", "a:07",    "a:+7",
        "a: 7",      "a:7x", "a b:7", "a/b:7", "::1:7000", "[::1]", "[]:7",    "[abc]:7", "0.0.0.0:7000",
        "[::]:7000", "-a:7", "a\n:7", "\xff:7"}) {
    EXPECT_EQ(CanonicalAddress(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  const std::string label = std::string(63, 'a') + ".";
  EXPECT_TRUE(CanonicalAddress(label + label + label + std::string(59, 'a') + ":7000").ok());
  EXPECT_FALSE(CanonicalAddress(label + label + label + std::string(60, 'a') + ":7000").ok());
}

TEST(Membership, ItselfIsNeverDialled) {
  Membership membership(Options());
  ASSERT_TRUE(membership.AddBoot("alias.example:7000", 0).ok());
  EXPECT_THAT(membership.Tick(0).dial, ElementsAre("alias.example:7000"));
  const absl::Status status = membership.Connected({1, "10.0.0.1:7000", "alias.example:7000", "eu", {1, 1000}}, 0);
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  membership.Heard(Membership::kLocal, Exchange({"10.0.0.1:7000", "ALIAS.example:7000"}), 1);
  EXPECT_THAT(DialTimes(&membership, 1, 60), IsEmpty());
  EXPECT_EQ(membership.known_count(), 0u);
}

TEST(Arch2_2_Membership, BootAddressesAreTriedForEverWithBackoff) {
  MembershipOptions options = Options();
  options.forget_s = 60;
  Membership membership(options);
  ASSERT_TRUE(membership.AddBoot("seed.example:7000", 0).ok());
  EXPECT_EQ(membership.AddBoot("seed.example", 0).code(), absl::StatusCode::kInvalidArgument);
  const std::vector<double> times = DialTimes(&membership, 0, 1000);
  ASSERT_GT(times.size(), 100u);
  EXPECT_LT(times[1] - times[0], 0.3);
  for (std::size_t i = 1; i < times.size(); ++i) EXPECT_LT(times[i] - times[i - 1], 10.2);
  for (std::size_t i = 8; i < times.size(); ++i) EXPECT_GT(times[i] - times[i - 1], 4.9);
  EXPECT_GT(membership.Known()[0].failures(), 100u);
  EXPECT_EQ(membership.Known()[0].last_error(), "nobody there");
  // Success resets the backoff.
  double now = 1000;
  while (membership.Tick(now).dial.empty()) now += 0.05;
  ASSERT_TRUE(membership.Connected(Dialled(1, "seed.example:7000", 5), now).ok());
  EXPECT_EQ(membership.Known()[0].failures(), 0u);
  membership.Disconnected(1, LinkEnd::kBroken, "reset", now + 100);
  EXPECT_THAT(membership.Tick(now + 100.21).dial, SizeIs(1));
}

TEST(Membership, APeerThatHangsUpAtOnceIsNotDialledInALoop) {
  Membership membership(Options());
  ASSERT_TRUE(membership.AddBoot("seed.example:7000", 0).ok());
  int dials = 0;
  LinkId link = 0;
  for (double now = 0; now < 60; now += 0.05) {
    for (const std::string& address : membership.Tick(now).dial) {
      ++dials;
      ASSERT_TRUE(membership.Connected(Dialled(++link, address, 5), now).ok());
      membership.Disconnected(link, LinkEnd::kBroken, "reset", now);
    }
  }
  EXPECT_GT(dials, 5);
  EXPECT_LT(dials, 25);
}

TEST(Membership, WhatIsConnectedIsNotDialledUnderEitherName) {
  Membership membership(Options());
  ASSERT_TRUE(membership.AddBoot("alias.example:7000", 0).ok());
  membership.Tick(0);
  ASSERT_TRUE(membership.Connected({1, "10.0.0.2:7000", "alias.example:7000", "eu", {1, 5}}, 0).ok());
  ASSERT_TRUE(membership.Connected(Incoming(2, "10.0.0.3:7000", 6), 0).ok());
  membership.Heard(1, Exchange({"10.0.0.2:7000", "10.0.0.3:7000"}), 1);
  EXPECT_THAT(DialTimes(&membership, 1, 120), IsEmpty());
  membership.Disconnected(2, LinkEnd::kBroken, "reset", 120);
  EXPECT_THAT(membership.Tick(121).dial, ElementsAre("10.0.0.3:7000"));
}

TEST(Membership, OfTwoLinksToOneSessionBothEndsKeepTheSame) {
  // Session 1000 is here. The one that the smaller session dialled stays, in whichever order they come up.
  for (const bool smaller : {true, false}) {
    for (const bool dialled_first : {true, false}) {
      Membership membership(Options());
      const std::uint64_t peer = smaller ? 2000 : 5;  // smaller: this node is
      const PeerLink out = Dialled(1, "10.0.0.2:7000", peer);
      const PeerLink in = Incoming(2, "10.0.0.2:7000", peer);
      const absl::Status first = membership.Connected(dialled_first ? out : in, 0);
      const absl::Status second = membership.Connected(dialled_first ? in : out, 0);
      EXPECT_TRUE(first.ok());
      EXPECT_THAT(membership.Links(), ElementsAre(smaller ? 1u : 2u));
      const bool replaced = membership.Links()[0] == (dialled_first ? 2u : 1u);
      EXPECT_EQ(second.code(), replaced ? absl::StatusCode::kOk : absl::StatusCode::kAlreadyExists);
      EXPECT_THAT(membership.Tick(0).drop, SizeIs(replaced ? 1 : 0));
    }
  }
}

TEST(Membership, AGoodbyeIsLeftAloneForAWhile) {
  Membership membership(Options());
  ASSERT_TRUE(membership.Connected(Incoming(1, "10.0.0.2:7000", 5), 0).ok());
  ASSERT_TRUE(membership.Connected(Incoming(2, "10.0.0.3:7000", 6), 0).ok());
  EXPECT_EQ(membership.Sample(2, 1).peers_size(), 1);
  membership.Disconnected(1, LinkEnd::kGoodbye, "drained", 100);
  EXPECT_EQ(membership.Sample(2, 101).peers_size(), 0);
  EXPECT_THAT(DialTimes(&membership, 100, 129), IsEmpty());
  EXPECT_THAT(DialTimes(&membership, 129, 131), Not(IsEmpty()));
}

TEST(Spec9_4_Membership, WhoWasLostIsExpectedBackForAWhileAndWhoSaidGoodbyeIsNot) {
  Membership membership(Options());
  ASSERT_TRUE(membership.AddBoot("10.0.0.2:7000", 0).ok());
  EXPECT_FALSE(membership.ExpectsSomebody(0)) << "nobody was ever there";
  ASSERT_TRUE(membership.Connected(Dialled(1, "10.0.0.2:7000", 2), 1).ok());
  ASSERT_TRUE(membership.Connected(Incoming(2, "10.0.0.3:7000", 3), 1).ok());
  EXPECT_FALSE(membership.ExpectsSomebody(1)) << "all are there";
  membership.Disconnected(2, LinkEnd::kGoodbye, "it left", 10);
  EXPECT_FALSE(membership.ExpectsSomebody(10));
  membership.Disconnected(1, LinkEnd::kBroken, "it is gone", 20);
  EXPECT_TRUE(membership.ExpectsSomebody(20));
  EXPECT_TRUE(membership.ExpectsSomebody(19 + Options().goodbye_s));
  EXPECT_FALSE(membership.ExpectsSomebody(21 + Options().goodbye_s));
}

TEST(Spec10_Membership, ABootAddressThatNobodyAnswersIsMissedForAnHour) {
  Membership membership(Options());
  ASSERT_TRUE(membership.AddBoot("10.0.0.2:7000", 0).ok());
  EXPECT_FALSE(membership.MissesSomebody(0)) << "it was not tried yet";
  DialTimes(&membership, 0, 1);
  EXPECT_TRUE(membership.MissesSomebody(1));
  EXPECT_TRUE(membership.MissesSomebody(Options().expected_s - 1));
  EXPECT_FALSE(membership.MissesSomebody(Options().expected_s));
  for (const absl::Status& why : {absl::ResourceExhaustedError("full"), absl::AlreadyExistsError("connected already"),
                                  absl::FailedPreconditionError("of another network")}) {
    membership.DialFailed("10.0.0.2:7000", absl::UnavailableError("nobody there"), 2);
    ASSERT_TRUE(membership.MissesSomebody(2));
    membership.DialFailed("10.0.0.2:7000", why, 2);
    EXPECT_FALSE(membership.MissesSomebody(2)) << why << ": somebody answered";
  }
}

TEST(Spec10_Membership, WhoIsLostIsMissedUntilItIsBackOrSeenByOthersAndWhoSaidGoodbyeIsNot) {
  Membership membership(Options());
  const auto lose = [&](LinkId link, const std::string& address, LinkEnd end, double now) {
    membership.Disconnected(link, end, "it is gone", now);
    membership.DialFailed(address, absl::UnavailableError("nobody there"), now + 1);
  };
  const std::string two = "10.0.0.2:7000";
  ASSERT_TRUE(membership.Connected(Incoming(1, two, 2), 0).ok());
  ASSERT_TRUE(membership.Connected(Incoming(2, "10.0.0.3:7000", 3), 0).ok());
  EXPECT_FALSE(membership.MissesSomebody(0));
  lose(1, two, LinkEnd::kBroken, 100);
  EXPECT_TRUE(membership.MissesSomebody(101));
  // Another peer has a link to it: only this node cannot reach it.
  membership.Heard(2, Exchange({two}), 102);
  EXPECT_FALSE(membership.MissesSomebody(102));
  EXPECT_TRUE(membership.MissesSomebody(103 + Options().shuffle_s)) << "the other one saw it no more";
  ASSERT_TRUE(membership.Connected(Dialled(3, two, 2), 110).ok());
  EXPECT_FALSE(membership.MissesSomebody(110)) << "it is back";
  lose(3, two, LinkEnd::kGoodbye, 200);
  EXPECT_FALSE(membership.MissesSomebody(201)) << "it said goodbye";
  ASSERT_TRUE(membership.Connected(Dialled(4, two, 4), 300).ok());
  lose(4, two, LinkEnd::kBroken, 400);
  EXPECT_TRUE(membership.MissesSomebody(401)) << "it had come back";
}

TEST(Spec10_Membership, AddressesThatWereOnlyHeardOfAreNotMissed) {
  Membership membership(Options());
  ASSERT_TRUE(membership.Connected(Incoming(1, "10.0.0.2:7000", 2), 0).ok());
  membership.Heard(1, Exchange({"10.0.0.9:7000"}), 3);
  DialTimes(&membership, 3, 4);
  EXPECT_FALSE(membership.MissesSomebody(20));
}

TEST(Membership, AFullNodeSendsANewcomerAwayWithAddresses) {
  Membership membership(Options());
  for (LinkId link = 1; link <= 12; ++link) {
    const std::string address = "10.0.1." + std::to_string(link) + ":7000";
    ASSERT_TRUE(membership.Connected(Incoming(link, address, 100 + link), 0).ok());
  }
  membership.Tick(0);
  for (LinkId link = 13; link <= 16; ++link) {
    const std::string address = "10.0.2." + std::to_string(link) + ":7000";
    ASSERT_TRUE(membership.Connected(Incoming(link, address, 100 + link), 1).ok());
  }
  EXPECT_EQ(membership.Connected(Incoming(17, "10.0.2.17:7000", 203), 1).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(membership.Tick(1).exchange_with, ElementsAre(13u, 14u, 15u, 16u));
  EXPECT_EQ(membership.Sample(14, 1).peers_size(), 15);
  membership.Disconnected(3, LinkEnd::kBroken, "reset", 1.1);  // and 13 stays
  EXPECT_THAT(membership.Tick(1.1).drop, IsEmpty());
  const auto drop = membership.Tick(1.3).drop;
  ASSERT_THAT(drop, SizeIs(3));
  EXPECT_EQ(drop[0].link, 14u);
  EXPECT_EQ(drop[0].why.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(membership.link_count(), 12u);
}

TEST(Membership, WhereSlotsAreScarceANodeThatCannotBeDialledTakesHalf) {
  MembershipOptions options = Options();
  options.self = "";
  Membership membership(options);
  std::vector<std::string> many;
  for (int i = 0; i < 10; ++i) many.push_back("10.0.3." + std::to_string(i) + ":7000");
  membership.Heard(Membership::kLocal, Exchange(many), 0);
  LinkId link = 0;
  bool full = true;
  const auto run = [&](double from, double until) {
    for (double now = from; now < until; now += 0.25) {
      for (const std::string& address : membership.Tick(now).dial) {
        if (full && link >= 3) {
          membership.DialFailed(address, absl::ResourceExhaustedError("full"), now);
          continue;
        }
        ++link;
        EXPECT_TRUE(membership.Connected(Dialled(link, address, 100 + link), now).ok());
      }
    }
  };
  run(0, 50);
  EXPECT_EQ(membership.link_count(), 3u);
  full = false;
  run(50, 200);
  EXPECT_GE(membership.link_count(), 6u);
}

TEST(Membership, ADialThatIsNeverAnsweredIsGivenUp) {
  Membership membership(Options());
  std::vector<std::string> many;
  for (int i = 0; i < 10; ++i) many.push_back("10.0.3." + std::to_string(i) + ":7000");
  membership.Heard(Membership::kLocal, Exchange(many), 0);
  EXPECT_THAT(membership.Tick(0).dial, SizeIs(4));
  EXPECT_THAT(membership.Tick(14).dial, IsEmpty());
  EXPECT_THAT(membership.Tick(15).dial, SizeIs(4));
}

TEST(Spec10_Membership, AHostileExchangeIsBoundedAndDrivesOutNothingProven) {
  Membership membership(Options());
  ASSERT_TRUE(membership.Connected(Incoming(1, "10.0.0.66:7000", 66), 0).ok());
  for (LinkId link = 2; link <= 12; ++link) {
    const std::string address = "10.0.1." + std::to_string(link) + ":7000";
    ASSERT_TRUE(membership.Connected(Incoming(link, address, 100 + link), 0).ok());
    if (link > 6) membership.Disconnected(link, LinkEnd::kBroken, "reset", 1);
  }
  int made_up = 0;
  for (double now = 1; now < 300; now += 0.5) {
    v1::PeerExchange exchange;
    for (int i = 0; i < 10'000; ++i) {
      exchange.add_peers()->set_address("10.9." + std::to_string(made_up % 200) +
                                        ".1:" + std::to_string(1 + made_up % 60'000));
      ++made_up;
    }
    const auto count = membership.Heard(1, exchange, now);
    EXPECT_LE(count.taken, 32u);
    EXPECT_GE(count.refused, 9'968u);
    EXPECT_LE(membership.known_count(), 128u);
  }
  for (LinkId link = 2; link <= 12; ++link) {
    EXPECT_THAT(Addresses(membership), Contains("10.0.1." + std::to_string(link) + ":7000"));
  }
  // Nothing of it is told to others.
  const v1::PeerExchange sample = membership.Sample(2, 300);
  EXPECT_GE(sample.peers_size(), 4);
  for (const v1::PeerAddress& peer : sample.peers()) {
    EXPECT_FALSE(peer.address().starts_with("10.9.")) << peer.address();
  }
  v1::PeerExchange nonsense = Exchange({"", "no port", "0.0.0.0:1", std::string(10'000, 'a') + ":1"});
  EXPECT_EQ(membership.Heard(1, nonsense, 400).refused, 4u);
}

TEST(Membership, AddressesThatNobodyReachesAreForgottenButNotWhenAlone) {
  Membership membership(Options());
  membership.Heard(Membership::kLocal, Exchange({"10.0.0.2:7000"}), 0);
  EXPECT_THAT(DialTimes(&membership, 0, 2000), SizeIs(testing::Gt(100u)));
  ASSERT_TRUE(membership.Connected(Incoming(1, "10.0.0.3:7000", 5), 2000).ok());
  membership.Tick(2001);
  EXPECT_THAT(Addresses(membership), ElementsAre("10.0.0.3:7000"));
  membership.Heard(1, Exchange({"10.0.0.4:7000"}, 601), 2001);
  EXPECT_THAT(Addresses(membership), ElementsAre("10.0.0.3:7000"));
}

// ---- Many nodes ----------------------------------------------------------------------------------------------------

constexpr double kTickSeconds = 0.25;

class Network {
 public:
  struct NodeOptions {
    bool diallable = true;
    std::vector<int> boot;
    std::vector<int> heard;
  };

  explicit Network(std::uint64_t seed, double dial_loss = 0) : seed_(seed), dial_loss_(dial_loss) {}

  static std::string AddressOf(int node) {
    return "10." + std::to_string(node / 200) + ".0." + std::to_string(node % 200) + ":7000";
  }

  int Add(const NodeOptions& with) {
    const int id = static_cast<int>(nodes_.size());
    MembershipOptions options;
    options.seed = shard::Draw(seed_, shard::Stream::kSession, static_cast<std::uint64_t>(id), 0);
    options.session = {options.seed, static_cast<std::uint64_t>(id)};
    options.self = with.diallable ? AddressOf(id) : "";
    nodes_.push_back({std::make_unique<Membership>(options), options, with.diallable, true, 0});
    for (const int boot : with.boot) EXPECT_TRUE(nodes_[id].membership->AddBoot(AddressOf(boot), now_).ok());
    std::vector<std::string> heard;
    for (const int other : with.heard) heard.push_back(AddressOf(other));
    nodes_[id].membership->Heard(Membership::kLocal, Exchange(heard), now_);
    return id;
  }

  // The process ends without a word.
  void Kill(int node) {
    nodes_[node].alive = false;
    BreakLinks([&](const Wire& wire) { return wire.from == node || wire.to == node; });
  }

  void Partition(int from_group_b) {
    for (int i = 0; i < Size(); ++i) nodes_[i].group = i < from_group_b ? 0 : 1;
    BreakLinks([&](const Wire& wire) { return nodes_[wire.from].group != nodes_[wire.to].group; });
  }
  void Heal() {
    for (Node& node : nodes_) node.group = 0;
  }

  void Run(double seconds) {
    for (const double end = now_ + seconds; now_ < end; now_ += kTickSeconds) Step();
  }

  // Runs until `done`; how long that took, or nothing after `limit_s`.
  std::optional<double> RunUntil(const std::function<bool()>& done, double limit_s) {
    const double start = now_;
    while (!done()) {
      if (now_ - start >= limit_s) return std::nullopt;
      Step();
      now_ += kTickSeconds;
    }
    return now_ - start;
  }

  // All live nodes reach one another over links.
  bool IsConnected() const {
    std::vector<std::vector<int>> peers(nodes_.size());
    for (const auto& [id, wire] : wires_) {
      peers[wire.from].push_back(wire.to);
      peers[wire.to].push_back(wire.from);
    }
    std::vector<bool> seen(nodes_.size(), false);
    std::vector<int> open;
    for (int i = 0; i < Size() && open.empty(); ++i) {
      if (nodes_[i].alive) open.push_back(i);
    }
    if (!open.empty()) seen[open[0]] = true;
    while (!open.empty()) {
      const int node = open.back();
      open.pop_back();
      for (const int peer : peers[node]) {
        if (!seen[peer]) open.push_back(peer);
        seen[peer] = true;
      }
    }
    for (int i = 0; i < Size(); ++i) {
      if (nodes_[i].alive && !seen[i]) return false;
    }
    return true;
  }

  std::size_t Degree(int node) const { return nodes_[node].membership->link_count(); }

  std::size_t LeastDegree() const {
    std::size_t least = nodes_.size();
    for (int i = 0; i < Size(); ++i) {
      if (nodes_[i].alive) least = std::min(least, Degree(i));
    }
    return least;
  }

  int Size() const { return static_cast<int>(nodes_.size()); }
  Membership& At(int node) { return *nodes_[node].membership; }
  const std::map<LinkId, std::pair<int, int>> Ends() const {
    std::map<LinkId, std::pair<int, int>> ends;
    for (const auto& [id, wire] : wires_) ends[id] = {wire.from, wire.to};
    return ends;
  }

  // Told by this node instead of its sample.
  int liar = -1;

 private:
  struct Node {
    std::unique_ptr<Membership> membership;
    MembershipOptions options;
    bool diallable;
    bool alive;
    int group;
  };
  struct Wire {
    int from, to;
  };
  using Message = std::function<void()>;

  void BreakLinks(const std::function<bool(const Wire&)>& broken) {
    for (auto it = wires_.begin(); it != wires_.end();) {
      if (!broken(it->second)) {
        ++it;
        continue;
      }
      for (const int end : {it->second.from, it->second.to}) {
        nodes_[end].membership->Disconnected(it->first, LinkEnd::kBroken, "reset", now_);
      }
      it = wires_.erase(it);
    }
  }

  int Find(const std::string& address) const {
    for (int i = 0; i < Size(); ++i) {
      if (nodes_[i].options.self == address) return i;
    }
    return -1;
  }

  void Dial(int from, const std::string& address) {
    if (!nodes_[from].alive) return;
    Membership& dialler = *nodes_[from].membership;
    const int to = Find(address);
    const bool lost = shard::Unit(shard::Draw(seed_, shard::Stream::kLink, draws_++, 0)) < dial_loss_;
    if (lost || to < 0 || !nodes_[to].alive || nodes_[to].group != nodes_[from].group) {
      dialler.DialFailed(address, absl::UnavailableError("connection refused"), now_);
      return;
    }
    const LinkId link = ++last_link_;
    const Node& a = nodes_[from];
    const Node& b = nodes_[to];
    const absl::Status welcome = b.membership->Connected({link, a.options.self, "", "eu", a.options.session}, now_);
    if (!welcome.ok()) {
      dialler.DialFailed(address, welcome, now_);
      return;
    }
    const absl::Status up = dialler.Connected({link, b.options.self, address, "eu", b.options.session}, now_);
    if (up.ok()) {
      wires_[link] = {from, to};
    } else {
      b.membership->Disconnected(link, LinkEnd::kDropped, std::string(up.message()), now_);
    }
  }

  void Step() {
    std::vector<Message> due;
    due.swap(messages_);
    for (const Message& message : due) message();
    for (int i = 0; i < Size(); ++i) {
      if (!nodes_[i].alive) continue;
      Membership& membership = *nodes_[i].membership;
      const Membership::Actions actions = membership.Tick(now_);
      for (const std::string& address : actions.dial) messages_.push_back([this, i, address] { Dial(i, address); });
      for (const LinkId link : actions.exchange_with) Tell(i, link);
      for (const Membership::Drop& drop : actions.drop) {
        messages_.push_back([this, i, link = drop.link] { HangUp(i, link); });
      }
      ASSERT_LE(membership.link_count(), nodes_[i].options.links_max) << "seed " << seed_;
      ASSERT_LE(membership.known_count(), nodes_[i].options.passive_max + 2) << "seed " << seed_;
      ASSERT_LE(membership.dialling(), nodes_[i].options.dials_max) << "seed " << seed_;
    }
  }

  void Tell(int from, LinkId link) {
    const auto wire = wires_.find(link);
    if (wire == wires_.end()) return;
    const int to = wire->second.from == from ? wire->second.to : wire->second.from;
    v1::PeerExchange exchange = nodes_[from].membership->Sample(link, now_);
    if (from == liar) {
      exchange.Clear();
      for (int i = 0; i < 10'000; ++i) {
        exchange.add_peers()->set_address("10.99." + std::to_string(draws_++ % 250) + ".1:" + std::to_string(1 + i));
      }
    }
    messages_.push_back([this, to, link, exchange] { nodes_[to].membership->Heard(link, exchange, now_); });
  }

  void HangUp(int from, LinkId link) {
    const auto wire = wires_.find(link);
    if (wire == wires_.end()) return;
    const int to = wire->second.from == from ? wire->second.to : wire->second.from;
    wires_.erase(wire);
    nodes_[to].membership->Disconnected(link, LinkEnd::kDropped, "dropped", now_);
  }

  const std::uint64_t seed_;
  const double dial_loss_;
  double now_ = 0;
  std::uint64_t draws_ = 0;
  LinkId last_link_ = 0;
  std::vector<Node> nodes_;
  std::map<LinkId, Wire> wires_;
  std::vector<Message> messages_;
};

class Simulated : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  // `count` nodes that begin with node 0.
  std::unique_ptr<Network> Cluster(int count, double dial_loss = 0) const {
    auto network = std::make_unique<Network>(GetParam(), dial_loss);
    for (int i = 0; i < count; ++i) network->Add({true, {0}, {}});
    return network;
  }
};

using Arch2_2_Discovery = Simulated;
using Arch2_2_LargeCluster = Simulated;
using Spec10_Fallback = Simulated;
INSTANTIATE_TEST_SUITE_P(Seeds, Arch2_2_Discovery, ::testing::Values(1, 2, 3, 4, 5));
INSTANTIATE_TEST_SUITE_P(Seeds, Arch2_2_LargeCluster, ::testing::Values(1));
INSTANTIATE_TEST_SUITE_P(SeedsFull, Arch2_2_LargeCluster, ::testing::Values(2, 3));
INSTANTIATE_TEST_SUITE_P(Seeds, Spec10_Fallback, ::testing::Values(1, 2, 3, 4, 5));

TEST_P(Arch2_2_Discovery, SixteenNodesFindEachOtherFromOneBootAddress) {
  const auto network = Cluster(16);
  const auto took = network->RunUntil([&] { return network->IsConnected() && network->LeastDegree() >= 6; }, 30);
  EXPECT_TRUE(took.has_value());
  network->Run(300);
  EXPECT_TRUE(network->IsConnected());
  EXPECT_GE(network->LeastDegree(), 5u);  // one may be on the move
}

TEST_P(Arch2_2_Discovery, SmallClustersAreFullyMeshed) {
  const auto network = Cluster(7);
  EXPECT_TRUE(network->RunUntil([&] { return network->LeastDegree() == 6; }, 30).has_value());
  network->Run(300);
  EXPECT_EQ(network->LeastDegree(), 6u);
}

TEST_P(Arch2_2_Discovery, ViewsAreMendedWhenANodeDiesEvenTheBootNode) {
  for (int victim = 0; victim < 16; ++victim) {
    const auto network = Cluster(16);
    network->Run(30);
    network->Kill(victim);
    EXPECT_TRUE(network->IsConnected()) << victim;
    const auto mended = network->RunUntil([&] { return network->LeastDegree() >= 6; }, 30);
    EXPECT_TRUE(mended.has_value()) << victim;
    EXPECT_TRUE(network->IsConnected()) << victim;
  }
}

TEST_P(Arch2_2_Discovery, HalfOfTheNodesDieAtOnceAndTheRestStayTogether) {
  const auto network = Cluster(40);
  network->Run(120);
  for (int i = 0; i < 20; ++i) network->Kill(i);
  const auto mended = network->RunUntil([&] { return network->LeastDegree() >= 6 && network->IsConnected(); }, 60);
  EXPECT_TRUE(mended.has_value());
}

TEST_P(Arch2_2_Discovery, AnyLivePeerIsEnoughToJoin) {
  const auto network = Cluster(16);
  network->Run(30);
  network->Kill(0);
  const int joiner = network->Add({true, {}, {11}});
  const auto joined = network->RunUntil([&] { return network->Degree(joiner) >= 6 && network->IsConnected(); }, 30);
  EXPECT_TRUE(joined.has_value());
}

TEST_P(Spec10_Fallback, APartitionOfAMinuteHealsWithinTheFallbackTime) {
  const auto network = Cluster(40);
  network->Run(120);
  network->Partition(20);
  network->Run(60);
  EXPECT_FALSE(network->IsConnected());
  EXPECT_GE(network->LeastDegree(), 5u);  // both halves live on
  network->Heal();
  EXPECT_TRUE(network->RunUntil([&] { return network->IsConnected(); }, 60).has_value());
}

// Two clusters that never met, and one address between them.
TEST_P(Spec10_Fallback, OneAddressJoinsTwoClusters) {
  Network network(GetParam());
  for (int i = 0; i < 20; ++i) network.Add({true, {0}, {}});
  for (int i = 0; i < 20; ++i) network.Add({true, {20}, {}});
  network.Run(60);
  EXPECT_FALSE(network.IsConnected());
  ASSERT_TRUE(network.At(7).AddBoot(Network::AddressOf(33), 60).ok());
  // In the end many links lead from one to the other, and no single death parts them again.
  const auto across = [&] {
    const auto ends = network.Ends();
    return std::count_if(ends.begin(), ends.end(),
                         [](const auto& wire) { return (wire.second.first < 20) != (wire.second.second < 20); });
  };
  const auto took = network.RunUntil([&] { return across() >= 10; }, 3600);
  EXPECT_TRUE(took.has_value()) << across();
}

TEST_P(Arch2_2_LargeCluster, ThreeHundredNodes) {
  const auto network = Cluster(300);
  const auto took = network->RunUntil([&] { return network->IsConnected() && network->LeastDegree() >= 6; }, 120);
  EXPECT_TRUE(took.has_value()) << network->LeastDegree();
  network->Run(60);
  EXPECT_TRUE(network->IsConnected());
}

TEST_P(Arch2_2_Discovery, NodesThatCannotBeDialledTakePart) {
  for (const int reachable : {8, 12, 20}) {  // of 24
    Network network(GetParam());
    for (int i = 0; i < 24; ++i) network.Add({i % 24 < reachable, {0}, {}});
    EXPECT_TRUE(network.RunUntil([&] { return network.IsConnected(); }, 120).has_value()) << reachable;
    network.Run(120);
    EXPECT_TRUE(network.IsConnected()) << reachable;
  }
}

TEST_P(Arch2_2_Discovery, OneDialInTenFails) {
  const auto network = Cluster(60, 0.1);
  const auto took = network->RunUntil([&] { return network->IsConnected() && network->LeastDegree() >= 6; }, 60);
  EXPECT_TRUE(took.has_value());
}

TEST_P(Spec10_Fallback, HonestNodesFindEachOtherDespiteALiar) {
  Network network(GetParam(), 0.1);
  network.liar = 0;
  for (int i = 0; i < 24; ++i) network.Add({true, {0, 1}, {}});
  network.Run(10);
  const int joiner = network.Add({true, {0, 5}, {}});
  network.Run(60);
  network.Kill(0);
  EXPECT_TRUE(network.RunUntil([&] { return network.IsConnected() && network.LeastDegree() >= 6; }, 60).has_value());
  EXPECT_GE(network.Degree(joiner), 5u);
}

TEST_P(Spec10_Fallback, TheSameSeedGivesTheSameGraph) {
  const auto first = Cluster(30, 0.1);
  const auto second = Cluster(30, 0.1);
  first->Run(100);
  second->Run(100);
  EXPECT_EQ(first->Ends(), second->Ends());
}

}  // namespace
}  // namespace lvs::services
