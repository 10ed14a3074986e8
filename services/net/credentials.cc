#include "services/net/credentials.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_certificate_verifier.h"
#include "grpcpp/security/tls_credentials_options.h"
#include "services/base/log.h"
#include "services/base/mutex.h"
#include "services/base/yaml_proto.h"

namespace lvs::services {
namespace {

namespace tls = grpc::experimental;

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
using Stack = std::unique_ptr<STACK_OF(X509), Freed<FreeStack>>;  // refers to its certificates

Bio BioOf(std::string_view text) {
  Bio bio(BIO_new(BIO_s_mem()));
  BIO_write(bio.get(), text.data(), static_cast<int>(text.size()));
  return bio;
}

std::vector<Certificate> ParseCertificates(BIO* pem) {
  std::vector<Certificate> certificates;
  while (X509* next = PEM_read_bio_X509(pem, nullptr, nullptr, nullptr)) certificates.emplace_back(next);
  ERR_clear_error();  // clears the error that there is no further certificate
  return certificates;
}

// ---- Which certificates are of this network ------------------------------------------------------------------------

// The use that a certificate is shown for, by OpenSSL's names. A certificate that restricts its use must allow it.
constexpr const char* kAsClient = "ssl_client";
constexpr const char* kAsServer = "ssl_server";

using Store = std::shared_ptr<X509_STORE>;

Store StoreOf(const std::vector<Certificate>& roots) {
  Store store(X509_STORE_new(), X509_STORE_free);
  for (const Certificate& root : roots) X509_STORE_add_cert(store.get(), root.get());
  return store;
}

// The same check as in a handshake of OpenSSL's own: the chain up to one of the roots, signatures, dates, use, and keys
// of the strength that this machine asks for. X509_V_OK, or what is wrong.
int CheckChain(X509_STORE* roots, X509* own, const std::vector<Certificate>& between, const char* shown_as) {
  const Stack untrusted(sk_X509_new_null());
  for (const Certificate& certificate : between) sk_X509_push(untrusted.get(), certificate.get());
  const std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>> check(X509_STORE_CTX_new());
  if (X509_STORE_CTX_init(check.get(), roots, own, untrusted.get()) != 1 ||
      X509_STORE_CTX_set_default(check.get(), shown_as) != 1) {
    return X509_V_ERR_UNSPECIFIED;
  }
  static const int strength = [] {
    const std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>> defaults(SSL_CTX_new(TLS_method()));
    return defaults == nullptr ? 2 : SSL_CTX_get_security_level(defaults.get());
  }();
  X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(check.get()), strength);
  const bool holds = X509_verify_cert(check.get()) == 1;
  const int error = X509_STORE_CTX_get_error(check.get());
  ERR_clear_error();
  if (holds) return X509_V_OK;
  return error == X509_V_OK ? X509_V_ERR_UNSPECIFIED : error;
}

ConnectionRefusal ReasonOf(int chain_error) {
  switch (chain_error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return ConnectionRefusal::kTlsExpired;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED: return ConnectionRefusal::kTlsUntrusted;
    default: return ConnectionRefusal::kTlsUnfit;
  }
}

// ---- Checks --------------------------------------------------------------------------------------------------------
// gRPC reports unusable files in its own log and nowhere else, so they are checked before.

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
  return BioOf(*text);
}

absl::StatusOr<std::vector<Certificate>> ReadCertificates(std::string_view key, const std::string& file) {
  absl::StatusOr<Bio> pem = OpenPem(key, file);
  if (!pem.ok()) return pem.status();
  std::vector<Certificate> certificates = ParseCertificates(pem->get());
  if (certificates.empty()) return Unusable(key, file, "holds no certificate in PEM");
  return certificates;
}

// OpenSSL would ask on the terminal for a passphrase; a node has no terminal.
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
  const Store store = StoreOf(*roots);
  for (const char* shown_as : {kAsClient, kAsServer}) {
    const int error = CheckChain(store.get(), own, *chain, shown_as);
    if (error == X509_V_OK) continue;
    return Unusable("tls.cert_file", files.cert_file(),
                    "would be refused by every node with " + files.ca_file() + " (" +
                        X509_verify_cert_error_string(error) + "); have the CA issue a new one");
  }
  return absl::OkStatus();
}

// ---- The other side's certificate ----------------------------------------------------------------------------------

// gRPC's handshake proves that the other side has the key of the certificate that it shows, and leaves the certificate
// itself to this check, which comes before anything else is read. A check of gRPC's own would not say why it refuses.
class NetworkVerifier final : public tls::ExternalCertificateVerifier {
 public:
  NetworkVerifier(const v1::Tls& files, std::chrono::seconds refresh, const char* shown_as,
                  std::shared_ptr<ConnectionRefusals> refusals)
      : ca_file_(files.ca_file()), refresh_(refresh), shown_as_(shown_as), refusals_(std::move(refusals)) {}

  bool Verify(tls::TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)> /*callback*/,
              grpc::Status* sync_status) override {
    const std::vector<Certificate> own = Parse(request->peer_cert());
    if (request->peer_cert().empty()) {
      *sync_status = Refuse(ConnectionRefusal::kTlsNoCertificate, "no certificate was shown");
    } else if (own.empty()) {
      *sync_status = Refuse(ConnectionRefusal::kTlsUnfit, "what was shown is no certificate");
    } else if (const Store roots = Roots(); roots == nullptr) {
      *sync_status = Refuse(ConnectionRefusal::kTlsUntrusted, "there is no CA to trust");
    } else {
      const int error = CheckChain(roots.get(), own.front().get(), Parse(request->peer_cert_full_chain()), shown_as_);
      *sync_status =
          error == X509_V_OK ? grpc::Status::OK : Refuse(ReasonOf(error), X509_verify_cert_error_string(error));
    }
    return true;  // done
  }
  void Cancel(tls::TlsCustomVerificationCheckRequest* /*request*/) override {}

 private:
  static std::vector<Certificate> Parse(grpc::string_ref pem) {
    return ParseCertificates(BioOf({pem.data(), pem.size()}).get());
  }

  grpc::Status Refuse(ConnectionRefusal reason, const std::string& why) const {
    if (refusals_ != nullptr) refusals_->Add(reason);
    Log(v1::WARNING, "tls.refused", {{"reason", Name(reason)}, {"shown_as", shown_as_ + 4}, {"why", why}});
    return {grpc::StatusCode::UNAUTHENTICATED, "the certificate is refused: " + why};
  }

  // A file that cannot be read, or holds no certificate, changes nothing; gRPC treats its copy of the file alike.
  Store Roots() {
    const auto now = std::chrono::steady_clock::now();
    const MutexLock lock(&mu_);
    if (roots_ != nullptr && now - read_at_ < refresh_) return roots_;
    read_at_ = now;
    const auto roots = ReadCertificates("tls.ca_file", ca_file_);
    if (roots.ok()) roots_ = StoreOf(*roots);
    return roots_;
  }

  const std::string ca_file_;
  const std::chrono::seconds refresh_;
  const char* const shown_as_;
  const std::shared_ptr<ConnectionRefusals> refusals_;
  Mutex mu_;
  Store roots_ ABSL_GUARDED_BY(mu_);
  std::chrono::steady_clock::time_point read_at_ ABSL_GUARDED_BY(mu_);
};

// ---- Credentials ---------------------------------------------------------------------------------------------------

std::shared_ptr<tls::CertificateProviderInterface> Watcher(const v1::Tls& files, std::chrono::seconds refresh) {
  const auto seconds = static_cast<unsigned>(std::max<std::int64_t>(1, refresh.count()));
  return std::make_shared<tls::FileWatcherCertificateProvider>(files.key_file(), files.cert_file(), files.ca_file(),
                                                               seconds);
}

// Configures both sides alike: own pair and roots come from the watched files, NetworkVerifier checks the chain, and
// names are not checked.
void Configure(tls::TlsCredentialsOptions* options, const v1::Tls& files, std::chrono::seconds refresh,
               const char* shown_as, std::shared_ptr<ConnectionRefusals> refusals) {
  options->watch_root_certs();
  options->watch_identity_key_cert_pairs();
  options->set_certificate_verifier(
      tls::ExternalCertificateVerifier::Create<NetworkVerifier>(files, refresh, shown_as, std::move(refusals)));
  options->set_check_call_host(false);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentials(
    const v1::NodeConfig& config, std::chrono::seconds refresh, std::shared_ptr<ConnectionRefusals> refusals) {
  if (!config.has_tls()) return grpc::InsecureServerCredentials();
  if (absl::Status status = CheckFiles(config.tls()); !status.ok()) return status;
  tls::TlsServerCredentialsOptions options(Watcher(config.tls(), refresh));
  Configure(&options, config.tls(), refresh, kAsClient, std::move(refusals));
  // gRPC asks for the certificate; NetworkVerifier requires and checks it.
  options.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_BUT_DONT_VERIFY);
  std::shared_ptr<grpc::ServerCredentials> credentials = tls::TlsServerCredentials(options);
  if (credentials == nullptr) return absl::InternalError("gRPC refused the TLS options of a server");
  return credentials;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ChannelCredentials(
    const v1::NodeConfig& config, std::chrono::seconds refresh, std::shared_ptr<ConnectionRefusals> refusals) {
  if (!config.has_tls()) return grpc::InsecureChannelCredentials();
  if (absl::Status status = CheckFiles(config.tls()); !status.ok()) return status;
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Watcher(config.tls(), refresh));
  Configure(&options, config.tls(), refresh, kAsServer, std::move(refusals));
  options.set_verify_server_certs(false);  // NetworkVerifier does
  std::shared_ptr<grpc::ChannelCredentials> credentials = tls::TlsCredentials(options);
  if (credentials == nullptr) return absl::InternalError("gRPC refused the TLS options of a channel");
  return credentials;
}

}  // namespace lvs::services
