// Tests of the kernel tables, of their choice, and of the thread pool. Exit status 0 where all hold.
//
// The scalar table is held against sums in double precision, written anew here; every other table against those and
// against the scalar one. Weights lie right before an unreadable page, at odd addresses.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "../kernels/kernels.h"
#include "../thread_pool.h"

namespace llmfw {
namespace {

int g_checks = 0;
int g_failures = 0;

#define CHECK(condition, ...)                                                \
  do {                                                                       \
    ++g_checks;                                                              \
    if (!(condition) && ++g_failures <= 40) {                                \
      std::printf("%s:%d: not true: %s |", __FILE__, __LINE__, #condition);   \
      std::printf(" " __VA_ARGS__);                                          \
      std::printf("\n");                                                     \
    }                                                                        \
  } while (false)

constexpr WeightType kTypes[] = {WeightType::kF32, WeightType::kF16, WeightType::kBF16, WeightType::kSFP};

size_t Size(int n) { return static_cast<size_t>(n); }

// ---- Helpers: numbers, memory ---------------------------------------------------------------------------------------

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2654435769u + 88172645463325252u) {}
  uint32_t Bits() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<uint32_t>(state_ >> 32);
  }
  float Uniform(float low, float high) { return low + (high - low) * (static_cast<float>(Bits() >> 8) * 0x1p-24f); }
  std::vector<float> Vector(int n, float low, float high) {
    std::vector<float> v(Size(n));
    for (float& x : v) x = Uniform(low, high);
    return v;
  }

 private:
  uint64_t state_;
};

// Memory whose last byte is followed by a page that nobody may touch.
class GuardedMemory {
 public:
  explicit GuardedMemory(size_t bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t readable = (bytes + page - 1) / page * page;
    mapped_bytes_ = readable + page;
    void* base = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || mprotect(static_cast<char*>(base) + readable, page, PROT_NONE) != 0) std::abort();
    base_ = static_cast<std::byte*>(base);
    data_ = base_ + readable - bytes;
  }
  ~GuardedMemory() { munmap(base_, mapped_bytes_); }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;
  std::byte* data() const { return data_; }

 private:
  std::byte* base_ = nullptr;
  std::byte* data_ = nullptr;
  size_t mapped_bytes_ = 0;
};

struct FreeDeleter {
  void operator()(std::byte* p) const { std::free(p); }
};
using AlignedBytes = std::unique_ptr<std::byte, FreeDeleter>;

// Exactly so many bytes, so that a sanitizer sees one too many written.
AlignedBytes Aligned(size_t bytes) {
  void* p = nullptr;
  if (posix_memalign(&p, 64, std::max<size_t>(bytes, 1)) != 0) std::abort();
  return AlignedBytes(static_cast<std::byte*>(p));
}

// The formats, read by arithmetic rather than by moving bits.
double ReadF16(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int mantissa = bits & 1023;
  const double magnitude = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

double ReadBF16(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value = 0;
  std::memcpy(&value, &wide, 4);
  return static_cast<double>(value);
}

double ReadSFP(uint8_t bits) {
  const int c = bits & 127;
  if (c == 0) return 0.0;
  const double small = std::ldexp(1.0 + (c & 3) / 4.0, (c >> 2) - 23);
  const double large = std::ldexp(1.0 + (c & 7) / 8.0, (c >> 3) - 15);
  const double magnitude = c < 64 ? small : large;
  return (bits & 128) != 0 ? -magnitude : magnitude;
}

double Read(WeightType type, const std::byte* row, int c) {
  const std::byte* at = row + WeightBytes(type, Size(c));
  uint16_t bits = 0;
  switch (type) {
    case WeightType::kF32: {
      float value = 0;
      std::memcpy(&value, at, 4);
      return static_cast<double>(value);
    }
    case WeightType::kF16:
      std::memcpy(&bits, at, 2);
      return ReadF16(bits);
    case WeightType::kBF16:
      std::memcpy(&bits, at, 2);
      return ReadBF16(bits);
    case WeightType::kSFP:
      return ReadSFP(static_cast<uint8_t>(*at));
    default:
      break;  // formats with groups: groups_test.cc
  }
  return 0.0;
}

// Weights of every magnitude that a model holds; for SFP every code, the two zeros among them.
void Fill(WeightType type, std::byte* data, size_t count, Random& random) {
  for (size_t i = 0; i < count; ++i) {
    const float value = random.Uniform(-1.0f, 1.0f) * std::ldexp(1.0f, static_cast<int>(random.Bits() % 8) - 6);
    uint32_t bits = 0;
    std::memcpy(&bits, &value, 4);
    const auto upper = static_cast<uint16_t>(bits >> 16);
    const auto half = static_cast<uint16_t>((random.Bits() & 0x83FFu) | ((random.Bits() % 17u) << 10));
    const auto byte = static_cast<uint8_t>(random.Bits());
    if (type == WeightType::kF32) std::memcpy(data + 4 * i, &value, 4);
    if (type == WeightType::kF16) std::memcpy(data + 2 * i, &half, 2);
    if (type == WeightType::kBF16) std::memcpy(data + 2 * i, &upper, 2);
    if (type == WeightType::kSFP) std::memcpy(data + i, &byte, 1);
  }
}

std::vector<const KernelTable*> Tables() {
  const char* names[8];
  const int count = AvailableIsas(names, 8);
  std::vector<const KernelTable*> tables;
  for (int i = 0; i < count; ++i) tables.push_back(FindKernels(names[i]));
  return tables;
}

// ---- Matrix products ------------------------------------------------------------------------------------------------

// How far a sum may be off, as a fraction of the sum of its products' magnitudes. bf16 rounds an activation by at most
// 2^-8 of itself, two of them by 2^-16; the rest is float32 sums in another order.
double Budget(const KernelTable& table, WeightType type, int m) {
  constexpr double kFloatSums = 1e-6;
  if (&table == &ScalarKernels() || type == WeightType::kF32 || type == WeightType::kF16) return kFloatSums;
  const bool may_round_once = m > 8;  // a few rows, decode, are exact to 2^-16 in every table
  return kFloatSums + (may_round_once ? 0x1p-8 : 0x1p-16);
}

struct Problem {
  WeightType type;
  int rows, cols, m, n_begin, n_end;
};

constexpr float kUntouched = 12345.0f;
// Root mean square of the errors over that of the sums of squared products: what a layer sees of the rounding.
constexpr double kRootMeanSquareBudget = 2.5e-3;

std::vector<float> Multiply(const KernelTable& table, const Tensor& w, const Problem& p, const std::vector<float>& x,
                            int ldx, int ldy) {
  const MatMulKernel& kernel = table.matmul[static_cast<int>(p.type)];
  const AlignedBytes packed = Aligned(kernel.packed_bytes(p.m, p.cols));
  const AlignedBytes scratch = Aligned(kernel.scratch_bytes(p.m, p.cols));
  std::vector<float> y(Size(p.m) * Size(ldy), kUntouched);
  kernel.pack(x.data(), ldx, p.m, p.cols, packed.get());
  kernel.run(w, p.n_begin, p.n_end, packed.get(), p.m, y.data(), ldy, scratch.get());
  return y;
}

void CheckProduct(const std::vector<const KernelTable*>& tables, const Problem& p, Random& random) {
  const size_t count = Size(p.rows) * Size(p.cols);
  const GuardedMemory memory(WeightBytes(p.type, count));
  Fill(p.type, memory.data(), count, random);
  const Tensor w{memory.data(), p.type, p.rows, p.cols, 0.75f};
  const int ldx = p.cols + 3;
  const int ldy = p.rows + 2;
  std::vector<float> x = random.Vector((p.m - 1) * ldx + p.cols, -4.0f, 4.0f);
  std::vector<std::vector<float>> results;
  for (const KernelTable* table : tables) results.push_back(Multiply(*table, w, p, x, ldx, ldy));
  std::vector<double> squared_errors(tables.size());
  double squared_products = 0.0;
  for (int r = 0; r < p.m; ++r) {
    for (int n = 0; n < ldy; ++n) {
      double sum = 0.0;
      double magnitude = 0.0;
      const bool inside = n >= p.n_begin && n < p.n_end;
      for (int k = 0; inside && k < p.cols; ++k) {
        const double product = Read(p.type, w.row(n), k) * static_cast<double>(x[Size(r) * Size(ldx) + Size(k)]) * 0.75;
        sum += product;
        magnitude += std::abs(product);
        squared_products += product * product;
      }
      for (size_t t = 0; t < tables.size(); ++t) {
        const float got = results[t][Size(r) * Size(ldy) + Size(n)];
        const double wanted = inside ? sum : static_cast<double>(kUntouched);
        const double allowed = inside ? magnitude * Budget(*tables[t], p.type, p.m) + 1e-30 : 0.0;
        CHECK(std::abs(static_cast<double>(got) - wanted) <= allowed,
              "%s %s rows=%d cols=%d m=%d [%d, %d) at r=%d n=%d: %g, not %g +- %g", tables[t]->isa,
              FormatOf(p.type).name, p.rows, p.cols, p.m, p.n_begin, p.n_end, r, n,
              static_cast<double>(got), wanted, allowed);
        squared_errors[t] += std::pow(static_cast<double>(got) - wanted, 2);
      }
    }
  }
  if (p.m * p.cols < 1000) return;  // too few for a mean
  for (size_t t = 0; t < tables.size(); ++t) {
    const double error = std::sqrt(squared_errors[t] / squared_products);
    CHECK(error <= kRootMeanSquareBudget, "%s %s cols=%d m=%d: root mean square error %g", tables[t]->isa,
          FormatOf(p.type).name, p.cols, p.m, error);
  }
}

void TestProducts(const std::vector<const KernelTable*>& tables) {
  Random random(1);
  for (const WeightType type : kTypes) {
    for (int m = 1; m <= 33; ++m) {  // every number of activation rows, over a range that no tile divides
      CheckProduct(tables, {type, 41, 147, m, 3, 40}, random);
    }
    for (const int cols : {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 300, 1024}) {
      for (const int m : {1, 3, 8, 9, 26}) CheckProduct(tables, {type, 7, cols, m, 0, 7}, random);
    }
    for (int begin = 0; begin < 6; ++begin) {
      for (int end = begin; end < 12; ++end) {
        CheckProduct(tables, {type, 12, 70, 2, begin, end}, random);
        CheckProduct(tables, {type, 12, 70, 13, begin, end}, random);
      }
    }
    CheckProduct(tables, {type, 5, 0, 2, 0, 5}, random);  // empty sums
    CheckProduct(tables, {type, 5, 0, 20, 0, 5}, random);
    for (const int m : {1, 5, 13, 33}) {  // several blocks of k, several panels
      CheckProduct(tables, {type, 71, 4099, m, 1, 71}, random);
      CheckProduct(tables, {type, 33, 2048, m, 0, 33}, random);
    }
  }
}

void TestDisjointRangesAddUp(const std::vector<const KernelTable*>& tables) {
  Random random(2);
  const GuardedMemory memory(WeightBytes(WeightType::kBF16, 50 * 96));
  Fill(WeightType::kBF16, memory.data(), 50 * 96, random);
  const Tensor w{memory.data(), WeightType::kBF16, 50, 96, 1.0f};
  for (const KernelTable* table : tables) {
    for (const int m : {1, 20}) {
      const std::vector<float> x = random.Vector(m * 96, -1.0f, 1.0f);
      const std::vector<float> whole = Multiply(*table, w, {w.type, 50, 96, m, 0, 50}, x, 96, 50);
      for (int split = 1; split < 50; split += 7) {
        const std::vector<float> low = Multiply(*table, w, {w.type, 50, 96, m, 0, split}, x, 96, 50);
        const std::vector<float> high = Multiply(*table, w, {w.type, 50, 96, m, split, 50}, x, 96, 50);
        for (size_t i = 0; i < whole.size(); ++i) {
          const float got = static_cast<int>(i % 50) < split ? low[i] : high[i];
          CHECK(got == whole[i], "%s m=%d split=%d: a result depends on the range it is in", table->isa, m, split);
        }
      }
    }
  }
}

// What one sequence computes must not depend on how many others are decoded with it.
void TestRowsAreIndependent(const std::vector<const KernelTable*>& tables) {
  Random random(5);
  for (const WeightType type : kTypes) {
    constexpr int kRows = 13;
    constexpr int kCols = 333;
    const GuardedMemory memory(WeightBytes(type, kRows * kCols));
    Fill(type, memory.data(), kRows * kCols, random);
    const Tensor w{memory.data(), type, kRows, kCols, 1.5f};
    const std::vector<float> x = random.Vector(8 * kCols, -1.0f, 1.0f);
    for (const KernelTable* table : tables) {
      const std::vector<float> together = Multiply(*table, w, {type, kRows, kCols, 8, 0, kRows}, x, kCols, kRows);
      for (int m = 1; m < 8; ++m) {
        const std::vector<float> fewer = Multiply(*table, w, {type, kRows, kCols, m, 0, kRows}, x, kCols, kRows);
        CHECK(std::equal(fewer.begin(), fewer.end(), together.begin()), "%s %s m=%d", table->isa,
              FormatOf(type).name, m);
      }
    }
  }
}

// ---- Formats --------------------------------------------------------------------------------------------------------

void TestKnownValues() {
  CHECK(ReadSFP(0xE8) == -0.25 && ReadSFP(0x6D) == 0.40625 && ReadSFP(0x5E) == 0.109375);
  CHECK(ReadSFP(0x78) == 1.0 && ReadSFP(0x7F) == 1.875 && ReadSFP(0x40) == 0x1p-7 && ReadSFP(0x01) == 1.25 * 0x1p-23);
  CHECK(ReadF16(0x3C00) == 1.0 && ReadF16(0xC000) == -2.0 && ReadF16(0x0001) == 0x1p-24 && ReadF16(0x7BFF) == 65504.0);
  CHECK(ReadBF16(0x3F80) == 1.0 && ReadBF16(0xC0A0) == -5.0);
}

// Every code of a format of `bits` bits, as one row and in pieces of odd length.
void CheckAllCodes(const KernelTable& table, WeightType type, int bits) {
  const int count = 1 << bits;
  const size_t width = WeightBytes(type, 1);
  const GuardedMemory memory(width * Size(count));
  for (int code = 0; code < count; ++code) std::memcpy(memory.data() + width * Size(code), &code, width);
  const Tensor w{memory.data(), type, 1, count, 2.0f};
  std::vector<float> out(Size(count));
  table.decode_row(w, 0, out.data());
  for (int code = 0; code < count; ++code) {
    const bool finite = (type != WeightType::kF16 || (code & 0x7C00) != 0x7C00) &&
                        (type != WeightType::kBF16 || (code & 0x7F80) != 0x7F80);
    const double wanted = 2.0 * Read(type, memory.data(), code);
    const float got = out[Size(code)];
    const bool overflows = std::abs(wanted) > 3e38;
    const bool right = finite ? static_cast<double>(got) == wanted || overflows : !std::isfinite(got);
    CHECK(right, "%s code %x: %g", table.isa, static_cast<unsigned>(code), static_cast<double>(got));
  }
}

void TestDecodeRow(const std::vector<const KernelTable*>& tables) {
  Random random(3);
  for (const KernelTable* table : tables) {
    CheckAllCodes(*table, WeightType::kSFP, 8);
    CheckAllCodes(*table, WeightType::kF16, 16);
    CheckAllCodes(*table, WeightType::kBF16, 16);
    for (const WeightType type : kTypes) {
      for (int cols = 1; cols < 200; cols += 3) {
        const GuardedMemory memory(WeightBytes(type, 3 * Size(cols)));
        Fill(type, memory.data(), 3 * Size(cols), random);
        const Tensor w{memory.data(), type, 3, cols, 0.5f};
        std::vector<float> out(Size(cols) + 1, kUntouched);
        table->decode_row(w, 2, out.data());
        for (int c = 0; c < cols; ++c) {
          CHECK(static_cast<double>(out[Size(c)]) == 0.5 * Read(type, w.row(2), c), "%s c=%d", table->isa, c);
        }
        CHECK(out[Size(cols)] == kUntouched, "%s writes past the row", table->isa);
      }
    }
  }
}

// ---- Vector operations ----------------------------------------------------------------------------------------------

bool Near(float got, double wanted, double relative, double absolute) {
  return std::abs(static_cast<double>(got) - wanted) <= relative * std::abs(wanted) + absolute;
}

double GeluTanh(double x) { return 0.5 * x * (1.0 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))); }

void CheckLinear(const KernelTable& table, int n, Random& random) {
  const std::vector<float> a = random.Vector(n, -2.0f, 2.0f);
  std::vector<float> b = random.Vector(n + 1, -2.0f, 2.0f);
  const std::vector<float> before = b;
  double sum = 0.0;
  double magnitude = 0.0;
  for (size_t i = 0; i < Size(n); ++i) {
    sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    magnitude += std::abs(static_cast<double>(a[i]) * static_cast<double>(b[i]));
  }
  CHECK(Near(table.dot(a.data(), b.data(), n), sum, 0.0, 1e-6 * magnitude), "%s dot n=%d", table.isa, n);
  table.axpy(0.3f, a.data(), b.data(), n);
  for (size_t i = 0; i < Size(n); ++i) {
    const double wanted = static_cast<double>(before[i]) + static_cast<double>(0.3f) * static_cast<double>(a[i]);
    CHECK(Near(b[i], wanted, 0.0, 3e-7), "%s axpy n=%d", table.isa, n);
  }
  CHECK(b[Size(n)] == before[Size(n)], "%s axpy writes past the end, n=%d", table.isa, n);
}

// Some rows of `a` times some of `b`, then these as weights of rows of `v`; a row alone gives the same to the bit.
void CheckAttention(const KernelTable& table, int m, int n, int k, Random& random) {
  const ptrdiff_t lda = k + 5;
  const ptrdiff_t ldb = k + 2;
  const ptrdiff_t ldy = n + 3;
  const std::vector<float> a = random.Vector(static_cast<int>(lda) * m, -2.0f, 2.0f);
  const std::vector<float> b = random.Vector(static_cast<int>(ldb) * n, -2.0f, 2.0f);
  std::vector<float> y(Size(m) * static_cast<size_t>(ldy), kUntouched);
  table.dot_rows(a.data(), lda, m, b.data(), ldb, n, k, y.data(), ldy);
  std::vector<float> out = random.Vector(static_cast<int>(lda) * m, -1.0f, 1.0f);
  const std::vector<float> before = out;
  table.add_rows(y.data(), ldy, m, b.data(), ldb, n, k, out.data(), lda);
  std::vector<float> alone(Size(n));
  for (int i = 0; i < m; ++i) {
    const float* weights = y.data() + i * ldy;
    for (int j = 0; j < n; ++j) {
      double sum = 0.0;
      for (int c = 0; c < k; ++c) sum += static_cast<double>(a[Size(i) * static_cast<size_t>(lda) + Size(c)]) *
                                         static_cast<double>(b[Size(j) * static_cast<size_t>(ldb) + Size(c)]);
      CHECK(Near(weights[j], sum, 0.0, 1e-6 * 4 * k), "%s dot_rows m=%d n=%d k=%d", table.isa, m, n, k);
    }
    CHECK(weights[n] == kUntouched, "%s dot_rows writes past a row, n=%d", table.isa, n);
    table.dot_rows(a.data() + i * lda, lda, 1, b.data(), ldb, n, k, alone.data(), n);
    CHECK(std::equal(alone.begin(), alone.end(), weights), "%s dot_rows: row %d of %d depends on others", table.isa, i, m);
    std::vector<float> row(before.begin() + i * lda, before.begin() + i * lda + k);
    table.add_rows(weights, ldy, 1, b.data(), ldb, n, k, row.data(), k);
    CHECK(std::equal(row.begin(), row.end(), out.begin() + i * lda), "%s add_rows: row %d depends on others", table.isa, i);
    for (int c = 0; c < k; ++c) {
      double sum = static_cast<double>(before[static_cast<size_t>(i * lda) + Size(c)]);
      double magnitude = std::abs(sum);
      for (int j = 0; j < n; ++j) {
        const double term = static_cast<double>(weights[j]) * static_cast<double>(b[static_cast<size_t>(j * ldb) + Size(c)]);
        sum += term;
        magnitude += std::abs(term);
      }
      CHECK(Near(row[Size(c)], sum, 0.0, 1e-6 * magnitude), "%s add_rows m=%d n=%d k=%d", table.isa, m, n, k);
    }
    for (int c = k; c < lda; ++c) {
      const size_t at = static_cast<size_t>(i * lda) + Size(c);
      CHECK(out[at] == before[at], "%s add_rows writes past a row, k=%d", table.isa, k);
    }
  }
}

void CheckRmsNorm(const KernelTable& table, int n, Random& random) {
  std::vector<float> x = random.Vector(n + 1, -30.0f, 30.0f);
  const std::vector<float> before = x;
  const std::vector<float> weight = random.Vector(n, -0.5f, 2.0f);
  double sum = 0.0;
  for (size_t i = 0; i < Size(n); ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  const double inverse = 1.0 / std::sqrt(sum / n + 1e-6);
  std::vector<float> y(Size(n));
  table.rms_norm(x.data(), weight.data(), 1e-6f, y.data(), n);
  table.rms_norm(x.data(), weight.data(), 1e-6f, x.data(), n);
  for (size_t i = 0; i < Size(n); ++i) {
    const double wanted = static_cast<double>(before[i]) * inverse * (1.0 + static_cast<double>(weight[i]));
    CHECK(Near(y[i], wanted, 1e-6, 0.0) && x[i] == y[i], "%s rms_norm n=%d: %g, not %g", table.isa, n,
          static_cast<double>(y[i]), wanted);
  }
  CHECK(x[Size(n)] == before[Size(n)], "%s rms_norm writes past the end, n=%d", table.isa, n);
}

void CheckCurves(const KernelTable& table, int n, float range, Random& random) {
  const std::vector<float> up = random.Vector(n, -2.0f, 2.0f);
  const std::vector<float> before = random.Vector(n + 1, -range, range);
  std::vector<float> gelu = before;
  std::vector<float> capped = before;
  std::vector<float> soft = before;
  table.gelu_mul(gelu.data(), up.data(), gelu.data(), n);
  table.softcap(capped.data(), 30.0f, n);
  table.softmax(soft.data(), n);
  const auto max = static_cast<double>(*std::max_element(before.begin(), before.end() - 1));
  double total = 0.0;
  for (size_t i = 0; i < Size(n); ++i) total += std::exp(static_cast<double>(before[i]) - max);
  for (size_t i = 0; i < Size(n); ++i) {
    const auto x = static_cast<double>(before[i]);
    const double gelu_wanted = GeluTanh(x) * static_cast<double>(up[i]);
    CHECK(Near(gelu[i], gelu_wanted, 1e-6, 1e-7 * std::abs(x)), "%s gelu(%g): %g, not %g", table.isa, x,
          static_cast<double>(gelu[i]), gelu_wanted);
    const double capped_wanted = 30.0 * std::tanh(x / 30.0);
    CHECK(Near(capped[i], capped_wanted, 1e-6, 0.0), "%s softcap(%g): %g, not %g", table.isa, x,
          static_cast<double>(capped[i]), capped_wanted);
    const double soft_wanted = std::exp(x - max) / total;
    CHECK(Near(soft[i], soft_wanted, 5e-6, 1e-30), "%s softmax n=%d range=%g: %g, not %g", table.isa, n,
          static_cast<double>(range), static_cast<double>(soft[i]), soft_wanted);
  }
  for (const auto* v : {&gelu, &capped, &soft}) {
    CHECK((*v)[Size(n)] == before[Size(n)], "%s writes past the end, n=%d", table.isa, n);
  }
}

void CheckExtremes(const KernelTable& table) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> masked = {-kInfinity, 1.0f, -kInfinity, 1.0f, -1e30f};
  table.softmax(masked.data(), 5);
  CHECK(masked[0] == 0.0f && Near(masked[1], 0.5, 1e-6, 0.0) && masked[2] == 0.0f, "%s", table.isa);
  CHECK(masked[4] == 0.0f, "%s", table.isa);
  std::vector<float> one = {-1e30f};
  table.softmax(one.data(), 1);
  CHECK(one[0] == 1.0f, "%s", table.isa);
  table.softmax(one.data(), 0);
  std::vector<float> large = {1e30f, -1e30f, 0.0f, 1000.0f};
  table.softcap(large.data(), 50.0f, 4);
  CHECK(large[0] == 50.0f && large[1] == -50.0f && large[2] == 0.0f && large[3] == 50.0f, "%s", table.isa);
  std::vector<float> gate = {1000.0f, -1000.0f, 0.0f, 1e10f, -1e25f};
  const std::vector<float> ones(5, 1.0f);
  table.gelu_mul(gate.data(), ones.data(), gate.data(), 5);
  CHECK(gate[0] == 1000.0f && std::abs(gate[1]) < 1e-30f && gate[2] == 0.0f, "%s", table.isa);
  CHECK(gate[3] == 1e10f && gate[4] == 0.0f, "%s", table.isa);
}

void TestVectorOperations(const std::vector<const KernelTable*>& tables) {
  Random random(4);
  for (const KernelTable* table : tables) {
    for (const int n : {1, 2, 7, 15, 16, 17, 31, 33, 63, 64, 65, 100, 129, 256, 1000}) {
      CheckLinear(*table, n, random);
      CheckRmsNorm(*table, n, random);
      for (const float range : {0.01f, 1.0f, 6.0f, 80.0f}) CheckCurves(*table, n, range, random);
    }
    for (const int k : {1, 15, 16, 40, 64, 128, 256}) {
      for (const int m : {1, 2, 3, 4, 8}) CheckAttention(*table, m, 3 * m, k, random);
    }
    CheckExtremes(*table);
    CHECK(table->dot(nullptr, nullptr, 0) == 0.0f, "%s", table->isa);
  }
}

// ---- Choice of the table --------------------------------------------------------------------------------------------

void TestDispatch(const std::vector<const KernelTable*>& tables) {
  CHECK(!tables.empty() && tables[0] == &ScalarKernels());
  CHECK(FindKernels("scalar") == &ScalarKernels());
  CHECK(FindKernels("no such table") == nullptr);
  unsetenv("LLM_FRAMEWORK_ISA");
  CHECK(FindKernels(nullptr) == tables.back());
  setenv("LLM_FRAMEWORK_ISA", "scalar", 1);
  CHECK(FindKernels(nullptr) == &ScalarKernels());
  setenv("LLM_FRAMEWORK_ISA", "no such table", 1);
  CHECK(FindKernels(nullptr) == nullptr);
  CHECK(FindKernels("scalar") == &ScalarKernels());
  unsetenv("LLM_FRAMEWORK_ISA");
  const char* name = nullptr;
  CHECK(AvailableIsas(&name, 1) == 1 && std::strcmp(name, "scalar") == 0);
  CHECK(AvailableIsas(nullptr, 0) == 0);
}

// ---- Thread pool ----------------------------------------------------------------------------------------------------

// Every part is done once, by a thread whose number exists, before Run returns.
void CheckJobs(int threads, int jobs, int parts) {
  ThreadPool pool(threads);
  CHECK(pool.num_threads() >= 1 && (threads == 0 || pool.num_threads() <= threads));
  std::vector<int> done(Size(parts));  // plain: Run itself must order the writes before its return
  bool threads_in_range = true;
  for (int job = 1; job <= jobs; ++job) {
    std::atomic<bool> in_range{true};
    pool.Run(parts, [&](int part, int thread) {
      ++done[Size(part)];
      if (thread < 0 || thread >= pool.num_threads()) in_range = false;
    });
    threads_in_range = threads_in_range && in_range;
    const bool all = std::all_of(done.begin(), done.end(), [job](int count) { return count == job; });
    CHECK(all, "threads=%d parts=%d job=%d", threads, parts, job);
    if (!all) return;
  }
  CHECK(threads_in_range);
}

void TestThreadPool() {
  for (const int threads : {0, 1, 2, 3, 4, 9}) {
    for (const int parts : {1, 2, 3, 8, 100}) CheckJobs(threads, 300, parts);
  }
  CheckJobs(4, 20000, 5);

  ThreadPool pool(3);
  bool called = false;
  pool.Run(0, [&](int, int) { called = true; });
  pool.Run(-1, [&](int, int) { called = true; });
  CHECK(!called);

  for (int i = 0; i < 200; ++i) ThreadPool idle(4);  // created and destroyed without a job, asleep or not
  for (int i = 0; i < 50; ++i) {
    std::atomic<int> sum{0};
    pool.Run(4, [&](int part, int) {  // pools within the parts of a pool
      ThreadPool inner(2);
      inner.Run(3, [&](int inner_part, int) { sum += part * 10 + inner_part; });
    });
    CHECK(sum == (0 + 10 + 20 + 30) * 3 + (0 + 1 + 2) * 4);
  }
}

// Workers have gone to sleep between jobs: they must wake, and a caller that waits for them must too.
void TestThreadPoolAfterSleep() {
  ThreadPool pool(4);
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int> count{0};
    pool.Run(4, [&](int, int) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      ++count;
    });
    CHECK(count == 4);
  }
}

// Two pools, each with its own caller, at once.
void TestTwoPoolsAtOnce() {
  const auto work = [](std::atomic<int>* sum) {
    ThreadPool pool(3);
    for (int i = 0; i < 500; ++i) pool.Run(6, [&](int part, int) { *sum += part; });
  };
  std::atomic<int> first{0};
  std::atomic<int> second{0};
  std::thread other([&] { work(&first); });
  work(&second);
  other.join();
  CHECK(first == 500 * 15 && second == 500 * 15);
}

}  // namespace
}  // namespace llmfw

int main() {
  const auto tables = llmfw::Tables();
  for (const llmfw::KernelTable* table : tables) std::printf("table: %s\n", table->isa);
  llmfw::TestDispatch(tables);
  llmfw::TestKnownValues();
  llmfw::TestDecodeRow(tables);
  llmfw::TestProducts(tables);
  llmfw::TestDisjointRangesAddUp(tables);
  llmfw::TestRowsAreIndependent(tables);
  llmfw::TestVectorOperations(tables);
  llmfw::TestThreadPool();
  llmfw::TestThreadPoolAfterSleep();
  llmfw::TestTwoPoolsAtOnce();
  std::printf("%d checks, %d failures\n", llmfw::g_checks, llmfw::g_failures);
  return llmfw::g_failures == 0 ? 0 : 1;
}
