// GGUF's blocks and the grouped formats of .sbs files, decoded to float32 sixteen values at a time. Shared by the tables
// of avx2.cc and neon.cc; layouts are explained where they are read in plain C++, in scalar_groups.cc.
//
// Included once, behind vector_floats.h, by a file whose anonymous namespace has a struct B: sixteen bytes (B::Bytes)
// and the operations on them used below.
//
// Every value is q * d + m for a small integer q, in one fused multiply-add. The products are exact but for Q6_K's (and
// there m is a multiple of d), so results equal the scalar ones to the bit.
#pragma once

#include "scalar_groups.h"
#include "vector_floats.h"

namespace llmfw {
namespace {

int Byte(const std::byte* p) { return static_cast<int>(*p); }
uint16_t Bits16(const std::byte* p) { return static_cast<uint16_t>(Byte(p) | Byte(p + 1) << 8); }
float Half(const std::byte* p) { return V::Half(Bits16(p)); }
float BF16(const std::byte* p) {
  const uint32_t bits = static_cast<uint32_t>(Bits16(p)) << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// The low halves of sixteen bytes, and the high ones.
B::Bytes Low(B::Bytes bytes) { return B::And(bytes, B::Set(15)); }
B::Bytes High(B::Bytes bytes) { return B::ShiftRight<4>(bytes); }

struct Q8_0 {
  static constexpr int kValues = 32;
  static constexpr int kBytes = 34;
  static void Decode(const std::byte* block, float* out) {
    const float d = Half(block);
    B::PutSigned(B::Load(block + 2), d, 0.0f, out);
    B::PutSigned(B::Load(block + 18), d, 0.0f, out + 16);
  }
};

// 32 nibbles times d plus m.
void PutNibbles(const std::byte* packed, float d, float m, float* out) {
  const B::Bytes bytes = B::Load(packed);
  B::PutUnsigned(Low(bytes), d, m, out);
  B::PutUnsigned(High(bytes), d, m, out + 16);
}

// The same with a fifth bit each, from 32 bits.
void PutFiveBits(const std::byte* high, const std::byte* packed, float d, float m, float* out) {
  const B::Bytes bytes = B::Load(packed);
  const B::Bytes sixteen = B::Set(16);
  B::PutUnsigned(B::Or(Low(bytes), B::And(B::MaskOfBits(Bits16(high)), sixteen)), d, m, out);
  B::PutUnsigned(B::Or(High(bytes), B::And(B::MaskOfBits(Bits16(high + 2)), sixteen)), d, m, out + 16);
}

struct Q4_0 {
  static constexpr int kValues = 32;
  static constexpr int kBytes = 18;
  static void Decode(const std::byte* block, float* out) {
    const float d = Half(block);
    PutNibbles(block + 2, d, -8.0f * d, out);
  }
};

struct Q4_1 {
  static constexpr int kValues = 32;
  static constexpr int kBytes = 20;
  static void Decode(const std::byte* block, float* out) { PutNibbles(block + 4, Half(block), Half(block + 2), out); }
};

struct Q5_0 {
  static constexpr int kValues = 32;
  static constexpr int kBytes = 22;
  static void Decode(const std::byte* block, float* out) {
    const float d = Half(block);
    PutFiveBits(block + 2, block + 6, d, -16.0f * d, out);
  }
};

struct Q5_1 {
  static constexpr int kValues = 32;
  static constexpr int kBytes = 24;
  static void Decode(const std::byte* block, float* out) {
    PutFiveBits(block + 4, block + 8, Half(block), Half(block + 2), out);
  }
};

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
    for (int i = 0; i < 16; ++i, out += 16) {  // sixteen values each, two of them to a sub-block
      const int sub = i / 2;
      int scale = 0;
      int min = 0;
      ScaleAndMin(block + 4, sub, scale, min);
      const B::Bytes bytes = B::Load(nibbles + sub / 2 * 32 + i % 2 * 16);
      B::Bytes q = sub % 2 == 0 ? Low(bytes) : High(bytes);
      if constexpr (kFiveBits) {
        const B::Bytes high = B::Test(B::Load(block + 16 + i % 2 * 16), B::Set(1 << sub));
        q = B::Or(q, B::And(high, B::Set(16)));
      }
      B::PutUnsigned(q, d * static_cast<float>(scale), -(dmin * static_cast<float>(min)), out);
    }
  }
};

struct Q6_K {
  static constexpr int kValues = 256;
  static constexpr int kBytes = 210;

  // The two upper bits of row `row` of four, in place.
  static B::Bytes Top(B::Bytes bytes, int row) {
    const B::Bytes three = B::Set(3);
    switch (row) {
      case 0:
        return B::ShiftLeft<4>(B::And(bytes, three));
      case 1:
        return B::ShiftLeft<4>(B::And(B::ShiftRight<2>(bytes), three));
      case 2:
        return B::And(bytes, B::Set(48));
      default:
        return B::And(B::ShiftRight<2>(bytes), B::Set(48));
    }
  }

  static void Decode(const std::byte* block, float* out) {
    const float d = Half(block + 208);
    for (int i = 0; i < 16; ++i, out += 16) {  // sixteen values each, two of them to a row of 32
      const int half = i / 8;
      const int row = i / 2 % 4;
      const B::Bytes low = B::Load(block + 64 * half + row % 2 * 32 + i % 2 * 16);
      const B::Bytes top = B::Load(block + 128 + 32 * half + i % 2 * 16);
      const B::Bytes q = B::Or(row < 2 ? Low(low) : High(low), Top(top, row));
      const float scale = d * static_cast<float>(static_cast<int8_t>(block[192 + i]));
      B::PutUnsigned(q, scale, -32.0f * scale, out);
    }
  }
};

struct NUQ {
  static constexpr int kValues = 256;
  static constexpr int kBytes = 144;
  static void Decode(const std::byte* group, float* out) {
    const B::Bytes table = B::Load(group);
    for (int i = 0; i < 8; ++i, out += 32) {  // sixteen bytes, low nibbles first
      const B::Bytes bytes = B::Load(group + 16 + 16 * i);
      const B::Bytes low = B::Lookup(table, Low(bytes));
      const B::Bytes high = B::Lookup(table, High(bytes));
      B::PutSFP(B::ZipLow(low, high), out);
      B::PutSFP(B::ZipHigh(low, high), out + 16);
    }
  }
};

struct I8 {
  static constexpr int kValues = 128;
  static constexpr int kBytes = 132;
  static void Decode(const std::byte* group, float* out) {
    const float inverse_scale = BF16(group);
    const float offset = -BF16(group + 2) * inverse_scale;
    for (int i = 0; i < 8; ++i) B::PutSigned(B::Load(group + 4 + 16 * i), inverse_scale, offset, out + 16 * i);
  }
};

// Rows of whole groups; a stream's other rows are read by the scalar code.
template <typename Format>
void DecodeGroups(const Tensor& w, int row, float scale, float* out) {
  if (w.cols % Format::kValues != 0) return DecodeGroupedRow(w, row, scale, out);
  const size_t groups = Size(w.cols / Format::kValues);
  const std::byte* group = w.data + Size(row) * groups * Format::kBytes;
  for (int c = 0; c < w.cols; c += Format::kValues, group += Format::kBytes) Format::Decode(group, out + c);
  if (scale == 1.0f) return;
  for (int c = 0; c < w.cols; ++c) out[c] *= scale;
}

void DecodeAnyGroups(const Tensor& w, int row, float scale, float* out) {
  switch (w.type) {
    case WeightType::kNUQ:
      return DecodeGroups<NUQ>(w, row, scale, out);
    case WeightType::kI8:
      return DecodeGroups<I8>(w, row, scale, out);
    case WeightType::kQ8_0:
      return DecodeGroups<Q8_0>(w, row, scale, out);
    case WeightType::kQ4_0:
      return DecodeGroups<Q4_0>(w, row, scale, out);
    case WeightType::kQ4_1:
      return DecodeGroups<Q4_1>(w, row, scale, out);
    case WeightType::kQ5_0:
      return DecodeGroups<Q5_0>(w, row, scale, out);
    case WeightType::kQ5_1:
      return DecodeGroups<Q5_1>(w, row, scale, out);
    case WeightType::kQ4_K:
      return DecodeGroups<Q4Or5K<false>>(w, row, scale, out);
    case WeightType::kQ5_K:
      return DecodeGroups<Q4Or5K<true>>(w, row, scale, out);
    case WeightType::kQ6_K:
      return DecodeGroups<Q6_K>(w, row, scale, out);
    default:
      return DecodeGroupedRow(w, row, scale, out);
  }
}

// Some rows are decoded into scratch at a time, then multiplied from there like float32 weights.
int GroupedRows(int m) { return m <= kDirectRows ? kTileColumns : kPanelColumns; }

// Of the decoded rows; behind them comes what the product itself needs.
size_t GroupedBytes(int m, int k) { return Size(DivideRoundUp(GroupedRows(m) * k, 16)) * 64; }

size_t GroupedScratchBytes(int m, int k) { return GroupedBytes(m, k) + FloatScratchBytes(m, k); }

void RunGrouped(const Tensor& w, int n_begin, int n_end, const std::byte* packed, int m, float* y, int ldy,
                std::byte* scratch) {
  auto* decoded = reinterpret_cast<float*>(scratch);
  const int step = GroupedRows(m);
  for (int n = n_begin; n < n_end; n += step) {
    const int rows = Min(step, n_end - n);
    for (int i = 0; i < rows; ++i) DecodeAnyGroups(w, n + i, 1.0f, decoded + static_cast<ptrdiff_t>(i) * w.cols);
    const Tensor f32{scratch, WeightType::kF32, rows, w.cols, w.scale};
    RunFloat<F32Weights>(f32, 0, rows, packed, m, y + n, ldy, scratch + GroupedBytes(m, w.cols));
  }
}

constexpr MatMulKernel kGroupedMatMul = {FloatPackedBytes, FloatPack, GroupedScratchBytes, RunGrouped};

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
      return DecodeAnyGroups(w, row, w.scale, out);
  }
}

}  // namespace
}  // namespace llmfw
