// The work that every baseline does, and how its result is told (README.md, "The work"). Shared by the baselines in
// C++; those in Erlang and Go do the same by themselves. Nothing here belongs to LVS and nothing of LVS is included.
#ifndef LVS_BENCH_BASELINES_WORK_H_
#define LVS_BENCH_BASELINES_WORK_H_

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace baselines {

inline constexpr std::uint32_t kPeers = 8;
inline constexpr float kWeight = 0.9F;           // of the peers' mean against the own state
inline constexpr std::uint32_t kCheckCycle = 4;  // all baselines must have converged alike after this many

struct Point {
  float x = 0;
  float y = 0;
};

// What the command line says: NETWORK CYCLES LOST THREADS. Ends the program with a message where it is wrong.
struct Work {
  std::uint32_t nodes = 0;
  std::uint32_t cycles = 0;
  std::uint32_t lost = 0;  // messages of 128
  unsigned threads = 1;
  std::vector<std::uint32_t> listeners;  // kPeers for each node: who hears what it publishes
  std::vector<Point> start;
};

[[noreturn]] inline void Fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

inline Work WorkOf(int argc, char** argv) {
  if (argc != 5) Fail(std::string("usage: ") + argv[0] + " NETWORK CYCLES LOST THREADS");
  Work work;
  work.cycles = static_cast<std::uint32_t>(std::strtoul(argv[2], nullptr, 10));
  work.lost = static_cast<std::uint32_t>(std::strtoul(argv[3], nullptr, 10));
  work.threads = static_cast<unsigned>(std::strtoul(argv[4], nullptr, 10));
  if (work.cycles < kCheckCycle || work.lost > 128 || work.threads < 1) {
    Fail("CYCLES must be at least 4, LOST at most 128 and THREADS at least 1");
  }
  std::ifstream in(argv[1], std::ios::binary);
  in.read(reinterpret_cast<char*>(&work.nodes), sizeof work.nodes);
  if (!in) Fail(std::string(argv[1]) + " is no network file; compare.py makes them");
  work.listeners.resize(std::size_t{work.nodes} * kPeers);
  work.start.resize(work.nodes);
  in.read(reinterpret_cast<char*>(work.listeners.data()),
          static_cast<std::streamsize>(work.listeners.size() * sizeof(std::uint32_t)));
  in.read(reinterpret_cast<char*>(work.start.data()), static_cast<std::streamsize>(work.nodes * sizeof(Point)));
  if (!in) Fail(std::string(argv[1]) + " is cut short");
  return work;
}

// Which of the kPeers messages of a node's cycle arrive: the lowest bit of each byte.
inline std::uint64_t Arrived(std::uint32_t node, std::uint32_t cycle, std::uint32_t lost) {
  std::uint64_t bits = node + (std::uint64_t{cycle} << 32);
  bits = (bits ^ (bits >> 32)) * 0xd6e8feb86659fd93;
  bits = (bits ^ (bits >> 32)) * 0xd6e8feb86659fd93;
  bits ^= bits >> 32;
  // Seven random bits a byte, plus 128 - lost: the eighth bit is set unless they are below `lost`.
  return (((bits & 0x7f7f7f7f7f7f7f7f) + (128 - lost) * 0x0101010101010101) >> 7) & 0x0101010101010101;
}

// Standard deviation of the nodes' states, both dimensions taken together.
inline double Spread(const std::vector<Point>& states) {
  const auto n = static_cast<double>(states.size());
  double x = 0;
  double y = 0;
  for (const Point& p : states) {
    x += p.x / n;
    y += p.y / n;
  }
  double squares = 0;
  for (const Point& p : states) squares += (p.x - x) * (p.x - x) + (p.y - y) * (p.y - y);
  return std::sqrt(squares / n);
}

inline std::uint64_t ResidentBytes() {
  std::ifstream in("/proc/self/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  in >> size >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

using Clock = std::chrono::steady_clock;

struct Result {
  std::string name;
  std::string version;
  double setup_seconds = 0;  // from the loaded network to nodes that wait for the start; not in the rate
  double seconds = 0;
  std::uint64_t resident_bytes = 0;  // growth, at the end, with all nodes alive
  double spread_check = 0;           // after kCheckCycle cycles
  double spread_after = 0;
};

inline double SecondsBetween(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

inline void Print(const Work& work, const Result& r) {
  std::printf(
      "{\"name\": \"%s\", \"version\": \"%s\", \"nodes\": %u, \"threads\": %u, \"cycles\": %u, \"setup_seconds\": "
      "%.6g, "
      "\"seconds\": %.6g, \"node_cycles_per_second\": %.6g, \"bytes_per_node\": %.6g, \"spread_before\": %.6g, "
      "\"spread_check\": %.6g, \"spread_after\": %.6g}\n",
      r.name.c_str(), r.version.c_str(), work.nodes, work.threads, work.cycles, r.setup_seconds, r.seconds,
      static_cast<double>(work.nodes) * work.cycles / r.seconds, static_cast<double>(r.resident_bytes) / work.nodes,
      Spread(work.start), r.spread_check, r.spread_after);
}

}  // namespace baselines

#endif  // LVS_BENCH_BASELINES_WORK_H_
