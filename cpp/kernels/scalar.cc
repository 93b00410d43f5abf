// The reference: plain loops that any compiler takes, for any processor. Every other table is tested against this one,
// and borrows from it what it does not replace.
//
// Numeric plan: activations stay float32; weights are decoded exactly (each format is a subset of float32); sums run in
// double, so results are as good as float32 can say, whatever the order of the additions.
//
// How a value of each weight format is read is written here (Decode, below), and for the formats that encode several
// values together in scalar_groups.cc and scalar_packed.cc, and nowhere else: the oracle.
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels.h"
#include "scalar_groups.h"
#include "scalar_packed.h"

namespace llmfw {
namespace {

template <typename T>
T Load(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

float DecodeBF16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

template <WeightType kType>
float Decode(const std::byte* row, int c) {
  const std::byte* at = row + WeightBytes(kType, static_cast<size_t>(c));
  if constexpr (kType == WeightType::kF32) return Load<float>(at);
  if constexpr (kType == WeightType::kF16) return DecodeHalf(Load<uint16_t>(at));
  if constexpr (kType == WeightType::kBF16) return DecodeBF16(Load<uint16_t>(at));
  if constexpr (kType == WeightType::kSFP) return DecodeSFP(Load<uint8_t>(at));
}

template <WeightType kType>
void DecodeRowAs(const Tensor& w, int row, float scale, float* out) {
  const std::byte* values = w.row(row);
  for (int c = 0; c < w.cols; ++c) out[c] = scale * Decode<kType>(values, c);
}

void DecodeRowScaled(const Tensor& w, int row, float scale, float* out) {
  switch (w.type) {
    case WeightType::kF32:
      return DecodeRowAs<WeightType::kF32>(w, row, scale, out);
    case WeightType::kF16:
      return DecodeRowAs<WeightType::kF16>(w, row, scale, out);
    case WeightType::kBF16:
      return DecodeRowAs<WeightType::kBF16>(w, row, scale, out);
    case WeightType::kSFP:
      return DecodeRowAs<WeightType::kSFP>(w, row, scale, out);
    case WeightType::kQ8P:
    case WeightType::kQ4P:
      return DecodePackedRow(w, row, scale, out);
    default:
      return DecodeGroupedRow(w, row, scale, out);
  }
}

void DecodeRow(const Tensor& w, int row, float* out) { DecodeRowScaled(w, row, w.scale, out); }

// Eight sums side by side: the processor need not wait for one addition before it starts the next.
double DotDouble(const float* a, const float* b, int n) {
  constexpr int kLanes = 8;
  double sums[kLanes] = {};
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      sums[lane] += static_cast<double>(a[i + lane]) * static_cast<double>(b[i + lane]);
    }
  }
  for (; i < n; ++i) sums[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  double total = 0.0;
  for (const double sum : sums) total += sum;
  return total;
}

size_t PackedBytes(int m, int k) { return static_cast<size_t>(m) * static_cast<size_t>(k) * sizeof(float); }

void Pack(const float* x, int ldx, int m, int k, std::byte* packed) {
  if (k == 0) return;
  const size_t row_bytes = PackedBytes(1, k);
  for (int r = 0; r < m; ++r) {
    std::memcpy(packed + static_cast<size_t>(r) * row_bytes, x + static_cast<ptrdiff_t>(r) * ldx, row_bytes);
  }
}

// One decoded weight row.
size_t ScratchBytes(int /*m*/, int k) { return PackedBytes(1, k); }

void MatMul(const Tensor& w, int n_begin, int n_end, const std::byte* packed, int m, float* y, int ldy,
            std::byte* scratch) {
  const auto* x = reinterpret_cast<const float*>(packed);
  auto* weights = reinterpret_cast<float*>(scratch);
  for (int n = n_begin; n < n_end; ++n) {
    DecodeRowScaled(w, n, 1.0f, weights);
    for (int r = 0; r < m; ++r) {
      const double sum = DotDouble(weights, x + static_cast<ptrdiff_t>(r) * w.cols, w.cols);
      y[static_cast<ptrdiff_t>(r) * ldy + n] = static_cast<float>(sum * static_cast<double>(w.scale));
    }
  }
}

constexpr MatMulKernel kMatMul = {PackedBytes, Pack, ScratchBytes, MatMul};

float Dot(const float* a, const float* b, int n) { return static_cast<float>(DotDouble(a, b, n)); }

void Axpy(float a, const float* x, float* y, int n) {
  for (int i = 0; i < n; ++i) y[i] += a * x[i];
}

void DotRows(const float* a, ptrdiff_t lda, int m, const float* b, ptrdiff_t ldb, int n, int k, float* y,
             ptrdiff_t ldy) {
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < n; ++j) y[i * ldy + j] = Dot(a + i * lda, b + j * ldb, k);
  }
}

void AddRows(const float* w, ptrdiff_t ldw, int m, const float* v, ptrdiff_t ldv, int n, int k, float* y,
             ptrdiff_t ldy) {
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < n; ++j) Axpy(w[i * ldw + j], v + j * ldv, y + i * ldy, k);
  }
}

void RmsNorm(const float* x, const float* weight, float eps, float* y, int n) {
  const double mean_square = DotDouble(x, x, n) / n;
  const auto inverse = static_cast<float>(1.0 / std::sqrt(mean_square + static_cast<double>(eps)));
  for (int i = 0; i < n; ++i) y[i] = x[i] * inverse * (1.0f + weight[i]);
}

// gelu_tanh(x) = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))), with (1 + tanh(u))/2 written as 1/(1 + exp(-2u)):
// the same, and without cancellation where tanh is near -1.
float Gelu(float x) {
  constexpr double kTwiceSqrtTwoOverPi = 1.5957691216057308;
  const auto wide = static_cast<double>(x);
  const double twice_u = kTwiceSqrtTwoOverPi * (wide + 0.044715 * wide * wide * wide);
  return static_cast<float>(wide / (1.0 + std::exp(-twice_u)));
}

void GeluMul(const float* gate, const float* up, float* y, int n) {
  for (int i = 0; i < n; ++i) y[i] = Gelu(gate[i]) * up[i];
}

void SoftCap(float* x, float cap, int n) {
  const auto wide_cap = static_cast<double>(cap);
  for (int i = 0; i < n; ++i) x[i] = static_cast<float>(wide_cap * std::tanh(static_cast<double>(x[i]) / wide_cap));
}

void Softmax(float* x, int n) {
  if (n == 0) return;
  float max = x[0];
  for (int i = 1; i < n; ++i) max = x[i] > max ? x[i] : max;
  double sum = 0.0;
  for (int i = 0; i < n; ++i) {
    x[i] = static_cast<float>(std::exp(static_cast<double>(x[i]) - static_cast<double>(max)));
    sum += static_cast<double>(x[i]);
  }
  const auto inverse = static_cast<float>(1.0 / sum);
  for (int i = 0; i < n; ++i) x[i] *= inverse;
}

long NoDots(long /*rounds*/) { return -1; }

#define LLMFW_FOR_ALL_TYPES(x) {x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}

constexpr KernelTable kTable = {
    .isa = "scalar",
    .packs = false,
    .matmul = LLMFW_FOR_ALL_TYPES(kMatMul),
    .matmul_exact = LLMFW_FOR_ALL_TYPES(kMatMul),
    .decode_row = DecodeRow,
    .dot = Dot,
    .axpy = Axpy,
    .dot_rows = DotRows,
    .add_rows = AddRows,
    .rms_norm = RmsNorm,
    .gelu_mul = GeluMul,
    .softcap = SoftCap,
    .softmax = Softmax,
    .int8_dots = NoDots,
    .bf16_dots = NoDots,
};

}  // namespace

const KernelTable& ScalarKernels() { return kTable; }

}  // namespace llmfw
