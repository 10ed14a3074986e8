#include "services/net/web_certificate.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <boost/asio/buffer.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/files.h"
#include "services/base/log.h"
#include "services/net/certificates.h"

namespace lvs::services {

namespace {

namespace ssl = boost::asio::ssl;

absl::StatusOr<std::string> ReadWebPem(const std::string& what, const std::string& file) {
  absl::StatusOr<std::string> text = ReadTextFile(file);
  if (text.ok()) return text;
  return absl::Status(text.status().code(), absl::StrCat(what, ": ", text.status().message()));
}

absl::Status WebUnusable(const std::string& file, const std::string& why) {
  ERR_clear_error();
  return absl::FailedPreconditionError(absl::StrCat("the web server's ", file, " ", why));
}

}  // namespace

absl::StatusOr<std::unique_ptr<WebCertificate>> WebCertificate::Load(const std::string& cert_file,
                                                                     const std::string& key_file) {
  std::unique_ptr<WebCertificate> loaded(new WebCertificate(cert_file, key_file));
  if (absl::Status taken = loaded->Take(); !taken.ok()) return taken;
  return loaded;
}

void WebCertificate::Refresh() {
  const std::shared_ptr<ssl::context> before = context_;
  const absl::Status taken = Take();
  if (taken.ok() && context_ != before) Log(v1::INFO, "web_tls.renewed", {{"file", cert_file_}});
  std::string error(taken.message());
  if (error == last_error_) return;
  last_error_ = std::move(error);
  if (!last_error_.empty()) Log(v1::ERROR, "web_tls.renewal_failed", {{"why", last_error_}});
}

absl::Status WebCertificate::Take() {
  absl::StatusOr<std::string> cert = ReadWebPem("the web server's certificate", cert_file_);
  if (!cert.ok()) return cert.status();
  absl::StatusOr<std::string> key = ReadWebPem("the web server's key", key_file_);
  if (!key.ok()) return key.status();
  if (*cert == cert_ && *key == key_) return absl::OkStatus();

  const std::vector<CertificatePtr> chain = ParseCertificates(*cert);
  if (chain.empty()) return WebUnusable(cert_file_, "holds no certificate in PEM");
  if (X509_cmp_current_time(X509_get0_notAfter(chain.front().get())) < 0) {
    return WebUnusable(cert_file_, "has expired; renew it");
  }
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_options(context->native_handle(), SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context->native_handle(), SSL_MODE_RELEASE_BUFFERS);
  boost::system::error_code error;
  context->set_password_callback([](std::size_t, ssl::context::password_purpose) { return std::string(); }, error);
  context->use_certificate_chain(boost::asio::buffer(*cert), error);
  if (error) return WebUnusable(cert_file_, absl::StrCat("is no usable certificate chain: ", error.message()));
  context->use_private_key(boost::asio::buffer(*key), ssl::context::pem, error);
  if (error || SSL_CTX_check_private_key(context->native_handle()) != 1) {
    return WebUnusable(key_file_, absl::StrCat("is not the key of ", cert_file_, ", or needs a passphrase"));
  }
  context_ = std::move(context);
  cert_ = *std::move(cert);
  key_ = *std::move(key);
  return absl::OkStatus();
}

}  // namespace lvs::services
