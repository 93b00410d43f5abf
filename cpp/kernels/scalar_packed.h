// The packed forms, read by plain loops: the reference for every kernel that reads them.
#pragma once

#include "../tensor.h"

namespace llmfw {

// out[c] = scale * W[row, c] for all columns of a tensor whose type is packed (its own scale left out).
void DecodePackedRow(const Tensor& w, int row, float scale, float* out);

}  // namespace llmfw
