// NEON on AArch64, with the dot products of Armv8.2 (dotprod: Cortex-A75 and Neoverse N1 on, Apple M1, and later).
//
// What is particular to it: vectors of 4 float32, 32 registers of them; SFP decoded by two lookups of 16 bytes; integer
// dot products by sdot, four products of signed bytes a lane. So activations of packed weights are int8: in two parts
// with few rows and in the exact kernels, else in one.
//
// The kernels are in the vector_*.h headers, which see what is defined here. Only C headers, everything in an anonymous
// namespace, and no inline function of another header is called, as in avx512.cc.
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"

namespace llmfw {
namespace {

const uint8_t* Bytes(const std::byte* p) { return reinterpret_cast<const uint8_t*>(p); }

struct V {
  using F = float32x4_t;
  static constexpr int kLanes = 4;

  static F Zero() { return vdupq_n_f32(0.0f); }
  static F Set(float v) { return vdupq_n_f32(v); }
  static F Load(const float* p) { return vreinterpretq_f32_u8(vld1q_u8(reinterpret_cast<const uint8_t*>(p))); }
  static void Store(float* p, F v) { vst1q_f32(p, v); }
  // The first `count` lanes, 1 to 4; the others read as zeros.
  static F LoadFirst(const float* p, int count) {
    float lanes[kLanes] = {};
    memcpy(lanes, p, static_cast<size_t>(count) * sizeof(float));
    return Load(lanes);
  }
  static void StoreFirst(float* p, int count, F v) {
    float lanes[kLanes];
    Store(lanes, v);
    memcpy(p, lanes, static_cast<size_t>(count) * sizeof(float));
  }
  static F LoadHalves(const std::byte* p) { return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(Bytes(p)))); }
  static float Half(uint16_t bits) { return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(bits))), 0); }

  static F Add(F a, F b) { return vaddq_f32(a, b); }
  static F Sub(F a, F b) { return vsubq_f32(a, b); }
  static F Mul(F a, F b) { return vmulq_f32(a, b); }
  static F Div(F a, F b) { return vdivq_f32(a, b); }
  static F Sqrt(F a) { return vsqrtq_f32(a); }
  static F MulAdd(F a, F b, F c) { return vfmaq_f32(c, a, b); }
  static F Min(F a, F b) { return vminq_f32(a, b); }  // NaN where one of them is
  static F Max(F a, F b) { return vmaxq_f32(a, b); }
  static F Abs(F a) { return vabsq_f32(a); }
  static F Round(F a) { return vrndnq_f32(a); }
  // 2^i for whole numbers in [-126, 127].
  static F Power2(F i) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(i), vdupq_n_s32(127)), 23));
  }
  static F WhereLess(F a, F b, F less, F other) { return vbslq_f32(vcltq_f32(a, b), less, other); }

  static void SumLanesOf4(F a, F b, F c, F d, float* out) {
    vst1q_f32(out, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)));
  }
  static float SumLanes(F v) { return vaddvq_f32(v); }
  static float LargestLane(F v) { return vmaxvq_f32(v); }
};

// 24 sums, six activations, one weight: 31 of the 32 registers.
constexpr int kTileRows = 6;

// ---------------------------------------------------------------------------------------------------------------------
// Weights of one value each.

// Eight bf16 to two vectors.
[[gnu::always_inline]] inline void FromBF16(uint16x8_t v_bf16x8, V::F* w) {
  w[0] = vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(v_bf16x8), 16));
  w[1] = vreinterpretq_f32_u32(vshll_high_n_u16(v_bf16x8, 16));
}

struct F32Weights {
  static constexpr int kValueBytes = 4;
  static constexpr int kVectors = 4;
  static constexpr bool kPrefetches = true;
  [[gnu::always_inline]] static inline void Load(const std::byte* p, V::F (&w)[4]) {
    for (int i = 0; i < 4; ++i) w[i] = vreinterpretq_f32_u8(vld1q_u8(Bytes(p) + 16 * i));
  }
};

struct F16Weights {
  static constexpr int kValueBytes = 2;
  static constexpr int kVectors = 4;
  static constexpr bool kPrefetches = true;
  [[gnu::always_inline]] static inline void Load(const std::byte* p, V::F (&w)[4]) {
    for (int i = 0; i < 2; ++i) {
      const float16x8_t halves = vreinterpretq_f16_u8(vld1q_u8(Bytes(p) + 16 * i));
      w[2 * i] = vcvt_f32_f16(vget_low_f16(halves));
      w[2 * i + 1] = vcvt_high_f32_f16(halves);
    }
  }
};

struct BF16Weights {
  static constexpr int kValueBytes = 2;
  static constexpr int kVectors = 4;
  static constexpr bool kPrefetches = true;
  [[gnu::always_inline]] static inline void Load(const std::byte* p, V::F (&w)[4]) {
    FromBF16(vreinterpretq_u16_u8(vld1q_u8(Bytes(p))), w);
    FromBF16(vreinterpretq_u16_u8(vld1q_u8(Bytes(p) + 16)), w + 2);
  }
};

// As bf16, the low seven bits c of an SFP byte are c << 5 over 0x3400 below 64, c << 4 over 0x3800 from there, and zero
// for zero. So the upper byte depends on the upper four bits, the lower byte on the lower four, in two ways.
constexpr uint8_t kUpperBytes[16] = {0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3A, 0x3B,
                                     0x3C, 0x3C, 0x3D, 0x3D, 0x3E, 0x3E, 0x3F, 0x3F};

// Sixteen SFP bytes to four vectors.
[[gnu::always_inline]] inline void DecodeSFPBytes(uint8x16_t bytes_u8x16, V::F* w) {
  const uint8x16_t code_u8x16 = vandq_u8(bytes_u8x16, vdupq_n_u8(127));
  const uint8x16_t upper_u8x16 = vqtbl1q_u8(vld1q_u8(kUpperBytes), vshrq_n_u8(code_u8x16, 3));
  // The lower byte: (c & 7) << 5 or (c & 15) << 4.
  const uint8x16_t is_large = vcgeq_u8(code_u8x16, vdupq_n_u8(64));
  const uint8x16_t low_u8x16 = vbslq_u8(is_large, vshlq_n_u8(code_u8x16, 4), vshlq_n_u8(code_u8x16, 5));
  const uint8x16_t is_not_zero = vtstq_u8(code_u8x16, code_u8x16);
  const uint8x16_t sign_u8x16 = vandq_u8(bytes_u8x16, vdupq_n_u8(128));
  const uint8x16_t high_u8x16 = vorrq_u8(vandq_u8(upper_u8x16, is_not_zero), sign_u8x16);
  FromBF16(vreinterpretq_u16_u8(vzip1q_u8(low_u8x16, high_u8x16)), w);
  FromBF16(vreinterpretq_u16_u8(vzip2q_u8(low_u8x16, high_u8x16)), w + 2);
}

struct SFPWeights {
  static constexpr int kValueBytes = 1;
  static constexpr int kVectors = 4;
  static constexpr bool kPrefetches = true;
  [[gnu::always_inline]] static inline void Load(const std::byte* p, V::F (&w)[4]) {
    DecodeSFPBytes(vld1q_u8(Bytes(p)), w);
  }
};

// ---------------------------------------------------------------------------------------------------------------------
// Sixteen bytes.

struct B {
  using Bytes = uint8x16_t;

  static Bytes Load(const std::byte* p) { return vld1q_u8(reinterpret_cast<const uint8_t*>(p)); }
  static Bytes Set(int v) { return vdupq_n_u8(static_cast<uint8_t>(v)); }
  static Bytes And(Bytes a, Bytes b) { return vandq_u8(a, b); }
  static Bytes Or(Bytes a, Bytes b) { return vorrq_u8(a, b); }
  template <int kBits>
  static Bytes ShiftRight(Bytes a) {
    return vshrq_n_u8(a, kBits);
  }
  template <int kBits>
  static Bytes ShiftLeft(Bytes a) {
    return vshlq_n_u8(a, kBits);
  }
  // All ones where a & b is b, which has one bit.
  static Bytes Test(Bytes a, Bytes b) { return vtstq_u8(a, b); }
  // All ones for each bit that is set, the lowest first.
  static Bytes MaskOfBits(uint16_t bits) {
    const uint8x16_t spread = vcombine_u8(vdup_n_u8(static_cast<uint8_t>(bits & 255)), vdup_n_u8(static_cast<uint8_t>(bits >> 8)));
    return vtstq_u8(spread, vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u)));
  }
  static Bytes Lookup(Bytes table, Bytes index) { return vqtbl1q_u8(table, index); }
  static Bytes ZipLow(Bytes a, Bytes b) { return vzip1q_u8(a, b); }
  static Bytes ZipHigh(Bytes a, Bytes b) { return vzip2q_u8(a, b); }

  // out = q * d + m
  static void PutSigned8(int16x8_t q_i16x8, float d, float m, float* out) {
    V::Store(out, V::MulAdd(vcvtq_f32_s32(vmovl_s16(vget_low_s16(q_i16x8))), V::Set(d), V::Set(m)));
    V::Store(out + 4, V::MulAdd(vcvtq_f32_s32(vmovl_high_s16(q_i16x8)), V::Set(d), V::Set(m)));
  }
  static void PutUnsigned(Bytes q, float d, float m, float* out) {
    PutSigned8(vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(q))), d, m, out);
    PutSigned8(vreinterpretq_s16_u16(vmovl_high_u8(q)), d, m, out + 8);
  }
  static void PutSigned(Bytes q, float d, float m, float* out) {
    const int8x16_t q_i8x16 = vreinterpretq_s8_u8(q);
    PutSigned8(vmovl_s8(vget_low_s8(q_i8x16)), d, m, out);
    PutSigned8(vmovl_high_s8(q_i8x16), d, m, out + 8);
  }
  static void PutSFP(Bytes codes, float* out) {
    V::F values[4];
    DecodeSFPBytes(codes, values);
    for (int i = 0; i < 4; ++i) V::Store(out + 4 * i, values[i]);
  }
};

// ---------------------------------------------------------------------------------------------------------------------
// Packed weights.

struct I {
  using I32 = int32x4_t;

  static I32 Set(int32_t v) { return vdupq_n_s32(v); }
  static V::F ToFloat(I32 v) { return vcvtq_f32_s32(v); }
  static I32 FromFloat(V::F v) { return vcvtnq_s32_f32(v); }  // to the nearest
  // a + 256 * b
  static I32 AddShifted8(I32 a, I32 b) { return vaddq_s32(a, vshlq_n_s32(b, 8)); }
  static void Store(int32_t* p, I32 v) { vst1q_s32(p, v); }
};

// Value + 128 with its top bit turned over is the value, signed.
struct Q8P {
  static constexpr int kOffset = 0;
  static constexpr int kQuadsOfVector = 1;
  static constexpr int kVectors = 8;
  using Operand = int8x16_t;
  [[gnu::always_inline]] static inline void Load(const std::byte* p, Operand (&quads)[1]) {
    quads[0] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(Bytes(p)), vdupq_n_u8(128)));
  }
};

struct Q4P {
  static constexpr int kOffset = 8;
  static constexpr int kQuadsOfVector = 2;
  static constexpr int kVectors = 4;
  using Operand = int8x16_t;
  [[gnu::always_inline]] static inline void Load(const std::byte* p, Operand (&quads)[2]) {
    const uint8x16_t both_u4x32 = vld1q_u8(Bytes(p));
    quads[0] = vreinterpretq_s8_u8(vandq_u8(both_u4x32, vdupq_n_u8(15)));
    quads[1] = vreinterpretq_s8_u8(vshrq_n_u8(both_u4x32, 4));
  }
};

template <int kParts>
struct Dots {
  static constexpr float kLargest = kParts == 2 ? 127.0f * 256.0f : 127.0f;
  static constexpr int kWordsOfQuad = 1;

  static void Arrange(const int32_t* values, int32_t* words) {
    auto* bytes = reinterpret_cast<int8_t*>(words);
    for (int i = 0; i < 32; ++i) {
      // With two parts, low is the lowest byte, signed, and high, rounded, what is left.
      bytes[i] = static_cast<int8_t>(kParts == 2 ? (values[i] + 128) >> 8 : values[i]);
      if constexpr (kParts == 2) bytes[32 + i] = static_cast<int8_t>(values[i] & 255);
    }
  }

  [[gnu::always_inline]] static inline I::I32 MultiplyAdd(I::I32 sum, int8x16_t w, const int32_t* x) {
    return vdotq_s32(sum, w, vreinterpretq_s8_s32(vld1q_dup_s32(x)));
  }
};

constexpr int kFewRowsParts = 2;
constexpr int kManyRowsParts = 1;

// Twelve sums that do not wait for each other. The operand comes from memory that the compiler knows nothing of, so that
// nothing is computed in advance; and something of the result has to be used, or none of it is computed.
long Int8Dots(long rounds) {
  constexpr int kSums = 12;
  const volatile int8_t one = 1;
  const int8x16_t a = vdupq_n_s8(one);
  int32x4_t sums[kSums];
  for (int32x4_t& sum : sums) sum = vdupq_n_s32(0);
  for (long round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int32x4_t& sum : sums) sum = vdotq_s32(sum, a, a);
  }
  for (const int32x4_t& sum : sums) sums[0] = veorq_s32(sums[0], sum);
  const volatile int used = vgetq_lane_s32(sums[0], 0);
  (void)used;
  return rounds * kSums * 16;
}

}  // namespace
}  // namespace llmfw

#include "vector_table.h"

namespace llmfw {
namespace {

constexpr KernelTable kTable = VectorTable("neon", Int8Dots);

}  // namespace

const KernelTable& NeonKernels() { return kTable; }

}  // namespace llmfw
