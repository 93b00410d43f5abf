// The table of an instruction set whose kernels are those of vector_floats.h, vector_groups.h and vector_packed.h.
#pragma once

#include "vector_floats.h"
#include "vector_groups.h"
#include "vector_packed.h"

namespace llmfw {
namespace {

constexpr KernelTable VectorTable(const char* isa, DotsKernel int8_dots) {
  constexpr MatMulKernel kGrouped = kGroupedMatMul;
  return {
      .isa = isa,
      .packs = true,
      .matmul = {FloatMatMul<F32Weights>(), FloatMatMul<F16Weights>(), FloatMatMul<BF16Weights>(),
                 FloatMatMul<SFPWeights>(), kGrouped, kGrouped, kGrouped, kGrouped, kGrouped, kGrouped, kGrouped,
                 kGrouped, kGrouped, kGrouped, IntMatMul<Q8P, false>(), IntMatMul<Q4P, false>()},
      .matmul_exact = {FloatMatMul<F32Weights>(), FloatMatMul<F16Weights>(), FloatMatMul<BF16Weights>(),
                       FloatMatMul<SFPWeights>(), kGrouped, kGrouped, kGrouped, kGrouped, kGrouped, kGrouped, kGrouped,
                       kGrouped, kGrouped, kGrouped, IntMatMul<Q8P, true>(), IntMatMul<Q4P, true>()},
      .decode_row = DecodeRow,
      .dot = Dot,
      .axpy = Axpy,
      .dot_rows = DotRows,
      .add_rows = AddRows,
      .rms_norm = RmsNorm,
      .gelu_mul = GeluMul,
      .softcap = SoftCap,
      .softmax = Softmax,
      .int8_dots = int8_dots,
      .bf16_dots = NoDots,
  };
}

}  // namespace
}  // namespace llmfw
