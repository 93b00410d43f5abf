// A fixed set of threads that work through the parts of one job at a time.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace llmfw {

class ThreadPool {
 public:
  // num_threads counts the calling thread; 0 means one a core that this process may use.
  explicit ThreadPool(int num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const;

  // Calls task(part, thread) once for each part in [0, num_parts), parts handed out as threads become free (so a thread
  // that loses its core delays only the part it holds). Returns when all are done. One caller at a time.
  // A task must not throw: there is nobody to catch it on another thread, so the process would end.
  void Run(int num_parts, const std::function<void(int part, int thread)>& task);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace llmfw
