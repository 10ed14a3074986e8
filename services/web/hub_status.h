// The status of a hub for operators, from its figures. Stateless: any thread.
#pragma once

#include <vector>

#include "lvs/v1/control.pb.h"
#include "services/web/hub_figures.h"
#include "shard/tab/peer_message.h"

namespace lvs::services {

// Tabs come back to a hub within so many seconds.
inline constexpr double kTabsReturnSeconds = 15;
// Whoever claims shards and says nothing about them keeps a node from being whole for no longer than this. By then every
// honest tab had its turn at a place.
inline constexpr double kTabsClaimSeconds = 180;

void FillWebStatus(const HubFigures& figures, const tab::BuildNews& builds, v1::WebStatus* status);

// Adds to status.sync the shards that this node cannot vouch for: tabs hold them, or may come and hold them, and nobody
// has been compared with yet. `compared`: by shard.
void AddShardsOfTabs(const std::vector<bool>& compared, v1::NodeStatus* status);

}  // namespace lvs::services
