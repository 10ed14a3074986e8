// Credentials that a node and its tools show each other over gRPC: none, or certificates both ways.
//
//   std::shared_ptr<Certificates> certificates;   // null: plain
//   if (config.has_tls()) {
//     auto loaded = Certificates::Load(config.tls());
//     if (!loaded.ok()) return loaded.status();
//     certificates = *loaded;
//   }
//   builder.AddListeningPort(config.listen(), ServerCredentials(certificates), &port);
//
// Without certificates connections are plain; node_config.h decides whether they may be. With them they are mutual TLS:
// each side must show a certificate that chains to ca_file and is valid now, and each side checks the other's. Refusals
// are counted by reason (no certificate, untrusted, expired, unfit) and logged as `tls.refused`.
//
// Names in certificates are not compared with the address that was dialled. Peers learn of each other by exchange and
// dial addresses, not names, and identity is no part of the protocol: every holder of a certificate of the operator's
// CA is a member, as server and as client alike, and all members are equal. So the CA must be the network's own: with a
// public CA as ca_file, anybody could enter. Certificates that restrict their use must allow both serverAuth and
// clientAuth.
//
// A renewal (certificates.h) holds for connections made from then on; older connections go on. Any thread.
#pragma once

#include <memory>

#include "grpcpp/security/credentials.h"
#include "grpcpp/security/server_credentials.h"
#include "services/net/certificates.h"
#include "services/peering/connection_refusals.h"

namespace lvs::services {

// Credentials to listen with. `refusals` may be null.
std::shared_ptr<grpc::ServerCredentials> ServerCredentials(std::shared_ptr<Certificates> certificates,
                                                           std::shared_ptr<ConnectionRefusals> refusals = nullptr);

// Credentials to connect with, to a node of the same network.
std::shared_ptr<grpc::ChannelCredentials> ChannelCredentials(std::shared_ptr<Certificates> certificates,
                                                             std::shared_ptr<ConnectionRefusals> refusals = nullptr);

}  // namespace lvs::services
