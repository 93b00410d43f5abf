// Which kernel tables this processor can run, and which one to take. Keeps no state: whoever loads a model holds the
// table.
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include <cstdlib>
#include <cstring>

#include "kernels.h"

namespace llmfw {
namespace {

constexpr int kMaxTables = 3;

#if defined(LLMFW_HAVE_NEON)
// Asked of Linux where the compiler may not take it for granted.
bool RunsNeon() {
#if defined(__APPLE__)
  return true;
#elif defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
  return false;
#endif
}
#endif

// The compiler's checks include whether the operating system saves the wide registers; gcc 12 has none for f16c.
#if defined(LLMFW_HAVE_AVX2)
bool RunsF16C() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

bool RunsAvx2() {
  return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 && RunsF16C();
}
#endif

#if defined(LLMFW_HAVE_AVX512)
bool RunsAvx512() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
         __builtin_cpu_supports("avx512vbmi") != 0 && __builtin_cpu_supports("avx512bf16") != 0 &&
         __builtin_cpu_supports("avx512vnni") != 0 && __builtin_cpu_supports("avx2") != 0 &&
         __builtin_cpu_supports("fma") != 0;
}
#endif

// Slowest first. A table's function is called only after its check: it may itself be compiled for that instruction set.
int UsableTables(const KernelTable* (&tables)[kMaxTables]) {
  int count = 0;
  tables[count++] = &ScalarKernels();
#if defined(LLMFW_HAVE_NEON)
  if (RunsNeon()) tables[count++] = &NeonKernels();
#endif
#if defined(LLMFW_HAVE_AVX2)
  if (RunsAvx2()) tables[count++] = &Avx2Kernels();
#endif
#if defined(LLMFW_HAVE_AVX512)
  if (RunsAvx512()) tables[count++] = &Avx512Kernels();
#endif
  return count;
}

}  // namespace

const KernelTable* FindKernels(const char* isa) {
  const KernelTable* tables[kMaxTables];
  const int count = UsableTables(tables);
  if (isa == nullptr) isa = std::getenv("LLM_FRAMEWORK_ISA");
  if (isa == nullptr || *isa == '\0') return tables[count - 1];
  for (int i = 0; i < count; ++i) {
    if (std::strcmp(tables[i]->isa, isa) == 0) return tables[i];
  }
  return nullptr;
}

int AvailableIsas(const char** names, int capacity) {
  const KernelTable* tables[kMaxTables];
  const int count = UsableTables(tables);
  const int written = count < capacity ? count : capacity;
  for (int i = 0; i < written; ++i) names[i] = tables[i]->isa;
  return written;
}

}  // namespace llmfw
