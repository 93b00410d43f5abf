// How fast this machine reads memory: the limit that decode is measured against.
#pragma once

#include <cstddef>

namespace llmfw {

// Reads a buffer of `bytes` (rounded down to whole pages a thread) with `num_threads` threads (0: one a core) a few
// times and returns the best rate, in bytes a second. `bytes` should be well beyond the last cache.
double ReadBandwidth(size_t bytes, int num_threads);

}  // namespace llmfw
