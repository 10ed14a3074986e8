// The ceiling: what plain averaging with message loss costs when nothing but arrays is kept. No messages, no latency,
// no safe rule. Scalar source that GCC vectorises where that pays; the gather itself is faster as scalar loads of a
// pair.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "bench/baselines/work.h"

namespace baselines {
namespace {

// A pair in one register, so that a neighbour costs one load and one addition.
typedef float Pair __attribute__((vector_size(8)));

// Nodes whose losses are drawn at once: the tables stay in the first-level cache.
constexpr std::uint32_t kBlock = 128;

// Memory in huge pages: past the second-level cache the random reads miss the address cache too.
template <typename T>
class Array {
 public:
  explicit Array(std::size_t size) : bytes_((size * sizeof(T) + kHugePage - 1) / kHugePage * kHugePage) {
    data_ = static_cast<T*>(std::aligned_alloc(kHugePage, bytes_));
    if (data_ == nullptr) Fail("out of memory");
    if (bytes_ > kHugePage) madvise(data_, bytes_, MADV_HUGEPAGE);
  }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() { std::free(data_); }
  T* data() { return data_; }
  T& operator[](std::size_t i) { return data_[i]; }

 private:
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;
  std::size_t bytes_;
  T* data_;
};

// One cycle of the nodes in [begin, end): `said` is what all published, `next` what these will publish. said[nowhere]
// is zero: what was lost is read from there, which costs no branch.
void Cycle(const std::uint32_t* __restrict heard, const Pair* __restrict said, Pair* __restrict next,
           std::uint32_t begin, std::uint32_t end, std::uint32_t cycle, std::uint32_t lost, std::uint32_t nowhere) {
  alignas(64) std::uint64_t arrived[kBlock];
  alignas(64) std::uint32_t from[kBlock * kPeers];
  alignas(64) float number[kBlock];
  alignas(64) float weight[kBlock];
  for (std::uint32_t first = begin; first < end; first += kBlock) {
    const std::uint32_t count = std::min(kBlock, end - first);
    const std::uint32_t* peers = heard + std::size_t{first} * kPeers;
    for (std::uint32_t i = 0; i < kBlock; ++i) {
      arrived[i] = Arrived(first + i, cycle, lost);
      number[i] = static_cast<float>(static_cast<std::int32_t>((arrived[i] * 0x0101010101010101) >> 56));
      weight[i] = kWeight / std::max(number[i], 1.0F);
    }
    const auto* one = reinterpret_cast<const unsigned char*>(arrived);
    for (std::uint32_t i = 0; i < count * kPeers; ++i) from[i] = one[i] != 0 ? peers[i] : nowhere;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t* f = from + i * kPeers;
      const Pair sum = ((said[f[0]] + said[f[1]]) + (said[f[2]] + said[f[3]])) +
                       ((said[f[4]] + said[f[5]]) + (said[f[6]] + said[f[7]]));
      const Pair own = said[first + i];
      next[first + i] = own + weight[i] * (sum - number[i] * own);
    }
  }
}

std::vector<Point> PointsOf(Array<Pair>& states, std::uint32_t nodes) {
  std::vector<Point> points(nodes);
  for (std::uint32_t i = 0; i < nodes; ++i) points[i] = {states[i][0], states[i][1]};
  return points;
}

// Waits by spinning for a moment, then lets others run: a cycle of few nodes takes microseconds.
class SpinBarrier {
 public:
  explicit SpinBarrier(unsigned threads) : threads_(threads) {}
  void Wait() {
    const unsigned round = round_.load(std::memory_order_relaxed);
    if (waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
      waiting_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins) {
      if (spins > 1000) std::this_thread::yield();
    }
  }

 private:
  const unsigned threads_;
  std::atomic<unsigned> waiting_{0};
  std::atomic<unsigned> round_{0};
};

int Main(int argc, char** argv) {
  const Work work = WorkOf(argc, argv);
  const std::uint64_t resident_before = ResidentBytes();
  const auto setup = Clock::now();
  Array<std::uint32_t> heard(work.listeners.size());
  Array<Pair> states(work.nodes + 1);
  Array<Pair> others(work.nodes + 1);
  {
    std::vector<std::uint8_t> known(work.nodes);
    for (std::size_t edge = 0; edge < work.listeners.size(); ++edge) {
      const std::uint32_t to = work.listeners[edge];
      heard[std::size_t{to} * kPeers + known[to]++] = static_cast<std::uint32_t>(edge / kPeers);
    }
  }
  for (std::uint32_t i = 0; i < work.nodes; ++i) states[i] = Pair{work.start[i].x, work.start[i].y};
  states[work.nodes] = others[work.nodes] = Pair{0, 0};

  Result result;
  result.name = work.threads == 1 ? "plain_loop" : "plain_loop_" + std::to_string(work.threads) + "_threads";
  result.version = std::string("g++ ") + __VERSION__;
  std::vector<Point> check;
  SpinBarrier barrier(work.threads);
  double check_seconds = 0;
  const auto run = [&](unsigned thread) {
    const auto begin = static_cast<std::uint32_t>(std::uint64_t{work.nodes} * thread / work.threads);
    const auto end = static_cast<std::uint32_t>(std::uint64_t{work.nodes} * (thread + 1) / work.threads);
    Pair* said = states.data();
    Pair* next = others.data();
    for (std::uint32_t cycle = 0; cycle < work.cycles; ++cycle) {
      Cycle(heard.data(), said, next, begin, end, cycle, work.lost, work.nodes);
      barrier.Wait();
      std::swap(said, next);
      if (cycle + 1 == kCheckCycle) {
        if (thread == 0) {
          const auto copied = Clock::now();
          check = PointsOf(kCheckCycle % 2 == 0 ? states : others, work.nodes);
          check_seconds = SecondsBetween(copied, Clock::now());
        }
        barrier.Wait();
      }
    }
  };
  const auto started = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (unsigned thread = 1; thread < work.threads; ++thread) threads.emplace_back(run, thread);
    run(0);
  }
  result.setup_seconds = SecondsBetween(setup, started);
  result.seconds = SecondsBetween(started, Clock::now()) - check_seconds;
  const std::uint64_t checked_bytes = check.size() * sizeof(Point);
  result.resident_bytes = ResidentBytes() - resident_before - checked_bytes;
  result.spread_check = Spread(check);
  result.spread_after = Spread(PointsOf(work.cycles % 2 == 0 ? states : others, work.nodes));
  Print(work, result);
  return 0;
}

}  // namespace
}  // namespace baselines

int main(int argc, char** argv) { return baselines::Main(argc, argv); }
