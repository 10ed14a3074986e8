// The workers' scheduling policy: one queue for all of them, as with CAF's own policy of that name, but a worker that
// finds the queue empty spins for a moment before it sleeps. Between two cycles of a run one worker waits for the other
// only for some microseconds. Sleeping and waking takes longer than that, and leaves the caches cold.
//
// The first free worker takes a job. The queue's memory is kept, so a message costs no allocation here. Like caf.h, a
// seam to CAF 0.17.6.
#pragma once

#include <hwy/cache_control.h>

#include <algorithm>
#include <atomic>
#include <caf/all.hpp>
#include <caf/policy/unprofiled.hpp>
#include <caf/scheduler/coordinator.hpp>
#include <chrono>
#include <cstddef>
#include <vector>

#include "services/base/mutex.h"

namespace lvs::actors {

class WorkSharing : public caf::policy::unprofiled {
 public:
  // Configuration: for how long a worker spins before it sleeps, a caf::timespan.
  static constexpr char kPatienceKey[] = "lvs.patience";

  struct coordinator_data {
    explicit coordinator_data(caf::scheduler::abstract_coordinator* parent)
        : patience(caf::get_or(parent->system().config(), kPatienceKey, caf::timespan{0})) {}

    const std::chrono::nanoseconds patience;
    services::Mutex mu;
    services::CondVar filled;
    // A ring: `waiting` jobs from `first` on.
    std::vector<caf::resumable*> jobs ABSL_GUARDED_BY(mu) = std::vector<caf::resumable*>(64);
    std::size_t first ABSL_GUARDED_BY(mu) = 0;
    std::atomic<std::size_t> waiting = 0;  // written under the lock; a worker that spins reads it without
  };
  struct worker_data {
    explicit worker_data(caf::scheduler::abstract_coordinator*) {}
  };

  template <class Coordinator>
  void central_enqueue(Coordinator* self, caf::resumable* job) {
    auto& data = d(self);
    const services::MutexLock lock(&data.mu);
    if (data.waiting == data.jobs.size()) {
      std::rotate(data.jobs.begin(), data.jobs.begin() + static_cast<std::ptrdiff_t>(data.first), data.jobs.end());
      data.first = 0;
      data.jobs.resize(2 * data.jobs.size());
    }
    data.jobs[(data.first + data.waiting) % data.jobs.size()] = job;
    ++data.waiting;
    data.filled.NotifyOne();
  }
  template <class Worker>
  void external_enqueue(Worker* self, caf::resumable* job) {
    central_enqueue(self->parent(), job);
  }
  template <class Worker>
  void internal_enqueue(Worker* self, caf::resumable* job) {
    central_enqueue(self->parent(), job);
  }
  // The job yielded by itself, to let other jobs run.
  template <class Worker>
  void resume_job_later(Worker* self, caf::resumable* job) {
    central_enqueue(self->parent(), job);
  }

  template <class Worker>
  caf::resumable* dequeue(Worker* self) {
    auto& data = d(self->parent());
    if (data.patience.count() > 0) {
      const auto until = std::chrono::steady_clock::now() + data.patience;
      do {
        if (data.waiting == 0) {
          hwy::Pause();
          continue;
        }
        const services::MutexLock lock(&data.mu);
        if (data.waiting > 0) return Take(&data);  // else another worker was first
      } while (std::chrono::steady_clock::now() < until);
    }
    const services::MutexLock lock(&data.mu);
    while (data.waiting == 0) data.filled.Wait(&data.mu);
    return Take(&data);
  }

  template <class Worker, class Visitor>
  void foreach_resumable(Worker*, Visitor) {}  // no job belongs to a worker
  template <class Coordinator, class Visitor>
  void foreach_central_resumable(Coordinator* self, Visitor visit) {
    auto& data = d(self);
    const services::MutexLock lock(&data.mu);
    while (data.waiting > 0) visit(Take(&data));
  }

 private:
  static caf::resumable* Take(coordinator_data* data) ABSL_EXCLUSIVE_LOCKS_REQUIRED(data->mu) {
    caf::resumable* const job = data->jobs[data->first];
    data->first = (data->first + 1) % data->jobs.size();
    --data->waiting;
    return job;
  }
};

}  // namespace lvs::actors
