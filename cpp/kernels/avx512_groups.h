// The formats that encode several values together, decoded with AVX-512.
#pragma once

#include "../tensor.h"

namespace llmfw {

// out[c] = scale * W[row, c], to the bit what the scalar table gives; the tensor's type must be one of those with groups.
void Avx512DecodeGroupedRow(const Tensor& w, int row, float scale, float* out);

}  // namespace llmfw
