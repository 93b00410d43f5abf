// GGUF's blocks (layouts: ggml's ggml-common.h) and the two grouped formats of .sbs files. Values are computed as those
// programs define them: d * q for a scale d and an integer q, d * q + m with a minimum m.
#include "scalar_groups.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace llmfw {
namespace {

template <typename T>
T Load(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

float Half(const std::byte* p) { return DecodeHalf(Load<uint16_t>(p)); }
float BF16(const std::byte* p) { return std::bit_cast<float>(static_cast<uint32_t>(Load<uint16_t>(p)) << 16); }
int Byte(const std::byte* p) { return std::to_integer<int>(*p); }
int SignedByte(const std::byte* p) { return static_cast<int8_t>(std::to_integer<uint8_t>(*p)); }

// The 4-bit halves of 16 bytes: the low ones are values 0..15, the high ones 16..31.
int Nibble(const std::byte* packed, int i) { return i < 16 ? Byte(packed + i) & 15 : Byte(packed + i - 16) >> 4; }

void DecodeQ8_0(const std::byte* block, float* out) {
  const float d = Half(block);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(SignedByte(block + 2 + i));
}

void DecodeQ4_0(const std::byte* block, float* out) {
  const float d = Half(block);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(Nibble(block + 2, i) - 8);
}

void DecodeQ4_1(const std::byte* block, float* out) {
  const float d = Half(block);
  const float m = Half(block + 2);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(Nibble(block + 4, i)) + m;
}

// The fifth bits of 32 values, lowest first.
int FifthBit(uint32_t bits, int i) { return static_cast<int>(bits >> i & 1u) << 4; }

void DecodeQ5_0(const std::byte* block, float* out) {
  const float d = Half(block);
  const auto high = Load<uint32_t>(block + 2);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>((Nibble(block + 6, i) | FifthBit(high, i)) - 16);
}

void DecodeQ5_1(const std::byte* block, float* out) {
  const float d = Half(block);
  const float m = Half(block + 2);
  const auto high = Load<uint32_t>(block + 4);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(Nibble(block + 8, i) | FifthBit(high, i)) + m;
}

// Eight 6-bit scales and eight 6-bit minima in 12 bytes: the first four of each in the low bits of bytes 0..3 and 4..7,
// the others in the nibbles of bytes 8..11 below the two top bits of bytes 0..7.
struct ScaleAndMin {
  int scale;
  int min;
};

ScaleAndMin ScaleAndMinOf(const std::byte* scales, int i) {
  if (i < 4) return {Byte(scales + i) & 63, Byte(scales + i + 4) & 63};
  return {(Byte(scales + i + 4) & 15) | (Byte(scales + i - 4) >> 6 << 4),
          (Byte(scales + i + 4) >> 4) | (Byte(scales + i) >> 6 << 4)};
}

// Eight sub-blocks of 32 values; two of them share 32 bytes, the first has the low nibbles. `high`, where there is one,
// has a byte for each of 32 columns, whose bit i is the fifth bit in sub-block i.
void DecodeQ4Or5K(const std::byte* block, const std::byte* high, const std::byte* nibbles, float* out) {
  const float d = Half(block);
  const float dmin = Half(block + 2);
  for (int sub = 0; sub < 8; ++sub) {
    const ScaleAndMin sm = ScaleAndMinOf(block + 4, sub);
    const float scale = d * static_cast<float>(sm.scale);
    const float min = dmin * static_cast<float>(sm.min);
    for (int i = 0; i < 32; ++i) {
      int q = Byte(nibbles + sub / 2 * 32 + i) >> (sub % 2 * 4) & 15;
      if (high != nullptr) q |= (Byte(high + i) >> sub & 1) << 4;
      out[32 * sub + i] = scale * static_cast<float>(q) - min;
    }
  }
}

void DecodeQ4_K(const std::byte* block, float* out) { DecodeQ4Or5K(block, nullptr, block + 16, out); }
void DecodeQ5_K(const std::byte* block, float* out) { DecodeQ4Or5K(block, block + 16, block + 48, out); }

// Two halves of 128 values, in each four rows of 32: low nibbles of bytes 0..31 and 32..63, then their high nibbles;
// two more bits a value from 32 bytes; a scale for every 16 values.
void DecodeQ6_K(const std::byte* block, float* out) {
  const float d = Half(block + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128;
    const int row = i / 32 % 4;
    const int column = i % 32;
    const int low = Byte(block + 64 * half + row % 2 * 32 + column) >> (row / 2 * 4) & 15;
    const int top = Byte(block + 128 + 32 * half + column) >> (2 * row) & 3;
    const float scale = d * static_cast<float>(SignedByte(block + 192 + i / 16));
    out[i] = scale * static_cast<float>((low | top << 4) - 32);
  }
}

// 16 values of SFP, then 4-bit indices of them, the low nibble first.
void DecodeNUQ(const std::byte* group, int begin, int end, float* out) {
  for (int i = begin; i < end; ++i) {
    const int index = Byte(group + 16 + i / 2) >> (i % 2 * 4) & 15;
    *out++ = DecodeSFP(std::to_integer<uint8_t>(group[index]));
  }
}

// The inverse of the scale, the zero point (both bf16), then integers.
void DecodeI8(const std::byte* group, int begin, int end, float* out) {
  const float inverse_scale = BF16(group);
  const float offset = -BF16(group + 2) * inverse_scale;
  for (int i = begin; i < end; ++i) {
    *out++ = std::fma(inverse_scale, static_cast<float>(SignedByte(group + 4 + i)), offset);
  }
}

using DecodeBlock = void (*)(const std::byte* block, float* out);
using DecodeGroup = void (*)(const std::byte* group, int begin, int end, float* out);

void DecodeBlocks(const Tensor& w, int row, DecodeBlock decode, float* out) {
  const WeightFormat format = FormatOf(w.type);
  const std::byte* block = w.row(row);
  for (int c = 0; c < w.cols; c += format.group_values, block += format.group_bytes) decode(block, out + c);
}

void DecodeStream(const Tensor& w, int row, DecodeGroup decode, float* out) {
  const WeightFormat format = FormatOf(w.type);
  const auto values = static_cast<size_t>(format.group_values);
  const size_t first = static_cast<size_t>(row) * static_cast<size_t>(w.cols);
  for (int c = 0; c < w.cols;) {
    const size_t at = first + static_cast<size_t>(c);
    const auto begin = static_cast<int>(at % values);
    const int count = w.cols - c < format.group_values - begin ? w.cols - c : format.group_values - begin;
    decode(w.data + at / values * static_cast<size_t>(format.group_bytes), begin, begin + count, out + c);
    c += count;
  }
}

void DecodeUnscaled(const Tensor& w, int row, float* out) {
  switch (w.type) {
    case WeightType::kNUQ:
      return DecodeStream(w, row, DecodeNUQ, out);
    case WeightType::kI8:
      return DecodeStream(w, row, DecodeI8, out);
    case WeightType::kQ8_0:
      return DecodeBlocks(w, row, DecodeQ8_0, out);
    case WeightType::kQ4_0:
      return DecodeBlocks(w, row, DecodeQ4_0, out);
    case WeightType::kQ4_1:
      return DecodeBlocks(w, row, DecodeQ4_1, out);
    case WeightType::kQ5_0:
      return DecodeBlocks(w, row, DecodeQ5_0, out);
    case WeightType::kQ5_1:
      return DecodeBlocks(w, row, DecodeQ5_1, out);
    case WeightType::kQ4_K:
      return DecodeBlocks(w, row, DecodeQ4_K, out);
    case WeightType::kQ5_K:
      return DecodeBlocks(w, row, DecodeQ5_K, out);
    case WeightType::kQ6_K:
      return DecodeBlocks(w, row, DecodeQ6_K, out);
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBF16:
    case WeightType::kSFP:
    case WeightType::kQ8P:
    case WeightType::kQ4P:
      return;  // no groups, or blocks of several rows: never asked for
  }
}

}  // namespace

float DecodeHalf(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1Fu;
  const uint32_t mantissa = bits & 0x3FFu;
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const uint32_t wide_exponent = exponent == 31 ? 255u : exponent + (127u - 15u);
  return std::bit_cast<float>(sign | (wide_exponent << 23) | (mantissa << 13));
}

// Bit 7 is the sign, c the low 7 bits. c == 0 is zero (also with the sign set, which no writer should produce);
// c < 64 has a 2-bit mantissa, c >= 64 a 3-bit one. Every value is a bf16, which is how it is built.
float DecodeSFP(uint8_t bits) {
  const uint32_t c = bits & 0x7Fu;
  if (c == 0) return 0.0f;
  const uint32_t sign = static_cast<uint32_t>(bits & 0x80u) << 8;
  const uint32_t magnitude = c < 64 ? (0x3400u + (c << 5)) : (0x3800u + (c << 4));
  return std::bit_cast<float>((sign | magnitude) << 16);
}

void DecodeGroupedRow(const Tensor& w, int row, float scale, float* out) {
  DecodeUnscaled(w, row, out);
  if (scale == 1.0f) return;
  for (int c = 0; c < w.cols; ++c) out[c] *= scale;
}

}  // namespace llmfw
