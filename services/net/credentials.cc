#include "services/net/credentials.h"

#include <openssl/x509_vfy.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grpcpp/security/tls_certificate_verifier.h"
#include "grpcpp/security/tls_credentials_options.h"
#include "services/base/log.h"

namespace lvs::services {
namespace {

namespace tls = grpc::experimental;

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

// gRPC's handshake proves that the other side has the key of the certificate that it shows, and leaves the certificate
// itself to this check, which comes before anything else is read. A check of gRPC's own would not say why it refuses.
class NetworkVerifier final : public tls::ExternalCertificateVerifier {
 public:
  NetworkVerifier(std::shared_ptr<Certificates> certificates, const char* shown_as,
                  std::shared_ptr<ConnectionRefusals> refusals)
      : certificates_(std::move(certificates)), shown_as_(shown_as), refusals_(std::move(refusals)) {}

  bool Verify(tls::TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)> /*callback*/,
              grpc::Status* sync_status) override {
    const std::vector<CertificatePtr> own = Parse(request->peer_cert());
    if (request->peer_cert().empty()) {
      *sync_status = Refuse(ConnectionRefusal::kTlsNoCertificate, "no certificate was shown");
    } else if (own.empty()) {
      *sync_status = Refuse(ConnectionRefusal::kTlsUnfit, "what was shown is no certificate");
    } else {
      const TrustedRoots roots = certificates_->roots();
      const int error = CheckChain(roots.get(), own.front().get(), Parse(request->peer_cert_full_chain()), shown_as_);
      *sync_status =
          error == X509_V_OK ? grpc::Status::OK : Refuse(ReasonOf(error), X509_verify_cert_error_string(error));
    }
    return true;  // done
  }
  void Cancel(tls::TlsCustomVerificationCheckRequest* /*request*/) override {}

 private:
  static std::vector<CertificatePtr> Parse(grpc::string_ref pem) { return ParseCertificates({pem.data(), pem.size()}); }

  grpc::Status Refuse(ConnectionRefusal reason, const std::string& why) const {
    if (refusals_ != nullptr) refusals_->Add(reason);
    Log(v1::WARNING, "tls.refused", {{"reason", Name(reason)}, {"shown_as", shown_as_ + 4}, {"why", why}});
    return {grpc::StatusCode::UNAUTHENTICATED, "the certificate is refused: " + why};
  }

  const std::shared_ptr<Certificates> certificates_;
  const char* const shown_as_;
  const std::shared_ptr<ConnectionRefusals> refusals_;
};

// Configures both sides alike: own pair and roots are those of the certificates, NetworkVerifier checks the chain, and
// names are not checked.
void Configure(tls::TlsCredentialsOptions* options, std::shared_ptr<Certificates> certificates, const char* shown_as,
               std::shared_ptr<ConnectionRefusals> refusals) {
  options->watch_root_certs();
  options->watch_identity_key_cert_pairs();
  options->set_certificate_verifier(tls::ExternalCertificateVerifier::Create<NetworkVerifier>(
      std::move(certificates), shown_as, std::move(refusals)));
  options->set_check_call_host(false);
}

}  // namespace

std::shared_ptr<grpc::ServerCredentials> ServerCredentials(std::shared_ptr<Certificates> certificates,
                                                           std::shared_ptr<ConnectionRefusals> refusals) {
  if (certificates == nullptr) return grpc::InsecureServerCredentials();
  tls::TlsServerCredentialsOptions options(certificates->NewProvider());
  Configure(&options, std::move(certificates), kShownAsClient, std::move(refusals));
  // gRPC asks for the certificate; NetworkVerifier requires and checks it.
  options.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_BUT_DONT_VERIFY);
  return tls::TlsServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> ChannelCredentials(std::shared_ptr<Certificates> certificates,
                                                             std::shared_ptr<ConnectionRefusals> refusals) {
  if (certificates == nullptr) return grpc::InsecureChannelCredentials();
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(certificates->NewProvider());
  Configure(&options, std::move(certificates), kShownAsServer, std::move(refusals));
  options.set_verify_server_certs(false);  // NetworkVerifier does
  return tls::TlsCredentials(options);
}

}  // namespace lvs::services
