// Credentials that a node and its tools show each other over gRPC: none, or certificates both ways.
//
//   absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> credentials = ServerCredentials(config);
//   if (!credentials.ok()) return credentials.status();
//   builder.AddListeningPort(config.listen(), *credentials, &port);
//
// Without `tls` connections are plain; node_config.h decides whether they may be. With `tls` they are mutual TLS: each
// side must show a certificate that chains to ca_file and is valid now, and each side checks the other's. Refusals are
// counted by reason (no certificate, untrusted, expired, unfit) and logged as `tls.refused`.
//
// Names in certificates are not compared with the address that was dialled. Peers learn of each other by exchange and
// dial addresses, not names, and identity is no part of the protocol: every holder of a certificate of the operator's
// CA is a member, as server and as client alike, and all members are equal. So the CA must be the network's own: with a
// public CA as ca_file, anybody could enter. Certificates that restrict their use must allow both serverAuth and
// clientAuth.
//
// Files are read again every refresh interval. A change holds for connections made from then on; older connections go
// on. Replace key and certificate within one interval: while the two do not fit, the former pair stays in use. Files
// that vanish or cannot be read change nothing.
//
// Errors: FAILED_PRECONDITION, NOT_FOUND or PERMISSION_DENIED where a file is not usable now; the message names it.
// Files that become unusable later show when a connection is made. Any thread.
#pragma once

#include <chrono>
#include <memory>

#include "absl/status/statusor.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/security/server_credentials.h"
#include "lvs/v1/config.pb.h"
#include "services/peering/connection_refusals.h"

namespace lvs::services {

inline constexpr std::chrono::seconds kCertificateRefresh{30};

// Credentials to listen with.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentials(
    const v1::NodeConfig& config, std::chrono::seconds refresh = kCertificateRefresh,
    std::shared_ptr<ConnectionRefusals> refusals = nullptr);

// Credentials to connect with, to a node of the same network. Only `tls` of the configuration is read.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ChannelCredentials(
    const v1::NodeConfig& config, std::chrono::seconds refresh = kCertificateRefresh,
    std::shared_ptr<ConnectionRefusals> refusals = nullptr);

}  // namespace lvs::services
