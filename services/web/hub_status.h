// The status of a hub for operators, from its figures. Stateless: any thread.
#pragma once

#include "lvs/v1/control.pb.h"
#include "services/web/hub_figures.h"
#include "shard/tab/peer_message.h"

namespace lvs::services {

void FillWebStatus(const HubFigures& figures, const tab::BuildNews& builds, v1::WebStatus* status);

}  // namespace lvs::services
