#include "services/peering/hello.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace lvs::services {
namespace {

constexpr std::size_t kNameMax = 256;  // characters

absl::Status CheckVersions(const NodeTerms& terms, const v1::Hello& hello) {
  const bool range = hello.protocol_min() <= hello.protocol_max();
  if (range && hello.protocol_min() <= terms.protocol_max && hello.protocol_max() >= kProtocolMin) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat("protocol versions ", hello.protocol_min(), "..",
                                                    hello.protocol_max(), " are spoken there and ", kProtocolMin, "..",
                                                    terms.protocol_max, " here: upgrade the older of the two nodes"));
}

absl::Status CheckState(const NodeTerms& terms, const v1::Hello& hello) {
  const auto value_slots = static_cast<std::uint32_t>(terms.shape.value_slots);
  const auto free_coordinates = static_cast<std::uint32_t>(terms.shape.free_coordinates);
  if (hello.shards() == terms.shards && hello.value_slots() == value_slots &&
      hello.free_coordinates() == free_coordinates) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat("the state there has ", hello.shards(), " shards of ",
                                                    hello.value_slots(), " + ", hello.free_coordinates(),
                                                    " dimensions and here ", terms.shards, " of ", value_slots, " + ",
                                                    free_coordinates, ": make `state` equal in both configurations"));
}

}  // namespace

v1::PeerMessage OwnHello(const NodeTerms& terms, const std::string& advertise) {
  v1::PeerMessage message;
  v1::Hello* hello = message.mutable_hello();
  hello->set_protocol_min(kProtocolMin);
  hello->set_protocol_max(terms.protocol_max);
  hello->set_build(terms.build);
  hello->set_session_high(terms.session.high);
  hello->set_session_low(terms.session.low);
  hello->set_region(terms.region);
  hello->set_advertise(advertise);
  hello->set_shards(terms.shards);
  hello->set_value_slots(static_cast<std::uint32_t>(terms.shape.value_slots));
  hello->set_free_coordinates(static_cast<std::uint32_t>(terms.shape.free_coordinates));
  hello->set_period_us(terms.period_us);
  hello->set_halo_rows(terms.halo_rows);
  hello->set_hub(terms.is_hub);
  return message;
}

absl::Status CheckHello(const NodeTerms& terms, const v1::Hello& hello) {
  const shard::SessionId session{hello.session_high(), hello.session_low()};
  if (session == terms.session) return absl::AbortedError("the hello is this node's own");
  if (session == shard::SessionId{}) {
    return absl::InvalidArgumentError("no session; session id 0 is reserved, draw 128 random bits");
  }
  if (absl::Status status = CheckVersions(terms, hello); !status.ok()) return status;
  if (absl::Status status = CheckState(terms, hello); !status.ok()) return status;
  if (hello.period_us() != terms.period_us) {
    return absl::FailedPreconditionError(absl::StrCat("the cycle period is ", hello.period_us(), " us there and ",
                                                      terms.period_us, " us here: make `period` equal"));
  }
  if (std::max({hello.region().size(), hello.build().size(), hello.advertise().size()}) > kNameMax) {
    return absl::InvalidArgumentError("a name of more than 256 characters");
  }
  return absl::OkStatus();
}

std::uint32_t AgreedProtocol(const NodeTerms& terms, const v1::Hello& hello) {
  return std::min(terms.protocol_max, hello.protocol_max());
}

}  // namespace lvs::services
