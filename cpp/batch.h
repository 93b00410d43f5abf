// One step: prefill parts and decode rows of many sequences in as few passes over the weights as they fit in.
// Who takes part in a step is decided in Python.
#pragma once

#include <cstdint>
#include <exception>
#include <span>
#include <vector>

#include "gemma.h"
#include "sampler.h"

namespace llmfw {

// Tokens to append to one sequence; with a sampler, the token that follows is drawn.
//
// The last `num_drafts` tokens are guesses at what will be drawn: a token is drawn behind the tokens before them, and as
// long as what is drawn is what was guessed, one more behind the guess. What is drawn is what it would be without. The
// sequence afterwards holds the guesses that came true, and not the last token that was drawn.
struct StepRow {
  KVCache* cache;
  std::span<const int> tokens;           // at least one that is no guess
  Sampler* sampler = nullptr;            // in one row of a step only
  const uint32_t* mask = nullptr;        // see Sampler::Sample; for rows without guesses
  int num_drafts = 0;                    // at most kMaxDrafts; with a sampler only

  size_t num_sampled() const { return sampler == nullptr ? 0 : static_cast<size_t>(num_drafts) + 1; }
};

// What a row of a step drew: nothing without a sampler; where sampling failed, what was drawn before, and the error.
struct RowResult {
  std::vector<Sampled> drawn;
  std::exception_ptr error;
};

// A row with so many guesses still fits into what is sampled at a time.
inline constexpr int kMaxDrafts = 31;

// A model and all that it computes in. One caller at a time.
class Engine {
 public:
  Engine(Gemma model, const KernelTable& kernels, int num_threads);

  const GemmaConfig& config() const { return model_.config(); }
  const KernelTable& kernels() const { return ops_.kernels(); }
  int num_threads() const { return ops_.num_threads(); }

  // Each cache in one row only, with room for the tokens. Where a row's sampling fails (its logits are not finite, or
  // none of them may be drawn), the others' goes on, and its sequence holds its tokens nevertheless, and no guess that
  // was not drawn. `repeatable`: a row's result is the same to the bit whatever stands in the step beside it and however
  // its text is divided over steps; prompts take up to twice as long.
  std::vector<RowResult> Step(std::span<const StepRow> rows, bool repeatable = false);

  // Appends `tokens` and writes the logits after each of them to logits[tokens.size(), V].
  void Logits(KVCache& cache, std::span<const int> tokens, float* logits);

 private:
  int AddChunks(std::span<const StepRow> rows, size_t& row, size_t& token, std::vector<Chunk>& chunks) const;
  void RunPass(std::span<const Chunk> chunks, int m);
  void SampleRows(std::span<const StepRow> rows, std::vector<RowResult>& results);
  void SampleRow(const StepRow& row, const float* logits, float* scratch, std::vector<Sampled>& drawn) const;

  Gemma model_;
  Ops ops_;
  Activations act_;
  AlignedArray<float> hidden_;   // [sampled positions, D]
  AlignedArray<float> logits_;   // [sampled positions, V]
  AlignedArray<float> scratch_;  // [sampled rows, 2 V]
};

}  // namespace llmfw
