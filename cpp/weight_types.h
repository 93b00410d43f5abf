// The number formats that weights come in. Layouts are those of the files, so tensors are used where they are mapped.
#pragma once

#include <cstddef>
#include <cstdint>

namespace llmfw {

// kNUQ and kI8 are .sbs files' formats with side tables, one stream of groups over the whole matrix: a row may begin
// within a group. The block formats from kQ8_0 on are GGUF's; a row is a whole number of blocks.
enum class WeightType : uint8_t {
  kF32, kF16, kBF16, kSFP, kNUQ, kI8, kQ8_0, kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ4_K, kQ5_K, kQ6_K
};
inline constexpr int kNumWeightTypes = 14;

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
  }
  return {"", 1, 0, 0};
}

// Whether groups run on over the ends of rows; where not, a row must be a whole number of groups.
constexpr bool IsStream(WeightType type) { return type == WeightType::kNUQ || type == WeightType::kI8; }

// The bytes of `num_values` values from the beginning of a tensor on; a stream's last group may be cut short.
constexpr size_t WeightBytes(WeightType type, size_t num_values) {
  const WeightFormat format = FormatOf(type);
  const auto values = static_cast<size_t>(format.group_values);
  const size_t rest = num_values % values;
  const size_t whole = num_values / values * static_cast<size_t>(format.group_bytes);
  if (rest == 0) return whole;
  const auto coded = static_cast<size_t>(format.group_bytes - format.table_bytes);
  return whole + static_cast<size_t>(format.table_bytes) + (rest * coded + values - 1) / values;
}

}  // namespace llmfw
