// AVX-512: operations on one row of float32, and the rate of dot products alone. Row ends are masked: missing lanes read
// as zero.
//
// The rules for this file are those of avx512.cc.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

#include "avx512_vectors.h"

#include <immintrin.h>

namespace llmfw::avx512 {
namespace {

constexpr int kLanes = 16;

// The lowest `count` of the lanes, which is at least 1.
__mmask16 LowLanes(int count) { return static_cast<__mmask16>(count >= kLanes ? 0xFFFFu : (1u << count) - 1u); }

__m512 Load16(const float* p, int count) { return _mm512_maskz_loadu_ps(LowLanes(count), p); }
void Store16(float* p, int count, __m512 v_f32x16) { _mm512_mask_storeu_ps(p, LowLanes(count), v_f32x16); }

// exp(x) = 2^i * exp(r), |r| <= ln(2) / 2, with exp(r) as its Taylor polynomial of degree 7 (truncation below 1e-8).
// The limits, beyond which the result is 0 or infinity anyway, keep infinite x from becoming NaN; NaN stays NaN.
__m512 Exp(__m512 x_f32x16) {
  x_f32x16 = _mm512_min_ps(_mm512_set1_ps(128.0f), _mm512_max_ps(_mm512_set1_ps(-128.0f), x_f32x16));
  const __m512 i_f32x16 = _mm512_roundscale_ps(_mm512_mul_ps(x_f32x16, _mm512_set1_ps(1.44269504f)),
                                               _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  // ln(2) in two pieces: the first has few enough bits that i times it is exact.
  __m512 r_f32x16 = _mm512_fnmadd_ps(i_f32x16, _mm512_set1_ps(0.693359375f), x_f32x16);
  r_f32x16 = _mm512_fnmadd_ps(i_f32x16, _mm512_set1_ps(-2.12194440e-4f), r_f32x16);
  __m512 p_f32x16 = _mm512_set1_ps(1.0f / 5040.0f);
  constexpr float kCoefficients[] = {1.0f / 720.0f, 1.0f / 120.0f, 1.0f / 24.0f, 1.0f / 6.0f, 0.5f, 1.0f, 1.0f};
#pragma GCC unroll 7
  for (const float c : kCoefficients) p_f32x16 = _mm512_fmadd_ps(p_f32x16, r_f32x16, _mm512_set1_ps(c));
  return _mm512_scalef_ps(p_f32x16, i_f32x16);
}

// tanh(x) = 1 - 2 / (1 + exp(2x)), and near zero, where that cancels, its odd Taylor polynomial up to x^13.
__m512 Tanh(__m512 x_f32x16) {
  const __m512 one_f32x16 = _mm512_set1_ps(1.0f);
  const __m512 e_f32x16 = Exp(_mm512_add_ps(x_f32x16, x_f32x16));
  const __m512 far_f32x16 =
      _mm512_sub_ps(one_f32x16, _mm512_div_ps(_mm512_set1_ps(2.0f), _mm512_add_ps(one_f32x16, e_f32x16)));
  const __m512 square_f32x16 = _mm512_mul_ps(x_f32x16, x_f32x16);
  __m512 p_f32x16 = _mm512_set1_ps(21844.0f / 6081075.0f);
  constexpr float kCoefficients[] = {-1382.0f / 155925.0f, 62.0f / 2835.0f, -17.0f / 315.0f, 2.0f / 15.0f,
                                     -1.0f / 3.0f};
#pragma GCC unroll 5
  for (const float c : kCoefficients) p_f32x16 = _mm512_fmadd_ps(p_f32x16, square_f32x16, _mm512_set1_ps(c));
  const __m512 near_f32x16 = _mm512_fmadd_ps(_mm512_mul_ps(p_f32x16, square_f32x16), x_f32x16, x_f32x16);
  const __mmask16 is_near = _mm512_cmp_ps_mask(_mm512_abs_ps(x_f32x16), _mm512_set1_ps(0.5f), _CMP_LT_OQ);
  return _mm512_mask_blend_ps(is_near, far_f32x16, near_f32x16);
}

// x / (1 + exp(-2u)), u = sqrt(2/pi) * (x + 0.044715 x^3): gelu_tanh without cancellation.
__m512 Gelu(__m512 x_f32x16) {
  const __m512 square_f32x16 = _mm512_mul_ps(x_f32x16, x_f32x16);
  const __m512 factor_f32x16 =
      _mm512_fmadd_ps(square_f32x16, _mm512_set1_ps(-1.5957691216f * 0.044715f), _mm512_set1_ps(-1.5957691216f));
  const __m512 e_f32x16 = Exp(_mm512_mul_ps(factor_f32x16, x_f32x16));
  return _mm512_div_ps(x_f32x16, _mm512_add_ps(_mm512_set1_ps(1.0f), e_f32x16));
}

float Max(const float* x, int n) {
  __m512 max_f32x16 = _mm512_set1_ps(x[0]);
  for (int i = 0; i < n; i += 16) {
    max_f32x16 = _mm512_mask_max_ps(max_f32x16, LowLanes(n - i), max_f32x16, Load16(x + i, n - i));
  }
  return _mm512_reduce_max_ps(max_f32x16);
}

// Twelve sums that do not wait for each other. The operands come from memory that the compiler knows nothing of, so that
// nothing is computed in advance.
constexpr int kDotSums = 12;

template <typename MultiplyAdd>
__m512i Dots(long rounds, const MultiplyAdd& multiply_add) {
  volatile int one = 1;
  const __m512i a = _mm512_set1_epi8(static_cast<char>(one));
  __m512i sums[kDotSums];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  for (long round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (__m512i& sum : sums) sum = multiply_add(sum, a);
  }
  for (const __m512i& sum : sums) sums[0] = _mm512_xor_si512(sums[0], sum);
  return sums[0];
}

// Something of the result has to be used, or none of it is computed.
long Counted(__m512i sums, long products) {
  const volatile int used = _mm512_cvtsi512_si32(sums);
  (void)used;
  return products;
}

}  // namespace

float Dot(const float* a, const float* b, int n) {
  __m512 sum_f32x16[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
  int i = 0;
  for (; i + 64 <= n; i += 64) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      sum_f32x16[j] =
          _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16 * j), _mm512_loadu_ps(b + i + 16 * j), sum_f32x16[j]);
    }
  }
  for (; i < n; i += 16) sum_f32x16[0] = _mm512_fmadd_ps(Load16(a + i, n - i), Load16(b + i, n - i), sum_f32x16[0]);
  return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sum_f32x16[0], sum_f32x16[1]),
                                            _mm512_add_ps(sum_f32x16[2], sum_f32x16[3])));
}

void Axpy(float a, const float* x, float* y, int n) {
  const __m512 a_f32x16 = _mm512_set1_ps(a);
  int i = 0;
  for (; i + 16 <= n; i += 16) {
    _mm512_storeu_ps(y + i, _mm512_fmadd_ps(a_f32x16, _mm512_loadu_ps(x + i), _mm512_loadu_ps(y + i)));
  }
  if (i < n) Store16(y + i, n - i, _mm512_fmadd_ps(a_f32x16, Load16(x + i, n - i), Load16(y + i, n - i)));
}

void RmsNorm(const float* x, const float* weight, float eps, float* y, int n) {
  const float mean_square = Dot(x, x, n) / static_cast<float>(n);
  const __m512 inverse_f32x16 = _mm512_set1_ps(1.0f / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(mean_square + eps))));
  const __m512 one_f32x16 = _mm512_set1_ps(1.0f);
  for (int i = 0; i < n; i += 16) {
    const __m512 gain_f32x16 = _mm512_add_ps(one_f32x16, Load16(weight + i, n - i));
    Store16(y + i, n - i, _mm512_mul_ps(_mm512_mul_ps(Load16(x + i, n - i), inverse_f32x16), gain_f32x16));
  }
}

void GeluMul(const float* gate, const float* up, float* y, int n) {
  for (int i = 0; i < n; i += 16) {
    Store16(y + i, n - i, _mm512_mul_ps(Gelu(Load16(gate + i, n - i)), Load16(up + i, n - i)));
  }
}

void SoftCap(float* x, float cap, int n) {
  const __m512 cap_f32x16 = _mm512_set1_ps(cap);
  for (int i = 0; i < n; i += 16) {
    const __m512 ratio_f32x16 = _mm512_div_ps(Load16(x + i, n - i), cap_f32x16);
    Store16(x + i, n - i, _mm512_mul_ps(cap_f32x16, Tanh(ratio_f32x16)));
  }
}

void Softmax(float* x, int n) {
  if (n == 0) return;
  const __m512 max_f32x16 = _mm512_set1_ps(Max(x, n));
  __m512 sum_f32x16 = _mm512_setzero_ps();
  for (int i = 0; i < n; i += 16) {
    const __m512 e_f32x16 = Exp(_mm512_sub_ps(Load16(x + i, n - i), max_f32x16));
    Store16(x + i, n - i, e_f32x16);
    sum_f32x16 = _mm512_mask_add_ps(sum_f32x16, LowLanes(n - i), sum_f32x16, e_f32x16);
  }
  const __m512 inverse_f32x16 = _mm512_set1_ps(1.0f / _mm512_reduce_add_ps(sum_f32x16));
  for (int i = 0; i < n; i += 16) Store16(x + i, n - i, _mm512_mul_ps(Load16(x + i, n - i), inverse_f32x16));
}

long Int8Dots(long rounds) {
  const auto multiply_add = [](__m512i sum, __m512i a) { return _mm512_dpbusd_epi32(sum, a, a); };
  return Counted(Dots(rounds, multiply_add), rounds * kDotSums * 64);
}

long BF16Dots(long rounds) {
  const auto multiply_add = [](__m512i sum, __m512i a) {
    return _mm512_castps_si512(_mm512_dpbf16_ps(_mm512_castsi512_ps(sum), (__m512bh)a, (__m512bh)a));
  };
  return Counted(Dots(rounds, multiply_add), rounds * kDotSums * 32);
}

}  // namespace llmfw::avx512
