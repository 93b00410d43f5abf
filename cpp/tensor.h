// A matrix of weights: packed row-major [rows, cols], read where it lies (usually in a mapped file).
// Checked once, in bindings.cc, when it crosses the border; kernels trust it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "weight_types.h"

namespace llmfw {

struct Tensor {
  const std::byte* data = nullptr;  // no alignment is promised: files align by their own rules
  WeightType type = WeightType::kF32;
  int rows = 0;
  int cols = 0;
  float scale = 1.0f;  // true value = decoded value * scale

  // Not of types whose rows may begin within a group (IsStream).
  const std::byte* row(int r) const { return data + WeightBytes(type, static_cast<size_t>(r) * static_cast<size_t>(cols)); }
  explicit operator bool() const { return data != nullptr; }
};

}  // namespace llmfw
