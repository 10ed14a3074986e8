// The commands that ask server nodes, against fake ones: by exit code and by what a user reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lvs/v1/peer.grpc.pb.h"
#include "nlohmann/json.hpp"
#include "tests/services/cli/lvs_command.h"
#include "tests/services/client/fake_control.h"

namespace lvs::services {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

// Machines that run tests stall for longer than the five seconds that a command waits for an answer.
Outcome Ask(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--timeout", "1m"});
  return Lvs(std::move(arguments));
}

// An address where nobody listens.
std::string FreeAddress() {
  FakeControl node;
  return node.address();
}

v1::Peer PeerAt(const std::string& address) {
  v1::Peer peer;
  peer.set_address(address);
  peer.set_region("eu");
  peer.set_rtt_ms(1.5);
  return peer;
}

// ---- lvs status ----

TEST(Operate, StatusOfAHealthyNode) {
  FakeControl node;
  node.status.set_region("eu");
  node.status.set_cycle(12345);
  node.status.set_micro_nodes(5000);
  node.status.set_peers_connected(2);
  node.status.set_peers_known(3);
  node.status.set_resident_bytes(48'000'000);
  node.status.mutable_ledger()->set_total_uvu(0, 2'500'000);
  node.status.mutable_ledger()->set_digest(0x0123456789abcdef);
  const Outcome status = Ask({"status", "--node", node.address()});
  EXPECT_EQ(status.exit_code, kExitPassed) << status.err;
  EXPECT_THAT(status.out, ::testing::ContainsRegex(node.address() + "  127.0.0.1:1 +eu +SERVING +ok +2 of 3 +12,345 " +
                                                   "+5,000 +2.5VU +01234567 .* 48 MB\n"));
  EXPECT_THAT(status.out, Not(HasSubstr("problem")));
}

TEST(Operate, StatusSaysWhatIsWrongAndExitsWith10) {
  FakeControl healthy, sick, starting;
  sick.status.add_problems("the cache cannot be written: disk full; free some space");
  starting.status.set_state(v1::STARTING);
  const std::string nobody = FreeAddress();
  const Outcome status = Ask({"status", "--node", healthy.address(), "--node", sick.address(), "--node",
                              starting.address(), "--node", nobody});
  EXPECT_EQ(status.exit_code, kExitUnhealthy);
  EXPECT_THAT(status.out, HasSubstr("problem: " + sick.address() + ": the cache cannot be written"));
  EXPECT_THAT(status.out, HasSubstr("problem: " + starting.address() + ": STARTING; ask again in a moment"));
  EXPECT_THAT(status.out, HasSubstr("problem: nobody listens at " + nobody + "; start the node, or name its"));
  EXPECT_THAT(status.out, ::testing::ContainsRegex(nobody + " .*UNREACHABLE"));
  EXPECT_THAT(status.out, Not(HasSubstr("problem: " + healthy.address())));
  EXPECT_THAT(status.out, Not(HasSubstr("ledgers differ")));

  const Outcome as_json = Ask({"status", "--node", sick.address(), "--node", nobody, "--format", "json"});
  EXPECT_EQ(as_json.exit_code, kExitUnhealthy);
  const auto answer = nlohmann::json::parse(as_json.out);
  EXPECT_EQ(answer["healthy"], false);
  EXPECT_EQ(answer["nodes"][0]["reachable"], true);
  EXPECT_EQ(answer["nodes"][0]["status"]["state"], "SERVING");
  EXPECT_EQ(answer["nodes"][1]["reachable"], false);
  EXPECT_EQ(answer["problems"].size(), 2u);
}

TEST(Operate, StatusComparesTheLedgersOfServingNodes) {
  FakeControl a, b, syncing;
  a.status.mutable_ledger()->set_digest(1);
  b.status.mutable_ledger()->set_digest(1);
  syncing.status.set_state(v1::SYNCING);
  Outcome status = Ask({"status", "--node", a.address(), "--node", b.address()});
  EXPECT_EQ(status.exit_code, kExitPassed) << status.out;
  status = Ask({"status", "--node", a.address(), "--node", b.address(), "--node", syncing.address()});
  EXPECT_THAT(status.out, Not(HasSubstr("ledgers differ"))) << "a node that does not serve yet may lag";
  b.status.mutable_ledger()->set_digest(2);
  status = Ask({"status", "--node", a.address(), "--node", b.address()});
  EXPECT_EQ(status.exit_code, kExitUnhealthy);
  EXPECT_THAT(status.out, HasSubstr("problem: ledgers differ: "));
  EXPECT_THAT(status.out, HasSubstr("they may be catching up"));
}

TEST(Operate, DigestsInJsonKeepAllTheirBits) {
  FakeControl node;
  node.status.mutable_ledger()->set_digest(0xfedcba9876543210);
  const auto answer = nlohmann::json::parse(Ask({"status", "--node", node.address(), "--format", "json"}).out);
  EXPECT_EQ(answer["nodes"][0]["status"]["ledger"]["digest"], "fedcba9876543210");
}

// None of them answers before all have been asked.
TEST(Operate, SlowNodesAreAskedAtTheSameTime) {
  FakeControl a, b, c;
  std::mutex mutex;
  std::condition_variable changed;
  int asked = 0;
  int together = 0;
  const auto wait_for_the_others = [&] {
    std::unique_lock lock(mutex);
    ++asked;
    changed.notify_all();
    if (changed.wait_for(lock, std::chrono::seconds(15), [&] { return asked == 3; })) ++together;
  };
  std::vector<std::string> arguments{"status"};
  for (FakeControl* node : {&a, &b, &c}) {
    node->on_status = wait_for_the_others;
    arguments.insert(arguments.end(), {"--node", node->address()});
  }
  const Outcome status = Ask(arguments);
  EXPECT_EQ(status.exit_code, kExitPassed) << status.out << status.err;
  EXPECT_EQ(together, 3);
}

// ---- Who answers there ----

TEST(Operate, NodesThatDoNotAnswerInTime) {
  std::promise<void> given_up;
  FakeControl node;
  node.on_status = [&] { given_up.get_future().wait(); };
  const Outcome status = Lvs({"status", "--node", node.address(), "--timeout", "100ms"});
  given_up.set_value();
  EXPECT_EQ(status.exit_code, kExitUnhealthy);
  EXPECT_THAT(status.out, HasSubstr(node.address() + " did not answer within 100ms"));
}

TEST(Operate, AnotherServiceIsNamedAsSuch) {
  v1::Peering::Service peering;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&peering);
  const auto server = builder.BuildAndStart();
  const Outcome shards = Ask({"shards", "--node", "127.0.0.1:" + std::to_string(port)});
  EXPECT_EQ(shards.exit_code, kExitCouldNotRun);
  EXPECT_THAT(shards.err, HasSubstr("is not the control service of a node; name its control_listen address"));
}

TEST(Operate, WrongArgumentsAreRefusedBeforeAnythingIsAsked) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"status", "--node", "7401"},
           {"status", "--node", ":7401"},
           {"status", "--node", "host:http"},
           {"peers", "--timeout", "5"},
           {"peers", "--timeout", "0s"},
           {"shards", "--cert", "a.pem", "--key", "b.pem"},
           {"watch", "--interval", "1ms"},
           {"contribute", "--shard", "0", "--slot", "0", "--amount", "2.5"},
           {"contribute", "--shard", "0", "--slot", "0", "--amount", "0VU"},
           {"contribute", "--shard", "0", "--slot", "0", "--amount", "1VU", "--session", "abc"},
           {"contribute", "--shard", "0", "--slot", "0", "--amount", "1VU", "--session", std::string(32, '0')},
           {"contribute", "--shard", "0", "--slot", "0", "--amount", "1VU", "--durability", "nodes:0"},
           {"contribute", "--shard", "0", "--slot", "0", "--amount", "1VU", "--durability", "tape"},
           {"contribute", "--shard", "0", "--amount", "1VU"},
           {"drain", "now"}}) {
    const Outcome outcome = Lvs(arguments);
    EXPECT_EQ(outcome.exit_code, kExitUsage) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr("lvs: "));
  }
  EXPECT_EQ(Lvs({"status", "--ca", "/none.pem"}).exit_code, kExitCouldNotRun);
  EXPECT_EQ(Lvs({"status", "--ca", "/tmp"}).exit_code, kExitCouldNotRun) << "a folder";
  const Outcome no_testnet = Lvs({"peers", "--cluster", "--dir", "/none"});
  EXPECT_EQ(no_testnet.exit_code, kExitCouldNotRun);
  EXPECT_THAT(no_testnet.err, HasSubstr("no testnet in /none; start one with `lvs testnet up`"));
}

class Tls : public ::testing::Test {
 protected:
  Tls() : folder_(fs::temp_directory_path() / ("lvs_tls_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~Tls() override { fs::remove_all(folder_); }

  std::string File(const std::string& name) const { return (folder_ / name).string(); }

  // A certificate for 127.0.0.1 that signs itself.
  void Make(const std::string& name) const {
    const std::string command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 " +
                                std::string("-subj /CN=lvs -addext subjectAltName=IP:127.0.0.1 -keyout ") +
                                File(name + ".key") + " -out " + File(name + ".crt") + " 2>/dev/null";
    ASSERT_EQ(std::system(command.c_str()), 0) << "these tests need the openssl command";
  }

  std::string Text(const std::string& name) const {
    std::ifstream in(File(name));
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  std::shared_ptr<grpc::ServerCredentials> Server(const std::string& name, bool mutual) const {
    grpc::SslServerCredentialsOptions options(mutual ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                                     : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
    options.pem_key_cert_pairs.push_back({Text(name + ".key"), Text(name + ".crt")});
    if (mutual) options.pem_root_certs = Text(name + ".crt");
    return grpc::SslServerCredentials(options);
  }

  const fs::path folder_;
};

TEST_F(Tls, MatchesAndMismatchesAreTold) {
  Make("node");
  Make("other");
  FakeControl plain;
  FakeControl tls("127.0.0.1:0", Server("node", /*mutual=*/false));
  FakeControl mutual("127.0.0.1:0", Server("node", /*mutual=*/true));

  EXPECT_EQ(Ask({"status", "--node", tls.address(), "--ca", File("node.crt")}).exit_code, kExitPassed);
  EXPECT_EQ(Ask({"status", "--node", mutual.address(), "--ca", File("node.crt"), "--cert", File("node.crt"), "--key",
                 File("node.key")})
                .exit_code,
            kExitPassed);

  Outcome outcome = Ask({"peers", "--node", tls.address()});
  EXPECT_EQ(outcome.exit_code, kExitCouldNotRun);
  EXPECT_THAT(outcome.err, HasSubstr("may want TLS: then give --ca"));
  outcome = Ask({"peers", "--node", plain.address(), "--ca", File("node.crt")});
  EXPECT_THAT(outcome.err, HasSubstr(plain.address() + " speaks no TLS; leave out --ca"));
  outcome = Ask({"peers", "--node", tls.address(), "--ca", File("other.crt")});
  EXPECT_THAT(outcome.err, HasSubstr("is not signed by " + File("other.crt")));
  outcome = Ask({"peers", "--node", mutual.address(), "--ca", File("node.crt")});
  EXPECT_EQ(outcome.exit_code, kExitCouldNotRun);
  EXPECT_THAT(outcome.err, HasSubstr("may want a certificate (--cert and --key)"));
}

// ---- lvs peers, lvs shards ----

TEST(Operate, Chain1_OneCallListsEachNodesPeers) {
  FakeControl a, b, c;
  const std::vector<FakeControl*> nodes{&a, &b, &c};
  std::vector<std::string> arguments{"peers"};
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (std::size_t j = 0; j < nodes.size(); ++j) {
      if (i != j) *nodes[i]->peers.add_peers() = PeerAt("10.0.0." + std::to_string(j) + ":7400");
    }
    arguments.insert(arguments.end(), {"--node", nodes[i]->address()});
  }
  const Outcome table = Ask(arguments);
  EXPECT_EQ(table.exit_code, kExitPassed) << table.err;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (std::size_t j = 0; j < nodes.size(); ++j) {
      const std::string row = "\n" + nodes[i]->address() + "  10.0.0." + std::to_string(j) + ":7400 ";
      EXPECT_EQ(table.out.find(row) != std::string::npos, i != j) << row << " in\n" << table.out;
    }
  }
  arguments.insert(arguments.end(), {"--format", "json"});
  const auto answer = nlohmann::json::parse(Ask(arguments).out);
  ASSERT_EQ(answer.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(answer[i]["node"], nodes[i]->address());
    EXPECT_EQ(answer[i]["peers"].size(), 2u);
  }
}

TEST(Operate, PeersTellsOfLonelyNodesAndOfAddressesThatFail) {
  FakeControl node;
  v1::KnownAddress& known = *node.peers.add_known();
  known.set_address("10.0.0.9:7400");
  known.set_failures(3);
  known.set_last_error("connection refused");
  const Outcome peers = Ask({"peers", "--node", node.address()});
  EXPECT_EQ(peers.exit_code, kExitPassed);
  EXPECT_EQ(peers.out, node.address() + ": none\n\nnote: " + node.address() +
                           " cannot reach 10.0.0.9:7400 (3 failures: connection refused)\n");
}

TEST(Operate, PeersOfNodesThatAnswerAreShownBesideThoseThatDoNot) {
  FakeControl node;
  *node.peers.add_peers() = PeerAt("10.0.0.1:7400");
  const std::string nobody = FreeAddress();
  const Outcome peers = Ask({"peers", "--node", nobody, "--node", node.address()});
  EXPECT_EQ(peers.exit_code, kExitCouldNotRun);
  EXPECT_THAT(peers.out, HasSubstr("10.0.0.1:7400"));
  EXPECT_THAT(peers.err, HasSubstr("nobody listens at " + nobody));
}

TEST(Operate, Shards) {
  FakeControl node;
  v1::Shard& shard = *node.shards.add_shards();
  shard.set_shard(3);
  shard.set_replicas(1200);
  shard.add_total_uvu(2'500'000);
  shard.add_total_uvu(0);
  shard.set_digest(0xabcdef0123456789);
  const Outcome shards = Ask({"shards", "--node", node.address()});
  EXPECT_EQ(shards.exit_code, kExitPassed) << shards.err;
  EXPECT_THAT(shards.out,
              ::testing::ContainsRegex(node.address() + "  3 +1,200 +2.5VU 0VU +0 +abcdef01 +0VU +0VU +NO"));
}

// ---- lvs contribute ----

TEST(Operate, ContributeSaysWhatWasReachedAndHowToGoOn) {
  FakeControl node;
  v1::ContributeRequest received;
  node.on_contribute = [&received](const v1::ContributeRequest& request, std::uint64_t) {
    received = request;
    v1::ContributeReply reply;
    reply.set_held(true);
    reply.set_disk(true);
    reply.set_nodes(2);
    return reply;
  };
  const std::string session = "00112233445566778899aabbccddeeff";
  const Outcome outcome = Ask({"contribute", "--node", node.address(), "--shard", "3", "--slot", "1", "--amount",
                               "2.5VU", "--session", session, "--durability", "nodes:2"});
  EXPECT_EQ(outcome.exit_code, kExitPassed) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("session  " + session));
  EXPECT_THAT(outcome.out, HasSubstr("held in memory, on disk, by 2 server nodes"));
  EXPECT_EQ(received.session_high(), 0x0011223344556677u);
  EXPECT_EQ(received.session_low(), 0x8899aabbccddeeffu);
  EXPECT_EQ(received.shard(), 3u);
  EXPECT_EQ(received.slot(), 1u);
  EXPECT_EQ(received.amount_uvu(), 2'500'000u);
  EXPECT_EQ(received.durability(), v1::NODES);
  EXPECT_EQ(received.nodes(), 2u);
  EXPECT_GT(received.timeout_ms(), 0u);
}

TEST(Operate, ContributeMakesASessionOfItsOwn) {
  FakeControl node;
  const std::vector<std::string> arguments{"contribute", "--node",   node.address(), "--shard",  "0",   "--slot",
                                           "0",          "--amount", "1VU",          "--format", "json"};
  const auto a = nlohmann::json::parse(Ask(arguments).out);
  const auto b = nlohmann::json::parse(Ask(arguments).out);
  EXPECT_THAT(a["session"].get<std::string>(), MatchesRegex("[0-9a-f]+"));
  EXPECT_EQ(a["session"].get<std::string>().size(), 32u);
  EXPECT_NE(a["session"], b["session"]);
  EXPECT_EQ(a["code"], 0);
  EXPECT_EQ(a["reached"]["held"], true);
}

TEST(Operate, ContributeThatIsNotDurableYetSaysHowFarItCame) {
  FakeControl node;
  node.on_contribute = [](const v1::ContributeRequest&, std::uint64_t) {
    v1::ContributeReply reply;
    reply.set_held(true);
    reply.set_nodes(1);
    reply.set_code(static_cast<int>(grpc::StatusCode::DEADLINE_EXCEEDED));
    reply.set_message("1 of 3 nodes hold it");
    reply.set_retry_delay_ms(200);
    return reply;
  };
  const Outcome outcome = Ask({"contribute", "--node", node.address(), "--shard", "0", "--slot", "0", "--amount", "2VU",
                               "--durability", "nodes:3"});
  EXPECT_EQ(outcome.exit_code, kExitCouldNotRun);
  EXPECT_EQ(outcome.out, "") << "no table, as if it had worked";
  EXPECT_THAT(outcome.err, HasSubstr("1 of 3 nodes hold it"));
  EXPECT_THAT(outcome.err, HasSubstr("reached so far: held in memory, by 1 server node"));
  EXPECT_THAT(outcome.err, HasSubstr("no sooner than in 200ms"));
  EXPECT_THAT(outcome.err, HasSubstr("repeating is safe"));
  EXPECT_THAT(outcome.err, ::testing::ContainsRegex("lvs contribute --node " + node.address() +
                                                    " --shard 0 --slot 0 --amount 2VU --session [0-9a-f]+ "
                                                    "--durability nodes:3\n"));
}

TEST(Operate, ContributeThatMustBeMendedDoesNotOfferToRepeat) {
  FakeControl node;
  node.on_contribute = [](const v1::ContributeRequest&, std::uint64_t) {
    v1::ContributeReply reply;
    reply.set_code(static_cast<int>(grpc::StatusCode::INVALID_ARGUMENT));
    reply.set_message("there is no shard 99; shards are 0 to 15");
    return reply;
  };
  const Outcome outcome =
      Ask({"contribute", "--node", node.address(), "--shard", "99", "--slot", "0", "--amount", "2VU"});
  EXPECT_EQ(outcome.exit_code, kExitUsage);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("there is no shard 99"));
  EXPECT_THAT(outcome.err, Not(HasSubstr("repeating")));
}

// ---- lvs watch, lvs drain ----

TEST(Operate, WatchWritesAJsonObjectALine) {
  FakeControl node;
  node.status.set_cycle(7);
  const Outcome watch = Ask({"watch", "--node", node.address(), "--interval", "100ms", "--count", "3"});
  EXPECT_EQ(watch.exit_code, kExitPassed) << watch.err;
  std::istringstream lines(watch.out);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_EQ(nlohmann::json::parse(line)["cycle"], 7);
  EXPECT_EQ(count, 3);
  const Outcome table =
      Ask({"watch", "--node", node.address(), "--interval", "100ms", "--count", "1", "--format", "table"});
  EXPECT_THAT(table.out, HasSubstr("SERVING  0 peers  cycle 7  "));
}

TEST(Operate, WatchEndsOnCtrlC) {
  FakeControl node;
  Outcome watch;
  std::thread watcher([&] { watch = Ask({"watch", "--node", node.address(), "--interval", "60s"}); });
  struct sigaction current {};
  for (int i = 0; i < 500; ++i) {
    sigaction(SIGINT, nullptr, &current);
    if (current.sa_handler != SIG_DFL) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ASSERT_NE(current.sa_handler, SIG_DFL);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  raise(SIGINT);
  const auto start = std::chrono::steady_clock::now();
  watcher.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30)) << "it waited for the next status";
  EXPECT_EQ(watch.exit_code, kExitPassed) << watch.err;
}

TEST(Operate, WatchSaysThatTheNodeEnded) {
  FakeControl node;
  Outcome watch;
  std::thread watcher([&] { watch = Ask({"watch", "--node", node.address(), "--interval", "100ms"}); });
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  node.Stop();
  watcher.join();
  EXPECT_EQ(watch.exit_code, kExitCouldNotRun);
  EXPECT_THAT(watch.err, HasSubstr(node.address()));
}

TEST(Operate, Drain) {
  FakeControl node;
  const Outcome drain = Ask({"drain", "--node", node.address()});
  EXPECT_EQ(drain.exit_code, kExitPassed) << drain.err;
  EXPECT_TRUE(node.Drained());
}

TEST(TestnetLoad, OneThatWouldSendNothingIsRefused) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--for", "0s"}, {"--rate", "0.1", "--for", "1s"}}) {
    std::vector<std::string> command = {"testnet", "load", "--dir", "/none"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const Outcome load = Lvs(command);
    EXPECT_EQ(load.exit_code, kExitUsage);
    EXPECT_THAT(load.err, HasSubstr("sends nothing, so it would test nothing; raise --rate or --for"));
  }
  EXPECT_EQ(Lvs({"testnet", "load", "--dir", "/none", "--rate", "1", "--for", "1s"}).exit_code, kExitCouldNotRun)
      << "that one would send something";
}

TEST(Operate, EveryHelpShowsAnExample) {
  for (const char* command : {"status", "peers", "shards", "contribute", "watch", "drain"}) {
    const Outcome help = Lvs({command, "--help"});
    EXPECT_EQ(help.exit_code, kExitPassed);
    EXPECT_THAT(help.out, HasSubstr("Example"));
    EXPECT_THAT(help.out, HasSubstr("--format table|json"));
  }
}

}  // namespace
}  // namespace lvs::services
