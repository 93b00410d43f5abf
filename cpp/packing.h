// Weights of any type as the engine's own packed forms.
#pragma once

#include "tensor.h"
#include "thread_pool.h"

namespace llmfw {

// Writes `from` in the packed form `type` (kQ8P or kQ4P) to out[TensorBytes(type, from.rows, from.cols)]. The result's
// scale is that of `from`. What `from` holds of q8_0 as q8p, and of q4_0 as q4p, stays the same to the bit; anything
// else is rounded by groups of 32 columns: q8p to the nearest of 255 steps to the group's largest magnitude, q4p to 16
// steps of the size that leaves the smallest sum of squared errors of some tried.
void PackTensor(const Tensor& from, WeightType type, ThreadPool& pool, std::byte* out);

}  // namespace llmfw
