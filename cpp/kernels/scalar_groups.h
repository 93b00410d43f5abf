// The formats that encode several values together, in plain C++: how each is read is written in scalar_groups.cc and
// nowhere else.
#pragma once

#include <cstddef>

#include "../tensor.h"

namespace llmfw {

// out[c] = scale * W[row, c]; the tensor's type must be one of those with groups.
void DecodeGroupedRow(const Tensor& w, int row, float scale, float* out);

// A half-precision number, and a value of the switching floating point format (SFP).
float DecodeHalf(uint16_t bits);
float DecodeSFP(uint8_t bits);

}  // namespace llmfw
