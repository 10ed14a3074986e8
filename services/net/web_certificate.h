// The certificate and key that a web server shows to browsers, as they were last found good.
//
//   absl::StatusOr<std::unique_ptr<WebCertificate>> certificate = WebCertificate::Load("fullchain.pem", "privkey.pem");
//   if (!certificate.ok()) return certificate.status();
//   wire->UseTls((*certificate)->context());    // of a new connection; older ones keep theirs
//   (*certificate)->Refresh();                  // now and then: a renewal is taken, one that went wrong changes nothing
//
// Browsers trust public CAs and show no certificate themselves. services/net/certificates.h is for members of one
// network instead: it asks for that network's CA and for both uses, which no public certificate has.
//
// A renewal that is taken is logged as `web_tls.renewed`; one that is not, once, as `web_tls.renewal_failed`.
// Not thread-safe.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace lvs::services {

class WebCertificate {
 public:
  // FAILED_PRECONDITION, NOT_FOUND or PERMISSION_DENIED where a file is not usable; the message names it.
  static absl::StatusOr<std::unique_ptr<WebCertificate>> Load(const std::string& cert_file,
                                                              const std::string& key_file);

  const std::shared_ptr<boost::asio::ssl::context>& context() const { return context_; }
  void Refresh();

 private:
  WebCertificate(std::string cert_file, std::string key_file)
      : cert_file_(std::move(cert_file)), key_file_(std::move(key_file)) {}
  absl::Status Take();

  const std::string cert_file_;
  const std::string key_file_;
  std::string cert_;  // the texts that are in use
  std::string key_;
  std::string last_error_;
  std::shared_ptr<boost::asio::ssl::context> context_;
};

}  // namespace lvs::services
