// AVX2 with FMA and F16C (x86-64-v3: Haswell, Zen, and later).
//
// What is particular to it: vectors of 8 float32; SFP decoded by two lookups of 16 bytes; integer dot products by
// vpmaddwd, which multiplies pairs of 16-bit integers. So activations of packed weights are int16, always: as exact as
// two int8 parts and no slower than one (vpmaddubsw would need signs moved about, as it saturates). A vector of packed
// weights has four columns of eight rows; its even and its odd bytes are two operands, and no lane ever has to move.
//
// The kernels are in the vector_*.h headers, which see what is defined here. Only C headers, everything in an anonymous
// namespace, and no inline function of another header is called, as in avx512.cc.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC bug 105593
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels.h"

namespace llmfw {
namespace {

alignas(32) constexpr int32_t kMasks[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

struct V {
  using F = __m256;
  static constexpr int kLanes = 8;

  static F Zero() { return _mm256_setzero_ps(); }
  static F Set(float v) { return _mm256_set1_ps(v); }
  static F Load(const float* p) { return _mm256_loadu_ps(p); }
  static void Store(float* p, F v) { _mm256_storeu_ps(p, v); }
  // The first `count` lanes, 1 to 8; the others read as zeros.
  static __m256i Mask(int count) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMasks + 8 - count)); }
  static F LoadFirst(const float* p, int count) { return _mm256_maskload_ps(p, Mask(count)); }
  static void StoreFirst(float* p, int count, F v) { _mm256_maskstore_ps(p, Mask(count), v); }
  static F LoadHalves(const std::byte* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
  static float Half(uint16_t bits) { return _cvtsh_ss(bits); }

  static F Add(F a, F b) { return _mm256_add_ps(a, b); }
  static F Sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F Mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F Div(F a, F b) { return _mm256_div_ps(a, b); }
  static F Sqrt(F a) { return _mm256_sqrt_ps(a); }
  static F MulAdd(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  // b where one of them is NaN.
  static F Min(F a, F b) { return _mm256_min_ps(a, b); }
  static F Max(F a, F b) { return _mm256_max_ps(a, b); }
  static F Abs(F a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
  static F Round(F a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  // 2^i for whole numbers in [-126, 127].
  static F Power2(F i) {
    const __m256i exponent_i32x8 = _mm256_add_epi32(_mm256_cvtps_epi32(i), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent_i32x8, 23));
  }
  static F WhereLess(F a, F b, F less, F other) {
    return _mm256_blendv_ps(other, less, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
  }

  static __m128 SumHalves(F v) { return _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1)); }
  static void SumLanesOf4(F a, F b, F c, F d, float* out) {
    _mm_storeu_ps(out, SumHalves(_mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d))));
  }
  static float SumLanes(F v) {
    const __m128 pairs = _mm_hadd_ps(SumHalves(v), SumHalves(v));
    return _mm_cvtss_f32(_mm_hadd_ps(pairs, pairs));
  }
  static float LargestLane(F v) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
};

// 12 sums, three activations, one weight: all 16 registers.
constexpr int kTileRows = 3;

// ---------------------------------------------------------------------------------------------------------------------
// Weights of one value each.

__m128i Load16(const std::byte* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
__m256i Load32(const std::byte* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }

__m256 FromBF16(__m128i v_bf16x8) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v_bf16x8), 16));
}

struct F32Weights {
  static constexpr int kValueBytes = 4;
  static constexpr int kVectors = 2;
  static constexpr bool kPrefetches = true;
  [[gnu::always_inline]] static inline void Load(const std::byte* p, V::F (&w)[2]) {
    w[0] = V::Load(reinterpret_cast<const float*>(p));
    w[1] = V::Load(reinterpret_cast<const float*>(p) + 8);
  }
};

struct F16Weights {
  static constexpr int kValueBytes = 2;
  static constexpr int kVectors = 2;
  static constexpr bool kPrefetches = true;
  [[gnu::always_inline]] static inline void Load(const std::byte* p, V::F (&w)[2]) {
    w[0] = V::LoadHalves(p);
    w[1] = V::LoadHalves(p + 16);
  }
};

struct BF16Weights {
  static constexpr int kValueBytes = 2;
  static constexpr int kVectors = 2;
  static constexpr bool kPrefetches = true;
  [[gnu::always_inline]] static inline void Load(const std::byte* p, V::F (&w)[2]) {
    w[0] = FromBF16(Load16(p));
    w[1] = FromBF16(Load16(p + 16));
  }
};

// As bf16, the low seven bits c of an SFP byte are c << 5 over 0x3400 below 64, c << 4 over 0x3800 from there, and zero
// for zero. So the upper byte depends on the upper four bits, the lower byte on the lower four, in two ways.
// The bf16 of 32 SFP bytes: values 0..7 and 16..23, then the others.
[[gnu::always_inline]] inline void DecodeSFPBytes(__m256i bytes_u8x32, __m256i& first_bf16x16, __m256i& second_bf16x16) {
  const __m256i low4 = _mm256_set1_epi8(15);
  const __m128i upper_u8x16 =
      _mm_setr_epi8(0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3C, 0x3D, 0x3D, 0x3E, 0x3E, 0x3F, 0x3F);
  const __m256i index_u8x32 = _mm256_and_si256(_mm256_srli_epi16(bytes_u8x32, 3), low4);
  const __m256i high_u8x32 = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(upper_u8x16), index_u8x32);
  // The lower byte: (c & 7) << 5 or (c & 15) << 4.
  const __m256i large_u8x32 = _mm256_slli_epi16(_mm256_and_si256(bytes_u8x32, low4), 4);
  const __m256i small_u8x32 = _mm256_add_epi8(large_u8x32, large_u8x32);
  const __m256i is_large = _mm256_add_epi8(bytes_u8x32, bytes_u8x32);  // bit 6 in the place of bit 7
  const __m256i low_u8x32 = _mm256_blendv_epi8(small_u8x32, large_u8x32, is_large);
  const __m256i is_zero = _mm256_cmpeq_epi8(is_large, _mm256_setzero_si256());
  const __m256i sign_u8x32 = _mm256_and_si256(bytes_u8x32, _mm256_set1_epi8(-128));
  const __m256i signed_u8x32 = _mm256_or_si256(_mm256_andnot_si256(is_zero, high_u8x32), sign_u8x32);
  first_bf16x16 = _mm256_unpacklo_epi8(low_u8x32, signed_u8x32);
  second_bf16x16 = _mm256_unpackhi_epi8(low_u8x32, signed_u8x32);
}

struct SFPWeights {
  static constexpr int kValueBytes = 1;
  static constexpr int kVectors = 4;
  static constexpr bool kPrefetches = true;
  [[gnu::always_inline]] static inline void Load(const std::byte* p, V::F (&w)[4]) {
    __m256i first_bf16x16, second_bf16x16;
    DecodeSFPBytes(Load32(p), first_bf16x16, second_bf16x16);
    w[0] = FromBF16(_mm256_castsi256_si128(first_bf16x16));
    w[1] = FromBF16(_mm256_castsi256_si128(second_bf16x16));
    w[2] = FromBF16(_mm256_extracti128_si256(first_bf16x16, 1));
    w[3] = FromBF16(_mm256_extracti128_si256(second_bf16x16, 1));
  }
};

// ---------------------------------------------------------------------------------------------------------------------
// Sixteen bytes.

struct B {
  using Bytes = __m128i;

  static Bytes Load(const std::byte* p) { return Load16(p); }
  static Bytes Set(int v) { return _mm_set1_epi8(static_cast<char>(v)); }
  static Bytes And(Bytes a, Bytes b) { return _mm_and_si128(a, b); }
  static Bytes Or(Bytes a, Bytes b) { return _mm_or_si128(a, b); }
  template <int kBits>
  static Bytes ShiftRight(Bytes a) {
    return _mm_and_si128(_mm_srli_epi16(a, kBits), Set(255 >> kBits));
  }
  template <int kBits>
  static Bytes ShiftLeft(Bytes a) {
    return _mm_and_si128(_mm_slli_epi16(a, kBits), Set(255 << kBits & 255));
  }
  // All ones where a & b is b, which has one bit.
  static Bytes Test(Bytes a, Bytes b) { return _mm_cmpeq_epi8(_mm_and_si128(a, b), b); }
  // All ones for each bit that is set, the lowest first.
  static Bytes MaskOfBits(uint16_t bits) {
    const __m128i both = _mm_set1_epi16(static_cast<int16_t>(bits));
    const __m128i spread = _mm_shuffle_epi8(both, _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
    return Test(spread, _mm_set1_epi64x(static_cast<int64_t>(0x8040201008040201u)));
  }
  static Bytes Lookup(Bytes table, Bytes index) { return _mm_shuffle_epi8(table, index); }
  static Bytes ZipLow(Bytes a, Bytes b) { return _mm_unpacklo_epi8(a, b); }
  static Bytes ZipHigh(Bytes a, Bytes b) { return _mm_unpackhi_epi8(a, b); }

  static void Put(__m256i q_i32x8, float d, float m, float* out) {
    V::Store(out, V::MulAdd(_mm256_cvtepi32_ps(q_i32x8), V::Set(d), V::Set(m)));
  }
  // out = q * d + m
  static void PutUnsigned(Bytes q, float d, float m, float* out) {
    Put(_mm256_cvtepu8_epi32(q), d, m, out);
    Put(_mm256_cvtepu8_epi32(_mm_unpackhi_epi64(q, q)), d, m, out + 8);
  }
  static void PutSigned(Bytes q, float d, float m, float* out) {
    Put(_mm256_cvtepi8_epi32(q), d, m, out);
    Put(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(q, q)), d, m, out + 8);
  }
  static void PutSFP(Bytes codes, float* out) {
    __m256i first_bf16x16, second_bf16x16;
    DecodeSFPBytes(_mm256_castsi128_si256(codes), first_bf16x16, second_bf16x16);
    V::Store(out, FromBF16(_mm256_castsi256_si128(first_bf16x16)));
    V::Store(out + 8, FromBF16(_mm256_castsi256_si128(second_bf16x16)));
  }
};

// ---------------------------------------------------------------------------------------------------------------------
// Packed weights.

struct I {
  using I32 = __m256i;

  static I32 Set(int32_t v) { return _mm256_set1_epi32(v); }
  static V::F ToFloat(I32 v) { return _mm256_cvtepi32_ps(v); }
  static I32 FromFloat(V::F v) { return _mm256_cvtps_epi32(v); }  // to the nearest
  // a + 256 * b
  static I32 AddShifted8(I32 a, I32 b) { return _mm256_add_epi32(a, _mm256_slli_epi32(b, 8)); }
  static void Store(int32_t* p, I32 v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
};

// Columns 0 and 2 of a quad of eight weight rows as pairs of 16 bits, columns 1 and 3.
struct Pairs {
  __m256i even;
  __m256i odd;
};

struct Q8P {
  static constexpr int kOffset = 128;
  static constexpr int kQuadsOfVector = 1;
  static constexpr int kVectors = 8;
  using Operand = Pairs;
  [[gnu::always_inline]] static inline void Load(const std::byte* p, Operand (&quads)[1]) {
    const __m256i bytes_u8x32 = Load32(p);
    quads[0] = {_mm256_and_si256(bytes_u8x32, _mm256_set1_epi16(255)), _mm256_srli_epi16(bytes_u8x32, 8)};
  }
};

struct Q4P {
  static constexpr int kOffset = 8;
  static constexpr int kQuadsOfVector = 2;
  static constexpr int kVectors = 4;
  using Operand = Pairs;
  [[gnu::always_inline]] static inline void Load(const std::byte* p, Operand (&quads)[2]) {
    const __m256i nibble = _mm256_set1_epi16(15);
    const __m256i both_u4x64 = Load32(p);
    quads[0] = {_mm256_and_si256(both_u4x64, nibble), _mm256_and_si256(_mm256_srli_epi16(both_u4x64, 8), nibble)};
    quads[1] = {_mm256_and_si256(_mm256_srli_epi16(both_u4x64, 4), nibble), _mm256_srli_epi16(both_u4x64, 12)};
  }
};

template <int kParts>
struct Dots {
  static_assert(kParts == 1);
  static constexpr float kLargest = 127.0f * 256.0f;
  static constexpr int kWordsOfQuad = 2;

  static void Arrange(const int32_t* values, int32_t* words) {
    auto* halves = reinterpret_cast<int16_t*>(words);
    for (int quad = 0; quad < 32; quad += 4) {
      halves[quad] = static_cast<int16_t>(values[quad]);
      halves[quad + 1] = static_cast<int16_t>(values[quad + 2]);
      halves[quad + 2] = static_cast<int16_t>(values[quad + 1]);
      halves[quad + 3] = static_cast<int16_t>(values[quad + 3]);
    }
  }

  [[gnu::always_inline]] static inline I::I32 MultiplyAdd(I::I32 sum, const Pairs& w, const int32_t* x) {
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(w.even, _mm256_set1_epi32(x[0])));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(w.odd, _mm256_set1_epi32(x[1])));
  }
};

constexpr int kFewRowsParts = 1;
constexpr int kManyRowsParts = 1;

}  // namespace
}  // namespace llmfw

#include "vector_table.h"

namespace llmfw {
namespace {

constexpr KernelTable kTable = VectorTable("avx2", NoDots);

}  // namespace

const KernelTable& Avx2Kernels() { return kTable; }

}  // namespace llmfw
