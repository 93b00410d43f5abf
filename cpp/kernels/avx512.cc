// AVX-512 with bf16 dot products (Zen 4 and later, Sapphire Rapids and later).
//
// Leans on: vdpbf16ps (32 bf16 products a lane set, summed in float32), vpermi2b (a table of 128 bytes decodes SFP),
// masked loads (row ends; weights carry no alignment and no padding), vcvtph2ps, vscalefps (exp without range cases).
//
// One tile (Tile, below) does all matrix products: up to six activation rows times four weight rows, along k, all sums
// in registers, added across lanes only at the end. Two ways to feed it:
//  - few activation rows (decode): reading the weights is all the work. The tile reads them where they lie, decoding in
//    registers, four rows side by side, prefetching ahead.
//  - many rows (prefill): arithmetic is the work. A panel of weight rows x one block of k is decoded once into scratch
//    that stays in L2, and the tile walks over it with activations packed in the order it reads them.
//
// Numeric plan. F32 and F16 weights: float32 products and sums. BF16 and SFP (whose values all are bf16): products of
// bf16 pairs, exact, summed in float32. With few rows an activation is split into two bf16, x = high + low, exact to
// 2^-16, which costs nothing where memory is the limit; a row's result is then the same to the bit whatever the number
// of rows. With many it is rounded to one bf16 (by at most 2^-8 of itself, 2^-9.5 in the root mean square), in the exact
// kernels split in two as well. vdpbf16ps takes subnormals for zero, which no model notices.
//
// Only C headers here, everything in an anonymous namespace, and no inline function of another header is called: the
// linker must find no copy of shared code that is compiled for these instructions.
#if defined(__GNUC__) && !defined(__clang__)
// GCC's own intrinsics set aside a register with `__m512 y = y` (GCC bug 105593), and, where they are macros (-O0), put
// -1 in a mask.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "avx512_attention.h"
#include "avx512_groups.h"
#include "avx512_int8.h"
#include "avx512_vectors.h"
#include "kernels.h"

namespace llmfw {
namespace {

constexpr int kTileColumns = 4;     // weight rows of a tile
constexpr int kDirectTileRows = 4;  // activation rows of a tile that decodes as it reads
constexpr int kPanelTileRows = 6;   // 24 sums + 4 weights + 1 activation: 29 of the 32 registers
constexpr int kDirectRows = 8;      // up to so many activation rows, weights are read where they lie
constexpr int kPanelColumns = 32;   // weight rows of a panel
constexpr int kBlockGroups = 32;    // k of a panel, at most: 4 KiB a weight row, 24 KiB a tile of activations
constexpr size_t kPrefetchBytes = 2048;
constexpr size_t kShortRowBytes = 4096;

constexpr int kVectorBytes = 64;
constexpr int kGroupBytes = 2 * kVectorBytes;  // of one decoded row; a group is what two vectors hold

int Min(int a, int b) { return a < b ? a : b; }
int DivideRoundUp(int a, int b) { return (a + b - 1) / b; }
size_t Size(int n) { return static_cast<size_t>(n); }

// Asks for the line at p + offset. That may lie past the end of the weights: it is then ignored.
void Prefetch(const std::byte* p, size_t offset) {
  _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(p) + offset), _MM_HINT_T0);
}

// The lowest `count` of 64, 32 or 16 lanes; none for a negative count, all for a large one.
template <typename Mask>
Mask LowLanes(int count) {
  constexpr int kLanes = 8 * static_cast<int>(sizeof(Mask));
  if (count <= 0) return 0;
  if (count >= kLanes) return static_cast<Mask>(~0ull);
  return static_cast<Mask>((1ull << count) - 1);
}

// ---------------------------------------------------------------------------------------------------------------------
// Arithmetic: what a decoded vector holds, how it multiplies, how activations are brought into the same form.

struct F32Math {
  static constexpr int kLanes = 16;
  static constexpr int kGroup = 2 * kLanes;
  static constexpr int kDirectParts = 1;

  static __m512 MultiplyAdd(__m512 sum_f32x16, __m512i w, __m512i x) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(w), _mm512_castsi512_ps(x), sum_f32x16);
  }

  // Packs up to kLanes values, the missing ones as zeros.
  template <int kParts>
  static void Pack(const float* x, int count, __m512i* packed) {
    static_assert(kParts == 1);
    _mm512_store_si512(packed, _mm512_castps_si512(_mm512_maskz_loadu_ps(LowLanes<__mmask16>(count), x)));
  }

  static void Widen(__m512i v, __m512* out_f32x16) { out_f32x16[0] = _mm512_castsi512_ps(v); }
};

struct BF16Math {
  static constexpr int kLanes = 32;
  static constexpr int kGroup = 2 * kLanes;
  static constexpr int kDirectParts = 2;  // high, low

  static __m512 MultiplyAdd(__m512 sum_f32x16, __m512i w, __m512i x) {
    return _mm512_dpbf16_ps(sum_f32x16, (__m512bh)w, (__m512bh)x);
  }

  static __m512 FromBF16(__m256i v_bf16x16) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v_bf16x16), 16));
  }

  // The part of x_f32x16 that a bf16 does not hold.
  static __m512 Residue(__m512 x_f32x16) {
    return _mm512_sub_ps(x_f32x16, FromBF16((__m256i)_mm512_cvtneps_pbh(x_f32x16)));
  }

  template <int kParts>
  static void Pack(const float* x, int count, __m512i* packed) {
    const __m512 first_f32x16 = _mm512_maskz_loadu_ps(LowLanes<__mmask16>(count), x);
    const __m512 second_f32x16 =
        count > 16 ? _mm512_maskz_loadu_ps(LowLanes<__mmask16>(count - 16), x + 16) : _mm512_setzero_ps();
    _mm512_store_si512(packed, (__m512i)_mm512_cvtne2ps_pbh(second_f32x16, first_f32x16));
    if constexpr (kParts == 2) {
      _mm512_store_si512(packed + 1, (__m512i)_mm512_cvtne2ps_pbh(Residue(second_f32x16), Residue(first_f32x16)));
    }
  }

  static void Widen(__m512i v, __m512* out_f32x16) {
    out_f32x16[0] = FromBF16(_mm512_castsi512_si256(v));
    out_f32x16[1] = FromBF16(_mm512_extracti64x4_epi64(v, 1));
  }
};

// ---------------------------------------------------------------------------------------------------------------------
// Weight formats. Load decodes a whole group (Math::kGroup values, in order) into two vectors; LoadTail the first
// `count` values of one, and zeros.

struct F32Weights {
  using Math = F32Math;
  static constexpr int kValueBytes = 4;

  static void Load(const std::byte* p, __m512i (&w)[2]) {
    w[0] = _mm512_loadu_si512(p);
    w[1] = _mm512_loadu_si512(p + 64);
  }
  static void LoadTail(const std::byte* p, int count, __m512i (&w)[2]) {
    w[0] = _mm512_maskz_loadu_epi32(LowLanes<__mmask16>(count), p);
    w[1] = _mm512_maskz_loadu_epi32(LowLanes<__mmask16>(count - 16), p + 64);
  }
};

struct F16Weights {
  using Math = F32Math;
  static constexpr int kValueBytes = 2;

  static void Decode(__m512i halves_f16x32, __m512i (&w)[2]) {
    w[0] = _mm512_castps_si512(_mm512_cvtph_ps(_mm512_castsi512_si256(halves_f16x32)));
    w[1] = _mm512_castps_si512(_mm512_cvtph_ps(_mm512_extracti64x4_epi64(halves_f16x32, 1)));
  }
  static void Load(const std::byte* p, __m512i (&w)[2]) { Decode(_mm512_loadu_si512(p), w); }
  static void LoadTail(const std::byte* p, int count, __m512i (&w)[2]) {
    Decode(_mm512_maskz_loadu_epi16(LowLanes<__mmask32>(count), p), w);
  }
};

struct BF16Weights {
  using Math = BF16Math;
  static constexpr int kValueBytes = 2;

  static void Load(const std::byte* p, __m512i (&w)[2]) {
    w[0] = _mm512_loadu_si512(p);
    w[1] = _mm512_loadu_si512(p + 64);
  }
  static void LoadTail(const std::byte* p, int count, __m512i (&w)[2]) {
    w[0] = _mm512_maskz_loadu_epi16(LowLanes<__mmask32>(count), p);
    w[1] = _mm512_maskz_loadu_epi16(LowLanes<__mmask32>(count - 32), p + 64);
  }
};

// The bf16 of each of the 128 magnitudes: c << 5 over 0x34 + (c >> 3) below 64, c << 4 over 0x38 + (c >> 4) from there.
struct alignas(64) SFPTable {
  uint8_t low[128];
  uint8_t high[128];
};

constexpr SFPTable MakeSFPTable() {
  SFPTable table{};
  for (int c = 1; c < 128; ++c) {
    const int bits = c < 64 ? 0x3400 + (c << 5) : 0x3800 + (c << 4);
    table.low[c] = static_cast<uint8_t>(bits & 0xFF);
    table.high[c] = static_cast<uint8_t>(bits >> 8);
  }
  return table;
}

constexpr SFPTable kSFPTable = MakeSFPTable();

struct SFPWeights {
  using Math = BF16Math;
  static constexpr int kValueBytes = 1;

  static void Decode(__m512i bytes_u8x64, __m512i (&w)[2]) {
    const __m512i low0_u8x64 = _mm512_load_si512(kSFPTable.low);
    const __m512i low1_u8x64 = _mm512_load_si512(kSFPTable.low + 64);
    const __m512i high0_u8x64 = _mm512_load_si512(kSFPTable.high);
    const __m512i high1_u8x64 = _mm512_load_si512(kSFPTable.high + 64);
    // The unpacking below takes the low halves of the four 128-bit lanes first: put the first 32 values there.
    const __m512i order_u64x8 = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    const __m512i ordered_u8x64 = _mm512_permutexvar_epi64(order_u64x8, bytes_u8x64);
    // The lookup ignores bit 7, the sign.
    const __m512i low_u8x64 = _mm512_permutex2var_epi8(low0_u8x64, ordered_u8x64, low1_u8x64);
    const __m512i magnitude_u8x64 = _mm512_permutex2var_epi8(high0_u8x64, ordered_u8x64, high1_u8x64);
    // magnitude | (byte & 0x80)
    const __m512i high_u8x64 =
        _mm512_ternarylogic_epi32(magnitude_u8x64, ordered_u8x64, _mm512_set1_epi8(static_cast<char>(0x80)), 0xF8);
    w[0] = _mm512_unpacklo_epi8(low_u8x64, high_u8x64);
    w[1] = _mm512_unpackhi_epi8(low_u8x64, high_u8x64);
  }
  static void Load(const std::byte* p, __m512i (&w)[2]) { Decode(_mm512_loadu_si512(p), w); }
  static void LoadTail(const std::byte* p, int count, __m512i (&w)[2]) {
    Decode(_mm512_maskz_loadu_epi8(LowLanes<__mmask64>(count), p), w);
  }
};

// The form of a panel in scratch: what is already decoded.
template <typename Math>
struct DecodedForm;
template <>
struct DecodedForm<F32Math> {
  using Weights = F32Weights;
};
template <>
struct DecodedForm<BF16Math> {
  using Weights = BF16Weights;
};

// ---------------------------------------------------------------------------------------------------------------------
// How a product is cut up, and the layout of the packed activations that follows from it: [block of k][tile of
// rows][group][vector of two][row of tile][part], each a 64-byte vector; the last tile is narrower.

struct Plan {
  bool direct;
  int tile_rows;
  int parts;
  int groups;        // of the whole k
  int block_groups;  // of one block

  int num_blocks() const { return groups == 0 ? 1 : DivideRoundUp(groups, block_groups); }
  int groups_of(int block) const { return Min(block_groups, groups - block * block_groups); }
  // Where the tile that begins at `row` lies in the packed activations, in vectors.
  size_t offset(int m, int block, int row) const {
    return 2 * Size(parts) * (Size(m) * Size(block) * Size(block_groups) + Size(row) * Size(groups_of(block)));
  }
};

template <typename Math, bool kExact>
Plan MakePlan(int m, int k) {
  const int groups = DivideRoundUp(k, Math::kGroup);
  if (m <= kDirectRows) return {true, kDirectTileRows, Math::kDirectParts, groups, groups};
  const int num_blocks = DivideRoundUp(groups, kBlockGroups);
  const int parts = kExact ? Math::kDirectParts : 1;
  return {false, kPanelTileRows, parts, groups, num_blocks == 0 ? 0 : DivideRoundUp(groups, num_blocks)};
}

template <typename Math, bool kExact>
size_t PackedBytes(int m, int k) {
  const Plan plan = MakePlan<Math, kExact>(m, k);
  return Size(m) * Size(plan.groups) * Size(kGroupBytes) * Size(plan.parts);
}

template <typename Math, int kParts>
void PackTile(const float* x, int ldx, int rows, int k_begin, int k_end, __m512i* packed) {
  for (int k = k_begin; k < k_end; k += Math::kGroup) {
    for (int vector = 0; vector < 2; ++vector) {
      const int at = k + vector * Math::kLanes;
      for (int r = 0; r < rows; ++r) {
        const float* row = x + static_cast<ptrdiff_t>(r) * ldx;
        Math::template Pack<kParts>(at < k_end ? row + at : row, k_end - at, packed);
        packed += kParts;
      }
    }
  }
}

template <typename Math, bool kExact>
void Pack(const float* x, int ldx, int m, int k, std::byte* packed) {
  const Plan plan = MakePlan<Math, kExact>(m, k);
  auto* vectors = reinterpret_cast<__m512i*>(packed);
  const auto pack_tile = plan.parts == 1 ? PackTile<Math, 1> : PackTile<Math, Math::kDirectParts>;
  for (int block = 0; block < plan.num_blocks(); ++block) {
    const int k_begin = block * plan.block_groups * Math::kGroup;
    const int k_end = Min(k, k_begin + plan.block_groups * Math::kGroup);
    for (int row = 0; row < m; row += plan.tile_rows) {
      pack_tile(x + static_cast<ptrdiff_t>(row) * ldx, ldx, Min(plan.tile_rows, m - row), k_begin, k_end,
                vectors + plan.offset(m, block, row));
    }
  }
}

// Not a power of two, so that rows fall into different sets of the cache.
constexpr int kPanelRowBytes = kBlockGroups * kGroupBytes + kVectorBytes;

template <typename Math>
size_t ScratchBytes(int m, int k) {
  return MakePlan<Math, false>(m, k).direct ? 0 : Size(kPanelColumns) * Size(kPanelRowBytes);
}

// ---------------------------------------------------------------------------------------------------------------------
// The tile.

// Four weight rows; where fewer are left, the first again in place of the missing.
struct WeightRows {
  const std::byte* row[kTileColumns];
};

struct Output {
  float* y;  // of the tile's first activation row and first weight row
  int ldy;
  int columns;  // weight rows that are real
  float scale;
  bool add;  // to what is there: every block of k but the first
};

// The sums over the lanes of four vectors.
__m128 SumLanes(__m512 a, __m512 b, __m512 c, __m512 d) {
  const __m512 ab_f32x16 = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  const __m512 cd_f32x16 = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
  const __m512d ab_f64x8 = _mm512_castps_pd(ab_f32x16);
  const __m512d cd_f64x8 = _mm512_castps_pd(cd_f32x16);
  const __m512 abcd_f32x16 = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(ab_f64x8, cd_f64x8)),
                                           _mm512_castpd_ps(_mm512_unpackhi_pd(ab_f64x8, cd_f64x8)));
  const __m256 abcd_f32x8 = _mm256_add_ps(_mm512_castps512_ps256(abcd_f32x16), _mm512_extractf32x8_ps(abcd_f32x16, 1));
  return _mm_add_ps(_mm256_castps256_ps128(abcd_f32x8), _mm256_extractf128_ps(abcd_f32x8, 1));
}

// The order of the additions is the same for every kRows: a row's result does not depend on the rows beside it.
template <int kRows>
struct Sums {
  __m512 f32x16[kRows][kTileColumns];
};

// One group of every row: sums += w * x.
template <typename Weights, int kRows, int kParts, bool kTail>
[[gnu::always_inline]] inline void AddGroup(const WeightRows& weights, size_t at, int tail, const __m512i* x,
                                            Sums<kRows>& sums) {
  __m512i w[kTileColumns][2];
#pragma GCC unroll 4
  for (int n = 0; n < kTileColumns; ++n) {
    if constexpr (kTail) {
      Weights::LoadTail(weights.row[n] + at, tail, w[n]);
    } else {
      Weights::Load(weights.row[n] + at, w[n]);
    }
  }
#pragma GCC unroll 2
  for (int vector = 0; vector < 2; ++vector) {
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
      for (int part = 0; part < kParts; ++part) {
        const __m512i x_part = _mm512_load_si512(x + (vector * kRows + r) * kParts + part);
#pragma GCC unroll 4
        for (int n = 0; n < kTileColumns; ++n) {
          sums.f32x16[r][n] = Weights::Math::MultiplyAdd(sums.f32x16[r][n], w[n][vector], x_part);
        }
      }
    }
  }
}

template <int kRows>
[[gnu::always_inline]] inline void Store(const Sums<kRows>& sums, const Output& out) {
  const auto real = LowLanes<__mmask8>(out.columns);
  const __m128 scale_f32x4 = _mm_set1_ps(out.scale);
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
    float* y = out.y + static_cast<ptrdiff_t>(r) * out.ldy;
    const __m512(&row_f32x16)[kTileColumns] = sums.f32x16[r];
    const __m128 sum_f32x4 = SumLanes(row_f32x16[0], row_f32x16[1], row_f32x16[2], row_f32x16[3]);
    const __m128 before_f32x4 = out.add ? _mm_maskz_loadu_ps(real, y) : _mm_setzero_ps();
    _mm_mask_storeu_ps(y, real, _mm_fmadd_ps(sum_f32x4, scale_f32x4, before_f32x4));
  }
}

// What a tile asks the memory for while it multiplies, a little with each group. These prefetches cross page ends,
// which the hardware's own do not.

void PrefetchLines(const WeightRows& rows, size_t at) {
#pragma GCC unroll 4
  for (int n = 0; n < kTileColumns; ++n) Prefetch(rows.row[n], at);
}

// For a tile that reads long rows in place: what lies kPrefetchBytes further on in each. Near the end of the rows that
// is in the next four (rows lie packed).
template <typename Weights>
class PrefetchSameRows {
 public:
  PrefetchSameRows(const WeightRows& rows, size_t row_bytes) : rows_(rows), row_bytes_(row_bytes) {}
  void Next() {
    const size_t wrapped = at_ >= row_bytes_ ? at_ + (kTileColumns - 1) * row_bytes_ : at_;
    PrefetchLines(rows_, wrapped);
    if constexpr (kStep > 64) PrefetchLines(rows_, wrapped + 64);
    at_ += kStep;
  }

 private:
  static constexpr size_t kStep = size_t{Weights::Math::kGroup} * Weights::kValueBytes;
  const WeightRows rows_;
  const size_t row_bytes_;
  size_t at_ = kPrefetchBytes;
};

// For a tile that reads short rows in place: all of the next four, from end to end. At the end of the range these
// belong to another part of the product, and come early for whoever does that.
template <typename Weights>
class PrefetchNextRows {
 public:
  PrefetchNextRows(const WeightRows& rows, size_t row_bytes)
      : first_row_(rows.row[0]), at_(kTileColumns * row_bytes + kPrefetchBytes) {}
  void Next() {
#pragma GCC unroll 8
    for (size_t line = 0; line < kStep; line += 64) Prefetch(first_row_, at_ + line);
    at_ += kStep;
  }

 private:
  static constexpr size_t kStep = size_t{kTileColumns} * Weights::Math::kGroup * Weights::kValueBytes;
  const std::byte* const first_row_;
  size_t at_;
};

// For a tile of a panel: its share, bytes [begin, end), of four rows of the panel that comes next.
class PrefetchNextPanel {
 public:
  PrefetchNextPanel(const WeightRows& rows, size_t begin, size_t end) : rows_(rows), at_(begin), end_(end) {}
  void Next() {
    if (at_ >= end_) return;
    PrefetchLines(rows_, at_);
    at_ += 64;
  }

 private:
  const WeightRows rows_;
  size_t at_;
  const size_t end_;
};

// x: packed activations of this tile. k: values of each weight row.
template <typename Weights, int kRows, int kParts, typename Prefetcher>
void Tile(const WeightRows& weights, int k, const __m512i* x, Prefetcher prefetch, const Output& out) {
  constexpr int kGroup = Weights::Math::kGroup;
  constexpr size_t kWeightGroupBytes = size_t{kGroup} * Weights::kValueBytes;
  constexpr int kVectorsOfX = 2 * kRows * kParts;
  Sums<kRows> sums;
  for (auto& row_f32x16 : sums.f32x16) {
    for (__m512& sum_f32x16 : row_f32x16) sum_f32x16 = _mm512_setzero_ps();
  }
  size_t at = 0;
  for (int group = 0; group < k / kGroup; ++group) {
    prefetch.Next();
    AddGroup<Weights, kRows, kParts, false>(weights, at, kGroup, x, sums);
    at += kWeightGroupBytes;
    x += kVectorsOfX;
  }
  if (k % kGroup != 0) AddGroup<Weights, kRows, kParts, true>(weights, at, k % kGroup, x, sums);
  Store(sums, out);
}

template <typename Weights, int kParts, typename Prefetcher>
void TileOf(int rows, const WeightRows& weights, int k, const __m512i* x, const Prefetcher& prefetch,
            const Output& out) {
  switch (rows) {
    case 1:
      return Tile<Weights, 1, kParts>(weights, k, x, prefetch, out);
    case 2:
      return Tile<Weights, 2, kParts>(weights, k, x, prefetch, out);
    case 3:
      return Tile<Weights, 3, kParts>(weights, k, x, prefetch, out);
    case 4:
      return Tile<Weights, 4, kParts>(weights, k, x, prefetch, out);
    case 5:
      return Tile<Weights, 5, kParts>(weights, k, x, prefetch, out);
    default:
      return Tile<Weights, 6, kParts>(weights, k, x, prefetch, out);
  }
}

WeightRows RowsAt(const std::byte* first, size_t row_bytes, int count) {
  WeightRows rows;
  for (int n = 0; n < kTileColumns; ++n) rows.row[n] = first + (n < count ? Size(n) * row_bytes : 0);
  return rows;
}

// ---------------------------------------------------------------------------------------------------------------------
// Matrix products.

struct Problem {
  const Tensor& w;
  const __m512i* x;
  int m;
  float* y;
  int ldy;
};

template <typename Weights, typename Prefetcher>
void RunDirect(const Problem& p, const Plan& plan, int n_begin, int n_end) {
  const size_t row_bytes = Size(p.w.cols) * Weights::kValueBytes;
  for (int n = n_begin; n < n_end; n += kTileColumns) {
    const int columns = Min(kTileColumns, n_end - n);
    const WeightRows rows = RowsAt(p.w.data + Size(n) * row_bytes, row_bytes, columns);
    const Prefetcher prefetch(rows, row_bytes);
    for (int r = 0; r < p.m; r += kDirectTileRows) {
      const Output out{p.y + static_cast<ptrdiff_t>(r) * p.ldy + n, p.ldy, columns, p.w.scale, false};
      TileOf<Weights, Weights::Math::kDirectParts>(Min(kDirectTileRows, p.m - r), rows, p.w.cols,
                                                   p.x + plan.offset(p.m, 0, r), prefetch, out);
    }
  }
}

// Decodes k values of a weight row into whole groups. Meanwhile the memory fetches the same of the row `ahead` bytes
// on.
template <typename Weights>
void DecodeGroups(const std::byte* from, int k, size_t ahead, std::byte* to) {
  constexpr int kGroup = Weights::Math::kGroup;
  __m512i w[2];
  for (; k > 0; k -= kGroup) {
    for (size_t line = 0; line < kGroup * Weights::kValueBytes; line += 64) {
      Prefetch(from, ahead + line);
    }
    if (k >= kGroup) {
      Weights::Load(from, w);
    } else {
      Weights::LoadTail(from, k, w);
    }
    _mm512_store_si512(to, w[0]);
    _mm512_store_si512(to + kVectorBytes, w[1]);
    from += kGroup * Weights::kValueBytes;
    to += kGroupBytes;
  }
}

// Weight rows [n, n + columns), values [k_begin, k_begin + k) of each.
struct Panel {
  int block;
  int n;
  int columns;
  int k_begin;
  int k;
};

template <typename Weights>
Panel PanelAt(const Problem& p, const Plan& plan, int block, int n, int n_end) {
  const int block_values = plan.block_groups * Weights::Math::kGroup;
  const int k_begin = block * block_values;
  return {block, n, Min(kPanelColumns, n_end - n), k_begin, Min(p.w.cols - k_begin, block_values)};
}

template <typename Weights>
const std::byte* PanelRow(const Problem& p, const Panel& panel, int column) {
  return p.w.data + (Size(panel.n + column) * Size(p.w.cols) + Size(panel.k_begin)) * Weights::kValueBytes;
}

template <typename Weights>
void DecodePanel(const Problem& p, const Panel& panel, std::byte* decoded) {
  const size_t two_rows_on = 2 * Size(p.w.cols) * Weights::kValueBytes;
  for (int c = 0; c < panel.columns; ++c) {
    DecodeGroups<Weights>(PanelRow<Weights>(p, panel, c), panel.k, two_rows_on,
                          decoded + Size(c) * Size(kPanelRowBytes));
  }
}

// The (up to) four rows of the next panel that are fetched while the tile at column c is computed.
template <typename Weights>
WeightRows NextRows(const Problem& p, const Panel& next, int c) {
  const int first = c < next.columns ? c : 0;
  return RowsAt(PanelRow<Weights>(p, next, first), Size(p.w.cols) * Weights::kValueBytes,
                Min(kTileColumns, next.columns - first));
}

// A decoded panel times all activation rows. A tile of activations stays in L1 while the weights of the panel pass by;
// meanwhile `next`, encoded, comes from memory.
template <typename Weights, int kParts>
void MultiplyPanel(const Problem& p, const Plan& plan, const Panel& panel, const Panel& next,
                   const std::byte* decoded) {
  using Math = typename Weights::Math;
  const int k = plan.groups_of(panel.block) * Math::kGroup;
  const int row_tiles = DivideRoundUp(p.m, kPanelTileRows);
  const size_t next_lines = next.columns > 0 ? Size(next.k) * Weights::kValueBytes / 64 + 1 : 0;
  for (int tile = 0; tile < row_tiles; ++tile) {
    const int r = tile * kPanelTileRows;
    for (int c = 0; c < panel.columns; c += kTileColumns) {
      const int columns = Min(kTileColumns, panel.columns - c);
      const WeightRows rows = RowsAt(decoded + Size(c) * Size(kPanelRowBytes), Size(kPanelRowBytes), columns);
      const WeightRows next_rows = NextRows<Weights>(p, next, c);
      const PrefetchNextPanel prefetch(next_rows, next_lines * Size(tile) / Size(row_tiles) * 64,
                                       next_lines * Size(tile + 1) / Size(row_tiles) * 64);
      float* y = p.y + static_cast<ptrdiff_t>(r) * p.ldy + panel.n + c;
      const Output out{y, p.ldy, columns, p.w.scale, panel.block != 0};
      TileOf<typename DecodedForm<Math>::Weights, kParts>(Min(kPanelTileRows, p.m - r), rows, k,
                                                     p.x + plan.offset(p.m, panel.block, r), prefetch, out);
    }
  }
}

template <typename Weights, int kParts>
void RunPanels(const Problem& p, const Plan& plan, int n_begin, int n_end, std::byte* decoded) {
  Panel panel = PanelAt<Weights>(p, plan, 0, n_begin, n_end);
  while (panel.columns > 0) {
    const bool last_block = panel.block + 1 >= plan.num_blocks();
    const Panel next = last_block ? PanelAt<Weights>(p, plan, 0, panel.n + panel.columns, n_end)
                                  : PanelAt<Weights>(p, plan, panel.block + 1, panel.n, n_end);
    DecodePanel<Weights>(p, panel, decoded);
    MultiplyPanel<Weights, kParts>(p, plan, panel, next, decoded);
    panel = next;
  }
}

template <typename Weights, bool kExact>
void Run(const Tensor& w, int n_begin, int n_end, const std::byte* packed, int m, float* y, int ldy,
         std::byte* scratch) {
  using Math = typename Weights::Math;
  const Plan plan = MakePlan<Math, kExact>(m, w.cols);
  const Problem problem{w, reinterpret_cast<const __m512i*>(packed), m, y, ldy};
  if (plan.direct && Size(w.cols) * Weights::kValueBytes <= kShortRowBytes) {
    RunDirect<Weights, PrefetchNextRows<Weights>>(problem, plan, n_begin, n_end);
  } else if (plan.direct) {
    RunDirect<Weights, PrefetchSameRows<Weights>>(problem, plan, n_begin, n_end);
  } else {
    RunPanels<Weights, kExact ? Math::kDirectParts : 1>(problem, plan, n_begin, n_end, scratch);
  }
}

template <typename Weights, bool kExact>
constexpr MatMulKernel MatMulFor() {
  using Math = typename Weights::Math;
  return {PackedBytes<Math, kExact>, Pack<Math, kExact>, ScratchBytes<Math>, Run<Weights, kExact>};
}

template <typename Weights>
void DecodeRowAs(const Tensor& w, int row, float* out) {
  using Math = typename Weights::Math;
  constexpr int kFloats = Math::kGroup / 16;  // vectors of 16
  const std::byte* from = w.data + Size(row) * Size(w.cols) * Weights::kValueBytes;
  const __m512 scale_f32x16 = _mm512_set1_ps(w.scale);
  for (int c = 0; c < w.cols; c += Math::kGroup) {
    __m512i v[2];
    __m512 f32x16[kFloats];
    if (w.cols - c >= Math::kGroup) {
      Weights::Load(from, v);
    } else {
      Weights::LoadTail(from, w.cols - c, v);
    }
    Math::Widen(v[0], f32x16);
    Math::Widen(v[1], f32x16 + kFloats / 2);
    for (int i = 0; i < kFloats && c + 16 * i < w.cols; ++i) {
      _mm512_mask_storeu_ps(out + c + 16 * i, LowLanes<__mmask16>(w.cols - c - 16 * i),
                            _mm512_mul_ps(f32x16[i], scale_f32x16));
    }
    from += Math::kGroup * Weights::kValueBytes;
  }
}

// Formats that encode several values together: some rows are decoded into scratch at a time, then multiplied from there
// like float32 weights.

constexpr int kGroupedDirectRows = 4;
constexpr int kGroupedPanelRows = 16;

int GroupedRows(int m) { return m <= kDirectRows ? kGroupedDirectRows : kGroupedPanelRows; }

// Of the decoded rows; behind them comes what the product itself needs.
size_t GroupedBytes(int m, int k) {
  return Size(DivideRoundUp(GroupedRows(m) * k, 16)) * Size(kVectorBytes);
}

size_t GroupedScratchBytes(int m, int k) { return GroupedBytes(m, k) + ScratchBytes<F32Math>(m, k); }

void RunGrouped(const Tensor& w, int n_begin, int n_end, const std::byte* packed, int m, float* y, int ldy,
                std::byte* scratch) {
  auto* decoded = reinterpret_cast<float*>(scratch);
  const int step = GroupedRows(m);
  for (int n = n_begin; n < n_end; n += step) {
    const int rows = Min(step, n_end - n);
    for (int i = 0; i < rows; ++i) Avx512DecodeGroupedRow(w, n + i, 1.0f, decoded + static_cast<ptrdiff_t>(i) * w.cols);
    const Tensor f32{scratch, WeightType::kF32, rows, w.cols, w.scale};
    Run<F32Weights, false>(f32, 0, rows, packed, m, y + n, ldy, scratch + GroupedBytes(m, w.cols));
  }
}

constexpr MatMulKernel kGroupedMatMul = {PackedBytes<F32Math, false>, Pack<F32Math, false>, GroupedScratchBytes, RunGrouped};

void DecodeRow(const Tensor& w, int row, float* out) {
  switch (w.type) {
    case WeightType::kF32:
      return DecodeRowAs<F32Weights>(w, row, out);
    case WeightType::kF16:
      return DecodeRowAs<F16Weights>(w, row, out);
    case WeightType::kBF16:
      return DecodeRowAs<BF16Weights>(w, row, out);
    case WeightType::kSFP:
      return DecodeRowAs<SFPWeights>(w, row, out);
    case WeightType::kQ8P:
    case WeightType::kQ4P:
      return ScalarKernels().decode_row(w, row, out);  // a row lies scattered over its blocks
    default:
      return Avx512DecodeGroupedRow(w, row, w.scale, out);
  }
}

#define LLMFW_GROUPED                                                                             \
  kGroupedMatMul, kGroupedMatMul, kGroupedMatMul, kGroupedMatMul, kGroupedMatMul, kGroupedMatMul, \
      kGroupedMatMul, kGroupedMatMul, kGroupedMatMul, kGroupedMatMul

constexpr KernelTable kTable = {
    .isa = "avx512",
    .packs = true,
    .matmul = {MatMulFor<F32Weights, false>(), MatMulFor<F16Weights, false>(), MatMulFor<BF16Weights, false>(),
               MatMulFor<SFPWeights, false>(), LLMFW_GROUPED, avx512::kQ8PMatMul, avx512::kQ4PMatMul},
    .matmul_exact = {MatMulFor<F32Weights, false>(), MatMulFor<F16Weights, false>(), MatMulFor<BF16Weights, true>(),
                     MatMulFor<SFPWeights, true>(), LLMFW_GROUPED, avx512::kQ8PMatMulExact, avx512::kQ4PMatMulExact},
    .decode_row = DecodeRow,
    .dot = avx512::Dot,
    .axpy = avx512::Axpy,
    .dot_rows = avx512::DotRows,
    .add_rows = avx512::AddRows,
    .rms_norm = avx512::RmsNorm,
    .gelu_mul = avx512::GeluMul,
    .softcap = avx512::SoftCap,
    .softmax = avx512::Softmax,
    .int8_dots = avx512::Int8Dots,
    .bf16_dots = avx512::BF16Dots,
};

}  // namespace

const KernelTable& Avx512Kernels() { return kTable; }

}  // namespace llmfw
