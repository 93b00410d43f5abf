// AVX-512: GGUF's blocks and the grouped formats of .sbs files, decoded to float32. Layouts are explained where they are
// read in plain C++, in scalar_groups.cc.
//
// Every value is q * d + m for a small integer q, in one fused multiply-add. The products are exact but for Q6_K's (and
// there m is a multiple of d), so results equal the scalar ones to the bit.
//
// Only C headers here, everything in an anonymous namespace, and no inline function of another header is called, as in
// avx512.cc.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC bug 105593
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#endif

#include "avx512_groups.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "scalar_groups.h"

namespace llmfw {
namespace {

__m128i Load16(const std::byte* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
__m256i Load32(const std::byte* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }

uint16_t Bits16(const std::byte* p) { return static_cast<uint16_t>(static_cast<int>(p[0]) | static_cast<int>(p[1]) << 8); }
float Half(const std::byte* p) { return _cvtsh_ss(Bits16(p)); }
float BF16(const std::byte* p) { return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(Bits16(p) << 16))); }

// out[0..15] = q * d + m
void Put(__m512i q_i32x16, float d, float m, float* out) {
  _mm512_storeu_ps(out, _mm512_fmadd_ps(_mm512_cvtepi32_ps(q_i32x16), _mm512_set1_ps(d), _mm512_set1_ps(m)));
}
void PutUnsigned(__m128i q_u8x16, float d, float m, float* out) { Put(_mm512_cvtepu8_epi32(q_u8x16), d, m, out); }
void PutSigned(__m128i q_i8x16, float d, float m, float* out) { Put(_mm512_cvtepi8_epi32(q_i8x16), d, m, out); }

// 32 values of five bits or fewer.
void PutUnsigned32(__m256i q_u8x32, float d, float m, float* out) {
  PutUnsigned(_mm256_castsi256_si128(q_u8x32), d, m, out);
  PutUnsigned(_mm256_extracti128_si256(q_u8x32, 1), d, m, out + 16);
}

// The low halves of 16 bytes, then the high ones.
__m256i Nibbles(const std::byte* packed) {
  const __m128i bytes_u8x16 = Load16(packed);
  const __m256i both_u8x32 = _mm256_set_m128i(_mm_srli_epi16(bytes_u8x16, 4), bytes_u8x16);
  return _mm256_and_si256(both_u8x32, _mm256_set1_epi8(15));
}

// The nibbles, with a fifth bit each from 32 bits.
__m256i FiveBits(const std::byte* high, const std::byte* packed) {
  const uint32_t bits = Bits16(high) | static_cast<uint32_t>(Bits16(high + 2)) << 16;
  return _mm256_mask_add_epi8(Nibbles(packed), bits, Nibbles(packed), _mm256_set1_epi8(16));
}

struct Q8_0 {
  static constexpr int kValues = 32;
  static constexpr int kBytes = 34;
  static void Decode(const std::byte* block, float* out) {
    const float d = Half(block);
    PutSigned(Load16(block + 2), d, 0.0f, out);
    PutSigned(Load16(block + 18), d, 0.0f, out + 16);
  }
};

struct Q4_0 {
  static constexpr int kValues = 32;
  static constexpr int kBytes = 18;
  static void Decode(const std::byte* block, float* out) {
    const float d = Half(block);
    PutUnsigned32(Nibbles(block + 2), d, -8.0f * d, out);
  }
};

struct Q4_1 {
  static constexpr int kValues = 32;
  static constexpr int kBytes = 20;
  static void Decode(const std::byte* block, float* out) {
    PutUnsigned32(Nibbles(block + 4), Half(block), Half(block + 2), out);
  }
};

struct Q5_0 {
  static constexpr int kValues = 32;
  static constexpr int kBytes = 22;
  static void Decode(const std::byte* block, float* out) {
    const float d = Half(block);
    PutUnsigned32(FiveBits(block + 2, block + 6), d, -16.0f * d, out);
  }
};

struct Q5_1 {
  static constexpr int kValues = 32;
  static constexpr int kBytes = 24;
  static void Decode(const std::byte* block, float* out) {
    PutUnsigned32(FiveBits(block + 4, block + 8), Half(block), Half(block + 2), out);
  }
};

int Byte(const std::byte* p) { return static_cast<int>(*p); }

// The scale and the minimum of sub-block i of a Q4_K or Q5_K block, from its 12 bytes of them.
void ScaleAndMin(const std::byte* scales, int i, int& scale, int& min) {
  if (i < 4) {
    scale = Byte(scales + i) & 63;
    min = Byte(scales + i + 4) & 63;
  } else {
    scale = (Byte(scales + i + 4) & 15) | (Byte(scales + i - 4) >> 6 << 4);
    min = (Byte(scales + i + 4) >> 4) | (Byte(scales + i) >> 6 << 4);
  }
}

template <bool kFiveBits>
struct Q4Or5K {
  static constexpr int kValues = 256;
  static constexpr int kBytes = kFiveBits ? 176 : 144;
  static void Decode(const std::byte* block, float* out) {
    const float d = Half(block);
    const float dmin = Half(block + 2);
    const std::byte* nibbles = block + (kFiveBits ? 48 : 16);
    for (int sub = 0; sub < 8; ++sub, out += 32) {
      int scale = 0;
      int min = 0;
      ScaleAndMin(block + 4, sub, scale, min);
      const __m256i bytes_u8x32 = Load32(nibbles + sub / 2 * 32);
      const __m256i shifted_u8x32 = sub % 2 == 0 ? bytes_u8x32 : _mm256_srli_epi16(bytes_u8x32, 4);
      __m256i q_u8x32 = _mm256_and_si256(shifted_u8x32, _mm256_set1_epi8(15));
      if constexpr (kFiveBits) {
        const __mmask32 high = _mm256_test_epi8_mask(Load32(block + 16), _mm256_set1_epi8(static_cast<char>(1 << sub)));
        q_u8x32 = _mm256_mask_add_epi8(q_u8x32, high, q_u8x32, _mm256_set1_epi8(16));
      }
      PutUnsigned32(q_u8x32, d * static_cast<float>(scale), -(dmin * static_cast<float>(min)), out);
    }
  }
};

struct Q6_K {
  static constexpr int kValues = 256;
  static constexpr int kBytes = 210;
  static void Decode(const std::byte* block, float* out) {
    const float d = Half(block + 208);
    for (int row = 0; row < 8; ++row, out += 32) {  // 32 values each
      const int half = row / 4;
      const __m256i low_u8x32 = Load32(block + 64 * half + row % 2 * 32);
      const __m256i top_u8x32 = Load32(block + 128 + 32 * half);
      const __m128i low_shift = _mm_cvtsi32_si128(row % 4 / 2 * 4);
      const __m128i top_shift = _mm_cvtsi32_si128(row % 4 * 2);
      const __m256i low4_u8x32 = _mm256_and_si256(_mm256_srl_epi16(low_u8x32, low_shift), _mm256_set1_epi8(15));
      const __m256i top2_u8x32 = _mm256_and_si256(_mm256_srl_epi16(top_u8x32, top_shift), _mm256_set1_epi8(3));
      const __m256i q_u8x32 = _mm256_or_si256(low4_u8x32, _mm256_slli_epi16(top2_u8x32, 4));
      const float first = d * static_cast<float>(static_cast<int8_t>(block[192 + 2 * row]));
      const float second = d * static_cast<float>(static_cast<int8_t>(block[193 + 2 * row]));
      PutUnsigned(_mm256_castsi256_si128(q_u8x32), first, -32.0f * first, out);
      PutUnsigned(_mm256_extracti128_si256(q_u8x32, 1), second, -32.0f * second, out + 16);
    }
  }
};

struct NUQ {
  static constexpr int kValues = 256;
  static constexpr int kBytes = 144;
  static void Decode(const std::byte* group, float* out) {
    float table[16];
    for (int i = 0; i < 16; ++i) table[i] = DecodeSFP(static_cast<uint8_t>(group[i]));
    const __m512 table_f32x16 = _mm512_loadu_ps(table);
    for (int i = 0; i < 16; ++i, out += 16) {  // eight bytes, low nibbles first
      const __m128i bytes_u8x8 = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(group + 16 + 8 * i));
      const __m128i index_u8x16 = _mm_unpacklo_epi8(bytes_u8x8, _mm_srli_epi16(bytes_u8x8, 4));
      const __m512i index_i32x16 = _mm512_cvtepu8_epi32(_mm_and_si128(index_u8x16, _mm_set1_epi8(15)));
      _mm512_storeu_ps(out, _mm512_permutexvar_ps(index_i32x16, table_f32x16));
    }
  }
};

struct I8 {
  static constexpr int kValues = 128;
  static constexpr int kBytes = 132;
  static void Decode(const std::byte* group, float* out) {
    const float inverse_scale = BF16(group);
    const float offset = -BF16(group + 2) * inverse_scale;
    for (int i = 0; i < 8; ++i) PutSigned(Load16(group + 4 + 16 * i), inverse_scale, offset, out + 16 * i);
  }
};

// Rows of whole groups; a stream's other rows are read by the scalar code.
template <typename Format>
void DecodeRow(const Tensor& w, int row, float scale, float* out) {
  if (w.cols % Format::kValues != 0) return DecodeGroupedRow(w, row, scale, out);
  const size_t groups = static_cast<size_t>(w.cols / Format::kValues);
  const std::byte* group = w.data + static_cast<size_t>(row) * groups * Format::kBytes;
  for (int c = 0; c < w.cols; c += Format::kValues, group += Format::kBytes) Format::Decode(group, out + c);
  if (scale == 1.0f) return;
  for (int c = 0; c < w.cols; ++c) out[c] *= scale;
}

}  // namespace

void Avx512DecodeGroupedRow(const Tensor& w, int row, float scale, float* out) {
  switch (w.type) {
    case WeightType::kNUQ:
      return DecodeRow<NUQ>(w, row, scale, out);
    case WeightType::kI8:
      return DecodeRow<I8>(w, row, scale, out);
    case WeightType::kQ8_0:
      return DecodeRow<Q8_0>(w, row, scale, out);
    case WeightType::kQ4_0:
      return DecodeRow<Q4_0>(w, row, scale, out);
    case WeightType::kQ4_1:
      return DecodeRow<Q4_1>(w, row, scale, out);
    case WeightType::kQ5_0:
      return DecodeRow<Q5_0>(w, row, scale, out);
    case WeightType::kQ5_1:
      return DecodeRow<Q5_1>(w, row, scale, out);
    case WeightType::kQ4_K:
      return DecodeRow<Q4Or5K<false>>(w, row, scale, out);
    case WeightType::kQ5_K:
      return DecodeRow<Q4Or5K<true>>(w, row, scale, out);
    case WeightType::kQ6_K:
      return DecodeRow<Q6_K>(w, row, scale, out);
    default:
      return DecodeGroupedRow(w, row, scale, out);
  }
}

}  // namespace llmfw
