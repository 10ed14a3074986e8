#include "services/web/tab_hello.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "services/web/tab_wire.h"

namespace lvs::services {
namespace {

// What a page can do about a hello that does not fit.
absl::Status MisfitOfTab(const NodeTerms& terms, const v1::Hello& hello) {
  const bool shape = hello.shards() == terms.shards &&
                     hello.value_slots() == static_cast<std::uint32_t>(terms.shape.value_slots) &&
                     hello.free_coordinates() == static_cast<std::uint32_t>(terms.shape.free_coordinates);
  if (!shape) {
    return absl::FailedPreconditionError(
        absl::StrCat("this page is of another network: ", hello.shards(), " shards of ", hello.value_slots(), " + ",
                     hello.free_coordinates(), " dimensions, here ", terms.shards, " of ", terms.shape.value_slots,
                     " + ", terms.shape.free_coordinates));
  }
  return absl::FailedPreconditionError(absl::StrCat("this page is of another network: a cycle takes ",
                                                    hello.period_us(), " us there and ", terms.period_us, " us here"));
}

}  // namespace

NodeTerms TabTerms(const NodeTerms& terms) {
  NodeTerms tabs = terms;
  tabs.protocol_max = std::max(terms.protocol_max, tab::kTabProtocol);
  return tabs;
}

absl::Status CheckTabHello(const NodeTerms& terms, const v1::Hello& hello) {
  if (!hello.has_tab()) {
    return absl::InvalidArgumentError("this address is for browser tabs; server nodes dial the peer address");
  }
  v1::PeerMessage message;
  *message.mutable_hello() = hello;
  tab::PeerMessage read;
  if (ReadTabMessage(message, &read)) return absl::InvalidArgumentError("a number or name of the hello is too large");
  if (hello.protocol_max() < tab::kTabProtocol) {
    return absl::FailedPreconditionError(absl::StrCat("this page is older than the server: it speaks protocol ",
                                                      hello.protocol_max(), ", needed is ", tab::kTabProtocol,
                                                      "; reload it"));
  }
  if (hello.protocol_min() > terms.protocol_max) {
    return absl::FailedPreconditionError(absl::StrCat("this page is newer than the server: it speaks protocol ",
                                                      hello.protocol_min(), ", known is ", terms.protocol_max,
                                                      "; try another server"));
  }
  const absl::Status status = CheckHello(terms, hello);
  return absl::IsFailedPrecondition(status) ? MisfitOfTab(terms, hello) : status;
}

}  // namespace lvs::services
