// Tests of the packed forms: that packing keeps or rounds as promised, that every kernel table reads the same weights,
// and its products, against sums in double precision. Exit status 0 where all holds.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "../aligned.h"
#include "../kernels/kernels.h"
#include "../packing.h"

namespace llmfw {
namespace {

int g_failures = 0;

#define CHECK(condition, ...)                                              \
  do {                                                                     \
    if (!(condition) && ++g_failures <= 40) {                              \
      std::printf("%s:%d: not true: %s |", __FILE__, __LINE__, #condition); \
      std::printf(" " __VA_ARGS__);                                        \
      std::printf("\n");                                                   \
    }                                                                      \
  } while (false)

constexpr WeightType kPackedTypes[] = {WeightType::kQ8P, WeightType::kQ4P};

size_t Size(int n) { return static_cast<size_t>(n); }
double Wide(float value) { return static_cast<double>(value); }

std::vector<float> RandomValues(size_t count, float range, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-range, range);
  std::vector<float> values(count);
  for (float& value : values) value = uniform(random);
  return values;
}

// A tensor and its memory, which ends where the tensor does, so that a sanitizer sees what is read behind it.
struct Weights {
  std::vector<std::byte> data;
  Tensor tensor;
};

Weights AsF32(const std::vector<float>& values, int rows, int cols) {
  Weights weights;
  weights.data.resize(values.size() * sizeof(float));
  std::memcpy(weights.data.data(), values.data(), weights.data.size());
  weights.tensor = {weights.data.data(), WeightType::kF32, rows, cols, 0.75f};
  return weights;
}

Weights Packed(const Tensor& from, WeightType type) {
  ThreadPool pool(2);
  Weights weights;
  weights.data.resize(TensorBytes(type, Size(from.rows), Size(from.cols)));
  PackTensor(from, type, pool, weights.data.data());
  weights.tensor = {weights.data.data(), type, from.rows, from.cols, from.scale};
  return weights;
}

Weights RandomPacked(WeightType type, int rows, int cols) {
  const auto seed = static_cast<unsigned>(rows * 1000 + cols);
  return Packed(AsF32(RandomValues(Size(rows) * Size(cols), 1.0f, seed), rows, cols).tensor, type);
}

std::vector<float> DecodedRow(const KernelTable& table, const Tensor& w, int row) {
  std::vector<float> values(Size(w.cols));
  table.decode_row(w, row, values.data());
  return values;
}

// ---- Packing --------------------------------------------------------------------------------------------------------

// GGUF's blocks of random integers with random halves between 2^-8 and 2 as scales.
Weights RandomBlocks(WeightType type, int rows, int cols) {
  std::mt19937 random(7);
  const WeightFormat format = FormatOf(type);
  Weights weights;
  weights.data.resize(TensorBytes(type, Size(rows), Size(cols)));
  for (std::byte& byte : weights.data) byte = static_cast<std::byte>(random());
  for (size_t block = 0; block < weights.data.size(); block += Size(format.group_bytes)) {
    const auto scale = static_cast<uint16_t>(0x1C00u + random() % 0x2400u + (random() % 2 << 15));
    std::memcpy(weights.data.data() + block, &scale, 2);
  }
  weights.tensor = {weights.data.data(), type, rows, cols, 0.5f};
  return weights;
}

void CheckLossless(WeightType from, WeightType to) {
  for (const int rows : {1, 16, 37}) {
    for (const int cols : {32, 64, 96, 320}) {
      const Weights blocks = RandomBlocks(from, rows, cols);
      const Weights packed = Packed(blocks.tensor, to);
      for (int row = 0; row < rows; ++row) {
        CHECK(DecodedRow(ScalarKernels(), blocks.tensor, row) == DecodedRow(ScalarKernels(), packed.tensor, row),
              "%s rows=%d cols=%d row=%d", FormatOf(from).name, rows, cols, row);
      }
    }
  }
}

// Rounded by at most half a step, and a little for the scale's own rounding: q8p has 127 steps to a group's largest
// magnitude; q4p as many as it likes, but as it chose the best of some it cannot be worse than 7 in the mean.
void CheckRounding(WeightType type, int rows, int cols) {
  const Weights exact = AsF32(RandomValues(Size(rows) * Size(cols), 0.1f, 5), rows, cols);
  const Weights packed = Packed(exact.tensor, type);
  for (int row = 0; row < rows; ++row) {
    const std::vector<float> wanted = DecodedRow(ScalarKernels(), exact.tensor, row);
    const std::vector<float> got = DecodedRow(ScalarKernels(), packed.tensor, row);
    for (size_t c = 0; c < wanted.size(); c += kPackedGroup) {
      const size_t count = std::min(kPackedGroup, wanted.size() - c);
      double largest = 0.0;
      double worst = 0.0;
      double squares = 0.0;
      for (size_t i = c; i < c + count; ++i) {
        largest = std::max(largest, std::abs(Wide(wanted[i])));
        worst = std::max(worst, std::abs(Wide(wanted[i]) - Wide(got[i])));
        squares += std::pow(Wide(wanted[i]) - Wide(got[i]), 2);
      }
      const bool is_q8 = type == WeightType::kQ8P;
      CHECK(is_q8 ? worst <= largest * (0.5 / 127 + 0x1p-11) : squares <= std::pow(largest * 0.5 / 7, 2) * 32,
            "%s row=%d group at %zu: off by %g of %g", FormatOf(type).name, row, c, worst, largest);
    }
  }
}

void CheckOddValues(WeightType type) {
  std::vector<float> values(64 * 3, 0.0f);
  values[64] = 1e-9f;  // below what a scale can say
  values[128] = 3e38f;
  values[129] = -1.0f;
  const Weights packed = Packed(AsF32(values, 3, 64).tensor, type);
  for (int row = 0; row < 3; ++row) {
    for (const float value : DecodedRow(ScalarKernels(), packed.tensor, row)) {
      CHECK(row == 2 ? std::isfinite(value) : value == 0.0f, "%s row=%d: %g", FormatOf(type).name, row, Wide(value));
    }
  }
}

// ---- Products -------------------------------------------------------------------------------------------------------

std::vector<float> Multiply(const MatMulKernel& kernel, const Tensor& w, int n_begin, int n_end, int m,
                            const std::vector<float>& x) {
  AlignedArray<std::byte> packed(kernel.packed_bytes(m, w.cols));
  AlignedArray<std::byte> scratch(kernel.scratch_bytes(m, w.cols));
  std::vector<float> y(Size(m) * Size(w.rows), -7.0f);
  kernel.pack(x.data(), w.cols, m, w.cols, packed.data());
  kernel.run(w, n_begin, n_end, packed.data(), m, y.data(), w.rows, scratch.data());
  return y;
}

// How far an activation may be off, as a fraction of the largest in its group of 32: nothing in the scalar table; else
// half a step of 127, or, with few rows and in the exact kernels, of 32512.
double Budget(const KernelTable& table, int m, bool exact) {
  if (&table == &ScalarKernels()) return 0.0;
  return m <= 8 || exact ? 0.5 / 32512 : 0.5 / 127;
}

void CheckProduct(const KernelTable& table, const Tensor& w, int n_begin, int n_end, int m, bool exact) {
  const MatMulKernel& kernel = (exact ? table.matmul_exact : table.matmul)[static_cast<int>(w.type)];
  std::vector<float> x = RandomValues(Size(m) * Size(w.cols), 4.0f, 9);
  for (int r = 1; r < m; r += 3) {  // magnitudes that differ from group to group
    for (int k = 0; k < w.cols; ++k) x[Size(r * w.cols + k)] *= std::ldexp(1.0f, k / 32 % 7 - 3);
  }
  const std::vector<float> y = Multiply(kernel, w, n_begin, n_end, m, x);
  for (int n = 0; n < w.rows; ++n) {
    const std::vector<float> weights = DecodedRow(ScalarKernels(), w, n);
    for (int r = 0; r < m; ++r) {
      const float* row = x.data() + Size(r) * Size(w.cols);
      double sum = 0.0;
      double allowed = 1e-12;
      for (int k = 0; k < w.cols; k += 32) {
        double largest = 0.0;
        for (int i = k; i < std::min(w.cols, k + 32); ++i) largest = std::max(largest, std::abs(Wide(row[i])));
        for (int i = k; i < std::min(w.cols, k + 32); ++i) {
          const double weight = Wide(weights[Size(i)]);
          sum += weight * Wide(row[i]);
          allowed += std::abs(weight) * (largest * Budget(table, m, exact) * 1.0001 + 2e-6 * std::abs(Wide(row[i])));
        }
      }
      const bool inside = n >= n_begin && n < n_end;
      const double got = Wide(y[Size(r) * Size(w.rows) + Size(n)]);
      CHECK(inside ? std::abs(got - sum) <= allowed : got == -7.0,
            "%s %s%s [%d, %d] m=%d rows [%d, %d) at r=%d n=%d: %g, not %g +- %g", table.isa, FormatOf(w.type).name,
            exact ? " exact" : "", w.rows, w.cols, m, n_begin, n_end, r, n, got, sum, allowed);
    }
  }
}

void CheckProducts(const KernelTable& table, WeightType type) {
  for (const bool exact : {false, true}) {
    for (const int cols : {1, 31, 32, 33, 64, 65, 200}) {
      const Weights weights = RandomPacked(type, 19, cols);
      for (const int m : {1, 3, 8, 9, 13}) CheckProduct(table, weights.tensor, 0, 19, m, exact);
    }
    const Weights weights = RandomPacked(type, 53, 96);
    for (int m = 1; m <= 25; ++m) CheckProduct(table, weights.tensor, 0, 53, m, exact);
    for (const int begin : {0, 1, 15, 16, 17, 40}) {
      for (const int end : {begin, begin + 1, 48, 53}) {
        for (const int m : {2, 20}) CheckProduct(table, weights.tensor, begin, end, m, exact);
      }
    }
    const Weights wide = RandomPacked(type, 40, 2500);  // several panels
    for (const int m : {1, 8, 12, 33}) CheckProduct(table, wide.tensor, 0, 40, m, exact);
  }
}

// Integers of the largest magnitude in every place: no sum may overflow or saturate.
void CheckExtremes(const KernelTable& table, WeightType type) {
  for (const int sign : {-1, 1}) {
    const float weight = static_cast<float>(type == WeightType::kQ8P ? 127 : sign < 0 ? 8 : 7) * static_cast<float>(sign);
    std::vector<float> values(16 * 128, weight);
    const Weights weights = Packed(AsF32(values, 16, 128).tensor, type);
    for (const float value : {5.0f, -5.0f}) {
      for (const int m : {1, 8, 9, 12}) {
        const std::vector<float> x(Size(m) * 128, value);
        for (const bool exact : {false, true}) {
          const MatMulKernel& kernel = (exact ? table.matmul_exact : table.matmul)[static_cast<int>(type)];
          for (const float y : Multiply(kernel, weights.tensor, 0, 16, m, x)) {
            const double wanted = 128.0 * Wide(value) * Wide(DecodedRow(ScalarKernels(), weights.tensor, 0)[0]);
            CHECK(std::abs(Wide(y) - wanted) <= 1e-5 * std::abs(wanted), "%s %s m=%d: %g, not %g", table.isa,
                  FormatOf(type).name, m, Wide(y), wanted);
          }
        }
      }
    }
  }
}

// What one sequence computes must not depend on how many others are decoded with it, nor on the range that a thread has.
void CheckIndependence(const KernelTable& table, WeightType type) {
  const Weights weights = RandomPacked(type, 50, 1700);  // several panels
  const Tensor& w = weights.tensor;
  const MatMulKernel& kernel = table.matmul[static_cast<int>(type)];
  const std::vector<float> x = RandomValues(Size(20) * Size(w.cols), 2.0f, 3);
  const std::vector<float> together = Multiply(kernel, w, 0, w.rows, 8, x);
  for (int m = 1; m < 8; ++m) {
    const std::vector<float> fewer = Multiply(kernel, w, 0, w.rows, m, x);
    CHECK(std::equal(fewer.begin(), fewer.end(), together.begin()), "%s %s m=%d", table.isa, FormatOf(type).name, m);
  }
  const MatMulKernel& exact = table.matmul_exact[static_cast<int>(type)];
  const std::vector<float> many = Multiply(exact, w, 0, w.rows, 20, x);  // as exact, and the same
  CHECK(std::equal(together.begin(), together.end(), many.begin()), "%s %s", table.isa, FormatOf(type).name);
  for (const int m : {5, 20}) {
    const std::vector<float> whole = Multiply(kernel, w, 0, w.rows, m, x);
    for (int split = 1; split < w.rows; split += 7) {
      const std::vector<float> low = Multiply(kernel, w, 0, split, m, x);
      const std::vector<float> high = Multiply(kernel, w, split, w.rows, m, x);
      for (size_t i = 0; i < whole.size(); ++i) {
        const float got = static_cast<int>(i % Size(w.rows)) < split ? low[i] : high[i];
        CHECK(got == whole[i], "%s %s m=%d split=%d", table.isa, FormatOf(type).name, m, split);
      }
    }
  }
}

void CheckDecode(const KernelTable& table, WeightType type) {
  for (const int cols : {1, 63, 64, 100}) {
    const Weights weights = RandomPacked(type, 21, cols);
    for (int row = 0; row < 21; ++row) {
      CHECK(DecodedRow(table, weights.tensor, row) == DecodedRow(ScalarKernels(), weights.tensor, row), "%s %s row=%d",
            table.isa, FormatOf(type).name, row);
    }
  }
}

int RunTests() {
  CheckLossless(WeightType::kQ8_0, WeightType::kQ8P);
  CheckLossless(WeightType::kQ4_0, WeightType::kQ4P);
  for (const WeightType type : kPackedTypes) {
    CheckRounding(type, 18, 256);
    CheckRounding(type, 3, 75);
    CheckOddValues(type);
  }
  const char* names[8];
  const int count = AvailableIsas(names, 8);
  for (int i = 0; i < count; ++i) {
    const KernelTable& table = *FindKernels(names[i]);
    for (const WeightType type : kPackedTypes) {
      CheckDecode(table, type);
      CheckProducts(table, type);
      CheckExtremes(table, type);
      CheckIndependence(table, type);
    }
  }
  std::printf("%d failures\n", g_failures);
  return g_failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace llmfw

int main() { return llmfw::RunTests(); }
