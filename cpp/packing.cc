#include "packing.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <span>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/scalar_groups.h"

namespace llmfw {
namespace {

constexpr auto kGroup = static_cast<int>(kPackedGroup);
constexpr auto kTileRows = static_cast<int>(kPackedRows);

// 32 neighbouring values of a row: each is scale * q.
struct Group {
  uint16_t scale = 0;  // half precision
  int8_t q[kPackedGroup] = {};
};

// The nearest half, ties to even; what is too large becomes the largest finite one.
uint16_t ToHalf(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  constexpr uint32_t kTooLarge = 0x477FF000u;   // 65520, which rounds up to 2^16
  constexpr uint32_t kSmallest = 0x38800000u;   // 2^-14, the smallest normal one
  constexpr uint32_t kExponentShift = 112u << 10;  // between the two formats' biases
  if (magnitude >= kTooLarge) return static_cast<uint16_t>(sign | 0x7BFFu);
  if (magnitude < kSmallest) {
    // Next to 1/2 a float32's last bit counts 2^-24, as that of these halves does: the addition rounds.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0.5f)));
  }
  const uint32_t rounded = magnitude + 0xFFFu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((rounded >> 13) - kExponentShift));
}

float LargestMagnitude(const float* values) {
  float largest = 0.0f;
  for (int i = 0; i < kGroup; ++i) largest = std::max(largest, std::abs(values[i]));
  return largest;
}

// To the nearest integer, ties to even, of magnitudes below 2^22: adding 1.5 * 2^23 leaves no bits behind the point. NaN
// becomes zero. (A call of nearbyint for each value would take most of the time.)
float Round(float value) {
  constexpr float kShift = 12582912.0f;
  return value == value ? (value + kShift) - kShift : 0.0f;
}

// Rounds to multiples of a scale, as many as [low, high] has; returns the sum of squared errors.
float RoundTo(const float* values, uint16_t scale, float low, float high, Group& group) {
  constexpr int kLanes = 8;  // sums side by side
  const float step = DecodeHalf(scale);
  const float inverse = step == 0.0f ? 0.0f : 1.0f / step;
  float errors[kLanes] = {};
  group.scale = scale;
  for (int i = 0; i < kGroup; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const float value = values[i + lane];
      const float q = Round(std::min(high, std::max(low, value * inverse)));
      group.q[i + lane] = static_cast<int8_t>(q);
      const float off = value - q * step;
      errors[lane] += off * off;
    }
  }
  return std::accumulate(errors, errors + kLanes, 0.0f);
}

// The scale with the smallest sum of squared errors for integers already chosen.
uint16_t BestScale(const float* values, const Group& group) {
  float products = 0.0f;
  float squares = 0.0f;
  for (int i = 0; i < kGroup; ++i) {
    const auto q = static_cast<float>(group.q[i]);
    products += values[i] * q;
    squares += q * q;
  }
  return squares == 0.0f ? group.scale : ToHalf(products / squares);
}

Group RoundQ8(const float* values) {
  Group group;
  RoundTo(values, ToHalf(LargestMagnitude(values) / 127.0f), -127.0f, 127.0f, group);
  return group;
}

// The range has one step more below zero than above: of each size of step, both signs are tried.
Group RoundQ4(const float* values) {
  constexpr float kSteps[] = {8.5f, 8.0f, 7.5f, 7.0f, 6.5f, 6.0f};  // from zero to the largest value
  const float largest = LargestMagnitude(values);
  Group best;
  float best_error = RoundTo(values, 0, -8.0f, 7.0f, best);
  const auto keep_better = [&](uint16_t scale) {
    Group group;
    const float error = RoundTo(values, scale, -8.0f, 7.0f, group);
    if (!(error < best_error)) return;
    best_error = error;
    best = group;
  };
  for (const float steps : kSteps) {
    keep_better(ToHalf(largest / steps));
    keep_better(ToHalf(-largest / steps));
  }
  keep_better(BestScale(values, best));
  return best;
}

// GGUF's blocks of 32: a half, and the values in the same steps as ours.
Group ReadQ8_0(const std::byte* block) {
  Group group;
  std::memcpy(&group.scale, block, 2);
  std::memcpy(group.q, block + 2, kPackedGroup);
  return group;
}

Group ReadQ4_0(const std::byte* block) {
  Group group;
  std::memcpy(&group.scale, block, 2);
  for (size_t i = 0; i < kPackedGroup / 2; ++i) {
    const auto both = static_cast<int>(block[2 + i]);
    group.q[i] = static_cast<int8_t>((both & 15) - 8);
    group.q[i + kPackedGroup / 2] = static_cast<int8_t>((both >> 4) - 8);
  }
  return group;
}

// Reads rows as groups, the last one filled up with zeros. One a thread: it holds what a row is decoded in.
class RowReader {
 public:
  RowReader(const Tensor& from, WeightType to)
      : from_(from),
        to_(to),
        same_q8_(from.type == WeightType::kQ8_0 && to == WeightType::kQ8P),
        same_q4_(from.type == WeightType::kQ4_0 && to == WeightType::kQ4P),
        groups_((static_cast<size_t>(from.cols) + kPackedGroup - 1) / kPackedGroup),
        values_(groups_.size() * kPackedGroup) {
    from_.scale = 1.0f;
  }

  std::span<const Group> Read(int row) {
    if (same_q8_ || same_q4_) {
      const std::byte* block = from_.row(row);
      for (Group& group : groups_) {
        group = same_q8_ ? ReadQ8_0(block) : ReadQ4_0(block);
        block += FormatOf(from_.type).group_bytes;
      }
      return groups_;
    }
    ScalarKernels().decode_row(from_, row, values_.data());
    const float* values = values_.data();
    for (Group& group : groups_) {
      group = to_ == WeightType::kQ8P ? RoundQ8(values) : RoundQ4(values);
      values += kGroup;
    }
    return groups_;
  }

 private:
  Tensor from_;
  const WeightType to_;
  const bool same_q8_;
  const bool same_q4_;
  std::vector<Group> groups_;
  std::vector<float> values_;
};

// Puts a group where weight_types.h says. `block` is the one that it is in.
void PutGroup(const Group& group, WeightType type, size_t group_of_block, size_t row, std::byte* block) {
  std::memcpy(block + 2 * (group_of_block * kPackedRows + row), &group.scale, 2);
  constexpr size_t kVector = 4 * kPackedRows;
  const size_t vectors = type == WeightType::kQ8P ? 8 : 4;
  std::byte* at = block + kPackedScaleBytes + group_of_block * vectors * kVector + 4 * row;
  for (size_t i = 0; i < vectors * 4; ++i) {
    const int low = group.q[i];
    const int value = type == WeightType::kQ8P ? low + 128 : (low + 8) | (group.q[i + 16] + 8) << 4;
    at[i / 4 * kVector + i % 4] = static_cast<std::byte>(value);
  }
}

// What rows and columns beyond the tensor's hold: zeros.
void ClearTile(WeightType type, size_t num_blocks, std::byte* tile) {
  for (size_t b = 0; b < num_blocks; ++b) {
    for (size_t g = 0; g < kPackedCols / kPackedGroup; ++g) {
      for (size_t row = 0; row < kPackedRows; ++row) PutGroup(Group{}, type, g, row, tile);
    }
    tile += FormatOf(type).group_bytes;
  }
}

// The 16 rows from `row` on, or as many as there are.
void PackTile(const Tensor& from, WeightType type, int row, RowReader& reader, std::byte* tile) {
  const int rows = std::min(kTileRows, from.rows - row);
  const size_t cols = static_cast<size_t>(from.cols);
  if (rows < kTileRows || cols % kPackedCols != 0) ClearTile(type, (cols + kPackedCols - 1) / kPackedCols, tile);
  for (int i = 0; i < rows; ++i) {
    size_t g = 0;
    for (const Group& group : reader.Read(row + i)) {
      std::byte* block = tile + g / 2 * static_cast<size_t>(FormatOf(type).group_bytes);
      PutGroup(group, type, g % 2, static_cast<size_t>(i), block);
      ++g;
    }
  }
}

}  // namespace

void PackTensor(const Tensor& from, WeightType type, ThreadPool& pool, std::byte* out) {
  const int tiles = (from.rows + kTileRows - 1) / kTileRows;
  const size_t tile_bytes = TensorBytes(type, kPackedRows, static_cast<size_t>(from.cols));
  std::vector<RowReader> readers(static_cast<size_t>(pool.num_threads()), RowReader(from, type));
  pool.Run(tiles, [&](int tile, int thread) {
    PackTile(from, type, tile * kTileRows, readers[static_cast<size_t>(thread)],
             out + static_cast<size_t>(tile) * tile_bytes);
  });
}

}  // namespace llmfw
