// AVX-512: queries times keys, and weights times values, both in float32.
//
// Tiles keep all their sums in registers, so that a key or value, once loaded, serves several queries. Whatever the
// tile, a product is summed along k in one vector and added across its lanes at the end, and values are added in order:
// a query's result does not depend on the queries beside it.
//
// The rules for this file are those of avx512.cc.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

#include "avx512_attention.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

namespace llmfw::avx512 {
namespace {

constexpr int kLanes = 16;
constexpr int kTileRows = 4;      // queries
constexpr int kTileColumns = 4;   // keys
constexpr int kTileVectors = 4;   // of values, along k

__mmask16 LowLanes(int count) { return static_cast<__mmask16>(count >= kLanes ? 0xFFFFu : (1u << count) - 1u); }

// The sums over the lanes of four vectors.
__m128 SumLanes(const __m512 (&v)[kTileColumns]) {
  const __m512 ab_f32x16 = _mm512_add_ps(_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1]));
  const __m512 cd_f32x16 = _mm512_add_ps(_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3]));
  const __m512d ab_f64x8 = _mm512_castps_pd(ab_f32x16);
  const __m512d cd_f64x8 = _mm512_castps_pd(cd_f32x16);
  const __m512 abcd_f32x16 = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(ab_f64x8, cd_f64x8)),
                                           _mm512_castpd_ps(_mm512_unpackhi_pd(ab_f64x8, cd_f64x8)));
  const __m256 abcd_f32x8 = _mm256_add_ps(_mm512_castps512_ps256(abcd_f32x16), _mm512_extractf32x8_ps(abcd_f32x16, 1));
  return _mm_add_ps(_mm256_castps256_ps128(abcd_f32x8), _mm256_extractf128_ps(abcd_f32x8, 1));
}

// One step along k of a tile: sums[i][j] += a_i * b_j. Keys that are not there repeat the first.
template <int kRows>
[[gnu::always_inline]] inline void AddProducts(const float* a, ptrdiff_t lda, const float* const (&b)[kTileColumns],
                                               int at, __mmask16 lanes, __m512 (&sums)[kRows][kTileColumns]) {
  __m512 b_f32x16[kTileColumns];
#pragma GCC unroll 4
  for (int j = 0; j < kTileColumns; ++j) b_f32x16[j] = _mm512_maskz_loadu_ps(lanes, b[j] + at);
#pragma GCC unroll 4
  for (int i = 0; i < kRows; ++i) {
    const __m512 a_f32x16 = _mm512_maskz_loadu_ps(lanes, a + i * lda + at);
#pragma GCC unroll 4
    for (int j = 0; j < kTileColumns; ++j) sums[i][j] = _mm512_fmadd_ps(a_f32x16, b_f32x16[j], sums[i][j]);
  }
}

template <int kRows>
void DotTile(const float* a, ptrdiff_t lda, const float* first_b, ptrdiff_t ldb, int columns, int k, float* y,
             ptrdiff_t ldy) {
  const float* b[kTileColumns];
  for (int j = 0; j < kTileColumns; ++j) b[j] = first_b + (j < columns ? j * ldb : 0);
  __m512 sums[kRows][kTileColumns];
  for (auto& row : sums) {
    for (__m512& sum : row) sum = _mm512_setzero_ps();
  }
  int at = 0;
  for (; at + kLanes <= k; at += kLanes) AddProducts<kRows>(a, lda, b, at, 0xFFFF, sums);
  if (at < k) AddProducts<kRows>(a, lda, b, at, LowLanes(k - at), sums);
  const auto real = static_cast<__mmask8>(LowLanes(columns));
#pragma GCC unroll 4
  for (int i = 0; i < kRows; ++i) _mm_mask_storeu_ps(y + i * ldy, real, SumLanes(sums[i]));
}

// All of y's values at [at, at + 16 * kVectors) of kRows rows.
template <int kRows, int kVectors>
void AddTile(const float* w, ptrdiff_t ldw, const float* v, ptrdiff_t ldv, int n, __mmask16 lanes, float* y,
             ptrdiff_t ldy) {
  __m512 sums[kRows][kVectors];
#pragma GCC unroll 4
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int c = 0; c < kVectors; ++c) sums[i][c] = _mm512_maskz_loadu_ps(lanes, y + i * ldy + c * kLanes);
  }
  for (int j = 0; j < n; ++j, v += ldv) {
    __m512 v_f32x16[kVectors];
#pragma GCC unroll 4
    for (int c = 0; c < kVectors; ++c) v_f32x16[c] = _mm512_maskz_loadu_ps(lanes, v + c * kLanes);
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      const __m512 w_f32x16 = _mm512_set1_ps(w[i * ldw + j]);
#pragma GCC unroll 4
      for (int c = 0; c < kVectors; ++c) sums[i][c] = _mm512_fmadd_ps(w_f32x16, v_f32x16[c], sums[i][c]);
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int c = 0; c < kVectors; ++c) _mm512_mask_storeu_ps(y + i * ldy + c * kLanes, lanes, sums[i][c]);
  }
}

template <int kRows>
void DotRowsOf(const float* a, ptrdiff_t lda, const float* b, ptrdiff_t ldb, int n, int k, float* y, ptrdiff_t ldy) {
  for (int j = 0; j < n; j += kTileColumns) {
    DotTile<kRows>(a, lda, b + j * ldb, ldb, n - j < kTileColumns ? n - j : kTileColumns, k, y + j, ldy);
  }
}

template <int kRows>
void AddRowsOf(const float* w, ptrdiff_t ldw, const float* v, ptrdiff_t ldv, int n, int k, float* y, ptrdiff_t ldy) {
  constexpr int kWide = kTileVectors * kLanes;
  int at = 0;
  for (; at + kWide <= k; at += kWide) AddTile<kRows, kTileVectors>(w, ldw, v + at, ldv, n, 0xFFFF, y + at, ldy);
  for (; at < k; at += kLanes) AddTile<kRows, 1>(w, ldw, v + at, ldv, n, LowLanes(k - at), y + at, ldy);
}

}  // namespace

void DotRows(const float* a, ptrdiff_t lda, int m, const float* b, ptrdiff_t ldb, int n, int k, float* y,
             ptrdiff_t ldy) {
  int i = 0;
  for (; i + kTileRows <= m; i += kTileRows) DotRowsOf<kTileRows>(a + i * lda, lda, b, ldb, n, k, y + i * ldy, ldy);
  const float* rest = a + i * lda;
  if (m - i == 3) DotRowsOf<3>(rest, lda, b, ldb, n, k, y + i * ldy, ldy);
  if (m - i == 2) DotRowsOf<2>(rest, lda, b, ldb, n, k, y + i * ldy, ldy);
  if (m - i == 1) DotRowsOf<1>(rest, lda, b, ldb, n, k, y + i * ldy, ldy);
}

void AddRows(const float* w, ptrdiff_t ldw, int m, const float* v, ptrdiff_t ldv, int n, int k, float* y,
             ptrdiff_t ldy) {
  int i = 0;
  for (; i + kTileRows <= m; i += kTileRows) AddRowsOf<kTileRows>(w + i * ldw, ldw, v, ldv, n, k, y + i * ldy, ldy);
  const float* rest = w + i * ldw;
  if (m - i == 3) AddRowsOf<3>(rest, ldw, v, ldv, n, k, y + i * ldy, ldy);
  if (m - i == 2) AddRowsOf<2>(rest, ldw, v, ldv, n, k, y + i * ldy, ldy);
  if (m - i == 1) AddRowsOf<1>(rest, ldw, v, ldv, n, k, y + i * ldy, ldy);
}

}  // namespace llmfw::avx512
