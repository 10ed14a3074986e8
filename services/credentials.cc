#include "services/credentials.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_certificate_verifier.h"
#include "grpcpp/security/tls_credentials_options.h"
#include "services/yaml_proto.h"

namespace lvs::services {
namespace {

namespace tls = grpc::experimental;

// gRPC says in its own log, and nowhere else, that a file cannot be read; so look before.
absl::Status CheckFiles(const v1::Tls& files) {
  for (const auto& [file, key] : {std::pair{&files.ca_file(), "tls.ca_file"},
                                  {&files.cert_file(), "tls.cert_file"},
                                  {&files.key_file(), "tls.key_file"}}) {
    if (file->empty()) return absl::FailedPreconditionError(std::string(key) + ": is not given; name a PEM file");
    const absl::StatusOr<std::string> text = ReadTextFile(*file);
    if (!text.ok())
      return absl::Status(text.status().code(), std::string(key) + ": " + std::string(text.status().message()));
    if (text->find("-----BEGIN ") == std::string::npos) {
      return absl::FailedPreconditionError(std::string(key) + ": " + *file + " is not a PEM file");
    }
  }
  return absl::OkStatus();
}

std::shared_ptr<tls::CertificateProviderInterface> Watcher(const v1::Tls& files, std::chrono::seconds refresh) {
  const auto seconds = static_cast<unsigned>(std::max<std::int64_t>(1, refresh.count()));
  return std::make_shared<tls::FileWatcherCertificateProvider>(files.key_file(), files.cert_file(), files.ca_file(),
                                                               seconds);
}

// The same on both sides: own pair and roots from the watched files; the chain is checked by TLS, the name by nobody.
void Configure(tls::TlsCredentialsOptions* options) {
  options->watch_root_certs();
  options->watch_identity_key_cert_pairs();
  options->set_certificate_verifier(std::make_shared<tls::NoOpCertificateVerifier>());
  options->set_check_call_host(false);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentials(const v1::NodeConfig& config,
                                                                           std::chrono::seconds refresh) {
  if (!config.has_tls()) return grpc::InsecureServerCredentials();
  if (absl::Status status = CheckFiles(config.tls()); !status.ok()) return status;
  tls::TlsServerCredentialsOptions options(Watcher(config.tls(), refresh));
  Configure(&options);
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  std::shared_ptr<grpc::ServerCredentials> credentials = tls::TlsServerCredentials(options);
  if (credentials == nullptr) return absl::InternalError("gRPC refused the TLS options of a server");
  return credentials;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ChannelCredentials(const v1::NodeConfig& config,
                                                                             std::chrono::seconds refresh) {
  if (!config.has_tls()) return grpc::InsecureChannelCredentials();
  if (absl::Status status = CheckFiles(config.tls()); !status.ok()) return status;
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Watcher(config.tls(), refresh));
  Configure(&options);
  options.set_verify_server_certs(true);
  std::shared_ptr<grpc::ChannelCredentials> credentials = tls::TlsCredentials(options);
  if (credentials == nullptr) return absl::InternalError("gRPC refused the TLS options of a channel");
  return credentials;
}

}  // namespace lvs::services
