// Times the matrix products of the fastest kernels: GB/s of weights at one activation row, over a matrix far larger
// than the caches, next to the memory's plain read speed at that moment; and GFLOP/s with many activation rows.
//
//   kernels_bench [isa [weight type]]
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "../kernels/kernels.h"
#include "../thread_pool.h"

namespace llmfw {
namespace {

struct FreeDeleter {
  void operator()(void* p) const { std::free(p); }
};
using Buffer = std::unique_ptr<std::byte, FreeDeleter>;

Buffer Allocate(size_t bytes) {
  const size_t padded = (bytes + 127) / 64 * 64;
  auto* p = static_cast<std::byte*>(std::aligned_alloc(64, padded));
  if (p == nullptr) std::abort();
  std::memset(p, 0, padded);
  return Buffer(p);
}

double MedianSeconds(int repeats, const std::function<void()>& work) {
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

// Blocks of a packed form: any values, small scales.
void FillPacked(std::byte* data, WeightType type, size_t bytes) {
  uint32_t state = 1;
  const size_t block_bytes = static_cast<size_t>(FormatOf(type).group_bytes);
  for (size_t i = 0; i + 2 <= bytes; i += 2) {
    state = state * 1664525u + 1013904223u;
    const auto values = static_cast<uint16_t>(state >> 16);
    const auto scale = static_cast<uint16_t>(0x2000u | (state >> 22));
    std::memcpy(data + i, i % block_bytes < kPackedScaleBytes ? &scale : &values, 2);
  }
}

// Finite weights of every format, whatever the bits are read as.
void FillWeights(std::byte* data, WeightType type, size_t count) {
  uint32_t state = 1;
  for (size_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    const float value = static_cast<float>(state >> 8) * 0x1p-24f - 0.5f;
    uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    const auto upper = static_cast<uint16_t>(bits >> 16);
    const auto half = static_cast<uint16_t>(0x3000u | (state >> 20));
    const auto byte = static_cast<uint8_t>(state >> 24);
    if (type == WeightType::kF32) std::memcpy(data + 4 * i, &value, 4);
    if (type == WeightType::kF16) std::memcpy(data + 2 * i, &half, 2);
    if (type == WeightType::kBF16) std::memcpy(data + 2 * i, &upper, 2);
    if (type == WeightType::kSFP) std::memcpy(data + i, &byte, 1);
  }
}

// Eight independent sums and prefetches across page ends: waits for memory alone.
uint64_t SumWords(const std::byte* data, size_t bytes) {
  const auto* words = reinterpret_cast<const uint64_t*>(data);
  uint64_t sums[8] = {};
  for (size_t i = 0; i + 8 <= bytes / 8; i += 8) {
    __builtin_prefetch(words + std::min(i + 256, bytes / 8 - 8));
    for (size_t j = 0; j < 8; ++j) sums[j] += words[i + j];
  }
  uint64_t total = 0;
  for (const uint64_t sum : sums) total += sum;
  return total;
}

double PlainReadGBs(ThreadPool& pool, const std::byte* data, size_t bytes) {
  std::vector<uint64_t> sums(64);
  const double seconds = MedianSeconds(7, [&] {
    pool.Run(64, [&](int part, int) {
      const size_t each = bytes / 64 / 64 * 64;
      sums[static_cast<size_t>(part)] = SumWords(data + static_cast<size_t>(part) * each, each);
    });
  });
  return static_cast<double>(bytes) / seconds * 1e-9;
}

// Seconds of one whole product, packing included.
double ProductSeconds(const KernelTable& kernels, ThreadPool& pool, const Tensor& w, int m, int repeats) {
  const MatMulKernel& kernel = kernels.matmul[static_cast<int>(w.type)];
  std::vector<float> x(static_cast<size_t>(m) * static_cast<size_t>(w.cols), 0.25f);
  std::vector<float> y(static_cast<size_t>(m) * static_cast<size_t>(w.rows));
  const Buffer packed = Allocate(kernel.packed_bytes(m, w.cols));
  const size_t scratch_bytes = (kernel.scratch_bytes(m, w.cols) + 63) / 64 * 64;
  const Buffer scratch = Allocate(scratch_bytes * static_cast<size_t>(pool.num_threads()));
  const size_t bytes_of_32_rows = TensorBytes(w.type, 32, static_cast<size_t>(w.cols));
  const int rows_of_part = static_cast<int>(std::max<size_t>(1, (256 << 10) / bytes_of_32_rows)) * 32;
  const int parts = (w.rows + rows_of_part - 1) / rows_of_part;
  return MedianSeconds(repeats, [&] {
    kernel.pack(x.data(), w.cols, m, w.cols, packed.get());
    pool.Run(parts, [&](int part, int thread) {
      const int begin = part * rows_of_part;
      const int end = std::min(w.rows, begin + rows_of_part);
      kernel.run(w, begin, end, packed.get(), m, y.data(), w.rows,
                 scratch.get() + static_cast<size_t>(thread) * scratch_bytes);
    });
  });
}

void BenchType(const KernelTable& kernels, WeightType type) {
  constexpr size_t kCols = 2304;
  constexpr size_t kBytes = size_t{256} << 20;
  const size_t rows = kBytes / TensorBytes(type, 32, kCols) * 32;
  const size_t bytes = TensorBytes(type, rows, kCols);
  const Buffer data = Allocate(kBytes + 4096);
  std::byte* weights = data.get() + (IsPacked(type) ? 0 : 2);  // as unaligned as a file may be
  if (IsPacked(type)) {
    FillPacked(weights, type, bytes);
  } else {
    FillWeights(weights, type, rows * kCols);
  }
  const Tensor large{weights, type, static_cast<int>(rows), kCols, 1.0f};
  for (int threads = 1; threads <= 4; ++threads) {
    ThreadPool pool(threads);
    std::printf("%-5s %d thread%s plain read %5.1f GB/s |", FormatOf(type).name, threads,
                threads == 1 ? " " : "s", PlainReadGBs(pool, data.get(), kBytes));
    for (const int m : {1, 2, 4, 8, 16}) {
      std::printf(" m=%d %5.1f GB/s", m, static_cast<double>(bytes) / ProductSeconds(kernels, pool, large, m, 7) * 1e-9);
    }
    for (const int k : {1152, 2304, 6912, 9216}) {
      const Tensor layer{large.data, type, 4096, k, 1.0f};
      if (layer.bytes() > bytes) continue;
      for (const int m : {32, 192}) {
        const double flops = 2.0 * m * layer.rows * layer.cols;
        std::printf(" k=%d m=%d %5.0f GFLOP/s", k, m, flops / ProductSeconds(kernels, pool, layer, m, 5) * 1e-9);
      }
    }
    std::printf("\n");
    std::fflush(stdout);
  }
}

void BenchPool() {
  for (int threads = 1; threads <= 4; ++threads) {
    ThreadPool pool(threads);
    constexpr int kJobs = 2000;
    const double seconds = MedianSeconds(5, [&] {
      for (int i = 0; i < kJobs; ++i) pool.Run(8, [](int, int) {});
    });
    std::printf("thread pool, %d threads: %.2f us a job of 8 empty parts\n", threads, seconds / kJobs * 1e6);
  }
}

}  // namespace
}  // namespace llmfw

int main(int argc, char** argv) {
  const llmfw::KernelTable* kernels = llmfw::FindKernels(argc > 1 ? argv[1] : nullptr);
  if (kernels == nullptr) {
    std::fprintf(stderr, "this processor cannot run the kernels asked for\n");
    return 2;
  }
  std::printf("kernels: %s\n", kernels->isa);
  llmfw::BenchPool();
  for (int type = 0; type < llmfw::kNumWeightTypes; ++type) {
    if (argc > 2 && std::strcmp(argv[2], llmfw::FormatOf(static_cast<llmfw::WeightType>(type)).name) != 0) continue;
    llmfw::BenchType(*kernels, static_cast<llmfw::WeightType>(type));
  }
  return 0;
}
