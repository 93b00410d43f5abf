// Workers wait for `unclaimed` to rise above zero, claim parts by counting it down, and count `unfinished` down as they
// finish. The job's other fields are plain memory: they are written before `unclaimed` is published, read only by a
// thread that has claimed a part, and not written again before that part is finished. So a worker that slept through a
// job, or wakes in the middle of the next, needs no special case, and Run never waits for a thread that holds no part.
#include "thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

namespace llmfw {
namespace {

// Longer than the gaps between the matrix products of one step, shorter than anyone would notice in a power bill.
constexpr std::chrono::microseconds kSpinTime{50};

int UsableCpus() {
#if defined(__linux__)
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof cpus, &cpus) == 0) return std::max(1, CPU_COUNT(&cpus));
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

template <typename Condition>
bool SpinUntil(std::chrono::microseconds limit, const Condition& condition) {
  if (condition()) return true;
  const auto end = std::chrono::steady_clock::now() + limit;
  do {
    for (int i = 0; i < 32; ++i) {
      if (condition()) return true;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return condition();
}

// One thread sleeps here until another has made a condition true. Waking costs one load when nobody sleeps. The
// condition must be over sequentially consistent atomics: either the waker sees the sleeper's count, or the sleeper the
// new value.
class Sleepers {
 public:
  template <typename Condition>
  void SleepUntil(const Condition& condition) {
    std::unique_lock lock(mutex_);
    count_.fetch_add(1);
    wake_.wait(lock, condition);
    count_.fetch_sub(1);
  }

  void WakeAll() {
    if (count_.load() == 0) return;
    { const std::lock_guard lock(mutex_); }  // a sleeper is now either before its check, or waiting
    wake_.notify_all();
  }

 private:
  std::atomic<int> count_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
};

}  // namespace

struct ThreadPool::State {
  std::atomic<int> unclaimed{0};   // parts of the current job that no thread has taken yet
  alignas(64) std::atomic<int> unfinished{0};
  alignas(64) std::atomic<bool> stopping{false};
  const std::function<void(int, int)>* task = nullptr;
  int num_parts = 0;
  std::chrono::microseconds spin_time{0};
  Sleepers workers;
  Sleepers caller;
  std::vector<std::thread> threads;

  bool ClaimPart(int* part) {
    int left = unclaimed.load();
    while (left > 0) {
      if (unclaimed.compare_exchange_weak(left, left - 1)) {
        *part = num_parts - left;
        return true;
      }
    }
    return false;
  }

  void WorkOff(int thread) noexcept {
    int part = 0;
    while (ClaimPart(&part)) {
      (*task)(part, thread);
      if (unfinished.fetch_sub(1) == 1) caller.WakeAll();
    }
  }

  void WorkerLoop(int thread) noexcept {
    const auto something_to_do = [this] { return unclaimed.load() > 0 || stopping.load(); };
    for (;;) {
      if (!SpinUntil(spin_time, something_to_do)) workers.SleepUntil(something_to_do);
      if (stopping.load()) return;
      WorkOff(thread);
    }
  }

  void Publish(const std::function<void(int, int)>& new_task, int parts) {
    task = &new_task;
    num_parts = parts;
    unfinished.store(parts);
    unclaimed.store(parts);
    workers.WakeAll();
  }

  void AwaitUnfinished() {
    const auto all_done = [this] { return unfinished.load() == 0; };
    if (!SpinUntil(spin_time, all_done)) caller.SleepUntil(all_done);
  }

  void StopAndJoin() {
    stopping.store(true);
    workers.WakeAll();
    for (std::thread& thread : threads) thread.join();
  }
};

ThreadPool::ThreadPool(int num_threads) : state_(std::make_unique<State>()) {
  const int cpus = UsableCpus();
  if (num_threads <= 0) num_threads = cpus;
  // With more threads than cores, one that spins takes the core from one that works.
  if (num_threads <= cpus) state_->spin_time = kSpinTime;
  State* state = state_.get();
  state->threads.reserve(static_cast<size_t>(num_threads - 1));
  try {
    for (int thread = 1; thread < num_threads; ++thread) {
      state->threads.emplace_back([state, thread] { state->WorkerLoop(thread); });
    }
  } catch (const std::system_error&) {
    // The system gives no more threads: work with those there are, num_threads() says how many.
  }
}

ThreadPool::~ThreadPool() { state_->StopAndJoin(); }

int ThreadPool::num_threads() const { return static_cast<int>(state_->threads.size()) + 1; }

void ThreadPool::Run(int num_parts, const std::function<void(int part, int thread)>& task) {
  if (num_parts <= 0) return;
  if (num_parts == 1 || state_->threads.empty()) {
    for (int part = 0; part < num_parts; ++part) task(part, 0);
    return;
  }
  state_->Publish(task, num_parts);
  state_->WorkOff(0);
  state_->AwaitUnfinished();
}

}  // namespace llmfw
