#include "ops.h"

#include <algorithm>
#include <vector>

namespace llmfw {
namespace {

// Activation rows that are packed, and go through the weights, together, at most: enough that decoding a weight pays,
// few enough that several threads can pack.
constexpr int kMaxBlockRows = 192;
constexpr int kMinBlockRows = 48;
constexpr int kBlockRowGrain = 6;  // activation rows that the kernels for many rows take at once
// Weights that stay in the second-level cache while one block of activations after the other meets them.
constexpr size_t kWeightChunkBytes = 256 << 10;
// Enough parts that a thread which was held up costs little.
constexpr int kPartsPerThread = 6;
// Multiply-adds below which handing out a part costs more than it saves.
constexpr long kMinPartWork = 1 << 15;
// Values that one thread goes through in about the time that it takes to wake the others.
constexpr long kSerialValues = 1 << 14;

size_t TypeIndex(const Product& product) { return static_cast<size_t>(product.w->type); }

int CeilDiv(int value, int divisor) { return (value + divisor - 1) / divisor; }

// As many blocks for each thread to pack, where they do not get too small.
int BlockRows(int m, int num_threads) {
  const int num_blocks = CeilDiv(m, kMaxBlockRows);
  const int even_blocks = std::min(CeilDiv(num_blocks, num_threads) * num_threads, std::max(m / kMinBlockRows, 1));
  const int rows = CeilDiv(m, std::max(num_blocks, even_blocks));
  return std::min(m, CeilDiv(rows, kBlockRowGrain) * kBlockRowGrain);
}

// How long the slowest of the threads is busy, in grains, where a part is so many of them and all run at one speed.
long LongestTurn(std::span<const Product> products, long grains_per_part, int num_threads) {
  long parts = 0;
  for (const Product& product : products) {
    const long grains = CeilDiv(product.w->rows, kRowGrain);
    parts += (grains + grains_per_part - 1) / grains_per_part;
  }
  return (parts + num_threads - 1) / num_threads * grains_per_part;
}

// The size of part near `wanted` grains that leaves the threads least unequal.
long GrainsPerPart(std::span<const Product> products, long wanted, int num_threads) {
  constexpr long kSteps[] = {1, -1, 2, -2, 3};
  long best = std::max(wanted, 1L);
  for (const long step : kSteps) {
    const long grains = wanted + step;
    if (grains < 1) continue;
    if (LongestTurn(products, grains, num_threads) < LongestTurn(products, best, num_threads)) best = grains;
  }
  return best;
}

// Weight rows of a gated product that are multiplied before they meet: as many as stay in the second-level cache, the
// weights too where several blocks of activations need them.
int GatedChunk(const GatedProduct& product, int m, int block_rows) {
  constexpr size_t kResultBytes = 256 << 10;
  const auto cols = static_cast<size_t>(product.gate->cols);
  const size_t grain_bytes =
      TensorBytes(product.gate->type, kRowGrain, cols) + TensorBytes(product.up->type, kRowGrain, cols);
  const size_t result_bytes = 2 * sizeof(float) * static_cast<size_t>(block_rows) * kRowGrain;
  size_t grains = kResultBytes / result_bytes;
  if (m > block_rows) grains = std::min(grains, kWeightChunkBytes / grain_bytes);
  return static_cast<int>(std::max<size_t>(grains, 1)) * kRowGrain;
}

}  // namespace

struct Ops::Part {
  int product;
  int begin;
  int end;
};

// The activations of one MatMul in the form of one kernel, in blocks of rows.
struct Ops::Packing {
  void (*pack)(const float* x, int ldx, int m, int k, std::byte* packed);
  size_t offset;  // in packed_
  size_t block_bytes;
  int block_rows;
};

std::vector<Ops::Part> Ops::Split(std::span<const Product> products, int m) const {
  const int num_threads = pool_.num_threads();
  long rows = 0;
  for (const Product& product : products) rows += product.w->rows;
  const long row_work = static_cast<long>(products[0].w->cols) * m;
  const long wanted = std::max(rows / (static_cast<long>(num_threads) * kPartsPerThread), kMinPartWork / row_work);
  const int rows_per_part = static_cast<int>(GrainsPerPart(products, wanted / kRowGrain, num_threads)) * kRowGrain;
  std::vector<Part> parts;
  for (int p = 0; p < static_cast<int>(products.size()); ++p) {
    const int end = products[static_cast<size_t>(p)].w->rows;
    for (int n = 0; n < end; n += rows_per_part) parts.push_back({p, n, std::min(end, n + rows_per_part)});
  }
  return parts;
}

Ops::Ops(const KernelTable& kernels, int num_threads) : kernels_(kernels), pool_(num_threads) {}

int Ops::RowsPerPart(int m, int row_values) const {
  const long values = static_cast<long>(m) * row_values;
  if (values <= kSerialValues) return std::max(m, 1);
  return std::max(1, CeilDiv(m, num_threads() * kPartsPerThread));
}

void Ops::ReserveScratchBytes(size_t bytes_per_thread) {
  const size_t stride = RoundUp(bytes_per_thread, kCacheLine);
  if (stride <= scratch_stride_) return;
  scratch_.Reserve(stride * static_cast<size_t>(num_threads()));
  scratch_stride_ = stride;
}

void Ops::Multiply(const Kernels& kernels, const float* x, int ldx, int m, std::span<const Product> products) {
  const int block_rows = BlockRows(m, num_threads());
  const std::vector<Packing> packings = Pack(kernels, x, ldx, m, block_rows, products);
  const std::vector<Part> parts = Split(products, m);
  ForParts(static_cast<int>(parts.size()), [&](int i, int thread) {
    const Part& part = parts[static_cast<size_t>(i)];
    const auto product = static_cast<size_t>(part.product);
    RunPart(kernels, products[product], part.begin, part.end, packings[product], m, Scratch(thread));
  });
}

void Ops::MatMulGelu(const float* x, int ldx, int m, const GatedProduct& product) {
  const int k = product.gate->cols;
  const int block_rows = BlockRows(m, num_threads());
  const Product both[] = {{product.gate, nullptr, 0}, {product.up, nullptr, 0}};
  const std::vector<Packing> packings = Pack(kernels_of_products(), x, ldx, m, block_rows, both);
  const int chunk = GatedChunk(product, m, block_rows);
  const size_t results = 2 * sizeof(float) * static_cast<size_t>(block_rows) * static_cast<size_t>(chunk);
  for (const Product& one : both) {
    ReserveScratchBytes(results + kernels_of_products()[TypeIndex(one)].scratch_bytes(block_rows, k));
  }
  Tensor shape = *product.gate;
  shape.rows = product.rows;
  const Product whole{&shape, nullptr, 0};
  const std::vector<Part> parts = Split({&whole, 1}, 2 * m);
  ForParts(static_cast<int>(parts.size()), [&](int i, int thread) {
    RunGatedPart(product, parts[static_cast<size_t>(i)], packings, m, chunk,
                 reinterpret_cast<std::byte*>(Scratch(thread)));
  });
}

// Scratch holds the two products of a chunk, then what the kernels need.
void Ops::RunGatedPart(const GatedProduct& product, const Part& part, std::span<const Packing> packings, int m,
                       int chunk, std::byte* scratch) {
  const int block_rows = packings[0].block_rows;
  auto* gate = reinterpret_cast<float*>(scratch);
  float* up = gate + static_cast<ptrdiff_t>(block_rows) * chunk;
  auto* kernel_scratch = reinterpret_cast<std::byte*>(up + static_cast<ptrdiff_t>(block_rows) * chunk);
  const auto multiply = [&](const Tensor& w, int n, int count, const Packing& packing, int block, int rows, float* y) {
    const std::byte* packed = packed_.data() + packing.offset + static_cast<size_t>(block) * packing.block_bytes;
    // Kernels write weight row n's results at y[n].
    kernels_of_products()[static_cast<size_t>(w.type)].run(w, n, n + count, packed, rows, y - n, chunk, kernel_scratch);
  };
  for (int n = part.begin; n < part.end; n += chunk) {
    const int count = std::min(chunk, part.end - n);
    for (int row = 0; row < m; row += block_rows) {
      const int rows = std::min(block_rows, m - row);
      multiply(*product.gate, product.gate_row + n, count, packings[0], row / block_rows, rows, gate);
      multiply(*product.up, product.up_row + n, count, packings[1], row / block_rows, rows, up);
      for (int r = 0; r < rows; ++r) {
        const ptrdiff_t at = static_cast<ptrdiff_t>(r) * chunk;
        kernels_.gelu_mul(gate + at, up + at, product.y + static_cast<ptrdiff_t>(row + r) * product.ldy + n, count);
      }
    }
  }
}

// Packs the activations for each product; products whose kernels want the same form share it.
std::vector<Ops::Packing> Ops::Pack(const Kernels& kernels, const float* x, int ldx, int m, int block_rows,
                                    std::span<const Product> products) {
  const int k = products[0].w->cols;
  const int num_blocks = CeilDiv(m, block_rows);
  std::vector<Packing> packings;
  size_t packed_bytes = 0;
  for (const Product& product : products) {
    const MatMulKernel& kernel = kernels[TypeIndex(product)];
    ReserveScratchBytes(kernel.scratch_bytes(block_rows, k));
    const auto same = [&](const Packing& packing) { return packing.pack == kernel.pack; };
    const auto found = std::find_if(packings.begin(), packings.end(), same);
    if (found != packings.end()) {
      packings.push_back(Packing(*found));
      continue;
    }
    const size_t block_bytes = RoundUp(kernel.packed_bytes(block_rows, k), kCacheLine);
    packings.push_back({kernel.pack, packed_bytes, block_bytes, block_rows});
    packed_bytes += block_bytes * static_cast<size_t>(num_blocks);
  }
  packed_.Reserve(packed_bytes);
  size_t done = 0;  // bytes; a shared form begins before this
  for (const Packing& packing : packings) {
    if (packing.offset < done) continue;
    ForRows(num_blocks, block_rows * k, [&](int block) {
      const int begin = block * block_rows;
      packing.pack(x + static_cast<ptrdiff_t>(begin) * ldx, ldx, std::min(block_rows, m - begin), k,
                   packed_.data() + packing.offset + static_cast<size_t>(block) * packing.block_bytes);
    });
    done = packing.offset + packing.block_bytes * static_cast<size_t>(num_blocks);
  }
  return packings;
}

// Some rows of a product's weights, in chunks that stay in the cache while all blocks of activations meet them.
void Ops::RunPart(const Kernels& kernels, const Product& product, int n_begin, int n_end, const Packing& packing, int m,
                  float* scratch) {
  const Tensor& w = *product.w;
  const size_t grain_bytes = TensorBytes(w.type, kRowGrain, static_cast<size_t>(w.cols));
  const int chunk = static_cast<int>(std::max<size_t>(kWeightChunkBytes / grain_bytes, 1)) * kRowGrain;
  for (int n = n_begin; n < n_end; n += chunk) {
    const std::byte* packed = packed_.data() + packing.offset;
    for (int row = 0; row < m; row += packing.block_rows, packed += packing.block_bytes) {
      kernels[TypeIndex(product)].run(w, n, std::min(n_end, n + chunk), packed, std::min(packing.block_rows, m - row),
                                      product.y + static_cast<ptrdiff_t>(row) * product.ldy, product.ldy,
                                      reinterpret_cast<std::byte*>(scratch));
    }
  }
}

void Ops::RmsNorm(const float* x, const float* weight, float eps, int m, int n, float* y) {
  ForRows(m, n, [&](int row) {
    const ptrdiff_t at = static_cast<ptrdiff_t>(row) * n;
    kernels_.rms_norm(x + at, weight, eps, y + at, n);
  });
}

void Ops::GeluMul(const float* gate_up, int m, int n, float* y) {
  // Costs several operations a value, so count it as more.
  ForRows(m, 2 * n, [&](int row) {
    const float* gate = gate_up + static_cast<ptrdiff_t>(row) * 2 * n;
    kernels_.gelu_mul(gate, gate + n, y + static_cast<ptrdiff_t>(row) * n, n);
  });
}

void Ops::SoftCap(float* x, float cap, int m, int n) {
  // Rows can be as long as the vocabulary: cut them.
  constexpr int kPiece = 8192;
  const int pieces = CeilDiv(n, kPiece);
  ForRows(m * pieces, kPiece, [&](int i) {
    const int begin = i % pieces * kPiece;
    kernels_.softcap(x + static_cast<ptrdiff_t>(i / pieces) * n + begin, cap, std::min(kPiece, n - begin));
  });
}

}  // namespace llmfw
