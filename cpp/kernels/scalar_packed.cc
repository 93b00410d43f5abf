#include "scalar_packed.h"

#include <cstring>

#include "scalar_groups.h"

namespace llmfw {
namespace {

// A block's bytes, as weight_types.h lays them out. Row and column count within the block.
struct Block {
  const std::byte* data;

  float Scale(size_t row, size_t col) const {
    uint16_t bits;
    std::memcpy(&bits, data + 2 * (col / kPackedGroup * kPackedRows + row), sizeof bits);
    return DecodeHalf(bits);
  }

  int Q8(size_t row, size_t col) const {
    const size_t at = (col / 4 * kPackedRows + row) * 4 + col % 4;
    return static_cast<int>(data[kPackedScaleBytes + at]) - 128;
  }

  int Q4(size_t row, size_t col) const {
    const size_t quad = col / kPackedGroup * 4 + col % 16 / 4;
    const auto both = static_cast<int>(data[kPackedScaleBytes + (quad * kPackedRows + row) * 4 + col % 4]);
    return (col % kPackedGroup < 16 ? both & 0x0F : both >> 4) - 8;
  }
};

}  // namespace

void DecodePackedRow(const Tensor& w, int row, float scale, float* out) {
  const size_t row_in_tile = static_cast<size_t>(row) % kPackedRows;
  const auto row_of_tile = static_cast<size_t>(row) - row_in_tile;
  const std::byte* tile = w.data + TensorBytes(w.type, row_of_tile, static_cast<size_t>(w.cols));
  const size_t block_bytes = static_cast<size_t>(FormatOf(w.type).group_bytes);
  for (size_t c = 0; c < static_cast<size_t>(w.cols); ++c) {
    const Block block{tile + c / kPackedCols * block_bytes};
    const size_t col = c % kPackedCols;
    const int value = w.type == WeightType::kQ8P ? block.Q8(row_in_tile, col) : block.Q4(row_in_tile, col);
    out[c] = scale * (block.Scale(row_in_tile, col) * static_cast<float>(value));
  }
}

}  // namespace llmfw
