// The hello: what two server nodes say first, and which hellos fit each other (SPEC-13).
//
//   const v1::PeerMessage own = OwnHello(terms, "10.0.0.5:7400");
//   if (absl::Status status = CheckHello(terms, theirs); !status.ok()) return stream->Close(status);
//   const std::uint32_t protocol = AgreedProtocol(terms, theirs);
//
// Two nodes fit where their protocol ranges overlap and the shape of the state and the cycle period are equal. Errors
// of CheckHello:
//   ABORTED              the hello is this node's own: the dialled address leads back here
//   INVALID_ARGUMENT     no node would say it: no session, a name of more than 256 characters
//   FAILED_PRECONDITION  a node of another protocol, shape or period; the message says what to make equal
//
// Stateless: any thread.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "lvs/v1/peer.pb.h"
#include "shard/intake.h"
#include "shard/session_id.h"

namespace lvs::services {

// Protocol versions of this build: 1, one frame a message; 2, many frames a message.
inline constexpr std::uint32_t kProtocolMin = 1;
inline constexpr std::uint32_t kProtocolMax = 2;

// Terms of a node: what it announces, and what its peers must agree with.
struct NodeTerms : shard::IntakeTerms {
  std::string region;
  std::string build;
  shard::SessionId session;
  std::uint32_t protocol_max = kProtocolMax;
  bool is_hub = false;  // browser tabs connect to the node
};

// `advertise`: host:port where peers may dial this node; empty: nowhere.
v1::PeerMessage OwnHello(const NodeTerms& terms, const std::string& advertise);

absl::Status CheckHello(const NodeTerms& terms, const v1::Hello& hello);

// The newest version that both sides speak, where the hello fits.
std::uint32_t AgreedProtocol(const NodeTerms& terms, const v1::Hello& hello);

}  // namespace lvs::services
