// A kernel table and a thread pool, put together: the operations that the forward pass is written in.
//
// Activations are float32, row-major, one row a token. Work too small to be worth waking the threads for runs on the
// caller.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "aligned.h"
#include "kernels/kernels.h"
#include "thread_pool.h"

namespace llmfw {

// Parts are multiples of this many weight rows, so kernels seldom see a remainder.
inline constexpr int kRowGrain = 32;

// One output of a matrix product: y[r * ldy + n] for each row n of w.
struct Product {
  const Tensor* w;
  float* y;
  int ldy;
};

// Two products of the same rows that meet in gelu(gate) * up: y[r * ldy + n], from the rows gate_row + n of `gate` and
// up_row + n of `up` (which may be the same tensor: both rows are multiples of kRowGrain), n below `rows`.
struct GatedProduct {
  const Tensor* gate;
  int gate_row;
  const Tensor* up;
  int up_row;
  int rows;
  float* y;
  int ldy;
};

class Ops {
 public:
  // num_threads 0: one a core that this process may use.
  Ops(const KernelTable& kernels, int num_threads);

  const KernelTable& kernels() const { return kernels_; }
  int num_threads() const { return pool_.num_threads(); }

  // All products of the rows x[m, ldx] in one go: the threads meet once.
  void MatMul(const float* x, int ldx, int m, std::span<const Product> products) {
    Multiply(kernels_of_products(), x, ldx, m, products);
  }
  void MatMul(const float* x, int ldx, int m, const Product& product) { MatMul(x, ldx, m, {&product, 1}); }

  // As MatMul, and activations are as exact as with few rows.
  void MatMulExact(const float* x, int ldx, int m, std::span<const Product> products) {
    Multiply(kernels_.matmul_exact, x, ldx, m, products);
  }
  void MatMulExact(const float* x, int ldx, int m, const Product& product) { MatMulExact(x, ldx, m, {&product, 1}); }

  // The products stay in the cache until they are one: y is all that is written.
  void MatMulGelu(const float* x, int ldx, int m, const GatedProduct& product);

  // From here on MatMul and MatMulGelu are exact too: then a row's result does not depend on how many others there are.
  void SetExact(bool exact) { exact_ = exact; }

  // work(part, thread) for each part.
  template <typename Work>
  void ForParts(int num_parts, const Work& work) {
    pool_.Run(num_parts, work);
  }

  // work(row) for each of m rows, which touch about `row_values` values each.
  template <typename Work>
  void ForRows(int m, int row_values, const Work& work) {
    const int rows_per_part = RowsPerPart(m, row_values);
    const int num_parts = (m + rows_per_part - 1) / rows_per_part;
    pool_.Run(num_parts, [&](int part, int /*thread*/) {
      const int end = std::min(m, (part + 1) * rows_per_part);
      for (int row = part * rows_per_part; row < end; ++row) work(row);
    });
  }

  // y = x normalised, row by row, of n values each; y may be x.
  void RmsNorm(const float* x, const float* weight, float eps, int m, int n, float* y);
  // y[row] = gelu(gate) * up, where a row of gate_up is both, of n values each.
  void GeluMul(const float* gate_up, int m, int n, float* y);
  void SoftCap(float* x, float cap, int m, int n);

  // At least `floats` for this thread alone, to use within one part. Call ReserveScratch before the parts run.
  float* Scratch(int thread) {
    return reinterpret_cast<float*>(scratch_.data() + static_cast<size_t>(thread) * scratch_stride_);
  }
  void ReserveScratch(size_t floats) { ReserveScratchBytes(floats * sizeof(float)); }

 private:
  struct Packing;  // activations in one kernel's form
  struct Part;     // rows of a product's weights

  using Kernels = MatMulKernel[kNumWeightTypes];

  const Kernels& kernels_of_products() const { return exact_ ? kernels_.matmul_exact : kernels_.matmul; }
  void Multiply(const Kernels& kernels, const float* x, int ldx, int m, std::span<const Product> products);
  std::vector<Packing> Pack(const Kernels& kernels, const float* x, int ldx, int m, int block_rows,
                            std::span<const Product> products);
  std::vector<Part> Split(std::span<const Product> products, int m) const;
  void RunGatedPart(const GatedProduct& product, const Part& part, std::span<const Packing> packings, int m, int chunk,
                    std::byte* scratch);
  void RunPart(const Kernels& kernels, const Product& product, int n_begin, int n_end, const Packing& packing, int m,
               float* scratch);
  int RowsPerPart(int m, int row_values) const;
  void ReserveScratchBytes(size_t bytes_per_thread);

  const KernelTable& kernels_;
  bool exact_ = false;
  ThreadPool pool_;
  AlignedArray<std::byte> packed_;
  AlignedArray<std::byte> scratch_;
  size_t scratch_stride_ = 0;
};

}  // namespace llmfw
