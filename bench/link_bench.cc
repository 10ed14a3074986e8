// One gRPC link on loopback between two processes, from the sending actor to the receiving halo rows. The results are
// state diffs (SDMs) a second, and the processor time of each side for one.
//
//   build/release/lvs_link_bench --rows 1000          # one JSON object on standard output
//
// The sender fills one frame for each shard, as a shard actor does, and gives it to a peer link actor, which offers it
// to the transport layer. The receiver is a whole server node: transport, shard actors, and a drift cycle of its few
// replicas. A round is one frame of each shard. The receiver ends its cycle once a whole round has arrived. The sender
// starts the next round when all frames of the last one are written, so that no frame is replaced by a newer one, and
// stays at most kRoundsAhead rounds ahead. Every frame counts, and a refused frame fails the run. Processor time is the
// user and system time of each process (getrusage) over the measured rounds. The cost of the receiver's cycles without
// frames is reported separately.
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "actors/caf.h"
#include "actors/interfaces.h"
#include "actors/peer_link_actor.h"
#include "actors/recycled.h"
#include "actors/server_node.h"
#include "nlohmann/json.hpp"
#include "services/base/heap.h"
#include "services/base/mutex.h"
#include "services/net/transport_layer.h"
#include "shard/random.h"

namespace lvs {
namespace {

using hosting::Payload;
using services::TransportLayer;
using shard::Frame;

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kFirstCycle = 100'000;
constexpr std::uint64_t kRoundsAhead = 4;
constexpr std::chrono::microseconds kPoll{50};
constexpr std::chrono::seconds kStuck{20};
// The transport limits a link's frames per cycle, so a short period lets the link carry as much as the machine can.
constexpr std::uint64_t kPeriodUs = 100;
// Cycles after the last round, few enough that no halo row counts as silent yet.
constexpr std::uint64_t kCyclesWithoutFrames = 100;
// The halo of the link has the largest size allowed.
constexpr std::uint32_t kHaloRows = vaultguard::kMaxFrameRows;

struct Options {
  std::uint32_t rows = 1000;
  std::uint32_t shards = 64;
  double seconds = 2;
};

// State in memory that both processes share.
struct Shared {
  std::atomic<int> port{0};
  std::atomic<std::uint64_t> rounds_heard{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> cpu_ns{0};        // total of the receiver, as of its newest round
  std::atomic<std::uint64_t> cycle_cpu_ns{0};  // one cycle of the receiver without frames
  std::atomic<bool> failed{false};
  std::atomic<bool> end{false};
};

std::uint64_t CpuNs() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto ns = [](const timeval& t) {
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(t.tv_usec) * 1000;
  };
  return ns(usage.ru_utime) + ns(usage.ru_stime);
}

services::TransportOptions TransportOptionsOf(const Options& options, std::uint64_t session) {
  services::TransportOptions transport;
  transport.region = "bench";
  transport.build = "bench";
  transport.session = {session, session};
  transport.shards = options.shards;
  transport.period_us = kPeriodUs;
  transport.halo_rows = kHaloRows;
  transport.links = 2;
  transport.seed = session;
  transport.credentials = grpc::InsecureChannelCredentials();
  return transport;
}

// Starts a server, which both sides have, as every node does. Neither side destroys its server: gRPC 1.51 may abort the
// process when the last user of its threads (a server, a channel) is destroyed on one of these threads, as the last
// stream of a transport is.
bool Serve(TransportLayer* transport, int* port) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), port);
  builder.SetMaxReceiveMessageSize(services::kMessageBytesMax);
  builder.RegisterService(transport->service());
  return builder.BuildAndStart().release() != nullptr;
}

// Discards the receiver's own frames, which would otherwise count as a cost of the sender.
class Silent final : public actors::FrameSink {
 public:
  void Offer(const Payload<Frame>&) override {}
  void Flush() override {}
};

// ---- The receiving process ----

int Receive(const Options& options, Shared* shared) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  services::TransportOptions transport_options = TransportOptionsOf(options, 1);
  TransportLayer transport(transport_options);
  int port = 0;
  if (!Serve(&transport, &port)) return 1;

  services::Mutex mu;
  services::CondVar changed;
  std::uint64_t frames = 0;
  std::uint64_t reports = 0;
  actors::ServerNodeConfig node_config;
  node_config.seed = 1;
  node_config.shards = options.shards;
  node_config.micro_nodes = options.shards;
  node_config.halo_rows = kHaloRows;
  node_config.alone_cycles = 2;
  const std::vector<std::shared_ptr<actors::FrameSink>> silence(transport_options.links, std::make_shared<Silent>());
  actors::ServerNode node(node_config, silence, [&](const Payload<hosting::NodeReport>& report) {
    const services::MutexLock lock(&mu);
    ++reports;
    if (report->verdict != nullptr && !shared->end) {
      for (const auto& shard : report->verdict->shards) {
        // Stale refusals are not the link's fault: a neighbour slot may name a halo row that no frame fills.
        const vaultguard::RefusalCounts& refused = shard->counts.step.refused;
        shared->refused += refused.Total() - refused.Of(vaultguard::Refusal::kStale);
      }
    }
    changed.NotifyOne();
  });
  transport.Start(
      "127.0.0.1:" + std::to_string(port),
      [&](std::uint32_t link, Payload<Frame> frame) {
        node.Deliver(link, std::move(frame));
        const services::MutexLock lock(&mu);
        if (++frames % options.shards == 0) changed.NotifyOne();
      },
      [&](std::uint32_t link, bool up) { node.SetLink(link, up); });
  transport.Tick(kFirstCycle);
  shared->port = port;

  std::uint64_t round = 0;
  const auto cycle = [&] {
    ++round;
    hosting::NodeTick tick;
    tick.cycle = kFirstCycle + round;
    node.Tick(std::move(tick));
    transport.Tick(kFirstCycle + round);
    const services::MutexLock lock(&mu);
    while (reports != round) changed.Wait(&mu);
  };
  const auto all_heard = [&](std::chrono::milliseconds patience) {
    const auto until = Clock::now() + patience;
    const services::MutexLock lock(&mu);
    const auto heard = [&] { return frames >= (round + 1) * options.shards && reports == round; };
    while (!heard()) {
      if (!changed.WaitUntil(&mu, until)) return heard();
    }
    return true;
  };
  while (!shared->end) {
    if (!all_heard(std::chrono::milliseconds(20))) {  // no round yet; the transport's upkeep goes on
      transport.Tick(kFirstCycle + round);
      continue;
    }
    cycle();
    shared->cpu_ns = CpuNs();
    shared->rounds_heard = round;
  }
  const std::uint64_t before_ns = CpuNs();
  for (std::uint64_t n = 0; n < kCyclesWithoutFrames; ++n) cycle();
  shared->cycle_cpu_ns = (CpuNs() - before_ns) / kCyclesWithoutFrames;
  shared->refused += transport.refused().Total();
  transport.Stop();
  node.Stop();
  return 0;
}

// ---- The sending process ----

// Builds the frame of a shard's ambassadors in columns of recycled memory, as a shard actor does.
Payload<Frame> FrameOf(const Options& options, std::uint32_t shard, std::uint64_t cycle, const std::vector<float>& said,
                       int dimensions) {
  const auto draft = actors::Recycled<Frame>();
  draft->shard = shard;
  draft->cycle = cycle;
  draft->sender = {shard + 1, 2};
  draft->value_slots = shard::Shape{}.value_slots;
  draft->beacon.replicas = options.rows;
  const std::uint64_t first_word = cycle * vaultguard::kMaxFrameRows;  // never repeated: repeated words are no entropy
  shard::RowWriter rows(draft.get(), options.rows, dimensions);
  for (std::uint32_t row = 0; row < options.rows; ++row) {
    const float* at = said.data() + std::size_t{row} * static_cast<std::size_t>(dimensions);
    rows.Add(row, static_cast<std::uint32_t>(cycle), 255, static_cast<std::uint32_t>(shard::Mix(first_word + row)), at);
  }
  return draft;
}

// Polls until `done` returns true. Throws after kStuck, when the other side must be stuck.
template <class Done>
void WaitFor(const Shared& shared, Done done) {
  const Clock::time_point give_up = Clock::now() + kStuck;
  while (!done()) {
    if (shared.failed) throw std::runtime_error("the receiving process ended");
    if (Clock::now() > give_up) throw std::runtime_error("nothing moved for 20 s");
    std::this_thread::sleep_for(kPoll);
  }
}

nlohmann::ordered_json Send(const Options& options, Shared* shared) {
  WaitFor(*shared, [&] { return shared->port != 0; });
  services::TransportOptions transport_options = TransportOptionsOf(options, 2);
  transport_options.boot = {"127.0.0.1:" + std::to_string(shared->port.load())};
  TransportLayer transport(transport_options);
  int own_port = 0;
  if (!Serve(&transport, &own_port)) throw std::runtime_error("no port to listen on");
  std::atomic<int> up{-1};
  transport.Start(
      "", [](std::uint32_t, const Payload<Frame>&) {},
      [&](std::uint32_t link, bool is_up) { up = is_up ? static_cast<int>(link) : -1; });
  WaitFor(*shared, [&] {
    transport.Tick(kFirstCycle);
    return up >= 0;
  });

  nlohmann::ordered_json result;
  {
    actors::System system({});
    const actors::PeerLinkActor link =
        actors::SpawnRemoteLink(*system, 1, transport.sinks()[static_cast<std::size_t>(up.load())]);
    const int dimensions = shard::Shape{}.dimensions();
    std::vector<std::vector<float>> said(options.shards);
    for (std::uint32_t s = 0; s < options.shards; ++s) {
      for (std::uint32_t n = 0; n < options.rows * static_cast<std::uint32_t>(dimensions); ++n) {
        said[s].push_back(static_cast<float>(shard::Unit(shard::Mix(n + s)) * 100));
      }
    }

    // The clocks and counters of both sides at the end of a received round.
    struct Mark {
      std::uint64_t rounds = 0;
      Clock::time_point at;
      std::uint64_t sender_ns = 0;
      std::uint64_t receiver_ns = 0;
      std::uint64_t bytes = 0;
    };
    std::uint64_t round = 0;
    const auto mark = [&] {
      WaitFor(*shared, [&] { return shared->rounds_heard >= round; });
      return Mark{round, Clock::now(), CpuNs(), shared->cpu_ns, transport.Traffic().bytes_sent()};
    };
    const auto speak_for = [&](double seconds) {
      const Clock::time_point end =
          Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
      do {
        WaitFor(*shared, [&] {
          return transport.Traffic().frames_sent() >= round * options.shards &&
                 shared->rounds_heard + kRoundsAhead > round;
        });
        ++round;
        const std::uint64_t cycle = kFirstCycle + round;
        transport.Tick(cycle);
        for (std::uint32_t s = 0; s < options.shards; ++s) {
          actors::Post(link, hosting::OutgoingFrame{FrameOf(options, s, cycle, said[s], dimensions)});
        }
        const auto flush = actors::Recycled<hosting::LinkFlush>();
        flush->cycle = cycle;
        actors::Post(link, Payload<hosting::LinkFlush>(flush));
      } while (Clock::now() < end);
    };
    speak_for(options.seconds / 4);  // warm-up
    const Mark from = mark();
    speak_for(options.seconds);
    const Mark to = mark();
    caf::anon_send_exit(link, caf::exit_reason::user_shutdown);

    const auto frames = static_cast<double>((to.rounds - from.rounds) * options.shards);
    const double sdms = frames * options.rows;
    const double seconds = std::chrono::duration<double>(to.at - from.at).count();
    result = {{"rows", options.rows},
              {"shards", options.shards},
              {"seconds", seconds},
              {"frames_per_second", frames / seconds},
              {"sdms_per_second", sdms / seconds},
              {"sender_cpu_ns_per_sdm", static_cast<double>(to.sender_ns - from.sender_ns) / sdms},
              {"receiver_cpu_ns_per_sdm", static_cast<double>(to.receiver_ns - from.receiver_ns) / sdms},
              {"bytes_per_frame", static_cast<double>(to.bytes - from.bytes) / frames}};
    if (transport.Traffic().frames_coalesced() > 0) throw std::runtime_error("frames were replaced by newer ones");
  }
  shared->end = true;
  WaitFor(*shared, [&] { return shared->cycle_cpu_ns != 0; });
  transport.Stop();
  return result;
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("One gRPC link between two processes: state diffs a second, and what each costs both sides");
  app.add_option("--rows", options.rows, "State diffs a frame (default: 1000)")->check(CLI::Range(1u, kHaloRows));
  app.add_option("--shards", options.shards, "Shards, which is frames a round (default: 64)")
      ->check(CLI::Range(1u, 1024u));
  app.add_option("--seconds", options.seconds, "How long to measure (default: 2)")->check(CLI::Range(0.01, 600.0));
  CLI11_PARSE(app, argc, argv);

  services::KeepHeap();  // as `lvs node` does
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::cerr << "lvs_link_bench: no memory to share\n";
    return 1;
  }
  auto* shared = new (memory) Shared;
  const pid_t child = fork();  // before gRPC and the actors start threads
  if (child < 0) {
    std::cerr << "lvs_link_bench: cannot start a second process\n";
    return 1;
  }
  if (child == 0) _exit(Receive(options, shared));

  std::thread watcher([&] {
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0 || !shared->end) shared->failed = true;
  });
  int code = 0;
  try {
    nlohmann::ordered_json result = Send(options, shared);
    watcher.join();
    if (shared->failed) throw std::runtime_error("the receiving process failed");
    if (shared->refused > 0) {
      throw std::runtime_error(std::to_string(shared->refused.load()) + " of what was said was refused");
    }
    const double round_sdms = static_cast<double>(options.shards) * options.rows;
    result["receiver_cycle_cpu_ns_per_sdm"] = static_cast<double>(shared->cycle_cpu_ns) / round_sdms;
    std::cout << result.dump(1) << "\n";
  } catch (const std::exception& error) {
    std::cerr << "lvs_link_bench: " << error.what() << "\n";
    code = 1;
    if (watcher.joinable()) {
      kill(child, SIGKILL);
      watcher.join();
    }
  }
  return code;
}

}  // namespace
}  // namespace lvs

int main(int argc, char** argv) {
  const int code = lvs::Main(argc, argv);
  std::cout.flush();
  _exit(code);  // leaves the server up
}
