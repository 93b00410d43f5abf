// Matrix products with packed weights (weight_types.h), by int8 dot products.
//
// Leans on: vpdpbusd, four products of an unsigned and a signed byte a lane, added to an int32 (nothing saturates), and
// on the packed forms, in which one 64-byte load is four columns of 16 weight rows: lanes are weight rows, so a
// quad of activations is broadcast and nothing is ever added across lanes.
//
// Numeric plan. Activations become integers by groups of 32 with one float32 scale, as weights have. In one part they
// are int8, rounded by at most 1/254 of the group's largest. In two parts they are 256 * high + low, rounded by at most
// 1/65024 of it. The integer sums are exact: 32 products of at most 255 * 128 stay below 2^21, times 256 below 2^29.
// Groups are added in float32, in order, each scaled by both scales: with the same number of parts, a row's result is
// the same to the bit whatever rows are computed beside it. Weights are stored as value + offset to be unsigned; what
// that adds, offset times the sum of the group's activations, is taken off again as an integer.
//
// With few rows (decode) activations have two parts: reading weights is the work there, and arithmetic free. Up to eight
// rows, a tile is 16 weight rows times all activation rows, read as one stream. With more, a tile is twice 16 weight
// rows times six activation rows, and k goes in panels, so that the weights of a tile stay in the first-level cache while
// all activation rows pass by.
//
// The rules for this file are those of avx512.cc.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

#include "avx512_int8.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace llmfw::avx512 {
namespace {

constexpr int kLanes = 16;          // weight rows of a packed tile
constexpr int kGroup = 32;          // columns that share a scale
constexpr int kQuads = kGroup / 4;  // of a group
constexpr int kBlockGroups = 2;     // of a block of weights
constexpr int kVectorBytes = 64;
constexpr int kScaleBytes = 64;  // of a block of weights

constexpr int kTwoPartRows = 16;  // up to so many activation rows have two parts in all kernels
constexpr int kDirectRows = 8;    // up to so many are multiplied together
constexpr int kTileRows = 6;      // else so many: 12 int32 sums, 12 float32 sums, 2 weights, 2 scales, 1 activation
constexpr int kTileColumns = 2;   // times 16 weight rows
constexpr int kPanelBlocks = 12;  // k of a panel: 768 columns, 26 KiB of q8p
constexpr size_t kStreamBytes = 8192;        // how far ahead weights are asked for
constexpr size_t kPanelStreamBytes = 49152;  // in panels, which take longer

int Min(int a, int b) { return a < b ? a : b; }
int DivideRoundUp(int a, int b) { return (a + b - 1) / b; }
size_t Size(int n) { return static_cast<size_t>(n); }

// Asks for the line at p + offset, which may lie past the end of the weights: it is then ignored. The hardware's own
// prefetches do not cross the ends of pages.
template <_mm_hint kHint>
[[gnu::always_inline]] inline void Prefetch(const std::byte* p, size_t offset) {
  _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(p) + offset), kHint);
}

// For a line that is read once: far ahead, and into the second-level cache only. Into the first, each would hold one of
// its few slots for misses all the time that memory takes.
[[gnu::always_inline]] inline void PrefetchStream(const std::byte* line) {
  Prefetch<_MM_HINT_T1>(line, kStreamBytes);
}

// The lowest `count` of 16 lanes; none for a negative count, all for a large one.
__mmask16 LowLanes(int count) {
  if (count <= 0) return 0;
  return static_cast<__mmask16>(count >= kLanes ? 0xFFFFu : (1u << count) - 1u);
}

// ---------------------------------------------------------------------------------------------------------------------
// Packed forms. Load gives the quads of columns of one vector of a group: `kQuadsOfVector` of them, those with the
// numbers vector + kVectors * i.

struct Q8P {
  static constexpr int kOffset = 128;
  static constexpr int kQuadsOfVector = 1;
  static constexpr int kVectors = kQuads / kQuadsOfVector;
  static constexpr size_t kBlockBytes = kScaleBytes + kBlockGroups * kVectors * kVectorBytes;

  [[gnu::always_inline]] static inline void Load(const std::byte* p, __m512i (&quads_u8x64)[1]) {
    quads_u8x64[0] = _mm512_loadu_si512(p);
  }
};

struct Q4P {
  static constexpr int kOffset = 8;
  static constexpr int kQuadsOfVector = 2;
  static constexpr int kVectors = kQuads / kQuadsOfVector;
  static constexpr size_t kBlockBytes = kScaleBytes + kBlockGroups * kVectors * kVectorBytes;

  [[gnu::always_inline]] static inline void Load(const std::byte* p, __m512i (&quads_u8x64)[2]) {
    const __m512i nibble = _mm512_set1_epi8(0x0F);
    const __m512i both_u4x128 = _mm512_loadu_si512(p);
    quads_u8x64[0] = _mm512_and_si512(both_u4x128, nibble);
    quads_u8x64[1] = _mm512_and_si512(_mm512_srli_epi16(both_u4x128, 4), nibble);
  }
};

// The scales of a group of 16 weight rows.
[[gnu::always_inline]] inline __m512 WeightScales(const std::byte* block, int group) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + group * 2 * kLanes)));
}

// ---------------------------------------------------------------------------------------------------------------------
// How a product is cut up, and the layout of the packed activations that follows from it: [panel of k][tile of
// rows][group] of
//   int8 [row of tile][part][32 columns], float32 scale [row of tile], int32 correction [row of tile]
// where the correction is -offset * (sum of the group's integers). The last tile has fewer rows.

struct Plan {
  int parts;
  int tile_rows;
  int blocks;        // of 64 columns, of the whole k
  int panel_blocks;  // of one panel

  int num_panels() const { return blocks == 0 ? 1 : DivideRoundUp(blocks, panel_blocks); }
  int blocks_of(int panel) const { return Min(panel_blocks, blocks - panel * panel_blocks); }
  // 32-bit words of a group, an activation row.
  int row_words() const { return parts * kQuads + 2; }
  // Where the tile that begins at `row` lies in the packed activations, in words.
  size_t offset(int m, int panel, int row) const {
    const size_t blocks_before = Size(m) * Size(panel) * Size(panel_blocks) + Size(row) * Size(blocks_of(panel));
    return blocks_before * kBlockGroups * Size(row_words());
  }
};

bool IsDirect(int m) { return m <= kDirectRows; }

Plan MakePlan(int m, int k, bool exact) {
  const int blocks = DivideRoundUp(k, kGroup * kBlockGroups);
  if (IsDirect(m)) return {2, kDirectRows, blocks, blocks == 0 ? 1 : blocks};
  const int panels = DivideRoundUp(blocks, kPanelBlocks);
  return {exact || m <= kTwoPartRows ? 2 : 1, kTileRows, blocks, panels == 0 ? 1 : DivideRoundUp(blocks, panels)};
}

size_t PackedBytes(int m, int k, bool exact) {
  const Plan plan = MakePlan(m, k, exact);
  return Size(m) * Size(plan.blocks) * kBlockGroups * Size(plan.row_words()) * sizeof(int32_t);
}

struct ScaleAndSum {
  float scale;
  int sum;  // of the whole integers
};

// The lowest byte of each of 32 integers.
void StoreBytes(__m512i first_i32x16, __m512i second_i32x16, int32_t* to) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(first_i32x16));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to) + 1, _mm512_cvtepi32_epi8(second_i32x16));
}

// `high` of v = 256 * high + low, where low is the lowest byte, signed.
__m512i HighPart(__m512i v_i32x16) {
  return _mm512_srai_epi32(_mm512_add_epi32(v_i32x16, _mm512_set1_epi32(128)), 8);
}

// A group of one activation row as integers: kParts times 32 bytes to `values`. Missing columns are zeros. Groups too
// small for their scale's inverse to be finite become zeros too.
template <int kParts>
[[gnu::always_inline]] inline ScaleAndSum QuantizeGroup(const float* x, int count, int32_t* values) {
  constexpr float kLargest = kParts == 2 ? 127.0f * 256.0f : 127.0f;
  constexpr float kSmallest = 1e-30f;
  const __m512 first_f32x16 = _mm512_maskz_loadu_ps(LowLanes(count), x);
  const __m512 second_f32x16 =
      count > kLanes ? _mm512_maskz_loadu_ps(LowLanes(count - kLanes), x + kLanes) : _mm512_setzero_ps();
  const float largest = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(first_f32x16), _mm512_abs_ps(second_f32x16)));
  const __m512 inverse_f32x16 = _mm512_set1_ps(largest < kSmallest ? 0.0f : kLargest / largest);
  const __m512i first_i32x16 = _mm512_cvtps_epi32(_mm512_mul_ps(first_f32x16, inverse_f32x16));
  const __m512i second_i32x16 = _mm512_cvtps_epi32(_mm512_mul_ps(second_f32x16, inverse_f32x16));
  if constexpr (kParts == 1) {
    StoreBytes(first_i32x16, second_i32x16, values);
  } else {
    StoreBytes(HighPart(first_i32x16), HighPart(second_i32x16), values);
    StoreBytes(first_i32x16, second_i32x16, values + kQuads);
  }
  return {largest / kLargest, _mm512_reduce_add_epi32(_mm512_add_epi32(first_i32x16, second_i32x16))};
}

// One activation row, the one with number `row` of a tile of `rows`, values [k_begin, k_end).
template <int kParts, int kOffset>
void PackRow(const float* x, int k_begin, int k_end, int num_groups, int row, int rows, int32_t* packed) {
  for (int g = 0; g < num_groups; ++g) {
    const int k = k_begin + g * kGroup;
    const ScaleAndSum group = QuantizeGroup<kParts>(x + Min(k, k_end), k_end - k, packed + row * kParts * kQuads);
    int32_t* scale = packed + rows * kParts * kQuads + row;
    memcpy(scale, &group.scale, 4);
    scale[rows] = static_cast<int32_t>(0u - kOffset * static_cast<uint32_t>(group.sum));
    packed += rows * (kParts * kQuads + 2);
  }
}

template <int kOffset>
void Pack(const float* x, int ldx, int m, int k, bool exact, std::byte* packed) {
  const Plan plan = MakePlan(m, k, exact);
  const auto pack_row = plan.parts == 2 ? PackRow<2, kOffset> : PackRow<1, kOffset>;
  auto* words = reinterpret_cast<int32_t*>(packed);
  for (int panel = 0; panel < plan.num_panels(); ++panel) {
    const int k_begin = panel * plan.panel_blocks * kBlockGroups * kGroup;
    for (int row = 0; row < m; ++row) {
      const int first = row / plan.tile_rows * plan.tile_rows;
      const int num_groups = plan.blocks_of(panel) * kBlockGroups;
      pack_row(x + static_cast<ptrdiff_t>(row) * ldx, k_begin, k, num_groups, row - first,
               Min(plan.tile_rows, m - first), words + plan.offset(m, panel, first));
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Tiles.

struct Output {
  float* y;  // of the tile's first activation row and first weight row
  int ldy;
  __mmask16 lanes[kTileColumns];  // weight rows that are wanted
  bool first;                     // of the panels of k: sums begin at zero, else with what is there
  float scale;                    // 1 for all but the last panel

  float* at(int row, int column) const { return y + static_cast<ptrdiff_t>(row) * ldy + column * kLanes; }
};

template <int kColumns, int kRows>
[[gnu::always_inline]] inline void LoadSums(const Output& out, __m512 (&sum_f32x16)[kColumns][kRows]) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int c = 0; c < kColumns; ++c) {
      sum_f32x16[c][r] = out.first ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(out.lanes[c], out.at(r, c));
    }
  }
}

template <int kColumns, int kRows>
[[gnu::always_inline]] inline void StoreSums(const __m512 (&sum_f32x16)[kColumns][kRows], const Output& out) {
  const __m512 scale_f32x16 = _mm512_set1_ps(out.scale);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int c = 0; c < kColumns; ++c) {
      _mm512_mask_storeu_ps(out.at(r, c), out.lanes[c], _mm512_mul_ps(sum_f32x16[c][r], scale_f32x16));
    }
  }
}

// sum += (weight scale * activation scale) * dot.
[[gnu::always_inline]] inline __m512 AddScaled(__m512i dot_i32x16, __m512 weight_scale_f32x16, int32_t x_scale_bits,
                                               __m512 sum_f32x16) {
  const __m512 x_scale_f32x16 = _mm512_castsi512_ps(_mm512_set1_epi32(x_scale_bits));
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot_i32x16), _mm512_mul_ps(weight_scale_f32x16, x_scale_f32x16),
                         sum_f32x16);
}

// dot += w * x over one group, for one part of x, whose rows lie kStride words apart.
template <typename Weights, int kStride, int kColumns, int kRows>
[[gnu::always_inline]] inline void AddGroup(const std::byte* const (&weights)[kColumns], const int32_t* x,
                                            __m512i (&dot_i32x16)[kColumns][kRows]) {
#pragma GCC unroll 8
  for (int vector = 0; vector < Weights::kVectors; ++vector) {
    __m512i w_u8x64[kColumns][Weights::kQuadsOfVector];
#pragma GCC unroll 2
    for (int c = 0; c < kColumns; ++c) Weights::Load(weights[c] + vector * kVectorBytes, w_u8x64[c]);
#pragma GCC unroll 2
    for (int i = 0; i < Weights::kQuadsOfVector; ++i) {
      const int32_t* quad = x + vector + Weights::kVectors * i;
#pragma GCC unroll 6
      for (int r = 0; r < kRows; ++r) {
        const __m512i x_i8x64 = _mm512_set1_epi32(quad[r * kStride]);
#pragma GCC unroll 2
        for (int c = 0; c < kColumns; ++c) {
          dot_i32x16[c][r] = _mm512_dpbusd_epi32(dot_i32x16[c][r], w_u8x64[c][i], x_i8x64);
        }
      }
    }
  }
}

// Which lines of a block of weights one of the passes over a panel asks for: every `step`-th, so that the passes share
// them and the reading of the weights to come never stops while those of this panel are multiplied.
struct Lines {
  size_t first;
  size_t step;

  Lines(int pass, int passes) : first(Size(pass) * kVectorBytes), step(Size(passes) * kVectorBytes) {}
};

template <typename Weights>
[[gnu::always_inline]] inline void PrefetchBlock(const std::byte* block, const Lines& lines) {
#pragma GCC unroll 1
  for (size_t line = lines.first; line < Weights::kBlockBytes; line += lines.step) {
    Prefetch<_MM_HINT_T1>(block, kPanelStreamBytes + line);
  }
}

// `blocks` of kColumns times 16 weight rows, times kRows activation rows packed at x.
template <typename Weights, int kColumns, int kRows, int kParts>
void PanelTile(const std::byte* const* columns, int blocks, const int32_t* x, const Lines& lines, const Output& out) {
  __m512 sum_f32x16[kColumns][kRows];
  LoadSums(out, sum_f32x16);
  const std::byte* block[kColumns];
  for (int c = 0; c < kColumns; ++c) block[c] = columns[c];
  for (int b = 0; b < blocks; ++b) {
    for (int c = 0; c < kColumns; ++c) PrefetchBlock<Weights>(block[c], lines);
    for (int group = 0; group < kBlockGroups; ++group) {
      const std::byte* weights[kColumns];
      for (int c = 0; c < kColumns; ++c) weights[c] = block[c] + kScaleBytes + group * Weights::kVectors * kVectorBytes;
      const int32_t* scale = x + kParts * kQuads * kRows;
      const int32_t* correction = scale + kRows;
      __m512i dot_i32x16[kColumns][kRows];
      for (int c = 0; c < kColumns; ++c) {
#pragma GCC unroll 6
        for (int r = 0; r < kRows; ++r) {
          dot_i32x16[c][r] = kParts == 1 ? _mm512_set1_epi32(correction[r]) : _mm512_setzero_si512();
        }
      }
      AddGroup<Weights, kParts * kQuads, kColumns, kRows>(weights, x, dot_i32x16);
      if constexpr (kParts == 2) {
        for (int c = 0; c < kColumns; ++c) {
#pragma GCC unroll 6
          for (int r = 0; r < kRows; ++r) {
            const __m512i high_i32x16 = _mm512_slli_epi32(dot_i32x16[c][r], 8);
            dot_i32x16[c][r] = _mm512_add_epi32(high_i32x16, _mm512_set1_epi32(correction[r]));
          }
        }
        AddGroup<Weights, kParts * kQuads, kColumns, kRows>(weights, x + kQuads, dot_i32x16);
      }
#pragma GCC unroll 2
      for (int c = 0; c < kColumns; ++c) {
        const __m512 scale_f32x16 = WeightScales(block[c], group);
#pragma GCC unroll 6
        for (int r = 0; r < kRows; ++r) {
          sum_f32x16[c][r] = AddScaled(dot_i32x16[c][r], scale_f32x16, scale[r], sum_f32x16[c][r]);
        }
      }
      x += (kParts * kQuads + 2) * kRows;
    }
    for (int c = 0; c < kColumns; ++c) block[c] += Weights::kBlockBytes;
  }
  StoreSums(sum_f32x16, out);
}

// sum += one group of 16 weight rows, times kRows activation rows in two parts. Both parts of all rows advance together:
// so many sums that do not wait for each other hide the latency of a product, and the few instructions between two
// loads of weights leave room to run ahead to the next ones.
template <typename Weights, int kRows>
[[gnu::always_inline]] inline void AddDirectGroup(const std::byte* weights, __m512 scale_f32x16, const int32_t* x,
                                                  __m512 (&sum_f32x16)[kRows]) {
  const int32_t* scale = x + 2 * kQuads * kRows;
  const int32_t* correction = scale + kRows;
  __m512i high_i32x16[kRows];
  __m512i low_i32x16[kRows];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    high_i32x16[r] = _mm512_setzero_si512();
    low_i32x16[r] = _mm512_set1_epi32(correction[r]);
  }
#pragma GCC unroll 8
  for (int vector = 0; vector < Weights::kVectors; ++vector) {
    __m512i w_u8x64[Weights::kQuadsOfVector];
    Weights::Load(weights + vector * kVectorBytes, w_u8x64);
    PrefetchStream(weights + vector * kVectorBytes);
#pragma GCC unroll 2
    for (int i = 0; i < Weights::kQuadsOfVector; ++i) {
      const int32_t* quad = x + vector + Weights::kVectors * i;
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r, quad += 2 * kQuads) {
        high_i32x16[r] = _mm512_dpbusd_epi32(high_i32x16[r], w_u8x64[i], _mm512_set1_epi32(quad[0]));
        low_i32x16[r] = _mm512_dpbusd_epi32(low_i32x16[r], w_u8x64[i], _mm512_set1_epi32(quad[kQuads]));
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const __m512i dot_i32x16 = _mm512_add_epi32(_mm512_slli_epi32(high_i32x16[r], 8), low_i32x16[r]);
    sum_f32x16[r] = AddScaled(dot_i32x16, scale_f32x16, scale[r], sum_f32x16[r]);
  }
}

// All blocks of one column of 16 weight rows, times kRows activation rows in two parts.
template <typename Weights, int kRows>
void DirectTile(const std::byte* block, int blocks, const int32_t* x, const Output& out) {
  __m512 sum_f32x16[1][kRows];
  for (__m512& sum : sum_f32x16[0]) sum = _mm512_setzero_ps();
  for (int b = 0; b < blocks; ++b) {
    PrefetchStream(block);
#pragma GCC unroll 1
    for (int group = 0; group < kBlockGroups; ++group) {
      const std::byte* weights = block + kScaleBytes + group * Weights::kVectors * kVectorBytes;
      AddDirectGroup<Weights, kRows>(weights, WeightScales(block, group), x, sum_f32x16[0]);
      x += (2 * kQuads + 2) * kRows;
    }
    block += Weights::kBlockBytes;
  }
  StoreSums(sum_f32x16, out);
}

// ---------------------------------------------------------------------------------------------------------------------
// Matrix products.

struct Problem {
  const Tensor& w;
  int n_begin;
  int n_end;
  const int32_t* x;
  int m;
  float* y;
  int ldy;
};

// Where 16 weight rows lie.
template <typename Weights>
const std::byte* Column(const Problem& p, const Plan& plan, int n, int block) {
  return p.w.data + (Size(n / kLanes) * Size(plan.blocks) + Size(block)) * Weights::kBlockBytes;
}

Output OutputAt(const Problem& p, int row, int n, bool first, bool last) {
  Output out{p.y + static_cast<ptrdiff_t>(row) * p.ldy + n, p.ldy, {}, first, last ? p.w.scale : 1.0f};
  for (int c = 0; c < kTileColumns; ++c, n += kLanes) {
    out.lanes[c] = static_cast<__mmask16>(LowLanes(p.n_end - n) & ~LowLanes(p.n_begin - n));
  }
  return out;
}

template <typename Weights>
void RunDirect(const Problem& p, const Plan& plan) {
  constexpr void (*kTiles[])(const std::byte*, int, const int32_t*, const Output&) = {
      DirectTile<Weights, 1>, DirectTile<Weights, 2>, DirectTile<Weights, 3>, DirectTile<Weights, 4>,
      DirectTile<Weights, 5>, DirectTile<Weights, 6>, DirectTile<Weights, 7>, DirectTile<Weights, 8>};
  for (int n = p.n_begin / kLanes * kLanes; n < p.n_end; n += kLanes) {
    kTiles[p.m - 1](Column<Weights>(p, plan, n, 0), plan.blocks, p.x, OutputAt(p, 0, n, true, true));
  }
}

template <typename Weights, int kColumns, int kParts>
void RunTile(int rows, const std::byte* const* columns, int blocks, const int32_t* x, const Lines& lines,
             const Output& out) {
  constexpr void (*kTiles[])(const std::byte* const*, int, const int32_t*, const Lines&, const Output&) = {
      PanelTile<Weights, kColumns, 1, kParts>, PanelTile<Weights, kColumns, 2, kParts>,
      PanelTile<Weights, kColumns, 3, kParts>, PanelTile<Weights, kColumns, 4, kParts>,
      PanelTile<Weights, kColumns, 5, kParts>, PanelTile<Weights, kColumns, 6, kParts>};
  kTiles[rows - 1](columns, blocks, x, lines, out);
}

template <typename Weights, int kParts>
void RunPanels(const Problem& p, const Plan& plan) {
  for (int n = p.n_begin / kLanes * kLanes; n < p.n_end; n += kTileColumns * kLanes) {
    const bool both = n + kLanes < p.n_end;
    const auto run_tile = both ? RunTile<Weights, 2, kParts> : RunTile<Weights, 1, kParts>;
    for (int panel = 0; panel < plan.num_panels(); ++panel) {
      const int block = panel * plan.panel_blocks;
      const std::byte* columns[kTileColumns] = {Column<Weights>(p, plan, n, block),
                                                Column<Weights>(p, plan, both ? n + kLanes : n, block)};
      for (int row = 0; row < p.m; row += kTileRows) {
        run_tile(Min(kTileRows, p.m - row), columns, plan.blocks_of(panel), p.x + plan.offset(p.m, panel, row),
                 Lines(row / kTileRows, DivideRoundUp(p.m, kTileRows)), OutputAt(p, row, n, panel == 0, panel + 1 == plan.num_panels()));
      }
    }
  }
}

template <typename Weights>
void Run(const Problem& p, bool exact) {
  const Plan plan = MakePlan(p.m, p.w.cols, exact);
  if (IsDirect(p.m)) {
    RunDirect<Weights>(p, plan);
  } else if (plan.parts == 2) {
    RunPanels<Weights, 2>(p, plan);
  } else {
    RunPanels<Weights, 1>(p, plan);
  }
}

}  // namespace

size_t Int8PackedBytes(int m, int k) { return PackedBytes(m, k, false); }
size_t Int8PackedBytesExact(int m, int k) { return PackedBytes(m, k, true); }
size_t Int8ScratchBytes(int /*m*/, int /*k*/) { return 0; }

void PackForQ8P(const float* x, int ldx, int m, int k, std::byte* packed) {
  Pack<Q8P::kOffset>(x, ldx, m, k, false, packed);
}
void PackForQ8PExact(const float* x, int ldx, int m, int k, std::byte* packed) {
  Pack<Q8P::kOffset>(x, ldx, m, k, true, packed);
}
void PackForQ4P(const float* x, int ldx, int m, int k, std::byte* packed) {
  Pack<Q4P::kOffset>(x, ldx, m, k, false, packed);
}
void PackForQ4PExact(const float* x, int ldx, int m, int k, std::byte* packed) {
  Pack<Q4P::kOffset>(x, ldx, m, k, true, packed);
}

void RunQ8P(const Tensor& w, int n_begin, int n_end, const std::byte* packed, int m, float* y, int ldy,
            std::byte* /*scratch*/) {
  Run<Q8P>({w, n_begin, n_end, reinterpret_cast<const int32_t*>(packed), m, y, ldy}, false);
}
void RunQ8PExact(const Tensor& w, int n_begin, int n_end, const std::byte* packed, int m, float* y, int ldy,
                 std::byte* /*scratch*/) {
  Run<Q8P>({w, n_begin, n_end, reinterpret_cast<const int32_t*>(packed), m, y, ldy}, true);
}
void RunQ4P(const Tensor& w, int n_begin, int n_end, const std::byte* packed, int m, float* y, int ldy,
            std::byte* /*scratch*/) {
  Run<Q4P>({w, n_begin, n_end, reinterpret_cast<const int32_t*>(packed), m, y, ldy}, false);
}
void RunQ4PExact(const Tensor& w, int n_begin, int n_end, const std::byte* packed, int m, float* y, int ldy,
                 std::byte* /*scratch*/) {
  Run<Q4P>({w, n_begin, n_end, reinterpret_cast<const int32_t*>(packed), m, y, ldy}, true);
}

}  // namespace llmfw::avx512
