// Matrix products with packed weights (weight_types.h) by integer dot products. Shared by the tables of avx2.cc and
// neon.cc.
//
// Included once, behind vector_floats.h, by a file whose anonymous namespace has
//   struct I: I32 (a vector of V::kLanes int32) and the operations on it used below
//   struct Q8P, Q4P, the packed forms: kOffset, kVectors and kQuadsOfVector (how many 64-byte vectors a group of 32
//     columns has, how many quads of columns each of them), Operand (one quad of V::kLanes weight rows), and
//     Load(p, quads), quad i being number `vector + kVectors * i` of the group. The weights that Load gives are the
//     stored integers plus kOffset.
//   struct Dots<parts>: the form of activations: kLargest, kWordsOfQuad (32-bit words of one part of a quad), Arrange
//     (32 integers to words: [part][quad]) and MultiplyAdd, which adds one part of a quad times its weights
//   kFewRowsParts, kManyRowsParts: the parts of activations with up to 8 rows and in the exact kernels; with more
//
// Numeric plan. Activations become integers by groups of 32 with one float32 scale, as weights have; with two parts an
// integer is 256 * high + low. The integer sums are exact: 32 products of at most 255 * 32512 stay below 2^28. Groups
// are added in float32, in order, each scaled by both scales, in panels of k whose ends depend on k alone; so a row's
// result is the same to the bit whatever rows are computed beside it. What kOffset adds, offset times the sum of the
// group's activations, is taken off again as an integer.
//
// A tile is 16 weight rows times four activation rows, and k goes in panels, so that the weights of a tile stay in the
// first-level cache while all activation rows pass by.
#pragma once

#include "vector_floats.h"

namespace llmfw {
namespace {

constexpr int kTileLanes = 16;  // weight rows of a packed tile
constexpr int kSlices = kTileLanes / V::kLanes;
constexpr int kGroup = 32;  // columns that share a scale
constexpr int kQuads = kGroup / 4;
constexpr int kBlockGroups = 2;   // of a block of weights
constexpr int kScaleBytes = 64;   // of a block of weights
constexpr int kVectorBytes = 64;  // a quad of columns of 16 rows
constexpr int kPackedTileRows = 4;
constexpr int kPackedPanelBlocks = 12;  // k of a panel, at most: 768 columns, 13 KiB of q8p
constexpr size_t kPackedPrefetchBytes = 4096;

template <typename Weights>
constexpr size_t kBlockBytes = kScaleBytes + kBlockGroups * Weights::kVectors * kVectorBytes;

// ---------------------------------------------------------------------------------------------------------------------
// How a product is cut up, and the layout of the packed activations that follows from it: [panel of k][tile of
// rows][group] of
//   words [row of tile][as Dots arranges them], float32 scale [row of tile], int32 correction [row of tile]
// where the correction is -offset * (sum of the group's integers). The last tile has fewer rows.

template <int kParts>
constexpr int kRowWords = kParts * kQuads * Dots<kParts>::kWordsOfQuad;

struct PackedPlan {
  int blocks;        // of 64 columns, of the whole k
  int panel_blocks;  // of one panel

  int num_panels() const { return blocks == 0 ? 1 : DivideRoundUp(blocks, panel_blocks); }
  int blocks_of(int panel) const { return Min(panel_blocks, blocks - panel * panel_blocks); }
  // Where the tile that begins at `row` lies in the packed activations, in groups of one row.
  size_t offset(int m, int panel, int row) const {
    return kBlockGroups * (Size(m) * Size(panel) * Size(panel_blocks) + Size(row) * Size(blocks_of(panel)));
  }
};

PackedPlan MakePackedPlan(int k) {
  const int blocks = DivideRoundUp(k, kGroup * kBlockGroups);
  const int panels = DivideRoundUp(blocks, kPackedPanelBlocks);
  return {blocks, panels == 0 ? 1 : DivideRoundUp(blocks, panels)};
}

// One group of an activation row to words. Missing columns are zeros. Groups too small for their scale's inverse to be
// finite become zeros too.
template <int kParts, int kOffset>
void QuantizeGroup(const float* x, int count, int32_t* words, int32_t* scale, int32_t* correction) {
  constexpr float kLargest = Dots<kParts>::kLargest;
  constexpr float kSmallest = 1e-30f;
  float filled[kGroup] = {};
  if (count < kGroup) {
    if (count > 0) memcpy(filled, x, Size(count) * sizeof(float));
    x = filled;
  }
  V::F largest_lanes = V::Zero();
  for (int i = 0; i < kGroup; i += V::kLanes) largest_lanes = V::Max(largest_lanes, V::Abs(V::Load(x + i)));
  const float largest = V::LargestLane(largest_lanes);
  const V::F inverse = V::Set(largest < kSmallest ? 0.0f : kLargest / largest);
  int32_t values[kGroup];
  for (int i = 0; i < kGroup; i += V::kLanes) I::Store(values + i, I::FromFloat(V::Mul(V::Load(x + i), inverse)));
  uint32_t sum = 0;
  for (const int32_t value : values) sum += static_cast<uint32_t>(value);
  Dots<kParts>::Arrange(values, words);
  const float step = largest / kLargest;
  memcpy(scale, &step, sizeof step);
  *correction = static_cast<int32_t>(0u - kOffset * sum);
}

template <int kParts, int kOffset>
void PackForParts(const float* x, int ldx, int m, int k, std::byte* packed) {
  constexpr int kWords = kRowWords<kParts>;
  const PackedPlan plan = MakePackedPlan(k);
  for (int panel = 0; panel < plan.num_panels(); ++panel) {
    const int k_begin = panel * plan.panel_blocks * kBlockGroups * kGroup;
    for (int row = 0; row < m; ++row) {
      const int first = row / kPackedTileRows * kPackedTileRows;
      const int rows = Min(kPackedTileRows, m - first);
      auto* words = reinterpret_cast<int32_t*>(packed) + plan.offset(m, panel, first) * (kWords + 2);
      for (int g = 0; g < plan.blocks_of(panel) * kBlockGroups; ++g) {
        const int at = Min(k, k_begin + g * kGroup);
        int32_t* scale = words + rows * kWords + (row - first);
        QuantizeGroup<kParts, kOffset>(x + static_cast<ptrdiff_t>(row) * ldx + at, k - at,
                                       words + (row - first) * kWords, scale, scale + rows);
        words += rows * (kWords + 2);
      }
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// The tile.

struct PackedOutput {
  float* y;  // of the tile's first activation row and first weight row
  ptrdiff_t ldy;
  int begin;  // the weight rows that are wanted
  int end;
  float scale;
  bool add;  // to what is there: every panel of k but the first
};

void StorePacked(const V::F (&sums)[kSlices], const PackedOutput& out, int row) {
  float* y = out.y + row * out.ldy;
  const bool whole = out.begin <= 0 && out.end >= kTileLanes;
  const int begin = whole || out.begin <= 0 ? 0 : out.begin;
  const size_t bytes = Size(Min(out.end, kTileLanes) - begin) * sizeof(float);
  float lanes[kTileLanes] = {};
  if (!whole && out.add) memcpy(lanes + begin, y + begin, bytes);
  float* to = whole ? y : lanes;
  for (int s = 0; s < kSlices; ++s) {
    const V::F before = out.add ? V::Load(to + s * V::kLanes) : V::Zero();
    V::Store(to + s * V::kLanes, V::MulAdd(sums[s], V::Set(out.scale), before));
  }
  if (!whole) memcpy(y + begin, lanes + begin, bytes);
}

// Sums of one group, for V::kLanes weight rows (from byte `weights` on) times the rows packed at x.
template <typename Weights, int kParts, int kRows>
[[gnu::always_inline]] inline void DotGroup(const std::byte* weights, const int32_t* x, const int32_t* correction,
                                            I::I32 (&dots)[kRows]) {
  constexpr int kWordsOfQuad = Dots<kParts>::kWordsOfQuad;
  I::I32 high[kRows];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    dots[r] = I::Set(correction[r]);
    if constexpr (kParts == 2) high[r] = I::Set(0);
  }
#pragma GCC unroll 8
  for (int vector = 0; vector < Weights::kVectors; ++vector) {
    typename Weights::Operand w[Weights::kQuadsOfVector];
    Weights::Load(weights + vector * kVectorBytes, w);
#pragma GCC unroll 2
    for (int i = 0; i < Weights::kQuadsOfVector; ++i) {
      const int32_t* quad = x + (vector + Weights::kVectors * i) * kWordsOfQuad;
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const int32_t* at = quad + r * kRowWords<kParts>;
        if constexpr (kParts == 2) {
          high[r] = Dots<kParts>::MultiplyAdd(high[r], w[i], at);
          dots[r] = Dots<kParts>::MultiplyAdd(dots[r], w[i], at + kQuads * kWordsOfQuad);
        } else {
          dots[r] = Dots<kParts>::MultiplyAdd(dots[r], w[i], at);
        }
      }
    }
  }
  if constexpr (kParts == 2) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) dots[r] = I::AddShifted8(dots[r], high[r]);
  }
}

template <typename Weights, int kParts, int kRows>
void PackedTile(const std::byte* block, int blocks, const int32_t* x, const PackedOutput& out) {
  V::F sums[kRows][kSlices];
  for (auto& row : sums) {
    for (V::F& sum : row) sum = V::Zero();
  }
  for (int b = 0; b < blocks; ++b) {
    for (size_t line = 0; line < kBlockBytes<Weights>; line += 64) Prefetch(block, kPackedPrefetchBytes + line);
    for (int group = 0; group < kBlockGroups; ++group) {
      const std::byte* scales = block + group * 2 * kTileLanes;
      const std::byte* weights = block + kScaleBytes + group * Weights::kVectors * kVectorBytes;
      const int32_t* x_scales = x + kRows * kRowWords<kParts>;
#pragma GCC unroll 4
      for (int s = 0; s < kSlices; ++s) {
        I::I32 dots[kRows];
        DotGroup<Weights, kParts, kRows>(weights + 4 * s * V::kLanes, x, x_scales + kRows, dots);
        const V::F w_scale = V::LoadHalves(scales + 2 * s * V::kLanes);
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          float x_scale;
          memcpy(&x_scale, x_scales + r, sizeof x_scale);
          sums[r][s] = V::MulAdd(I::ToFloat(dots[r]), V::Mul(w_scale, V::Set(x_scale)), sums[r][s]);
        }
      }
      x += kRows * (kRowWords<kParts> + 2);
    }
    block += kBlockBytes<Weights>;
  }
  for (int r = 0; r < kRows; ++r) StorePacked(sums[r], out, r);
}

template <typename Weights, int kParts, int kRows = kPackedTileRows>
void PackedTileOf(int rows, const std::byte* block, int blocks, const int32_t* x, const PackedOutput& out) {
  if (rows == kRows) return PackedTile<Weights, kParts, kRows>(block, blocks, x, out);
  if constexpr (kRows > 1) PackedTileOf<Weights, kParts, kRows - 1>(rows, block, blocks, x, out);
}

// ---------------------------------------------------------------------------------------------------------------------
// Matrix products.

template <typename Weights, int kParts>
void RunParts(const Tensor& w, int n_begin, int n_end, const int32_t* x, int m, float* y, ptrdiff_t ldy) {
  const PackedPlan plan = MakePackedPlan(w.cols);
  for (int n = n_begin / kTileLanes * kTileLanes; n < n_end; n += kTileLanes) {
    for (int panel = 0; panel < plan.num_panels(); ++panel) {
      const size_t block = Size(n / kTileLanes) * Size(plan.blocks) + Size(panel) * Size(plan.panel_blocks);
      for (int row = 0; row < m; row += kPackedTileRows) {
        const PackedOutput out{y + row * ldy + n, ldy, n_begin - n, n_end - n, w.scale, panel != 0};
        PackedTileOf<Weights, kParts>(Min(kPackedTileRows, m - row), w.data + block * kBlockBytes<Weights>,
                                      plan.blocks_of(panel), x + plan.offset(m, panel, row) * (kRowWords<kParts> + 2),
                                      out);
      }
    }
  }
}

template <bool kExact>
int PartsOf(int m) {
  return kExact || m <= kDirectRows ? kFewRowsParts : kManyRowsParts;
}

template <bool kExact>
size_t IntPackedBytes(int m, int k) {
  const int words = PartsOf<kExact>(m) == kFewRowsParts ? kRowWords<kFewRowsParts> : kRowWords<kManyRowsParts>;
  return Size(m) * Size(MakePackedPlan(k).blocks) * kBlockGroups * Size(words + 2) * sizeof(int32_t);
}

template <typename Weights, bool kExact>
void IntPack(const float* x, int ldx, int m, int k, std::byte* packed) {
  if (PartsOf<kExact>(m) == kFewRowsParts) return PackForParts<kFewRowsParts, Weights::kOffset>(x, ldx, m, k, packed);
  PackForParts<kManyRowsParts, Weights::kOffset>(x, ldx, m, k, packed);
}

size_t IntScratchBytes(int /*m*/, int /*k*/) { return 0; }

template <typename Weights, bool kExact>
void RunInt(const Tensor& w, int n_begin, int n_end, const std::byte* packed, int m, float* y, int ldy,
            std::byte* /*scratch*/) {
  const auto* x = reinterpret_cast<const int32_t*>(packed);
  if (PartsOf<kExact>(m) == kFewRowsParts) {
    return RunParts<Weights, kFewRowsParts>(w, n_begin, n_end, x, m, y, ldy);
  }
  RunParts<Weights, kManyRowsParts>(w, n_begin, n_end, x, m, y, ldy);
}

template <typename Weights, bool kExact>
constexpr MatMulKernel IntMatMul() {
  return {IntPackedBytes<kExact>, IntPack<Weights, kExact>, IntScratchBytes, RunInt<Weights, kExact>};
}

}  // namespace
}  // namespace llmfw
