#include "services/net/credentials.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lvs/v1/control.grpc.pb.h"
#include "services/node/node_config.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
namespace tls = grpc::experimental;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class TinyControl final : public v1::Control::Service {
  grpc::Status GetStatus(grpc::ServerContext* /*context*/, const v1::StatusRequest* /*request*/,
                         v1::NodeStatus* status) override {
    status->set_region("eu");
    return grpc::Status::OK;
  }
};

// What somebody shows who does not care whether his own files are in order.
std::shared_ptr<tls::StaticDataCertificateProvider> Shown(const v1::Tls& files) {
  const auto bytes = [](const std::string& file) {
    std::ifstream in(file);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  return std::make_shared<tls::StaticDataCertificateProvider>(
      bytes(files.ca_file()),
      std::vector<tls::IdentityKeyCertPair>{{bytes(files.key_file()), bytes(files.cert_file())}});
}

void Watch(tls::TlsCredentialsOptions* options) {
  options->watch_root_certs();
  options->watch_identity_key_cert_pairs();
  options->set_certificate_verifier(std::make_shared<tls::NoOpCertificateVerifier>());
  options->set_check_call_host(false);
}

std::shared_ptr<grpc::ServerCredentials> CarelessServer(const v1::NodeConfig& config) {
  tls::TlsServerCredentialsOptions options(Shown(config.tls()));
  Watch(&options);
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return tls::TlsServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> CarelessClient(const v1::NodeConfig& config) {
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Shown(config.tls()));
  Watch(&options);
  return tls::TlsCredentials(options);
}

std::shared_ptr<Certificates> Loaded(const v1::NodeConfig& config) {
  if (!config.has_tls()) return nullptr;
  const auto certificates = Certificates::Load(config.tls(), 1s);
  EXPECT_TRUE(certificates.ok()) << certificates.status();
  return certificates.ok() ? *certificates : nullptr;
}

class RunningServer {
 public:
  explicit RunningServer(const v1::NodeConfig& config, std::shared_ptr<ConnectionRefusals> refusals = nullptr)
      : RunningServer(ServerCredentials(Loaded(config), std::move(refusals))) {}
  explicit RunningServer(const std::shared_ptr<grpc::ServerCredentials>& credentials) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", credentials, &port_);
    builder.RegisterService(&control_);
    server_ = builder.BuildAndStart();
    EXPECT_NE(port_, 0);
  }
  ~RunningServer() { server_->Shutdown(std::chrono::system_clock::now() + 1s); }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  TinyControl control_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// One call on a connection of its own.
grpc::Status CallWith(const std::shared_ptr<grpc::ChannelCredentials>& credentials, const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto stub = v1::Control::NewStub(grpc::CreateCustomChannel(address, credentials, arguments));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 5s);
  v1::NodeStatus answer;
  const grpc::Status status = stub->GetStatus(&context, {}, &answer);
  EXPECT_EQ(answer.region(), status.ok() ? "eu" : "");
  return status;
}

grpc::Status Call(const v1::NodeConfig& client, const std::string& address,
                  std::shared_ptr<ConnectionRefusals> refusals = nullptr) {
  return CallWith(ChannelCredentials(Loaded(client), std::move(refusals)), address);
}

bool Refused(const grpc::Status& status) { return status.error_code() == grpc::StatusCode::UNAVAILABLE; }

// Certificates as an operator makes them.
class CredentialsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("openssl version >/dev/null 2>&1") != 0) GTEST_SKIP() << "there is no openssl command here";
    std::string name = (fs::temp_directory_path() / "lvs-tls-XXXXXX").string();
    dir_ = mkdtemp(name.data());
    MakeCa("ca");
  }
  ~CredentialsTest() override {
    if (!dir_.empty()) fs::remove_all(dir_);
  }

  void Openssl(const std::string& arguments) {
    const std::string command = "cd " + dir_.string() + " && openssl " + arguments + " >>log 2>&1";
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }

  // All CAs have one name, so that only keys tell them apart.
  void MakeCa(const std::string& ca) {
    Openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=lvs-ca -keyout " + ca +
            ".key -out " + ca + ".pem");
  }

  // A certificate for a name that is nobody's address here.
  v1::NodeConfig MakeMember(const std::string& member, const std::string& ca = "ca", int days = 2) {
    Openssl("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=" + member + ".invalid -keyout " +
            member + ".key -out " + member + ".csr");
    Openssl("x509 -req -in " + member + ".csr -CA " + ca + ".pem -CAkey " + ca + ".key -CAcreateserial -days " +
            std::to_string(days) + " -out " + member + ".pem");
    v1::NodeConfig config;
    config.mutable_tls()->set_ca_file((dir_ / (ca + ".pem")).string());
    config.mutable_tls()->set_cert_file((dir_ / (member + ".pem")).string());
    config.mutable_tls()->set_key_file((dir_ / (member + ".key")).string());
    return config;
  }

  void Replace(const std::string& file, const std::string& by) {
    fs::copy_file(dir_ / by, dir_ / (file + ".new"), fs::copy_options::overwrite_existing);
    fs::rename(dir_ / (file + ".new"), dir_ / file);
  }

  fs::path dir_;
};

// Calls until the result is what is expected, for at most 20 s.
bool Becomes(const std::function<bool()>& expected) {
  for (const auto end = std::chrono::steady_clock::now() + 20s; std::chrono::steady_clock::now() < end;) {
    if (expected()) return true;
    std::this_thread::sleep_for(100ms);
  }
  return false;
}

TEST(CredentialsPlain, WithoutTlsConnectionsArePlain) {
  const RunningServer server{v1::NodeConfig()};
  EXPECT_TRUE(Call({}, server.address()).ok());
}

TEST_F(CredentialsTest, MembersOfOneNetworkConnectWhateverTheirNames) {
  const v1::NodeConfig server_config = MakeMember("server");
  const v1::NodeConfig client = MakeMember("client");
  const RunningServer server(server_config);
  const grpc::Status status = Call(client, server.address());
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(Call(server_config, server.address()).ok()) << "a node's certificate serves both ways";
  v1::NodeConfig filled = client;
  FillNodeDefaults(&filled);
  EXPECT_TRUE(ValidateNodeConfig(filled).ok()) << ValidateNodeConfig(filled).ToString();
}

TEST_F(CredentialsTest, AClientOfAnotherCaIsRefused) {
  MakeCa("other");
  const RunningServer server(MakeMember("server"));
  v1::NodeConfig client = MakeMember("client", "other");
  client.mutable_tls()->set_ca_file((dir_ / "ca.pem").string());  // it would trust the server
  EXPECT_TRUE(Refused(CallWith(CarelessClient(client), server.address())));
  EXPECT_TRUE(CallWith(CarelessClient(MakeMember("member")), server.address()).ok());
}

TEST_F(CredentialsTest, AServerOfAnotherCaIsRefused) {
  MakeCa("other");
  v1::NodeConfig server_config = MakeMember("server", "other");
  server_config.mutable_tls()->set_ca_file((dir_ / "ca.pem").string());  // it would trust the client
  const RunningServer server(CarelessServer(server_config));
  const v1::NodeConfig client = MakeMember("client");
  EXPECT_TRUE(Refused(Call(client, server.address())));
  const RunningServer member(CarelessServer(MakeMember("member")));
  EXPECT_TRUE(Call(client, member.address()).ok());
}

TEST_F(CredentialsTest, ExpiredCertificatesAreRefused) {
  const v1::NodeConfig sound = MakeMember("sound");
  const v1::NodeConfig expired = MakeMember("expired", "ca", -1);
  const RunningServer server(sound);
  EXPECT_TRUE(Refused(CallWith(CarelessClient(expired), server.address()))) << "a client's";
  EXPECT_TRUE(Call(sound, server.address()).ok());
  const RunningServer expired_server(CarelessServer(expired));
  EXPECT_TRUE(Refused(Call(sound, expired_server.address()))) << "a server's";
}

TEST_F(CredentialsTest, AClientWithoutACertificateIsRefused) {
  const RunningServer server(MakeMember("server"));
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(
      std::make_shared<tls::FileWatcherCertificateProvider>((dir_ / "ca.pem").string(), 1));
  options.watch_root_certs();
  options.set_certificate_verifier(std::make_shared<tls::NoOpCertificateVerifier>());
  options.set_check_call_host(false);
  EXPECT_TRUE(Refused(CallWith(tls::TlsCredentials(options), server.address())));
  EXPECT_TRUE(Refused(CallWith(grpc::InsecureChannelCredentials(), server.address()))) << "nor in the clear";
}

// The handshake leaves the other side's certificate to a check of ours: nothing but the network's own gets through it,
// in either direction, and each refusal is counted by its reason.
TEST_F(CredentialsTest, WhoIsRefusedIsCountedByReason) {
  MakeCa("other");
  const v1::NodeConfig sound = MakeMember("sound");
  v1::NodeConfig foreign = MakeMember("foreign", "other");
  foreign.mutable_tls()->set_ca_file(sound.tls().ca_file());
  const v1::NodeConfig expired = MakeMember("expired", "ca", -1);
  v1::NodeConfig self_signed = sound;
  Openssl(
      "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x -keyout self.key -out "
      "self.pem");
  self_signed.mutable_tls()->set_cert_file((dir_ / "self.pem").string());
  self_signed.mutable_tls()->set_key_file((dir_ / "self.key").string());
  // By a certificate of the network that is no CA.
  v1::NodeConfig by_member = sound;
  Openssl("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=y -keyout by.key -out by.csr");
  Openssl("x509 -req -in by.csr -CA sound.pem -CAkey sound.key -CAcreateserial -days 2 -out by-own.pem");
  std::ofstream(dir_ / "by.pem") << std::ifstream(dir_ / "by-own.pem").rdbuf()
                                 << std::ifstream(dir_ / "sound.pem").rdbuf();
  by_member.mutable_tls()->set_cert_file((dir_ / "by.pem").string());
  by_member.mutable_tls()->set_key_file((dir_ / "by.key").string());
  const auto made_for = [&](const std::string& use) {
    std::ofstream(dir_ / (use + ".ext")) << "extendedKeyUsage=" << use << "\n";
    Openssl("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=z -keyout " + use + ".key -out " +
            use + ".csr");
    Openssl("x509 -req -in " + use + ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile " + use +
            ".ext -out " + use + ".pem");
    v1::NodeConfig config = sound;
    config.mutable_tls()->set_cert_file((dir_ / (use + ".pem")).string());
    config.mutable_tls()->set_key_file((dir_ / (use + ".key")).string());
    return config;
  };
  using R = ConnectionRefusal;
  struct Case {
    const char* what;
    v1::NodeConfig config;
    R reason;
  };
  const auto total = [](const ConnectionRefusals& refusals) {
    google::protobuf::Map<std::string, std::uint64_t> all;
    refusals.AddTo(&all);
    std::uint64_t sum = 0;
    for (const auto& [name, count] : all) sum += count;
    return sum;
  };
  const auto at_server = std::make_shared<ConnectionRefusals>();
  const RunningServer server(sound, at_server);
  EXPECT_TRUE(CallWith(CarelessClient(sound), server.address()).ok());
  EXPECT_EQ(total(*at_server), 0u);
  for (const Case& c :
       {Case{"another CA", foreign, R::kTlsUntrusted}, Case{"expired", expired, R::kTlsExpired},
        Case{"signs itself", self_signed, R::kTlsUntrusted}, Case{"signed by a member", by_member, R::kTlsUnfit},
        Case{"only a server's", made_for("serverAuth"), R::kTlsUnfit}}) {
    SCOPED_TRACE(c.what);
    const std::uint64_t of_reason = at_server->Of(c.reason);
    const std::uint64_t all = total(*at_server);
    EXPECT_TRUE(Refused(CallWith(CarelessClient(c.config), server.address())));
    EXPECT_GT(at_server->Of(c.reason), of_reason);
    EXPECT_EQ(total(*at_server) - all, at_server->Of(c.reason) - of_reason) << "counted for another reason too";
  }
  {
    tls::TlsChannelCredentialsOptions none;
    none.set_certificate_provider(std::make_shared<tls::FileWatcherCertificateProvider>((dir_ / "ca.pem").string(), 1));
    none.watch_root_certs();
    none.set_certificate_verifier(std::make_shared<tls::NoOpCertificateVerifier>());
    none.set_check_call_host(false);
    EXPECT_TRUE(Refused(CallWith(tls::TlsCredentials(none), server.address())));
    EXPECT_GT(at_server->Of(R::kTlsNoCertificate), 0u);
  }
  EXPECT_TRUE(CallWith(CarelessClient(sound), server.address()).ok()) << "and still lets its own in";

  const auto at_client = std::make_shared<ConnectionRefusals>();
  for (const Case& c :
       {Case{"another CA", foreign, R::kTlsUntrusted}, Case{"expired", expired, R::kTlsExpired},
        Case{"signs itself", self_signed, R::kTlsUntrusted}, Case{"signed by a member", by_member, R::kTlsUnfit},
        Case{"only a client's", made_for("clientAuth"), R::kTlsUnfit}}) {
    SCOPED_TRACE(c.what);
    const RunningServer false_server(CarelessServer(c.config));
    const std::uint64_t of_reason = at_client->Of(c.reason);
    const std::uint64_t all = total(*at_client);
    EXPECT_TRUE(Refused(Call(sound, false_server.address(), at_client)));
    EXPECT_GT(at_client->Of(c.reason), of_reason);
    EXPECT_EQ(total(*at_client) - all, at_client->Of(c.reason) - of_reason) << "counted for another reason too";
  }
}

TEST_F(CredentialsTest, RotatedFilesAreReadAgain) {
  MakeCa("other");
  const v1::NodeConfig server_config = MakeMember("server");
  const v1::NodeConfig old_member = MakeMember("old");
  MakeMember("next", "other");
  const v1::NodeConfig new_member = MakeMember("new", "other");
  // Of its own: the server's ca_file changes below, the clients' must not.
  fs::copy_file(dir_ / "ca.pem", dir_ / "ca-of-server.pem");
  v1::NodeConfig config = server_config;
  config.mutable_tls()->set_ca_file((dir_ / "ca-of-server.pem").string());

  const RunningServer server(config);
  EXPECT_TRUE(Call(old_member, server.address()).ok());
  EXPECT_TRUE(Refused(Call(new_member, server.address())));
  Replace("server.key", "next.key");
  Replace("server.pem", "next.pem");
  Replace("ca-of-server.pem", "other.pem");
  EXPECT_TRUE(Becomes([&] { return Call(new_member, server.address()).ok(); })) << "the new network, same process";
  EXPECT_TRUE(Refused(Call(old_member, server.address()))) << "and the old one no more";
}

TEST_F(CredentialsTest, AChannelReadsRotatedFilesToo) {
  MakeCa("other");
  const v1::NodeConfig client = MakeMember("client");
  MakeMember("next", "other");
  v1::NodeConfig config = client;
  fs::copy_file(dir_ / "ca.pem", dir_ / "ca-of-client.pem");
  config.mutable_tls()->set_ca_file((dir_ / "ca-of-client.pem").string());
  const RunningServer server(MakeMember("server", "other"));
  const auto credentials = ChannelCredentials(Loaded(config));
  EXPECT_TRUE(Refused(CallWith(credentials, server.address())));
  Replace("client.key", "next.key");
  Replace("client.pem", "next.pem");
  Replace("ca-of-client.pem", "other.pem");
  EXPECT_TRUE(Becomes([&] { return CallWith(credentials, server.address()).ok(); }));
}

TEST_F(CredentialsTest, FilesThatVanishChangeNothing) {
  const v1::NodeConfig config = MakeMember("server");
  const v1::NodeConfig client = MakeMember("client");
  fs::copy_file(dir_ / "ca.pem", dir_ / "ca-of-server.pem");
  v1::NodeConfig server_config = config;
  server_config.mutable_tls()->set_ca_file((dir_ / "ca-of-server.pem").string());
  const RunningServer server(server_config);
  EXPECT_TRUE(Call(client, server.address()).ok());
  fs::remove(dir_ / "ca-of-server.pem");
  fs::remove(dir_ / "server.pem");
  std::this_thread::sleep_for(2500ms);
  EXPECT_TRUE(Call(client, server.address()).ok());
}

// Whatever is wrong with a renewal, the former pair stays in use, and the status says why; the next good one is taken.
TEST_F(CredentialsTest, ABadRenewalChangesNothing) {
  MakeCa("other");
  const v1::NodeConfig config = MakeMember("server");
  const v1::NodeConfig client = MakeMember("client");
  MakeMember("next");
  MakeMember("foreign", "other");
  MakeMember("expired", "ca", -1);
  std::ofstream(dir_ / "empty") << "";
  fs::copy_file(dir_ / "ca.pem", dir_ / "ca-of-server.pem");
  fs::copy_file(dir_ / "server.key", dir_ / "first.key");
  fs::copy_file(dir_ / "server.pem", dir_ / "first.pem");
  v1::Tls files = config.tls();
  files.set_ca_file((dir_ / "ca-of-server.pem").string());
  const auto certificates = Certificates::Load(files, 1h);  // read when the test says so
  ASSERT_TRUE(certificates.ok());
  const RunningServer server(ServerCredentials(*certificates));
  const auto as_client = ChannelCredentials(*certificates);
  const RunningServer elsewhere(MakeMember("elsewhere"));
  struct Case {
    const char* what;
    const char *key, *cert, *ca;
    const char* says;
  };
  for (const Case& c : {Case{"half a renewal", "next.key", "first.pem", "ca.pem", "is not the key of"},
                        Case{"the other half", "first.key", "next.pem", "ca.pem", "is not the key of"},
                        Case{"another CA's", "foreign.key", "foreign.pem", "ca.pem", "would be refused by every node"},
                        Case{"another CA", "first.key", "first.pem", "other.pem", "would be refused by every node"},
                        Case{"expired", "expired.key", "expired.pem", "ca.pem", "certificate has expired"},
                        Case{"an empty certificate", "first.key", "empty", "ca.pem", "holds no certificate"},
                        Case{"an empty key", "empty", "first.pem", "ca.pem", "holds no private key"},
                        Case{"an empty CA", "first.key", "first.pem", "empty", "holds no certificate"}}) {
    SCOPED_TRACE(c.what);
    Replace("server.key", c.key);
    Replace("server.pem", c.cert);
    Replace("ca-of-server.pem", c.ca);
    (*certificates)->Refresh();
    EXPECT_THAT((*certificates)->Status().last_error(), HasSubstr(c.says));
  }
  std::this_thread::sleep_for(1500ms);  // gRPC has looked since
  EXPECT_TRUE(Call(client, server.address()).ok()) << "others are let in";
  EXPECT_TRUE(CallWith(as_client, elsewhere.address()).ok()) << "and others let it in";
  EXPECT_EQ((*certificates)->Status().renewals(), 0u);
  Replace("server.key", "next.key");
  Replace("server.pem", "next.pem");
  Replace("ca-of-server.pem", "ca.pem");
  (*certificates)->Refresh();
  EXPECT_EQ((*certificates)->Status().last_error(), "");
  EXPECT_EQ((*certificates)->Status().renewals(), 1u);
  EXPECT_TRUE(Call(client, server.address()).ok());
}

TEST_F(CredentialsTest, TheStatusSaysWhenTheFirstOfTheChainExpires) {
  const auto now_s = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const v1::NodeConfig one_day = MakeMember("short", "ca", 1);
  const auto expires = [](const v1::NodeConfig& config) {
    return Certificates::Load(config.tls()).value()->Status().expires_unix_s();
  };
  EXPECT_NEAR(static_cast<double>(expires(one_day)), static_cast<double>(now_s + 86'400), 60.0);
  EXPECT_NEAR(static_cast<double>(expires(MakeMember("long", "ca", 900))), static_cast<double>(now_s + 2 * 86'400),
              60.0)
      << "its CA expires before";
}

TEST_F(CredentialsTest, UnusableFilesAreSaidAtOnce) {
  MakeCa("other");
  const v1::NodeConfig sound = MakeMember("sound");
  const v1::NodeConfig expired = MakeMember("expired", "ca", -1);
  const v1::NodeConfig other = MakeMember("foreign", "other");
  const auto error = [&](const auto& change) {
    v1::NodeConfig config = sound;
    change(*config.mutable_tls());
    return Certificates::Load(config.tls()).status();
  };
  const auto text = [&](const auto& change) { return error(change).ToString(); };
  std::ofstream(dir_ / "text") << "not PEM";
  const std::string no_pem = (dir_ / "text").string();
  EXPECT_TRUE(error([](v1::Tls&) {}).ok());
  EXPECT_EQ(error([](v1::Tls& t) { t.set_cert_file("/nowhere/x"); }).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(error([](v1::Tls& t) { t.clear_key_file(); }).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(text([&](v1::Tls& t) { t.set_ca_file(no_pem); }), HasSubstr("tls.ca_file: " + no_pem + " holds no cert"));
  EXPECT_THAT(text([&](v1::Tls& t) { t.set_cert_file(no_pem); }), HasSubstr("tls.cert_file: " + no_pem));
  EXPECT_THAT(text([&](v1::Tls& t) { t.set_key_file(no_pem); }), HasSubstr("holds no private key"));
  EXPECT_THAT(text([&](v1::Tls& t) { t.set_key_file(expired.tls().key_file()); }), HasSubstr("is not the key of"));
  EXPECT_THAT(text([&](v1::Tls& t) { t = expired.tls(); }), HasSubstr("certificate has expired"));
  EXPECT_THAT(text([&](v1::Tls& t) {
                t = other.tls();
                t.set_ca_file(sound.tls().ca_file());
              }),
              HasSubstr("would be refused by every node"));
  Openssl("ec -in sound.key -aes128 -passout pass:x -out locked.key");
  EXPECT_THAT(text([&](v1::Tls& t) { t.set_key_file((dir_ / "locked.key").string()); }), HasSubstr("passphrase"));
}

}  // namespace
}  // namespace lvs::services
