// The number formats that weights come in. Layouts are those of the files, so tensors are used where they are mapped;
// the packed ones are the engine's own, made by packing.cc.
#pragma once

#include <cstddef>
#include <cstdint>

namespace llmfw {

// kNUQ and kI8 are .sbs files' formats with side tables, one stream of groups over the whole matrix: a row may begin
// within a group. The block formats from kQ8_0 on are GGUF's; a row is a whole number of blocks.
enum class WeightType : uint8_t {
  kF32, kF16, kBF16, kSFP, kNUQ, kI8, kQ8_0, kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ4_K, kQ5_K, kQ6_K,
  kQ8P, kQ4P
};
inline constexpr int kNumWeightTypes = 16;

// The packed forms, kQ8P and kQ4P: the matrix in blocks of 16 rows x 64 columns, rows and columns filled up to whole
// blocks with zeros. Blocks of the same 16 rows (a tile) follow each other, then come those of the next 16. A block is
//   scales  f16 [2 groups of 32 columns][16 rows]
//   values  q8p: u8 [16 quads of columns][16 rows][4 columns], each the value + 128
//           q4p: u8 [2 groups][4 quads][16 rows][4 columns], each the value + 8 of column 32 * group + 4 * quad + i in
//           its low half, and of the column 16 further on in its high half
// and a weight is scale * value. So 64 bytes hold four neighbouring columns of 16 rows: one operand of a 512-bit int8
// dot product, unsigned as the instruction wants it.
inline constexpr size_t kPackedRows = 16;
inline constexpr size_t kPackedCols = 64;
inline constexpr size_t kPackedGroup = 32;  // columns that share a scale
inline constexpr size_t kPackedScaleBytes = kPackedCols / kPackedGroup * kPackedRows * 2;

constexpr bool IsPacked(WeightType type) { return type == WeightType::kQ8P || type == WeightType::kQ4P; }

// How many values are encoded together, in how many bytes, and how many of these are the group's own (scales, tables)
// rather than a value's.
struct WeightFormat {
  const char* name;
  int group_values;
  int group_bytes;
  int table_bytes;
};

constexpr WeightFormat FormatOf(WeightType type) {
  switch (type) {
    case WeightType::kF32:
      return {"f32", 1, 4, 0};
    case WeightType::kF16:
      return {"f16", 1, 2, 0};
    case WeightType::kBF16:
      return {"bf16", 1, 2, 0};
    case WeightType::kSFP:
      return {"sfp", 1, 1, 0};
    case WeightType::kNUQ:
      return {"nuq", 256, 144, 16};
    case WeightType::kI8:
      return {"i8", 128, 132, 4};
    case WeightType::kQ8_0:
      return {"q8_0", 32, 34, 2};
    case WeightType::kQ4_0:
      return {"q4_0", 32, 18, 2};
    case WeightType::kQ4_1:
      return {"q4_1", 32, 20, 4};
    case WeightType::kQ5_0:
      return {"q5_0", 32, 22, 2};
    case WeightType::kQ5_1:
      return {"q5_1", 32, 24, 4};
    case WeightType::kQ4_K:
      return {"q4_k", 256, 144, 16};
    case WeightType::kQ5_K:
      return {"q5_k", 256, 176, 16};
    case WeightType::kQ6_K:
      return {"q6_k", 256, 210, 18};
    case WeightType::kQ8P:  // of both packed forms: a block, of 16 rows
      return {"q8p", 1024, 1088, 64};
    case WeightType::kQ4P:
      return {"q4p", 1024, 576, 64};
  }
  return {"", 1, 0, 0};
}

// Whether groups run on over the ends of rows; where not, a row must be a whole number of groups.
constexpr bool IsStream(WeightType type) { return type == WeightType::kNUQ || type == WeightType::kI8; }

// The bytes of `num_values` values from the beginning of a tensor on; a stream's last group may be cut short. Not for
// packed forms.
constexpr size_t WeightBytes(WeightType type, size_t num_values) {
  const WeightFormat format = FormatOf(type);
  const auto values = static_cast<size_t>(format.group_values);
  const size_t rest = num_values % values;
  const size_t whole = num_values / values * static_cast<size_t>(format.group_bytes);
  if (rest == 0) return whole;
  const auto coded = static_cast<size_t>(format.group_bytes - format.table_bytes);
  return whole + static_cast<size_t>(format.table_bytes) + (rest * coded + values - 1) / values;
}

// The bytes of a matrix; of a packed form, of all the blocks that it lies in.
constexpr size_t TensorBytes(WeightType type, size_t rows, size_t cols) {
  if (!IsPacked(type)) return WeightBytes(type, rows * cols);
  const size_t tiles = (rows + kPackedRows - 1) / kPackedRows;
  const size_t blocks = (cols + kPackedCols - 1) / kPackedCols;
  return tiles * blocks * static_cast<size_t>(FormatOf(type).group_bytes);
}

}  // namespace llmfw
