#include "services/credentials.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_certificate_verifier.h"
#include "grpcpp/security/tls_credentials_options.h"
#include "services/yaml_proto.h"

namespace lvs::services {
namespace {

namespace tls = grpc::experimental;

// ---- Checks --------------------------------------------------------------------------------------------------------
// gRPC says in its own log, and nowhere else, that files are not usable; so look before.

template <auto kFree>
struct Freed {
  template <typename Thing>
  void operator()(Thing* thing) const {
    kFree(thing);
  }
};
void FreeStack(STACK_OF(X509) * stack) { sk_X509_free(stack); }  // a macro
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;

absl::Status Unusable(std::string_view key, const std::string& file, const std::string& why) {
  ERR_clear_error();
  return absl::FailedPreconditionError(std::string(key) + ": " + file + " " + why);
}

absl::StatusOr<Bio> OpenPem(std::string_view key, const std::string& file) {
  if (file.empty()) return absl::FailedPreconditionError(std::string(key) + ": is not given; name a PEM file");
  const absl::StatusOr<std::string> text = ReadTextFile(file);
  if (!text.ok()) {
    return absl::Status(text.status().code(), std::string(key) + ": " + std::string(text.status().message()));
  }
  Bio bio(BIO_new(BIO_s_mem()));
  BIO_write(bio.get(), text->data(), static_cast<int>(text->size()));
  return bio;
}

absl::StatusOr<std::vector<Certificate>> ReadCertificates(std::string_view key, const std::string& file) {
  absl::StatusOr<Bio> pem = OpenPem(key, file);
  if (!pem.ok()) return pem.status();
  std::vector<Certificate> certificates;
  while (X509* next = PEM_read_bio_X509(pem->get(), nullptr, nullptr, nullptr)) certificates.emplace_back(next);
  if (certificates.empty()) return Unusable(key, file, "holds no certificate in PEM");
  ERR_clear_error();  // that there was no further one
  return certificates;
}

// No key of ours has a passphrase, and nobody is there to be asked for one.
int NoPassphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*context*/) { return -1; }

absl::Status CheckFiles(const v1::Tls& files) {
  const auto roots = ReadCertificates("tls.ca_file", files.ca_file());
  if (!roots.ok()) return roots.status();
  const auto chain = ReadCertificates("tls.cert_file", files.cert_file());
  if (!chain.ok()) return chain.status();
  const absl::StatusOr<Bio> pem = OpenPem("tls.key_file", files.key_file());
  if (!pem.ok()) return pem.status();
  const Key key(PEM_read_bio_PrivateKey(pem->get(), nullptr, NoPassphrase, nullptr));
  if (key == nullptr) {
    return Unusable("tls.key_file", files.key_file(), "holds no private key in PEM without a passphrase");
  }
  X509* const own = chain->front().get();
  if (X509_check_private_key(own, key.get()) != 1) {
    return Unusable("tls.key_file", files.key_file(), "is not the key of " + files.cert_file() + "; replace both");
  }
  const std::unique_ptr<X509_STORE, Freed<X509_STORE_free>> store(X509_STORE_new());
  for (const Certificate& root : *roots) X509_STORE_add_cert(store.get(), root.get());
  const std::unique_ptr<STACK_OF(X509), Freed<FreeStack>> between(sk_X509_new_null());
  for (const Certificate& certificate : *chain) sk_X509_push(between.get(), certificate.get());
  const std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>> check(X509_STORE_CTX_new());
  X509_STORE_CTX_init(check.get(), store.get(), own, between.get());
  if (X509_verify_cert(check.get()) != 1) {
    return Unusable("tls.cert_file", files.cert_file(),
                    "would be refused by every node with " + files.ca_file() + " (" +
                        X509_verify_cert_error_string(X509_STORE_CTX_get_error(check.get())) +
                        "); have the CA issue a new one");
  }
  return absl::OkStatus();
}

// ---- Credentials
// -----------------------------------------------------------------------------------------------------

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
