// Attention's products with AVX-512: see `dot_rows` and `add_rows` of the kernel table.
#pragma once

#include <cstddef>

namespace llmfw::avx512 {

void DotRows(const float* a, ptrdiff_t lda, int m, const float* b, ptrdiff_t ldb, int n, int k, float* y,
             ptrdiff_t ldy);
void AddRows(const float* w, ptrdiff_t ldw, int m, const float* v, ptrdiff_t ldv, int n, int k, float* y,
             ptrdiff_t ldy);

}  // namespace llmfw::avx512
