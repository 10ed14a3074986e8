// The hello of a tab, checked by its hub. The words of an error are shown by the tab's page, and fit into the close frame
// of a WebSocket (123 bytes).
//
//   const NodeTerms terms = TabTerms(options);
//   if (absl::Status status = CheckTabHello(terms, hello); !status.ok()) return stream->Close(status);
//   stream->Say(OwnHello(terms, ""));
//
// Errors are those of CheckHello (services/peering/hello.h), and INVALID_ARGUMENT where a number is out of range or the
// sender is no tab. Stateless: any thread.
#pragma once

#include "absl/status/status.h"
#include "lvs/v1/peer.pb.h"
#include "services/peering/hello.h"

namespace lvs::services {

// The terms of a node as its hub speaks for it: the protocol of tabs, whatever peers speak.
NodeTerms TabTerms(const NodeTerms& terms);

absl::Status CheckTabHello(const NodeTerms& terms, const v1::Hello& hello);

}  // namespace lvs::services
