// Matrix products with packed weights (q8p, q4p), for the table of avx512.cc.
//
// The kernels named "Exact" take activations in two int8 parts whatever the number of rows; the others with few rows.
#pragma once

#include "kernels.h"

namespace llmfw::avx512 {

size_t Int8PackedBytes(int m, int k);
size_t Int8PackedBytesExact(int m, int k);
size_t Int8ScratchBytes(int m, int k);
void PackForQ8P(const float* x, int ldx, int m, int k, std::byte* packed);
void PackForQ8PExact(const float* x, int ldx, int m, int k, std::byte* packed);
void PackForQ4P(const float* x, int ldx, int m, int k, std::byte* packed);
void PackForQ4PExact(const float* x, int ldx, int m, int k, std::byte* packed);
void RunQ8P(const Tensor& w, int n_begin, int n_end, const std::byte* packed, int m, float* y, int ldy, std::byte* scratch);
void RunQ8PExact(const Tensor& w, int n_begin, int n_end, const std::byte* packed, int m, float* y, int ldy,
                 std::byte* scratch);
void RunQ4P(const Tensor& w, int n_begin, int n_end, const std::byte* packed, int m, float* y, int ldy, std::byte* scratch);
void RunQ4PExact(const Tensor& w, int n_begin, int n_end, const std::byte* packed, int m, float* y, int ldy,
                 std::byte* scratch);

inline constexpr MatMulKernel kQ8PMatMul = {Int8PackedBytes, PackForQ8P, Int8ScratchBytes, RunQ8P};
inline constexpr MatMulKernel kQ8PMatMulExact = {Int8PackedBytesExact, PackForQ8PExact, Int8ScratchBytes, RunQ8PExact};
inline constexpr MatMulKernel kQ4PMatMul = {Int8PackedBytes, PackForQ4P, Int8ScratchBytes, RunQ4P};
inline constexpr MatMulKernel kQ4PMatMulExact = {Int8PackedBytesExact, PackForQ4PExact, Int8ScratchBytes, RunQ4PExact};

}  // namespace llmfw::avx512
