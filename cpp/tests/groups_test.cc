// Tests of the formats that encode several values together: every kernel table against the scalar one, to the bit for
// decoding, and against sums in double precision for products. That the scalar one is right is tested from Python,
// against other programs' readers. Exit status 0 where all holds.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "../aligned.h"
#include "../kernels/kernels.h"

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

size_t Size(int n) { return static_cast<size_t>(n); }

// Random bytes, but for the numbers of half or bfloat16 precision in each group, which stay between 2^-8 and 2.
class Grouped {
 public:
  Grouped(WeightType type, int rows, int cols, unsigned seed) : random_(seed) {
    const WeightFormat format = FormatOf(type);
    const size_t bytes = WeightBytes(type, Size(rows) * Size(cols));
    storage_.resize(bytes + 1);  // from an odd address on
    std::byte* data = storage_.data() + 1;
    for (size_t i = 0; i < bytes; ++i) data[i] = static_cast<std::byte>(random_());
    for (size_t group = 0; group < bytes; group += Size(format.group_bytes)) PutScales(type, data + group);
    tensor_ = {data, type, rows, cols, 0.75f};
  }
  const Tensor& tensor() const { return tensor_; }

 private:
  void PutScales(WeightType type, std::byte* group) {
    switch (type) {
      case WeightType::kNUQ:
        return;
      case WeightType::kI8:
        Put(group, BFloat());
        return Put(group + 2, BFloat());
      case WeightType::kQ6_K:
        return Put(group + 208, Half());
      case WeightType::kQ4_1:
      case WeightType::kQ5_1:
      case WeightType::kQ4_K:
      case WeightType::kQ5_K:
        Put(group + 2, Half());
        [[fallthrough]];
      default:
        return Put(group, Half());
    }
  }
  uint16_t Half() { return static_cast<uint16_t>((random_() & 0x83FFu) | ((7u + random_() % 9u) << 10)); }
  uint16_t BFloat() { return static_cast<uint16_t>((random_() & 0x807Fu) | ((119u + random_() % 9u) << 7)); }
  static void Put(std::byte* at, uint16_t bits) { std::memcpy(at, &bits, 2); }

  std::mt19937 random_;
  std::vector<std::byte> storage_;
  Tensor tensor_;
};

std::vector<float> Decoded(const KernelTable& table, const Tensor& w, int row) {
  std::vector<float> values(Size(w.cols));
  table.decode_row(w, row, values.data());
  return values;
}

void CheckDecode(const KernelTable& table, const Tensor& w) {
  for (int row = 0; row < w.rows; ++row) {
    const std::vector<float> wanted = Decoded(ScalarKernels(), w, row);
    const std::vector<float> got = Decoded(table, w, row);
    for (size_t c = 0; c < wanted.size(); ++c) {
      CHECK(std::isfinite(wanted[c]) && got[c] == wanted[c], "%s %s row=%d c=%zu: %g, not %g", table.isa,
            FormatOf(w.type).name, row, c, static_cast<double>(got[c]), static_cast<double>(wanted[c]));
    }
  }
}

void CheckProduct(const KernelTable& table, const Tensor& w, int m) {
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform(-2.0f, 2.0f);
  std::vector<float> x(Size(m) * Size(w.cols));
  for (float& value : x) value = uniform(random);
  const MatMulKernel& kernel = table.matmul[static_cast<int>(w.type)];
  AlignedArray<std::byte> packed(kernel.packed_bytes(m, w.cols) + 1);
  AlignedArray<std::byte> scratch(kernel.scratch_bytes(m, w.cols) + 1);
  std::vector<float> y(Size(m) * Size(w.rows), -7.0f);
  kernel.pack(x.data(), w.cols, m, w.cols, packed.data());
  kernel.run(w, 1, w.rows, packed.data(), m, y.data(), w.rows, scratch.data());
  for (int n = 0; n < w.rows; ++n) {
    const std::vector<float> weights = Decoded(ScalarKernels(), w, n);
    for (int r = 0; r < m; ++r) {
      double sum = 0.0;
      double magnitude = 0.0;
      for (int k = 0; k < w.cols; ++k) {
        const double product = static_cast<double>(weights[Size(k)]) * static_cast<double>(x[Size(r * w.cols + k)]);
        sum += product;
        magnitude += std::abs(product);
      }
      const auto got = static_cast<double>(y[Size(r * w.rows + n)]);
      const double wanted = n == 0 ? -7.0 : sum;  // the first row is outside the range
      CHECK(std::abs(got - wanted) <= 2e-6 * magnitude + 1e-12, "%s %s m=%d r=%d n=%d: %g, not %g", table.isa,
            FormatOf(w.type).name, m, r, n, got, wanted);
    }
  }
}

int RunTests() {
  const char* names[8];
  const int count = AvailableIsas(names, 8);
  for (int i = 0; i < count; ++i) {
    const KernelTable& table = *FindKernels(names[i]);
    for (int t = 0; t < kNumWeightTypes; ++t) {
      const auto type = static_cast<WeightType>(t);
      const int group = FormatOf(type).group_values;
      if (group == 1 || IsPacked(type)) continue;  // packed: packed_test.cc
      for (const int groups : {1, 3}) {
        const Grouped weights(type, 23, groups * group, 5u);
        CheckDecode(table, weights.tensor());
        for (const int m : {1, 4, 8, 9, 31}) CheckProduct(table, weights.tensor(), m);
      }
      if (!IsStream(type)) continue;
      for (const int cols : {1, 50, 300, 391}) {  // rows that begin within a group, and at an odd value
        const Grouped weights(type, 9, cols, 6u);
        CheckDecode(table, weights.tensor());
        CheckProduct(table, weights.tensor(), 3);
      }
    }
  }
  std::printf("%d failures\n", g_failures);
  return g_failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace llmfw

int main() { return llmfw::RunTests(); }
