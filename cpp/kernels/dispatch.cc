// Which kernel tables this processor can run, and which one to take. Keeps no state: whoever loads a model holds the
// table.
#include <cstdlib>
#include <cstring>

#include "kernels.h"

namespace llmfw {
namespace {

constexpr int kMaxTables = 2;

#if defined(LLMFW_HAVE_AVX512)
// The compiler's checks include whether the operating system saves the wide registers.
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
