// The number formats that weights come in. Layouts are those of the files, so tensors are used where they are mapped.
#pragma once

#include <cstddef>
#include <cstdint>

namespace llmfw {

enum class WeightType : uint8_t { kF32, kF16, kBF16, kSFP };
inline constexpr int kNumWeightTypes = 4;

constexpr size_t WeightBytes(WeightType type, size_t num_values) {
  switch (type) {
    case WeightType::kF32:
      return 4 * num_values;
    case WeightType::kF16:
    case WeightType::kBF16:
      return 2 * num_values;
    case WeightType::kSFP:
      return num_values;
  }
  return 0;
}

}  // namespace llmfw
