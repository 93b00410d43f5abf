#include "ceilings.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include "thread_pool.h"

namespace llmfw {
namespace {

constexpr size_t kPartBytes = size_t{1} << 20;
constexpr int kRepetitions = 4;

// Words ahead that are asked for before they are needed: without it one core alone does not reach what memory gives.
constexpr size_t kPrefetchWords = 256;

// Eight independent sums keep enough loads in flight that the memory, not the adds, sets the pace.
uint64_t Sum(const uint64_t* words, size_t count) {
  uint64_t sums[8] = {};
  for (size_t i = 0; i + 8 <= count; i += 8) {
    __builtin_prefetch(words + std::min(i + kPrefetchWords, count - 1));
    for (size_t lane = 0; lane < 8; ++lane) sums[lane] += words[i + lane];
  }
  uint64_t total = 0;
  for (uint64_t sum : sums) total += sum;
  return total;
}

}  // namespace

double ReadBandwidth(size_t bytes, int num_threads) {
  const size_t parts = std::max<size_t>(1, bytes / kPartBytes);
  const size_t words = kPartBytes / sizeof(uint64_t);
  const auto buffer = std::make_unique_for_overwrite<uint64_t[]>(parts * words);
  std::fill_n(buffer.get(), parts * words, uint64_t{1});
  ThreadPool pool(num_threads);
  double best_seconds = 1e30;
  std::atomic<uint64_t> sink{0};  // keeps the sums from being optimised away
  for (int repetition = 0; repetition < kRepetitions; ++repetition) {
    const auto start = std::chrono::steady_clock::now();
    pool.Run(static_cast<int>(parts), [&](int part, int) {
      sink.fetch_add(Sum(buffer.get() + static_cast<size_t>(part) * words, words), std::memory_order_relaxed);
    });
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    best_seconds = std::min(best_seconds, elapsed.count());
  }
  return static_cast<double>(parts * kPartBytes) / best_seconds;
}

double DotPeak(DotsKernel dots, int num_threads) {
  constexpr int kDotRounds = 1 << 20;  // a few milliseconds
  if (dots(0) < 0) return 0.0;
  ThreadPool pool(num_threads);
  double best = 0.0;
  for (int repetition = 0; repetition < kRepetitions; ++repetition) {
    std::atomic<long> products{0};
    const auto start = std::chrono::steady_clock::now();
    pool.Run(pool.num_threads(), [&](int, int) { products.fetch_add(dots(kDotRounds), std::memory_order_relaxed); });
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(products.load()) / elapsed.count());
  }
  return best;
}

}  // namespace llmfw
