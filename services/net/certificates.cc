#include "services/net/certificates.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "services/base/files.h"
#include "services/base/log.h"

namespace lvs::services {

namespace {

template <auto kFree>
struct Freed {
  template <typename Thing>
  void operator()(Thing* thing) const {
    kFree(thing);
  }
};
void FreeStack(STACK_OF(X509) * stack) { sk_X509_free(stack); }  // a macro
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using Stack = std::unique_ptr<STACK_OF(X509), Freed<FreeStack>>;  // refers to its certificates

Bio BioOf(std::string_view text) {
  Bio bio(BIO_new(BIO_s_mem()));
  BIO_write(bio.get(), text.data(), static_cast<int>(text.size()));
  return bio;
}

std::int64_t SecondsOf(const ASN1_TIME* time) {
  std::tm broken_down{};
  if (ASN1_TIME_to_tm(time, &broken_down) != 1) return 0;
  return timegm(&broken_down);
}

TrustedRoots StoreOf(const std::vector<CertificatePtr>& roots) {
  TrustedRoots store(X509_STORE_new(), X509_STORE_free);
  for (const CertificatePtr& root : roots) X509_STORE_add_cert(store.get(), root.get());
  return store;
}

absl::Status Unusable(std::string_view key, const std::string& file, const std::string& why) {
  ERR_clear_error();
  return absl::FailedPreconditionError(std::string(key) + ": " + file + " " + why);
}

absl::StatusOr<std::string> ReadPem(std::string_view key, const std::string& file) {
  if (file.empty()) return absl::FailedPreconditionError(std::string(key) + ": is not given; name a PEM file");
  absl::StatusOr<std::string> text = ReadTextFile(file);
  if (text.ok()) return text;
  return absl::Status(text.status().code(), std::string(key) + ": " + std::string(text.status().message()));
}

// OpenSSL would ask on the terminal for a passphrase; a node has no terminal.
int NoPassphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*context*/) { return -1; }

}  // namespace

std::vector<CertificatePtr> ParseCertificates(std::string_view pem) {
  const Bio bio = BioOf(pem);
  std::vector<CertificatePtr> certificates;
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) certificates.emplace_back(next);
  ERR_clear_error();  // clears the error that there is no further certificate
  return certificates;
}

int CheckChain(X509_STORE* roots, X509* own, const std::vector<CertificatePtr>& between, const char* shown_as,
               std::int64_t* expires_s) {
  const Stack untrusted(sk_X509_new_null());
  for (const CertificatePtr& certificate : between) sk_X509_push(untrusted.get(), certificate.get());
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
  if (!holds) return error == X509_V_OK ? X509_V_ERR_UNSPECIFIED : error;
  if (expires_s != nullptr) {
    *expires_s = std::numeric_limits<std::int64_t>::max();
    STACK_OF(X509)* const chain = X509_STORE_CTX_get0_chain(check.get());
    for (int n = 0; n < sk_X509_num(chain); ++n) {
      *expires_s = std::min(*expires_s, SecondsOf(X509_get0_notAfter(sk_X509_value(chain, n))));
    }
  }
  return X509_V_OK;
}

// ---- Files in memory -----------------------------------------------------------------------------------------------

MemoryFile::~MemoryFile() {
  if (fd_ >= 0) close(fd_);
}

std::string MemoryFile::path() const { return absl::StrCat("/proc/self/fd/", fd_); }

absl::Status MemoryFile::Replace(std::string_view content) {
  const auto failed = [](const char* what, int error) { return absl::ErrnoToStatus(error, what); };
  const int made = memfd_create("lvs-tls", MFD_CLOEXEC);
  if (made < 0) return failed("cannot create a file in memory", errno);
  while (!content.empty()) {
    const ssize_t size = write(made, content.data(), content.size());
    if (size < 0) {
      const int error = errno;
      close(made);
      return failed("cannot write a file in memory", error);
    }
    content.remove_prefix(static_cast<std::size_t>(size));
  }
  if (fd_ < 0) {
    fd_ = made;
    return absl::OkStatus();
  }
  // The descriptor, and with it the path, is the new file's from one moment to the next.
  const int replaced = dup3(made, fd_, O_CLOEXEC);
  const int error = errno;
  close(made);
  return replaced < 0 ? failed("cannot replace a file in memory", error) : absl::OkStatus();
}

// ---- What is used --------------------------------------------------------------------------------------------------

absl::StatusOr<std::shared_ptr<Certificates>> Certificates::Load(const v1::Tls& files, std::chrono::seconds refresh) {
  const absl::StatusOr<Texts> texts = Read(files);
  if (!texts.ok()) return texts.status();
  auto* const raw = new Certificates(files, std::max(refresh, std::chrono::seconds(1)));
  std::shared_ptr<Certificates> certificates(raw);
  {
    const MutexLock lock(&raw->mu_);
    if (const absl::Status taken = raw->Take(*texts); !taken.ok()) return taken;
  }
  raw->thread_ = std::thread([raw] { raw->Run(); });
  return certificates;
}

Certificates::~Certificates() {
  {
    const MutexLock lock(&mu_);
    stopped_ = true;
    stopping_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

absl::StatusOr<Certificates::Texts> Certificates::Read(const v1::Tls& files) {
  const absl::StatusOr<std::string> ca = ReadPem("tls.ca_file", files.ca_file());
  if (!ca.ok()) return ca.status();
  const absl::StatusOr<std::string> cert = ReadPem("tls.cert_file", files.cert_file());
  if (!cert.ok()) return cert.status();
  const absl::StatusOr<std::string> key = ReadPem("tls.key_file", files.key_file());
  if (!key.ok()) return key.status();
  return Texts{*ca, *cert, *key};
}

absl::StatusOr<Certificates::Good> Certificates::Check(const v1::Tls& files, const Texts& texts) {
  const std::vector<CertificatePtr> roots = ParseCertificates(texts.ca);
  if (roots.empty()) return Unusable("tls.ca_file", files.ca_file(), "holds no certificate in PEM");
  const std::vector<CertificatePtr> chain = ParseCertificates(texts.cert);
  if (chain.empty()) return Unusable("tls.cert_file", files.cert_file(), "holds no certificate in PEM");
  const Key key(PEM_read_bio_PrivateKey(BioOf(texts.key).get(), nullptr, NoPassphrase, nullptr));
  if (key == nullptr) {
    return Unusable("tls.key_file", files.key_file(), "holds no private key in PEM without a passphrase");
  }
  X509* const own = chain.front().get();
  if (X509_check_private_key(own, key.get()) != 1) {
    return Unusable("tls.key_file", files.key_file(), "is not the key of " + files.cert_file() + "; replace both");
  }
  Good good{.roots = StoreOf(roots), .begins_s = SecondsOf(X509_get0_notBefore(own))};
  for (const char* shown_as : {kShownAsClient, kShownAsServer}) {
    const int error = CheckChain(good.roots.get(), own, chain, shown_as, &good.expires_s);
    if (error == X509_V_OK) continue;
    return Unusable("tls.cert_file", files.cert_file(),
                    "would be refused by every node with " + files.ca_file() + " (" +
                        X509_verify_cert_error_string(error) + "); have the CA issue a new one");
  }
  return good;
}

absl::Status Certificates::Take(const Texts& texts) {
  absl::StatusOr<Good> good = Check(files_, texts);
  if (!good.ok()) return good.status();
  if (const absl::Status status = ca_.Replace(texts.ca); !status.ok()) return status;
  if (const absl::Status status = pair_.Replace(texts.key + "\n" + texts.cert); !status.ok()) return status;
  used_ = texts;
  good_ = *std::move(good);
  return absl::OkStatus();
}

void Certificates::Refresh() {
  const absl::StatusOr<Texts> texts = Read(files_);
  const MutexLock lock(&mu_);
  absl::Status status = texts.status();
  if (texts.ok() && *texts != used_) {
    status = Take(*texts);
    if (status.ok()) {
      ++renewals_;
      Log(v1::INFO, "tls.renewed", {{"expires_unix_s", good_.expires_s}});
    }
  }
  std::string error(status.message());
  if (error == last_error_) return;
  last_error_ = std::move(error);
  if (!last_error_.empty()) {
    Log(v1::ERROR, "tls.renewal_failed", {{"why", last_error_}, {"former_expires_unix_s", good_.expires_s}});
  }
}

void Certificates::Run() {
  while (true) {
    {
      const auto until = std::chrono::steady_clock::now() + refresh_;
      const MutexLock lock(&mu_);
      while (!stopped_) {
        if (!stopping_.WaitUntil(&mu_, until)) break;
      }
      if (stopped_) return;
    }
    Refresh();
  }
}

std::shared_ptr<grpc::experimental::CertificateProviderInterface> Certificates::NewProvider() const {
  constexpr unsigned kPollSeconds = 1;  // gRPC's shortest; files in memory cost nothing
  return std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(pair_.path(), pair_.path(), ca_.path(),
                                                                              kPollSeconds);
}

TrustedRoots Certificates::roots() const {
  const MutexLock lock(&mu_);
  return good_.roots;
}

v1::TlsStatus Certificates::Status() const {
  const MutexLock lock(&mu_);
  v1::TlsStatus status;
  status.set_begins_unix_s(good_.begins_s);
  status.set_expires_unix_s(good_.expires_s);
  status.set_renewals(renewals_);
  status.set_last_error(last_error_);
  return status;
}

}  // namespace lvs::services
