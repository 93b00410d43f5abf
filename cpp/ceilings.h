// How fast this machine reads memory and multiplies: the limits that decode and prefill are measured against.
#pragma once

#include <cstddef>

#include "kernels/kernels.h"

namespace llmfw {

// Reads a buffer of `bytes` (rounded down to whole pages a thread) with `num_threads` threads (0: one a core) a few
// times and returns the best rate, in bytes a second. `bytes` should be well beyond the last cache.
double ReadBandwidth(size_t bytes, int num_threads);

// Dot products of registers alone, with one of the table's `int8_dots` and `bf16_dots`: the best rate of a few tries, in
// multiply-adds a second; 0 where the instruction set has none.
double DotPeak(DotsKernel dots, int num_threads);

}  // namespace llmfw
