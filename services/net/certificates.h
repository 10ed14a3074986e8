// The certificate, key and CA of a node, as they were last found good: a renewal that went wrong changes nothing.
//
//   absl::StatusOr<std::shared_ptr<Certificates>> certificates = Certificates::Load(config.tls());
//   if (!certificates.ok()) return certificates.status();
//   v1::TlsStatus status = (*certificates)->Status();      // when they expire; why the last renewal was not taken
//
// services/net/credentials.h makes gRPC credentials of them.
//
// The three files are read again every refresh interval, and together: a new set is taken only if a node could start with
// it. (The key is that of the certificate, the certificate chains to the CA, is valid now and serves both uses.) Anything
// else, half a renewal above all, leaves the former set in use; it is logged once as `tls.renewal_failed` and shown in
// the status until it is mended. A set that is taken is logged as `tls.renewed`.
//
// gRPC takes certificates that change from files alone, and takes them as it finds them, so it does not read the
// operator's files: what was found good is handed on in memory files (memfd_create), replaced as a whole.
//
// Errors of Load: FAILED_PRECONDITION, NOT_FOUND or PERMISSION_DENIED where a file is not usable now; the message names
// it. Any thread.
#pragma once

#include <openssl/x509.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "lvs/v1/config.pb.h"
#include "lvs/v1/control.pb.h"
#include "services/base/mutex.h"

namespace lvs::services {

inline constexpr std::chrono::seconds kCertificateRefresh{30};

// The use that a certificate is shown for, by OpenSSL's names. A certificate that restricts its use must allow it.
inline constexpr const char* kShownAsClient = "ssl_client";
inline constexpr const char* kShownAsServer = "ssl_server";

struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using CertificatePtr = std::unique_ptr<X509, FreeCertificate>;
using TrustedRoots = std::shared_ptr<X509_STORE>;

// The certificates of a PEM text; empty where there is none.
std::vector<CertificatePtr> ParseCertificates(std::string_view pem);

// The same check as in a handshake of OpenSSL's own: the chain up to one of the roots, signatures, dates, use, and keys
// of the strength that this machine asks for. X509_V_OK, or what is wrong. `expires_s`, where given, is set to the time
// (seconds since 1970) at which the first certificate of the chain expires.
int CheckChain(X509_STORE* roots, X509* own, const std::vector<CertificatePtr>& between, const char* shown_as,
               std::int64_t* expires_s = nullptr);

// A file in memory that others of this process read by a path; its content is replaced as a whole.
class MemoryFile {
 public:
  MemoryFile() = default;
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  absl::Status Replace(std::string_view content);
  std::string path() const;  // since the first Replace

 private:
  int fd_ = -1;
};

class Certificates {
 public:
  static absl::StatusOr<std::shared_ptr<Certificates>> Load(const v1::Tls& files,
                                                            std::chrono::seconds refresh = kCertificateRefresh);
  ~Certificates();
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  // For gRPC: a provider of the set that is in use, a second after it was taken at the latest.
  std::shared_ptr<grpc::experimental::CertificateProviderInterface> NewProvider() const;
  TrustedRoots roots() const ABSL_LOCKS_EXCLUDED(mu_);

  v1::TlsStatus Status() const ABSL_LOCKS_EXCLUDED(mu_);

  // Reads the files now; what the thread does every refresh interval.
  void Refresh() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // The content of the three files.
  struct Texts {
    std::string ca, cert, key;
    bool operator==(const Texts&) const = default;
  };
  // What follows from a set that is good.
  struct Good {
    TrustedRoots roots;
    std::int64_t begins_s = 0;
    std::int64_t expires_s = 0;
  };

  Certificates(const v1::Tls& files, std::chrono::seconds refresh) : files_(files), refresh_(refresh) {}

  static absl::StatusOr<Texts> Read(const v1::Tls& files);
  static absl::StatusOr<Good> Check(const v1::Tls& files, const Texts& texts);
  absl::Status Take(const Texts& texts) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Run() ABSL_LOCKS_EXCLUDED(mu_);

  const v1::Tls files_;
  const std::chrono::seconds refresh_;

  mutable Mutex mu_;
  CondVar stopping_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  Texts used_ ABSL_GUARDED_BY(mu_);
  Good good_ ABSL_GUARDED_BY(mu_);
  std::uint64_t renewals_ ABSL_GUARDED_BY(mu_) = 0;
  std::string last_error_ ABSL_GUARDED_BY(mu_);
  MemoryFile pair_;  // key and certificates in one, so that nobody reads one without the other
  MemoryFile ca_;
  std::thread thread_;
};

}  // namespace lvs::services
