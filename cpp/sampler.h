// From logits to a token.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/kernels.h"

namespace llmfw {

struct SamplerSettings {
  uint64_t seed = 0;
  float temperature = 1.0f;  // 0: the likeliest token
  int top_k = 0;             // 0: off
  float top_p = 1.0f;        // 1: off
  float min_p = 0.0f;        // 0: off
  int num_logprobs = -1;     // -1: none; 0: the drawn token's; n: the n likeliest tokens' too
  float repetition_penalty = 1.0f;
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  std::vector<std::pair<int, float>> logit_bias;  // by token id; -infinity forbids
  int min_tokens = 0;  // until so many were drawn, none of `end_tokens` is, unless nothing else may be
  std::vector<int> end_tokens;

  // Throws std::invalid_argument naming the first value that makes no sense.
  void Validate() const;
};

struct TokenLogprob {
  int token;
  float logprob;
};

struct Sampled {
  int token = 0;
  float logprob = 0.0f;           // NaN where none was asked for
  std::vector<TokenLogprob> top;  // likeliest first
};

// The order: log-probabilities are those of the model, before anything below. Then penalties and bias, the mask,
// the end tokens, temperature, top-k, top-p, min-p. Ties go to the lower id. The n-th draw uses the n-th number of the
// seed's own sequence, so it depends on nothing but the seed, the settings, the tokens so far and the logits.
class Sampler {
 public:
  explicit Sampler(SamplerSettings settings);

  // Counts tokens (the prompt's) for the repetition penalty. The other two penalties count drawn tokens only.
  void Observe(std::span<const int> tokens);

  // Draws from logits[vocab_size]. `mask`, if any, has a bit a token, lowest first, and at least one set; `scratch` has
  // room for 2 * vocab_size. Throws std::runtime_error where a logit is not finite or no token is left to draw.
  Sampled Sample(const KernelTable& kernels, const float* logits, int vocab_size, const uint32_t* mask, float* scratch);

  // One more than the highest id with a bias or that ends; 0 without.
  int min_vocab_size() const { return min_vocab_size_; }

 private:
  bool HasPenalties() const;
  bool ChangesLogits() const;
  void Adjust(float* logits, int vocab_size) const;
  void ForbidEnds(float* logits, int vocab_size) const;
  int Draw(const KernelTable& kernels, const float* logits, int vocab_size, float* scratch) const;

  const SamplerSettings settings_;
  int min_vocab_size_ = 0;
  std::mutex mutex_;  // Python may observe while a step samples
  std::unordered_map<int, int> times_drawn_;  // 0: seen, in the prompt
  uint64_t num_drawn_ = 0;
};

}  // namespace llmfw
