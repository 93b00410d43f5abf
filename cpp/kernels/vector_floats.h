// Float32 kernels for vectors of any width: matrix products, attention, vector operations. Shared by the tables that
// have no 16-bit dot products (avx2.cc, neon.cc).
//
// Included by an instruction set's file, once, after it has defined in its anonymous namespace
//   struct V: kLanes; F (a vector of kLanes float32) and the operations on it used below
//   struct F32Weights, F16Weights, BF16Weights, SFPWeights: kValueBytes, kVectors, kPrefetches, and Load(p, w), which
//     decodes kVectors * kLanes values (kGranule at most), in order, into vectors
//   kTileRows: activation rows whose sums with four weight rows fit the registers
// so that all of it is compiled for that instruction set and seen by no other file.
//
// Numeric plan: weights are decoded exactly, activations stay float32, products are added by fused multiply-adds in
// float32, each lane its own sum along k, and the lanes at the end. A row's sums are added in the same order whatever
// rows are computed beside it.
//
// One tile does all matrix products: up to kTileRows activation rows times four weight rows. With few activation rows
// weights are decoded where they lie; with many, a panel of 16 weight rows x one block of k is decoded once into
// scratch, where it stays in the cache while all activation rows pass by.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"

namespace llmfw {
namespace {

constexpr int kTileColumns = 4;    // weight rows of a tile
constexpr int kDirectRows = 8;     // up to so many activation rows, weights are read where they lie
constexpr int kPanelColumns = 16;  // weight rows of a panel
constexpr int kBlockValues = 512;  // k of a panel, at most: 32 KiB a panel
constexpr int kGranule = 32;       // k is filled up with zeros to a multiple of this many values
constexpr size_t kPrefetchBytes = 1024;

int Min(int a, int b) { return a < b ? a : b; }
int DivideRoundUp(int a, int b) { return (a + b - 1) / b; }
size_t Size(int n) { return static_cast<size_t>(n); }

// Asks for the line at p + offset. That may lie past the end of the weights: it is then ignored.
void Prefetch(const std::byte* p, size_t offset) {
  __builtin_prefetch(reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(p) + offset));
}

// ---------------------------------------------------------------------------------------------------------------------
// How a product is cut up, and the layout of the packed activations that follows from it: [block of k][tile of
// rows][vector][row of tile]; the last tile is narrower.

struct Plan {
  bool direct;
  int granules;        // of the whole k
  int block_granules;  // of one block

  int num_blocks() const { return granules == 0 ? 1 : DivideRoundUp(granules, block_granules); }
  int granules_of(int block) const { return Min(block_granules, granules - block * block_granules); }
  // Where the tile that begins at `row` lies in the packed activations, in values.
  size_t offset(int m, int block, int row) const {
    return Size(kGranule) * (Size(m) * Size(block) * Size(block_granules) + Size(row) * Size(granules_of(block)));
  }
};

Plan MakePlan(int m, int k) {
  const int granules = DivideRoundUp(k, kGranule);
  if (m <= kDirectRows) return {true, granules, granules};
  const int num_blocks = DivideRoundUp(granules, kBlockValues / kGranule);
  return {false, granules, num_blocks == 0 ? 0 : DivideRoundUp(granules, num_blocks)};
}

size_t FloatPackedBytes(int m, int k) { return Size(m) * Size(DivideRoundUp(k, kGranule) * kGranule) * sizeof(float); }

void PackTile(const float* x, int ldx, int rows, int k_begin, int k_end, int granules, float* packed) {
  for (int vector = 0; vector < granules * (kGranule / V::kLanes); ++vector) {
    const int at = k_begin + vector * V::kLanes;
    for (int r = 0; r < rows; ++r) {
      const float* from = x + static_cast<ptrdiff_t>(r) * ldx;
      const int count = k_end - at;
      V::Store(packed, count >= V::kLanes ? V::Load(from + at) : count > 0 ? V::LoadFirst(from + at, count) : V::Zero());
      packed += V::kLanes;
    }
  }
}

void FloatPack(const float* x, int ldx, int m, int k, std::byte* packed) {
  const Plan plan = MakePlan(m, k);
  auto* values = reinterpret_cast<float*>(packed);
  for (int block = 0; block < plan.num_blocks(); ++block) {
    const int k_begin = block * plan.block_granules * kGranule;
    for (int row = 0; row < m; row += kTileRows) {
      PackTile(x + static_cast<ptrdiff_t>(row) * ldx, ldx, Min(kTileRows, m - row), k_begin, k, plan.granules_of(block),
               values + plan.offset(m, block, row));
    }
  }
}

// Not a power of two, so that rows fall into different sets of the cache.
constexpr int kPanelStride = kBlockValues + 16;

size_t FloatScratchBytes(int m, int /*k*/) {
  return m <= kDirectRows ? 0 : Size(kPanelColumns) * Size(kPanelStride) * sizeof(float);
}

// ---------------------------------------------------------------------------------------------------------------------
// The tile.

// Four weight rows; where fewer are left, the first again in place of the missing.
struct WeightRows {
  const std::byte* row[kTileColumns];
};

WeightRows RowsAt(const std::byte* first, size_t row_bytes, int count) {
  WeightRows rows;
  for (int n = 0; n < kTileColumns; ++n) rows.row[n] = first + (n < count ? Size(n) * row_bytes : 0);
  return rows;
}

struct Output {
  float* y;  // of the tile's first activation row and first weight row
  ptrdiff_t ldy;
  int columns;  // weight rows that are real
  float scale;
  bool add;  // to what is there: every block of k but the first
};

template <int kRows>
[[gnu::always_inline]] inline void StoreTile(const V::F (&sums)[kRows][kTileColumns], const Output& out) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    float sum[kTileColumns];
    V::SumLanesOf4(sums[r][0], sums[r][1], sums[r][2], sums[r][3], sum);
    float* y = out.y + r * out.ldy;
    for (int n = 0; n < out.columns; ++n) y[n] = __builtin_fmaf(sum[n], out.scale, out.add ? y[n] : 0.0f);
  }
}

// sums += w * x over the values that Load decodes at once.
template <typename Weights, int kRows>
[[gnu::always_inline]] inline void AddVectors(const std::byte* const (&at)[kTileColumns], const float* x,
                                              V::F (&sums)[kRows][kTileColumns]) {
#pragma GCC unroll 4
  for (int n = 0; n < kTileColumns; ++n) {
    V::F w[Weights::kVectors];
    Weights::Load(at[n], w);
#pragma GCC unroll 8
    for (int v = 0; v < Weights::kVectors; ++v) {
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        sums[r][n] = V::MulAdd(w[v], V::Load(x + (v * kRows + r) * V::kLanes), sums[r][n]);
      }
    }
  }
}

// The first `count` of the values that Load decodes at once, and zeros.
template <typename Weights>
void LoadTail(const std::byte* p, int count, V::F (&w)[Weights::kVectors]) {
  alignas(64) std::byte whole[Weights::kVectors * V::kLanes * Weights::kValueBytes] = {};
  memcpy(whole, p, Size(count) * Weights::kValueBytes);
  Weights::Load(whole, w);
}

// x: packed activations of this tile. k: values of each weight row.
template <typename Weights, int kRows>
void Tile(const WeightRows& weights, int k, const float* x, const Output& out) {
  constexpr int kValues = Weights::kVectors * V::kLanes;
  V::F sums[kRows][kTileColumns];
  for (auto& row : sums) {
    for (V::F& sum : row) sum = V::Zero();
  }
  const std::byte* at[kTileColumns];
  for (int n = 0; n < kTileColumns; ++n) at[n] = weights.row[n];
  for (; k >= kValues; k -= kValues) {
    AddVectors<Weights, kRows>(at, x, sums);
    for (int n = 0; n < kTileColumns; ++n) {
      if constexpr (Weights::kPrefetches) Prefetch(at[n], kPrefetchBytes);
      at[n] += kValues * Weights::kValueBytes;
    }
    x += kRows * kValues;
  }
  if (k > 0) {
    for (int n = 0; n < kTileColumns; ++n) {
      V::F w[Weights::kVectors];
      LoadTail<Weights>(at[n], k, w);
      for (int v = 0; v < Weights::kVectors; ++v) {
        for (int r = 0; r < kRows; ++r) {
          sums[r][n] = V::MulAdd(w[v], V::Load(x + (v * kRows + r) * V::kLanes), sums[r][n]);
        }
      }
    }
  }
  StoreTile(sums, out);
}

template <typename Weights, int kRows = kTileRows>
void TileOf(int rows, const WeightRows& weights, int k, const float* x, const Output& out) {
  if (rows == kRows) return Tile<Weights, kRows>(weights, k, x, out);
  if constexpr (kRows > 1) TileOf<Weights, kRows - 1>(rows, weights, k, x, out);
}

// ---------------------------------------------------------------------------------------------------------------------
// Matrix products.

struct Problem {
  const Tensor& w;
  const float* x;
  int m;
  float* y;
  ptrdiff_t ldy;
};

template <typename Weights>
void RunDirect(const Problem& p, const Plan& plan, int n_begin, int n_end) {
  const size_t row_bytes = Size(p.w.cols) * Weights::kValueBytes;
  for (int n = n_begin; n < n_end; n += kTileColumns) {
    const int columns = Min(kTileColumns, n_end - n);
    const WeightRows rows = RowsAt(p.w.data + Size(n) * row_bytes, row_bytes, columns);
    for (int r = 0; r < p.m; r += kTileRows) {
      const Output out{p.y + r * p.ldy + n, p.ldy, columns, p.w.scale, false};
      TileOf<Weights>(Min(kTileRows, p.m - r), rows, p.w.cols, p.x + plan.offset(p.m, 0, r), out);
    }
  }
}

template <typename Weights>
void DecodeValues(const std::byte* from, int k, float* to) {
  constexpr int kValues = Weights::kVectors * V::kLanes;
  V::F w[Weights::kVectors];
  for (; k > 0; k -= kValues) {
    if (k >= kValues) {
      Weights::Load(from, w);
    } else {
      LoadTail<Weights>(from, k, w);
    }
    for (int v = 0; v < Weights::kVectors; ++v) V::Store(to + v * V::kLanes, w[v]);
    from += kValues * Weights::kValueBytes;
    to += kValues;
  }
}

// Float32 that lies in scratch, whole vectors.
struct DecodedWeights {
  static constexpr int kValueBytes = 4;
  static constexpr int kVectors = 1;
  static constexpr bool kPrefetches = false;
  [[gnu::always_inline]] static inline void Load(const std::byte* p, V::F (&w)[1]) {
    w[0] = V::Load(reinterpret_cast<const float*>(p));
  }
};

// Weight rows [n, n + columns) times all activation rows, block by block of k.
template <typename Weights>
void RunPanel(const Problem& p, const Plan& plan, int n, int columns, float* decoded) {
  for (int block = 0; block < plan.num_blocks(); ++block) {
    const int k_begin = block * plan.block_granules * kGranule;
    const int k = Min(p.w.cols - k_begin, plan.block_granules * kGranule);
    for (int c = 0; c < columns; ++c) {
      const std::byte* from = p.w.data + (Size(n + c) * Size(p.w.cols) + Size(k_begin)) * Weights::kValueBytes;
      DecodeValues<Weights>(from, k, decoded + c * kPanelStride);
    }
    const int whole = DivideRoundUp(k, V::kLanes) * V::kLanes;  // what is beyond k was decoded as zeros
    for (int r = 0; r < p.m; r += kTileRows) {
      for (int c = 0; c < columns; c += kTileColumns) {
        const auto* first = reinterpret_cast<const std::byte*>(decoded + c * kPanelStride);
        const WeightRows rows = RowsAt(first, kPanelStride * sizeof(float), Min(kTileColumns, columns - c));
        const Output out{p.y + r * p.ldy + n + c, p.ldy, Min(kTileColumns, columns - c), p.w.scale, block != 0};
        TileOf<DecodedWeights>(Min(kTileRows, p.m - r), rows, whole, p.x + plan.offset(p.m, block, r), out);
      }
    }
  }
}

template <typename Weights>
void RunFloat(const Tensor& w, int n_begin, int n_end, const std::byte* packed, int m, float* y, int ldy,
              std::byte* scratch) {
  const Plan plan = MakePlan(m, w.cols);
  const Problem problem{w, reinterpret_cast<const float*>(packed), m, y, ldy};
  if (plan.direct) return RunDirect<Weights>(problem, plan, n_begin, n_end);
  for (int n = n_begin; n < n_end; n += kPanelColumns) {
    RunPanel<Weights>(problem, plan, n, Min(kPanelColumns, n_end - n), reinterpret_cast<float*>(scratch));
  }
}

template <typename Weights>
constexpr MatMulKernel FloatMatMul() {
  return {FloatPackedBytes, FloatPack, FloatScratchBytes, RunFloat<Weights>};
}

template <typename Weights>
void DecodeRowAs(const Tensor& w, int row, float* out) {
  constexpr int kValues = Weights::kVectors * V::kLanes;
  const std::byte* from = w.data + Size(row) * Size(w.cols) * Weights::kValueBytes;
  const V::F scale = V::Set(w.scale);
  for (int c = 0; c < w.cols; c += kValues, from += kValues * Weights::kValueBytes) {
    V::F values[Weights::kVectors];
    if (w.cols - c >= kValues) {
      Weights::Load(from, values);
    } else {
      LoadTail<Weights>(from, w.cols - c, values);
    }
    for (int v = 0; v < Weights::kVectors; ++v) {
      const int count = w.cols - c - v * V::kLanes;
      if (count > 0) V::StoreFirst(out + c + v * V::kLanes, Min(count, V::kLanes), V::Mul(values[v], scale));
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Vector operations.

// The values at p: a whole vector, or, near the end, `count` of them and zeros.
V::F LoadUpTo(const float* p, int count) { return count >= V::kLanes ? V::Load(p) : V::LoadFirst(p, count); }
void StoreUpTo(float* p, int count, V::F v) {
  if (count >= V::kLanes) return V::Store(p, v);
  V::StoreFirst(p, count, v);
}

float Dot(const float* a, const float* b, int n) {
  constexpr int kSums = 4;
  V::F sums[kSums] = {V::Zero(), V::Zero(), V::Zero(), V::Zero()};
  int i = 0;
  for (; i + kSums * V::kLanes <= n; i += kSums * V::kLanes) {
#pragma GCC unroll 4
    for (int j = 0; j < kSums; ++j) {
      sums[j] = V::MulAdd(V::Load(a + i + j * V::kLanes), V::Load(b + i + j * V::kLanes), sums[j]);
    }
  }
  for (; i < n; i += V::kLanes) sums[0] = V::MulAdd(LoadUpTo(a + i, n - i), LoadUpTo(b + i, n - i), sums[0]);
  return V::SumLanes(V::Add(V::Add(sums[0], sums[1]), V::Add(sums[2], sums[3])));
}

void Axpy(float a, const float* x, float* y, int n) {
  const V::F factor = V::Set(a);
  for (int i = 0; i < n; i += V::kLanes) {
    StoreUpTo(y + i, n - i, V::MulAdd(factor, LoadUpTo(x + i, n - i), LoadUpTo(y + i, n - i)));
  }
}

void RmsNorm(const float* x, const float* weight, float eps, float* y, int n) {
  const float mean_square = Dot(x, x, n) / static_cast<float>(n);
  const V::F inverse = V::Div(V::Set(1.0f), V::Sqrt(V::Set(mean_square + eps)));
  for (int i = 0; i < n; i += V::kLanes) {
    const V::F gain = V::Add(V::Set(1.0f), LoadUpTo(weight + i, n - i));
    StoreUpTo(y + i, n - i, V::Mul(V::Mul(LoadUpTo(x + i, n - i), inverse), gain));
  }
}

// exp(x) = 2^i * exp(r), |r| <= ln(2) / 2, with exp(r) as its Taylor polynomial of degree 7 (truncation below 1e-8).
// The limits, beyond which the result is 0 or infinity anyway, keep infinite x from becoming NaN; NaN stays NaN. 2^i is
// multiplied in two steps: its halves are normal numbers where it is none.
V::F Exp(V::F x) {
  x = V::Min(V::Set(128.0f), V::Max(V::Set(-128.0f), x));
  const V::F i = V::Round(V::Mul(x, V::Set(1.44269504f)));
  // ln(2) in two pieces: the first has few enough bits that i times it is exact.
  V::F r = V::MulAdd(i, V::Set(-0.693359375f), x);
  r = V::MulAdd(i, V::Set(2.12194440e-4f), r);
  V::F p = V::Set(1.0f / 5040.0f);
  constexpr float kCoefficients[] = {1.0f / 720.0f, 1.0f / 120.0f, 1.0f / 24.0f, 1.0f / 6.0f, 0.5f, 1.0f, 1.0f};
#pragma GCC unroll 7
  for (const float c : kCoefficients) p = V::MulAdd(p, r, V::Set(c));
  const V::F half = V::Round(V::Mul(i, V::Set(0.5f)));
  return V::Mul(V::Mul(p, V::Power2(half)), V::Power2(V::Sub(i, half)));
}

// tanh(x) = 1 - 2 / (1 + exp(2x)), and near zero, where that cancels, its odd Taylor polynomial up to x^13.
V::F Tanh(V::F x) {
  const V::F one = V::Set(1.0f);
  const V::F far = V::Sub(one, V::Div(V::Set(2.0f), V::Add(one, Exp(V::Add(x, x)))));
  const V::F square = V::Mul(x, x);
  V::F p = V::Set(21844.0f / 6081075.0f);
  constexpr float kCoefficients[] = {-1382.0f / 155925.0f, 62.0f / 2835.0f, -17.0f / 315.0f, 2.0f / 15.0f,
                                     -1.0f / 3.0f};
#pragma GCC unroll 5
  for (const float c : kCoefficients) p = V::MulAdd(p, square, V::Set(c));
  const V::F near = V::MulAdd(V::Mul(p, square), x, x);
  return V::WhereLess(square, V::Set(0.25f), near, far);
}

// x / (1 + exp(-2u)), u = sqrt(2/pi) * (x + 0.044715 x^3): gelu_tanh without cancellation.
V::F Gelu(V::F x) {
  const V::F factor = V::MulAdd(V::Mul(x, x), V::Set(-1.5957691216f * 0.044715f), V::Set(-1.5957691216f));
  return V::Div(x, V::Add(V::Set(1.0f), Exp(V::Mul(factor, x))));
}

void GeluMul(const float* gate, const float* up, float* y, int n) {
  for (int i = 0; i < n; i += V::kLanes) {
    StoreUpTo(y + i, n - i, V::Mul(Gelu(LoadUpTo(gate + i, n - i)), LoadUpTo(up + i, n - i)));
  }
}

void SoftCap(float* x, float cap, int n) {
  const V::F limit = V::Set(cap);
  for (int i = 0; i < n; i += V::kLanes) {
    StoreUpTo(x + i, n - i, V::Mul(limit, Tanh(V::Div(LoadUpTo(x + i, n - i), limit))));
  }
}

float Largest(const float* x, int n) {
  V::F largest = V::Set(x[0]);
  int i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) largest = V::Max(largest, V::Load(x + i));
  for (; i < n; ++i) largest = V::Max(largest, V::Set(x[i]));
  return V::LargestLane(largest);
}

void Softmax(float* x, int n) {
  if (n == 0) return;
  const V::F largest = V::Set(Largest(x, n));
  V::F sum = V::Zero();
  for (int i = 0; i < n; i += V::kLanes) {
    StoreUpTo(x + i, n - i, Exp(V::Sub(LoadUpTo(x + i, n - i), largest)));
    sum = V::Add(sum, LoadUpTo(x + i, n - i));  // again, for the zeros behind the end
  }
  const V::F inverse = V::Set(1.0f / V::SumLanes(sum));
  for (int i = 0; i < n; i += V::kLanes) StoreUpTo(x + i, n - i, V::Mul(LoadUpTo(x + i, n - i), inverse));
}

// ---------------------------------------------------------------------------------------------------------------------
// Attention.

template <int kRows>
void DotTile(const float* a, ptrdiff_t lda, const WeightRows& b, int k, const Output& out) {
  V::F sums[kRows][kTileColumns];
  for (auto& row : sums) {
    for (V::F& sum : row) sum = V::Zero();
  }
  const auto add = [&](const auto& load, int c) {
    V::F x[kRows];
    for (int r = 0; r < kRows; ++r) x[r] = load(a + r * lda + c);
#pragma GCC unroll 4
    for (int n = 0; n < kTileColumns; ++n) {
      const V::F w = load(reinterpret_cast<const float*>(b.row[n]) + c);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) sums[r][n] = V::MulAdd(w, x[r], sums[r][n]);
    }
  };
  int c = 0;
  for (; c + V::kLanes <= k; c += V::kLanes) add([](const float* p) { return V::Load(p); }, c);
  if (c < k) add([&](const float* p) { return V::LoadFirst(p, k - c); }, c);
  StoreTile(sums, out);
}

template <int kRows = kTileRows>
void DotTileOf(int rows, const float* a, ptrdiff_t lda, const WeightRows& b, int k, const Output& out) {
  if (rows == kRows) return DotTile<kRows>(a, lda, b, k, out);
  if constexpr (kRows > 1) DotTileOf<kRows - 1>(rows, a, lda, b, k, out);
}

void DotRows(const float* a, ptrdiff_t lda, int m, const float* b, ptrdiff_t ldb, int n, int k, float* y,
             ptrdiff_t ldy) {
  for (int j = 0; j < n; j += kTileColumns) {
    const int columns = Min(kTileColumns, n - j);
    const auto* first = reinterpret_cast<const std::byte*>(b + j * ldb);
    const WeightRows rows = RowsAt(first, static_cast<size_t>(ldb) * sizeof(float), columns);
    for (int i = 0; i < m; i += kTileRows) {
      DotTileOf(Min(kTileRows, m - i), a + i * lda, lda, rows, k, Output{y + i * ldy + j, ldy, columns, 1.0f, false});
    }
  }
}

// y_i += sum of w[i, j] * v_j for two rows at most, four vectors of each, whose values [0, count) are real.
template <int kRows>
void AddTile(const float* w, ptrdiff_t ldw, const float* v, ptrdiff_t ldv, int n, int count, float* y, ptrdiff_t ldy) {
  constexpr int kVectors = 4;
  const auto whole = count >= kVectors * V::kLanes;
  const auto run = [&](const auto& load, const auto& store) {
    V::F sums[kRows][kVectors];
    for (int r = 0; r < kRows; ++r) {
      for (int c = 0; c < kVectors; ++c) sums[r][c] = load(y + r * ldy, c);
    }
    for (int j = 0; j < n; ++j) {
      V::F row[kVectors];
      for (int c = 0; c < kVectors; ++c) row[c] = load(v + j * ldv, c);
#pragma GCC unroll 2
      for (int r = 0; r < kRows; ++r) {
        const V::F factor = V::Set(w[r * ldw + j]);
#pragma GCC unroll 4
        for (int c = 0; c < kVectors; ++c) sums[r][c] = V::MulAdd(factor, row[c], sums[r][c]);
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int c = 0; c < kVectors; ++c) store(y + r * ldy, c, sums[r][c]);
    }
  };
  if (whole) {
    run([](const float* p, int c) { return V::Load(p + c * V::kLanes); },
        [](float* p, int c, V::F sum) { V::Store(p + c * V::kLanes, sum); });
  } else {
    run([&](const float* p, int c) {
          return count > c * V::kLanes ? LoadUpTo(p + c * V::kLanes, count - c * V::kLanes) : V::Zero();
        },
        [&](float* p, int c, V::F sum) {
          if (count > c * V::kLanes) StoreUpTo(p + c * V::kLanes, count - c * V::kLanes, sum);
        });
  }
}

void AddRows(const float* w, ptrdiff_t ldw, int m, const float* v, ptrdiff_t ldv, int n, int k, float* y,
             ptrdiff_t ldy) {
  for (int c = 0; c < k; c += 4 * V::kLanes) {
    int i = 0;
    for (; i + 2 <= m; i += 2) AddTile<2>(w + i * ldw, ldw, v + c, ldv, n, k - c, y + i * ldy + c, ldy);
    if (i < m) AddTile<1>(w + i * ldw, ldw, v + c, ldv, n, k - c, y + i * ldy + c, ldy);
  }
}

long NoDots(long /*rounds*/) { return -1; }

}  // namespace
}  // namespace llmfw
