// A matrix of weights [rows, cols], row-major but in packed forms, read where it lies (usually in a mapped file).
// Checked once, in python/tensors.cc, when it crosses the border; kernels trust it.
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

  size_t bytes() const { return TensorBytes(type, static_cast<size_t>(rows), static_cast<size_t>(cols)); }
  // Not of types whose rows may begin within a group (IsStream, IsPacked).
  const std::byte* row(int r) const { return data + WeightBytes(type, static_cast<size_t>(r) * static_cast<size_t>(cols)); }
  explicit operator bool() const { return data != nullptr; }
};

}  // namespace llmfw
