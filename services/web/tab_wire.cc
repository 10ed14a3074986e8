#include "services/web/tab_wire.h"

#include <algorithm>
#include <string>

namespace lvs::services {

std::optional<vaultguard::Refusal> ReadTabMessage(const v1::PeerMessage& message, tab::PeerMessage* read) {
  if (message.has_frames()) return vaultguard::Refusal::kBadEntry;
  return tab::Decode(message.SerializeAsString(), read);
}

v1::PeerMessage WriteTabMessage(const tab::PeerMessage& message) {
  v1::PeerMessage written;
  written.ParseFromString(tab::Encode(message));
  return written;
}

tab::Card ReadCard(const v1::TabCard& card) {
  return {ReadTabId(card.tab()), card.shard_mask(), std::min(card.micro_nodes(), tab::kMicroNodesMax),
          std::min(card.links(), tab::kLinksTotalMax)};
}

void WriteCard(const tab::Card& card, v1::TabCard* to) {
  WriteTabId(card.tab, to->mutable_tab());
  to->set_shard_mask(card.mask);
  to->set_micro_nodes(card.micro_nodes);
  to->set_links(card.links);
}

tab::TabId ReadTabId(const v1::TabId& tab) { return {tab.high(), tab.low()}; }

void WriteTabId(const tab::TabId& tab, v1::TabId* to) {
  to->set_high(tab.high);
  to->set_low(tab.low);
}

}  // namespace lvs::services
