// The engine's inner loops, as one table of functions an instruction set.
//
// A table starts as a copy of the scalar one (the reference) and replaces what it does faster: a missing kernel is slow,
// never absent. Tables are chosen once, at load (dispatch.cc), and never change. Kernels keep no state and check nothing.
#pragma once

#include <cstddef>

#include "../tensor.h"

namespace llmfw {

// y[r * ldy + n] = scale * sum over k of W[n, k] * x[r, k], for the weight rows n in [n_begin, n_end), activation rows
// r in [0, m). Activations are first brought, once a matrix product, into the form that the kernel wants (`pack`): bf16,
// bf16 split in two, permuted, or simply float32. `run` is then called for disjoint row ranges from several threads.
struct MatMulKernel {
  size_t (*packed_bytes)(int m, int k);
  void (*pack)(const float* x, int ldx, int m, int k, std::byte* packed);  // packed is 64-byte aligned
  size_t (*scratch_bytes)(int m, int k);                                  // per thread, 64-byte aligned
  void (*run)(const Tensor& w, int n_begin, int n_end, const std::byte* packed, int m, float* y, int ldy, std::byte* scratch);
};

// Does nothing but dot products of registers, `rounds` times a few, and returns how many multiply-adds these were; -1
// where the instruction set has no such instruction. See ceilings.h.
using DotsKernel = long (*)(long rounds);

struct KernelTable {
  const char* isa;
  bool packs;  // whether products are faster with packed weights (q8p, q4p) than with the files' q8_0 and q4_0
  MatMulKernel matmul[kNumWeightTypes];
  // The same, and activations are not rounded more than with few rows, however many there are. The kernels for many rows
  // take up to twice the time for it.
  MatMulKernel matmul_exact[kNumWeightTypes];

  // out[c] = scale * W[row, c] as float32.
  void (*decode_row)(const Tensor& w, int row, float* out);

  float (*dot)(const float* a, const float* b, int n);
  void (*axpy)(float a, const float* x, float* y, int n);  // y += a * x
  // Attention. y[i * ldy + j] = a_i . b_j for the rows a_i [m, k] and b_j [n, k], `lda` and `ldb` apart.
  void (*dot_rows)(const float* a, ptrdiff_t lda, int m, const float* b, ptrdiff_t ldb, int n, int k, float* y,
                   ptrdiff_t ldy);
  // y_i += sum over j of w[i * ldw + j] * v_j, for the rows y_i [m, k] and v_j [n, k]; j in order.
  void (*add_rows)(const float* w, ptrdiff_t ldw, int m, const float* v, ptrdiff_t ldv, int n, int k, float* y,
                   ptrdiff_t ldy);
  // y = x / sqrt(mean(x^2) + eps) * (1 + weight); y may be x.
  void (*rms_norm)(const float* x, const float* weight, float eps, float* y, int n);
  // y = gelu_tanh(gate) * up; y may be gate.
  void (*gelu_mul)(const float* gate, const float* up, float* y, int n);
  // x = cap * tanh(x / cap)
  void (*softcap)(float* x, float cap, int n);
  // x = exp(x - max) / sum
  void (*softmax)(float* x, int n);

  DotsKernel int8_dots;
  DotsKernel bf16_dots;
};

const KernelTable& ScalarKernels();
#if defined(LLMFW_HAVE_AVX2)
const KernelTable& Avx2Kernels();  // needs avx2, fma, f16c
#endif
#if defined(LLMFW_HAVE_NEON)
const KernelTable& NeonKernels();  // needs dotprod
#endif
#if defined(LLMFW_HAVE_AVX512)
const KernelTable& Avx512Kernels();  // needs avx512 f, bw, vl, dq, vbmi, bf16, vnni
#endif

// The table named `isa`, or, for nullptr, the one that LLM_FRAMEWORK_ISA names, or the fastest this processor runs.
// Returns nullptr where the name is unknown or the processor cannot run it.
const KernelTable* FindKernels(const char* isa);

// Names of the tables this processor runs, slowest first; returns how many were written.
int AvailableIsas(const char** names, int capacity);

}  // namespace llmfw
