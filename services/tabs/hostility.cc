#include "services/tabs/hostility.h"

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "services/tabs/tab_sums.h"

namespace lvs::services {
namespace {

constexpr std::array<std::string_view, kHostileKinds> kHostileNames = {"silent", "claims-all", "junk", "flood",
                                                                       "forged"};
constexpr std::size_t kSeenMax = 64;
constexpr double kJunkShare = 1.0 / 3;
constexpr int kFloodToHub = 20;  // messages a cycle
constexpr int kFloodToLink = 20;

}  // namespace

std::string_view Name(Hostile kind) {
  return kind < Hostile::kCount ? kHostileNames[static_cast<std::size_t>(kind)] : std::string_view();
}

std::optional<Hostile> HostileOf(std::string_view name) {
  const auto known = std::find(kHostileNames.begin(), kHostileNames.end(), name);
  if (known == kHostileNames.end()) return std::nullopt;
  return static_cast<Hostile>(known - kHostileNames.begin());
}

void Hostility::Claim(tab::Card* card) const {
  card->mask = tab::AllShards(shards_);
  card->micro_nodes = tab::kMicroNodesCounted;
}

tab::TabId Hostility::Other() {
  if (seen_.empty()) return {draws_.Next(), draws_.Next()};
  return seen_[draws_.Below(seen_.size())];
}

// False: the message is not sent.
bool Hostility::SpoilBytes(std::string* bytes) {
  const std::uint32_t kind = KindOfBytes(*bytes);
  if (kind_ == Hostile::kJunk) {
    if (draws_.Unit() >= kJunkShare) return true;
    for (char& byte : *bytes) byte = static_cast<char>(draws_.Next());
    return true;
  }
  if (kind_ == Hostile::kSilent || kind_ == Hostile::kClaimsAll) {
    if (kind == tab::KindOf(tab::FrameBatch{})) return false;
  }
  tab::PeerMessage message;
  if (tab::Decode(*bytes, &message)) return true;
  bool changed = kind_ == Hostile::kClaimsAll || kind_ == Hostile::kForged;
  std::visit(
      [&](auto& said) {
        using M = std::remove_cvref_t<decltype(said)>;
        if constexpr (std::is_same_v<M, tab::Offer> || std::is_same_v<M, tab::Answer>) {
          seen_.push_back(said.to);
          if (seen_.size() > kSeenMax) seen_.pop_front();
        }
        if (kind_ == Hostile::kClaimsAll) {
          if constexpr (requires { said.card; }) Claim(&said.card);
          if constexpr (requires { said.from.micro_nodes; }) Claim(&said.from);
          if constexpr (std::is_same_v<M, tab::Hello>) {
            if (said.tab) said.tab->mask = tab::AllShards(shards_), said.tab->micro_nodes = tab::kMicroNodesCounted;
          }
        } else if (kind_ == Hostile::kForged) {
          if constexpr (std::is_same_v<M, tab::Offer> || std::is_same_v<M, tab::Answer> ||
                        std::is_same_v<M, tab::Walk> || std::is_same_v<M, tab::WalkReply>) {
            said.from.tab = Other();
          } else if constexpr (std::is_same_v<M, tab::Relay>) {
            said.from = Other();
          } else if constexpr (std::is_same_v<M, tab::Ping>) {
            said.card.tab = Other();
          } else {
            changed = false;
          }
        }
      },
      message);
  if (changed && !std::holds_alternative<tab::FrameBatch>(message)) *bytes = tab::Encode(message);
  return true;
}

void Hostility::Spoil(std::vector<tab::Command>* commands) {
  std::erase_if(*commands, [this](tab::Command& command) {
    if (auto* const send = std::get_if<tab::SendToHub>(&command)) return !SpoilBytes(&send->bytes);
    if (auto* const send = std::get_if<tab::SendOnLink>(&command)) return !SpoilBytes(&send->bytes);
    return false;
  });
}

void Hostility::Add(const tab::Tab& self, std::uint32_t socket, std::vector<tab::Command>* commands) {
  if (kind_ != Hostile::kFlood && kind_ != Hostile::kForged) return;
  const tab::Card card = self.node().card();
  const int count = kind_ == Hostile::kFlood ? kFloodToHub : 1;
  for (int n = 0; socket != 0 && n < count; ++n) {
    if (n % 2 == 0) {
      commands->push_back(tab::SendToHub{
          socket,
          tab::Encode(tab::Need{static_cast<std::uint32_t>(draws_.Next()), tab::AllShards(shards_), 12, 0, {}})});
    } else {
      tab::Offer offer{Other(), card, static_cast<std::uint32_t>(draws_.Next()), true, std::string(2000, 'x')};
      commands->push_back(tab::SendToHub{socket, tab::Encode(offer)});
    }
  }
  if (kind_ == Hostile::kForged && socket != 0) {
    tab::Relay relay{Other(), Other(), tab::Encode(tab::Goodbye{"forged"})};
    commands->push_back(tab::SendToHub{socket, tab::Encode(relay)});
    return;
  }
  for (const tab::LinkView& view : self.Links()) {
    if (!view.ready || view.relayed) continue;
    for (int n = 0; n < kFloodToLink; ++n) {
      const tab::Walk walk{
          card, static_cast<std::uint32_t>(draws_.Next()), card.mask, false, true, {card.tab}, std::string(2000, 'x')};
      commands->push_back(tab::SendOnLink{view.link, tab::Encode(walk)});
    }
  }
}

}  // namespace lvs::services
