// The messages of tabs as the structs of shard/tab, and back. Their bounds are those of the tabs' own codec
// (shard/tab/peer_message.h), so that no second list of them exists.
//
//   tab::PeerMessage read;
//   if (const auto why = ReadTabMessage(message, &read)) refused.Add(*why);
//   if (const auto* need = std::get_if<tab::Need>(&read)) ...
//   stream->Say(WriteTabMessage(tab::Sample{...}));
//
// Frames stay as they are: FrameBatch is refused here. Stateless: any thread.
#pragma once

#include <optional>

#include "lvs/v1/peer.pb.h"
#include "shard/tab/peer_message.h"
#include "vaultguard/refusals.h"

namespace lvs::services {

// Empty where the message was read; else why it must not be used, as tab::Decode says.
std::optional<vaultguard::Refusal> ReadTabMessage(const v1::PeerMessage& message, tab::PeerMessage* read);
v1::PeerMessage WriteTabMessage(const tab::PeerMessage& message);

// Cards of HubNews, which the codec of tabs does not know. Numbers beyond their bound are cut down to it.
tab::Card ReadCard(const v1::TabCard& card);
void WriteCard(const tab::Card& card, v1::TabCard* to);
tab::TabId ReadTabId(const v1::TabId& tab);
void WriteTabId(const tab::TabId& tab, v1::TabId* to);

}  // namespace lvs::services
