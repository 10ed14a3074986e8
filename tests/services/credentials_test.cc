#include "services/credentials.h"

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
#include <memory>
#include <string>
#include <thread>

#include "lvs/v1/control.grpc.pb.h"
#include "services/node_config.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class TinyControl final : public v1::Control::Service {
  grpc::Status GetStatus(grpc::ServerContext* /*context*/, const v1::StatusRequest* /*request*/,
                         v1::NodeStatus* status) override {
    status->set_region("eu");
    return grpc::Status::OK;
  }
};

class RunningServer {
 public:
  explicit RunningServer(const v1::NodeConfig& config) {
    auto credentials = ServerCredentials(config, 1s);
    EXPECT_TRUE(credentials.ok()) << credentials.status().ToString();
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", *credentials, &port_);
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

grpc::Status Call(const v1::NodeConfig& client, const std::string& address) {
  const auto credentials = ChannelCredentials(client, 1s);
  EXPECT_TRUE(credentials.ok()) << credentials.status().ToString();
  return CallWith(*credentials, address);
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
  EXPECT_TRUE(Refused(Call(client, server.address())));
}

TEST_F(CredentialsTest, AServerOfAnotherCaIsRefused) {
  MakeCa("other");
  v1::NodeConfig server_config = MakeMember("server", "other");
  server_config.mutable_tls()->set_ca_file((dir_ / "ca.pem").string());  // it would trust the client
  const RunningServer server(server_config);
  EXPECT_TRUE(Refused(Call(MakeMember("client"), server.address())));
}

TEST_F(CredentialsTest, ExpiredCertificatesAreRefused) {
  const v1::NodeConfig sound = MakeMember("sound");
  const v1::NodeConfig expired = MakeMember("expired", "ca", -1);
  const RunningServer server(sound);
  EXPECT_TRUE(Refused(Call(expired, server.address()))) << "a client's";
  EXPECT_TRUE(Call(sound, server.address()).ok());
  const RunningServer expired_server(expired);
  EXPECT_TRUE(Refused(Call(sound, expired_server.address()))) << "a server's";
}

TEST_F(CredentialsTest, AClientWithoutACertificateIsRefused) {
  const RunningServer server(MakeMember("server"));
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>((dir_ / "ca.pem").string(), 1));
  options.watch_root_certs();
  options.set_certificate_verifier(std::make_shared<grpc::experimental::NoOpCertificateVerifier>());
  options.set_check_call_host(false);
  EXPECT_TRUE(Refused(CallWith(grpc::experimental::TlsCredentials(options), server.address())));
  EXPECT_TRUE(Refused(CallWith(grpc::InsecureChannelCredentials(), server.address()))) << "nor in the clear";
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
  const auto credentials = ChannelCredentials(config, 1s);
  ASSERT_TRUE(credentials.ok());
  EXPECT_TRUE(Refused(CallWith(*credentials, server.address())));
  Replace("client.key", "next.key");
  Replace("client.pem", "next.pem");
  Replace("ca-of-client.pem", "other.pem");
  EXPECT_TRUE(Becomes([&] { return CallWith(*credentials, server.address()).ok(); }));
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

TEST_F(CredentialsTest, UnusableFilesAreSaidAtOnce) {
  v1::NodeConfig config = MakeMember("server");
  fs::remove(dir_ / "server.pem");
  EXPECT_THAT(ServerCredentials(config).status().ToString(), HasSubstr("server.pem: no such file"));
  EXPECT_EQ(ChannelCredentials(config).status().code(), absl::StatusCode::kNotFound);
  std::ofstream(dir_ / "server.pem") << "not PEM";
  EXPECT_THAT(ServerCredentials(config).status().ToString(), HasSubstr("tls.cert_file: "));
  config.mutable_tls()->clear_key_file();
  EXPECT_EQ(ServerCredentials(config).status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace lvs::services
