#include "services/peering/membership.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "services/base/host_port.h"
#include "shard/random.h"

namespace lvs::services {
namespace {

constexpr std::size_t kAddressMax = 256;  // characters
constexpr std::size_t kRegionMax = 64;
constexpr std::size_t kErrorMax = 256;
constexpr std::size_t kSelfMax = 32;
constexpr std::uint32_t kHearsayFailuresMax = 3;
constexpr double kForgetEverySeconds = 1;

// A region is shown to people only, so it is reduced to plain text.
std::string PlainRegion(std::string_view region) {
  const bool plain = region.size() <= kRegionMax &&
                     std::all_of(region.begin(), region.end(), [](char c) { return c >= ' ' && c <= '~'; });
  return plain ? std::string(region) : std::string();
}

// Returns the canonical address, or an empty one.
std::string CanonicalOrEmpty(std::string_view address) {
  absl::StatusOr<std::string> canonical = CanonicalAddress(address);
  return canonical.ok() ? *std::move(canonical) : std::string();
}

}  // namespace

absl::StatusOr<std::string> CanonicalAddress(std::string_view address) {
  if (address.size() > kAddressMax) return absl::InvalidArgumentError("an address of more than 256 characters");
  absl::StatusOr<HostPort> at = ParseTarget(address);
  if (!at.ok()) return at.status();
  absl::AsciiStrToLower(&at->host);
  return FormatHostPort(*at);
}

Membership::Membership(MembershipOptions options) : options_(std::move(options)) {
  MembershipOptions& o = options_;
  o.links_max = std::max(o.links_max, 1u);
  o.dials_max = std::max(o.dials_max, 1u);
  const std::uint32_t guests = o.links_max > 1 ? std::clamp(o.links_max / 4, 1u, 4u) : 0;
  residents_max_ = o.links_max - guests;
  o.active_target = std::clamp(o.active_target, 1u, residents_max_);
  out_of_reach_max_ = std::max(residents_max_ - o.active_target / 2, 1u);
  o.passive_max = std::max(o.passive_max, 2 * o.links_max + o.dials_max);
  const std::string self = CanonicalOrEmpty(o.self);
  o.self = self;
  if (!self.empty()) self_.insert(self);
}

std::uint64_t Membership::Random() {
  return shard::Draw(options_.seed, shard::Stream::kMembership, options_.session.low, draws_++);
}

std::uint32_t Membership::RandomBelow(std::size_t n) { return shard::Below(Random(), static_cast<std::uint32_t>(n)); }

double Membership::Jittered(double seconds) { return seconds * (0.5 + 0.5 * shard::Unit(Random())); }

// ---- Addresses -----------------------------------------------------------------------------------------------------

absl::Status Membership::AddBoot(std::string_view address, double now) {
  const absl::StatusOr<std::string> canonical = CanonicalAddress(address);
  if (!canonical.ok()) return canonical.status();
  const auto boots = std::count_if(known_.begin(), known_.end(), [](const auto& entry) { return entry.second.boot; });
  const auto [entry, added] = known_.try_emplace(*canonical);
  if (entry->second.boot) return absl::OkStatus();
  if (boots >= static_cast<std::ptrdiff_t>(options_.boot_max)) {
    if (added) known_.erase(entry);
    return absl::ResourceExhaustedError("more than " + std::to_string(options_.boot_max) + " boot addresses");
  }
  entry->second.boot = true;
  if (added) entry->second.seen_at = now;
  return absl::OkStatus();
}

Membership::HeardCount Membership::Heard(LinkId link, const v1::PeerExchange& exchange, double now) {
  HeardCount count;
  const auto size = static_cast<std::uint32_t>(exchange.peers_size());
  if (link != kLocal) {
    const auto from = links_.find(link);
    const bool early = from != links_.end() && now < from->second.heard_at + options_.shuffle_s / 2;
    if (from == links_.end() || early) return {0, size};
    from->second.heard_at = now;
  }
  // A longer exchange is cut to a run that begins at a random place.
  const std::uint32_t read = std::min(size, options_.heard_max);
  count.refused = size - read;
  const std::uint32_t begin = read < size ? RandomBelow(size) : 0;
  for (std::uint32_t i = 0; i < read; ++i) {
    const v1::PeerAddress& peer = exchange.peers(static_cast<int>((begin + i) % size));
    const std::string address = CanonicalOrEmpty(peer.address());
    if (address.empty()) {
      ++count.refused;
      continue;
    }
    const double seen_at = now - peer.age_s();
    if (self_.contains(address) || peer.age_s() > options_.forget_s) continue;
    Address* known = Learn(address, seen_at);
    if (known == nullptr) continue;
    known->seen_at = std::max(known->seen_at, seen_at);
    if (link != kLocal) known->told_at = std::max(known->told_at.value_or(seen_at), seen_at);
    if (known->region.empty()) known->region = PlainRegion(peer.region());
    ++count.taken;
  }
  return count;
}

void Membership::MarkSelf(std::string_view address) {
  const std::string canonical = CanonicalOrEmpty(address);
  if (canonical.empty()) return;
  if (self_.size() < kSelfMax) self_.insert(canonical);
  if (canonical == fallback_) fallback_.clear();
  known_.erase(canonical);
}

v1::PeerExchange Membership::Sample(LinkId link, double now) {
  const auto to = links_.find(link);
  std::vector<const AddressBook::value_type*> fit;
  for (const auto& entry : known_) {
    const Address& address = entry.second;
    const bool own =
        to != links_.end() && (entry.first == to->second.peer.advertised || entry.first == to->second.peer.dialled);
    if (address.proven && address.failures == 0 && address.quiet_until <= now && !own) fit.push_back(&entry);
  }
  v1::PeerExchange exchange;
  const std::size_t size = std::min<std::size_t>(fit.size(), options_.sample_max);
  for (std::size_t i = 0; i < size; ++i) {
    std::swap(fit[i], fit[i + RandomBelow(fit.size() - i)]);
    v1::PeerAddress* peer = exchange.add_peers();
    peer->set_address(fit[i]->first);
    peer->set_region(fit[i]->second.region);
    const double age_s = IsLinked(fit[i]->first) ? 0 : now - fit[i]->second.seen_at;
    peer->set_age_s(static_cast<std::uint32_t>(std::max(age_s, 0.0)));
  }
  return exchange;
}

Membership::Address* Membership::Learn(const std::string& address, double now) {
  const auto known = known_.find(address);
  if (known != known_.end()) return &known->second;
  const auto bounded =
      std::count_if(known_.begin(), known_.end(), [](const auto& entry) { return !entry.second.boot; });
  if (bounded >= static_cast<std::ptrdiff_t>(options_.passive_max) && !MakeRoom()) return nullptr;
  Address& learnt = known_[address];
  learnt.seen_at = now;
  return &learnt;
}

// Hearsay and proven addresses each keep half of the view from the other. The victim is a random address of hearsay, or
// the oldest of the proven ones.
bool Membership::MakeRoom() {
  std::vector<AddressBook::iterator> hearsay;
  auto oldest = known_.end();
  for (auto entry = known_.begin(); entry != known_.end(); ++entry) {
    const Address& address = entry->second;
    if (address.boot || address.dialling || IsLinked(entry->first)) continue;
    if (!address.proven) {
      hearsay.push_back(entry);
    } else if (oldest == known_.end() || address.seen_at < oldest->second.seen_at) {
      oldest = entry;
    }
  }
  if (!hearsay.empty() && (hearsay.size() >= options_.passive_max / 2 || oldest == known_.end())) {
    known_.erase(hearsay[RandomBelow(hearsay.size())]);
    return true;
  }
  if (oldest == known_.end()) return false;
  known_.erase(oldest);
  return true;
}

bool Membership::IsLinked(std::string_view address) const {
  return std::any_of(links_.begin(), links_.end(), [&](const auto& link) {
    return link.second.peer.advertised == address || link.second.peer.dialled == address;
  });
}

bool Membership::MayBeDialled(const AddressBook::value_type& entry, double now) const {
  const Address& address = entry.second;
  return !address.dialling && address.retry_at <= now && address.quiet_until <= now && !IsLinked(entry.first);
}

void Membership::Fail(Address* address, std::string_view why, double now) {
  ++address->failures;
  address->last_error = why.substr(0, kErrorMax);
  const double doubled = options_.backoff_min_s * static_cast<double>(1ull << std::min(address->failures - 1, 30u));
  address->retry_at = now + Jittered(std::min(doubled, options_.backoff_max_s));
}

void Membership::Forget(double now) {
  if (now < forget_at_ || links_.empty()) return;
  forget_at_ = now + kForgetEverySeconds;
  std::erase_if(known_, [&](const auto& entry) {
    const Address& address = entry.second;
    if (address.boot || address.dialling || IsLinked(entry.first)) return false;
    return now - address.seen_at > options_.forget_s || (!address.proven && address.failures >= kHearsayFailuresMax);
  });
}

// ---- Links ---------------------------------------------------------------------------------------------------------

std::size_t Membership::Residents() const {
  return static_cast<std::size_t>(
      std::count_if(links_.begin(), links_.end(), [](const auto& link) { return !link.second.guest; }));
}

bool Membership::MayStay(const PeerLink& peer) const {
  if (Residents() >= residents_max_) return false;
  const auto out_of_reach = [](const PeerLink& p) { return p.advertised.empty() && p.dialled.empty(); };
  const auto crowd = std::count_if(links_.begin(), links_.end(), [&](const auto& link) {
    return !link.second.guest && out_of_reach(link.second.peer);
  });
  return !out_of_reach(peer) || crowd < static_cast<std::ptrdiff_t>(out_of_reach_max_);
}

absl::Status Membership::Connected(const PeerLink& hello, double now) {
  PeerLink peer = hello;
  peer.advertised = CanonicalOrEmpty(hello.advertised);
  peer.dialled = CanonicalOrEmpty(hello.dialled);
  peer.region = PlainRegion(hello.region);
  if (self_.contains(peer.advertised)) peer.advertised.clear();
  const auto dialled = known_.find(peer.dialled);
  if (dialled != known_.end()) dialled->second.dialling = false;
  if (peer.session == options_.session) {
    MarkSelf(peer.dialled);
    return absl::AlreadyExistsError("this is the node itself");
  }

  const auto refuse = [&](absl::Status why) {
    if (!peer.dialled.empty()) DialFailed(peer.dialled, why, now);
    return why;
  };
  const auto twin = std::find_if(links_.begin(), links_.end(),
                                 [&](const auto& link) { return link.second.peer.session == peer.session; });
  if (twin != links_.end()) {
    // The one that the smaller session dialled stays: both ends see it so.
    const bool ours = options_.session < peer.session;
    const bool crossing = now - twin->second.since < options_.crossing_s;
    const bool keep_new = crossing && ours == !peer.dialled.empty() && ours != !twin->second.peer.dialled.empty();
    if (!keep_new) return refuse(absl::AlreadyExistsError("connected already"));
    drops_.push_back({twin->first, absl::AlreadyExistsError("connected already")});
    links_.erase(twin);
  }
  if (links_.size() >= options_.links_max) {
    return refuse(absl::ResourceExhaustedError("no link is free; try other peers"));
  }
  // The fallback dial may stay in a guest's slot: an older link makes room.
  const bool fallback = !peer.dialled.empty() && peer.dialled == fallback_;
  const bool guest = !fallback && !MayStay(peer);

  Link& link = links_[peer.link];
  link = {peer, now, now, now - options_.shuffle_s, 0, guest};
  if (dialled != known_.end()) {
    link.failures = std::exchange(dialled->second.failures, 0);
    dialled->second.unreachable = dialled->second.left = false;
    dialled->second.proven = dialled->second.proven || peer.dialled == peer.advertised;
    dialled->second.last_error.clear();
    dialled->second.seen_at = now;
    if (dialled->second.region.empty()) dialled->second.region = peer.region;
  }
  if (!peer.advertised.empty()) {
    if (Address* address = Learn(peer.advertised, now); address != nullptr) {
      address->proven = true;
      address->failures = 0;
      address->unreachable = address->left = false;
      address->last_error.clear();
      address->region = peer.region;
      address->seen_at = now;
      address->quiet_until = 0;
    }
  }
  if (fallback) {
    fallback_.clear();
    if (Residents() > Target(now)) DropOlderLink(now);
  }
  return absl::OkStatus();
}

void Membership::Disconnected(LinkId link, LinkEnd end, std::string_view why, double now) {
  const auto found = links_.find(link);
  if (found == links_.end()) return;
  if (end == LinkEnd::kDropped) crowded_until_ = now + options_.fallback_s;
  EndLink(found, end, why, now);
}

void Membership::EndLink(LinkMap::iterator found, LinkEnd end, std::string_view why, double now) {
  const Link link = std::move(found->second);
  links_.erase(found);
  // A link that did not last counts as one more failure, so that a peer that hangs up at once is not dialled in a loop.
  const bool lasted = now - link.since >= options_.backoff_max_s;
  for (const std::string& name : std::set<std::string>{link.peer.advertised, link.peer.dialled}) {
    const auto entry = known_.find(name);
    if (entry == known_.end()) continue;
    Address& address = entry->second;
    address.seen_at = now;
    address.dialling = false;
    if (end == LinkEnd::kGoodbye) {
      address.last_error = why.substr(0, kErrorMax);
      address.quiet_until = now + options_.goodbye_s;
      address.left = true;
    } else if (!lasted && name == link.peer.dialled) {
      address.failures = link.failures;
      Fail(&address, why, now);
    } else {
      address.last_error = why.substr(0, kErrorMax);
      address.retry_at = now + Jittered(end == LinkEnd::kDropped ? options_.backoff_max_s : options_.backoff_min_s);
    }
  }
}

// Drops a link whose peer has had time to hear other addresses.
void Membership::DropOlderLink(double now) {
  std::vector<LinkMap::iterator> older;
  for (auto link = links_.begin(); link != links_.end(); ++link) {
    if (!link->second.guest && now - link->second.since >= 2 * options_.shuffle_s) older.push_back(link);
  }
  if (older.empty()) return;
  const auto victim = older[RandomBelow(older.size())];
  drops_.push_back({victim->first, absl::ResourceExhaustedError("made room for another peer")});
  const PeerLink peer = victim->second.peer;
  EndLink(victim, LinkEnd::kDropped, "made room for another peer", now);
  for (const std::string& name : {peer.advertised, peer.dialled}) {
    const auto entry = known_.find(name);
    if (entry != known_.end()) entry->second.last_error.clear();
  }
}

void Membership::DialFailed(std::string_view address, const absl::Status& why, double now) {
  const std::string canonical = CanonicalOrEmpty(address);
  const auto entry = known_.find(canonical);
  if (entry == known_.end()) return;
  entry->second.dialling = false;
  if (absl::IsResourceExhausted(why)) crowded_until_ = now + options_.fallback_s;
  // Whoever refuses a link is there, or is none of this network's.
  entry->second.unreachable =
      !absl::IsResourceExhausted(why) && !absl::IsAlreadyExists(why) && !absl::IsFailedPrecondition(why);
  if (absl::IsAlreadyExists(why)) {
    entry->second.retry_at = now + Jittered(options_.backoff_max_s);
  } else {
    Fail(&entry->second, std::string_view(why.message().data(), why.message().size()), now);
  }
  if (canonical == fallback_) {
    fallback_.clear();
    fallback_at_ = std::min(fallback_at_, now + Jittered(options_.shuffle_s));
  }
}

// A node that cannot be dialled is the only one that needs its links, so it takes fewer where links are scarce.
std::size_t Membership::Target(double now) const {
  const bool modest = options_.self.empty() && now < crowded_until_;
  return modest ? (options_.active_target + 1) / 2 : options_.active_target;
}

// ---- Time ----------------------------------------------------------------------------------------------------------

bool Membership::ExpectsSomebody(double now) const {
  return std::any_of(known_.begin(), known_.end(), [&](const AddressBook::value_type& entry) {
    const Address& address = entry.second;
    return address.proven && address.quiet_until <= now && now - address.seen_at < options_.goodbye_s &&
           !IsLinked(entry.first);
  });
}

bool Membership::MissesSomebody(double now) const {
  return std::any_of(known_.begin(), known_.end(), [&](const AddressBook::value_type& entry) {
    const Address& address = entry.second;
    const bool seen_by_others = !links_.empty() && address.told_at && now - *address.told_at < options_.shuffle_s;
    return address.unreachable && !address.left && (address.boot || address.proven) && !seen_by_others &&
           now - address.seen_at < options_.expected_s && !IsLinked(entry.first);
  });
}

Membership::Actions Membership::Tick(double now) {
  Actions actions;
  Forget(now);
  for (auto& [address, entry] : known_) {
    if (entry.dialling && now - entry.dialled_at >= options_.dial_timeout_s) {
      DialFailed(address, absl::DeadlineExceededError("no answer"), now);
    }
  }
  TickLinks(now, &actions);
  std::size_t in_flight = dialling();
  while (in_flight < options_.dials_max && Residents() + in_flight < Target(now)) {
    const std::optional<std::string> address = PickAddress(false, now);
    if (!address.has_value()) break;
    StartDial(*address, now, &actions);
    ++in_flight;
  }
  TickFallback(now, &actions);
  actions.drop.insert(actions.drop.end(), drops_.begin(), drops_.end());
  drops_.clear();
  return actions;
}

void Membership::TickLinks(double now, Actions* actions) {
  std::vector<LinkId> leaving;
  for (auto& [id, link] : links_) {
    if (link.guest && MayStay(link.peer)) link.guest = false;
    if (link.guest && now - link.since >= options_.guest_s) leaving.push_back(id);
    if (link.exchange_at > now) continue;
    link.exchange_at = now + Jittered(4.0 / 3 * options_.shuffle_s);  // shuffle_s on average
    actions->exchange_with.push_back(id);
  }
  for (const LinkId id : leaving) {
    drops_.push_back({id, absl::ResourceExhaustedError("no link is free; try other peers")});
    EndLink(links_.find(id), LinkEnd::kDropped, "no link was free", now);
  }
}

void Membership::TickFallback(double now, Actions* actions) {
  if (fallback_at_ < 0) fallback_at_ = now + options_.fallback_s * shard::Unit(Random());
  if (now < fallback_at_) return;
  fallback_at_ = now + Jittered(options_.fallback_s);
  if (Residents() >= residents_max_ && residents_max_ > options_.active_target) DropOlderLink(now);
  // Below the target any dial does.
  if (Residents() < Target(now) || !fallback_.empty() || dialling() >= options_.dials_max) return;
  const std::optional<std::string> address = PickAddress(true, now);
  if (!address.has_value()) return;
  fallback_ = *address;
  StartDial(*address, now, actions);
}

// Boot addresses are shared by all nodes. A node that has a link leaves them to nodes without one, while it knows other
// addresses to fill its view. The fallback dial counts them as proven, because two halves of a graph meet there.
std::optional<std::string> Membership::PickAddress(bool fallback, double now) {
  std::vector<const std::string*> boot;
  std::vector<const std::string*> proven;
  std::vector<const std::string*> hearsay;
  for (const auto& entry : known_) {
    if (!MayBeDialled(entry, now)) continue;
    (entry.second.boot ? boot : entry.second.proven ? proven : hearsay).push_back(&entry.first);
  }
  if (fallback || links_.empty() || (proven.empty() && hearsay.empty()))
    proven.insert(proven.end(), boot.begin(), boot.end());
  if (proven.empty() && hearsay.empty()) return std::nullopt;
  const bool coin = (Random() & 1) != 0;
  const auto& from = proven.empty() || (coin && !hearsay.empty()) ? hearsay : proven;
  return *from[RandomBelow(from.size())];
}

void Membership::StartDial(const std::string& address, double now, Actions* actions) {
  Address& entry = known_[address];
  entry.dialling = true;
  entry.dialled_at = now;
  actions->dial.push_back(address);
}

// ---- What operators see --------------------------------------------------------------------------------------------

std::size_t Membership::dialling() const {
  return static_cast<std::size_t>(
      std::count_if(known_.begin(), known_.end(), [](const auto& entry) { return entry.second.dialling; }));
}

std::vector<v1::KnownAddress> Membership::Known() const {
  std::vector<v1::KnownAddress> known;
  for (const auto& [address, entry] : known_) {
    v1::KnownAddress& row = known.emplace_back();
    row.set_address(address);
    row.set_region(entry.region);
    row.set_failures(entry.failures);
    row.set_last_error(entry.last_error);
  }
  return known;
}

std::vector<LinkId> Membership::Links() const {
  std::vector<LinkId> ids;
  for (const auto& [id, link] : links_) ids.push_back(id);
  return ids;
}

}  // namespace lvs::services
