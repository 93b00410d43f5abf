// One step: prefill parts and decode rows of many sequences in as few passes over the weights as they fit in.
// Who takes part in a step is decided in Python.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "gemma.h"
#include "sampler.h"

namespace llmfw {

// Tokens to append to one sequence; with a sampler, the token that follows is drawn.
struct StepRow {
  KVCache* cache;
  std::span<const int> tokens;           // at least one
  Sampler* sampler = nullptr;            // in one row of a step only
  const uint32_t* mask = nullptr;        // see Sampler::Sample
};

// A model and all that it computes in. One caller at a time.
class Engine {
 public:
  Engine(Gemma model, const KernelTable& kernels, int num_threads);

  const GemmaConfig& config() const { return model_.config(); }
  const KernelTable& kernels() const { return ops_.kernels(); }
  int num_threads() const { return ops_.num_threads(); }

  // One result a row, empty for rows without a sampler. Each cache in one row only, with room for the tokens. Where
  // sampling throws, the sequences hold their tokens nevertheless.
  std::vector<std::optional<Sampled>> Step(std::span<const StepRow> rows);

  // Appends `tokens` and writes the logits after each of them to logits[tokens.size(), V].
  void Logits(KVCache& cache, std::span<const int> tokens, float* logits);

 private:
  int AddChunks(std::span<const StepRow> rows, size_t& row, size_t& token, std::vector<Chunk>& chunks) const;
  void RunPass(std::span<const Chunk> chunks, int m);
  void SampleRows(std::span<const StepRow> rows, std::span<const size_t> sampled_rows,
                  std::vector<std::optional<Sampled>>& results);

  Gemma model_;
  Ops ops_;
  Activations act_;
  AlignedArray<float> hidden_;   // [sampled rows, D]
  AlignedArray<float> logits_;   // [sampled rows, V]
  AlignedArray<float> scratch_;  // [sampled rows, 2 V]
};

}  // namespace llmfw
