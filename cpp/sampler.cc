#include "sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

namespace llmfw {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

struct Candidate {
  float value;  // logit or probability
  int token;
};

bool Likelier(const Candidate& a, const Candidate& b) {
  return a.value != b.value ? a.value > b.value : a.token < b.token;
}

[[noreturn]] void Fail(const char* name, float value, const char* must) {
  throw std::invalid_argument(std::string(name) + " is " + std::to_string(value) + ", must be " + must);
}

// A 64-bit mix in which every input bit moves every output bit (the finaliser of splitmix64).
uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// The index-th number of the seed's sequence, in [0, 1).
double Uniform(uint64_t seed, uint64_t index) {
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15u;
  return static_cast<double>(Mix(Mix(seed + kGolden) + index * kGolden) >> 11) * 0x1p-53;
}

// Written over the bits, so that the compiler turns it into wide instructions.
bool AllFinite(const float* x, int n) {
  constexpr uint32_t kExponent = 0x7F800000u;
  uint32_t worst = 0;
  for (int i = 0; i < n; ++i) worst = std::max(worst, std::bit_cast<uint32_t>(x[i]) & kExponent);
  return worst != kExponent;
}

int ArgMax(const float* x, int n) { return static_cast<int>(std::max_element(x, x + n) - x); }

// The k likeliest, likeliest first; fewer where fewer are above kNever. One pass over a small heap: with k far below n,
// nearly all values fail the first comparison.
std::vector<Candidate> TopK(const float* values, int n, int k) {
  std::vector<Candidate> heap;
  if (k == 0) return heap;
  heap.reserve(static_cast<size_t>(std::min(k, n)));
  float lowest = kNever;
  for (int i = 0; i < n; ++i) {
    if (!(values[i] > lowest)) continue;  // an equal value has a higher id than the one that is in
    if (static_cast<int>(heap.size()) == k) {
      std::pop_heap(heap.begin(), heap.end(), Likelier);
      heap.back() = {values[i], i};
    } else {
      heap.push_back({values[i], i});
    }
    std::push_heap(heap.begin(), heap.end(), Likelier);
    if (static_cast<int>(heap.size()) == k) lowest = heap.front().value;
  }
  std::sort_heap(heap.begin(), heap.end(), Likelier);
  return heap;
}

// The tokens whose probability is at least `threshold`, in the order of their ids.
std::vector<Candidate> Above(const float* probabilities, int n, float threshold) {
  std::vector<Candidate> candidates;
  for (int i = 0; i < n; ++i) {
    if (probabilities[i] >= threshold && probabilities[i] > 0.0f) candidates.push_back({probabilities[i], i});
  }
  return candidates;
}

double Mass(std::span<const Candidate> candidates) {
  double mass = 0.0;
  for (const Candidate& candidate : candidates) mass += static_cast<double>(candidate.value);
  return mass;
}

// Tokens that include the likeliest ones which together have the mass `top_p`. Most of a large vocabulary is far too
// unlikely to be among them: a threshold keeps it out, and falls until the rest suffices.
std::vector<Candidate> LikeliestWithMass(const float* probabilities, int n, float top_p) {
  for (float threshold = 1e-2f * probabilities[ArgMax(probabilities, n)];; threshold *= 1e-2f) {
    std::vector<Candidate> candidates = Above(probabilities, n, threshold);
    if (threshold == 0.0f || Mass(candidates) >= static_cast<double>(top_p)) return candidates;
  }
}

// Keeps the fewest, likeliest candidates that together have at least the mass `top_p`. Halves the range in which the cut
// lies until sorting it costs nothing: with flat distributions, sorting everything would cost more than the step.
void CutTopP(std::vector<Candidate>& candidates, float top_p) {
  constexpr std::ptrdiff_t kSortable = 64;
  double needed = static_cast<double>(top_p);
  auto begin = candidates.begin();
  auto end = candidates.end();
  while (end - begin > kSortable) {
    const auto middle = begin + (end - begin) / 2;
    std::nth_element(begin, middle, end, Likelier);
    const double mass = Mass({begin, middle});
    if (mass >= needed) {
      end = middle;
    } else {
      needed -= mass;
      begin = middle;
    }
  }
  std::sort(begin, end, Likelier);
  while (begin != end && needed > 0.0) needed -= static_cast<double>((begin++)->value);
  candidates.erase(begin, candidates.end());
}

void CutMinP(std::vector<Candidate>& candidates, float min_p) {
  float max = 0.0f;
  for (const Candidate& candidate : candidates) max = std::max(max, candidate.value);
  std::erase_if(candidates, [&](const Candidate& candidate) { return candidate.value < min_p * max; });
}

int Pick(const std::vector<Candidate>& candidates, double uniform) {
  double left = uniform * Mass(candidates);
  for (const Candidate& candidate : candidates) {
    left -= static_cast<double>(candidate.value);
    if (left < 0.0) return candidate.token;
  }
  return candidates.back().token;
}

// From all tokens, in the order of their ids.
int PickFromAll(const float* probabilities, int n, double uniform) {
  double mass = 0.0;
  for (int i = 0; i < n; ++i) mass += static_cast<double>(probabilities[i]);
  double left = uniform * mass;
  int last = 0;
  for (int i = 0; i < n; ++i) {
    if (!(probabilities[i] > 0.0f)) continue;
    left -= static_cast<double>(probabilities[i]);
    if (left < 0.0) return i;
    last = i;
  }
  return last;
}

void ApplyMask(const uint32_t* mask, float* logits, int n) {
  for (int begin = 0; begin < n; begin += 32) {
    const uint32_t word = mask[begin / 32];
    if (word == ~0u) continue;
    for (int i = begin; i < std::min(n, begin + 32); ++i) {
      if ((word >> (i - begin) & 1u) == 0) logits[i] = kNever;
    }
  }
}

// probabilities = softmax(logits / temperature); subtracting the maximum first keeps tiny temperatures harmless.
void Probabilities(const KernelTable& kernels, const float* logits, int n, float temperature, float* probabilities) {
  const float max = logits[ArgMax(logits, n)];
  for (int i = 0; i < n; ++i) probabilities[i] = (logits[i] - max) / temperature;
  kernels.softmax(probabilities, n);
}

void ToProbabilities(std::vector<Candidate>& candidates, float temperature) {
  const float max = candidates.front().value;
  double sum = 0.0;
  for (Candidate& candidate : candidates) {
    candidate.value = std::exp((candidate.value - max) / temperature);
    sum += static_cast<double>(candidate.value);
  }
  for (Candidate& candidate : candidates) {
    candidate.value = static_cast<float>(static_cast<double>(candidate.value) / sum);
  }
}

// log(sum of exp(logits))
float LogSum(const KernelTable& kernels, const float* logits, int n, float* scratch) {
  const int likeliest = ArgMax(logits, n);
  std::copy(logits, logits + n, scratch);
  kernels.softmax(scratch, n);
  return logits[likeliest] - std::log(scratch[likeliest]);
}

}  // namespace

void SamplerSettings::Validate() const {
  if (!std::isfinite(temperature) || temperature < 0.0f) Fail("temperature", temperature, "0 or more");
  if (top_k < 0) Fail("top_k", static_cast<float>(top_k), "0 or more");
  if (!(top_p > 0.0f && top_p <= 1.0f)) Fail("top_p", top_p, "above 0, at most 1");
  if (!(min_p >= 0.0f && min_p <= 1.0f)) Fail("min_p", min_p, "0 to 1");
  if (num_logprobs < -1) Fail("num_logprobs", static_cast<float>(num_logprobs), "-1 or more");
  if (!std::isfinite(repetition_penalty) || repetition_penalty <= 0.0f) {
    Fail("repetition_penalty", repetition_penalty, "above 0");
  }
  if (!std::isfinite(presence_penalty)) Fail("presence_penalty", presence_penalty, "finite");
  if (!std::isfinite(frequency_penalty)) Fail("frequency_penalty", frequency_penalty, "finite");
  for (const auto& [token, bias] : logit_bias) {
    if (token < 0) Fail("logit_bias: a token id", static_cast<float>(token), "0 or more");
    if (std::isnan(bias) || bias == -kNever) Fail("logit_bias", bias, "finite, or -infinity to forbid");
  }
  if (min_tokens < 0) Fail("min_tokens", static_cast<float>(min_tokens), "0 or more");
  for (const int token : end_tokens) {
    if (token < 0) Fail("end_tokens: a token id", static_cast<float>(token), "0 or more");
  }
}

Sampler::Sampler(SamplerSettings settings) : settings_(std::move(settings)) {
  settings_.Validate();
  for (const auto& [token, bias] : settings_.logit_bias) min_vocab_size_ = std::max(min_vocab_size_, token + 1);
  for (const int token : settings_.end_tokens) min_vocab_size_ = std::max(min_vocab_size_, token + 1);
}

void Sampler::Observe(std::span<const int> tokens) {
  const std::lock_guard lock(mutex_);
  for (const int token : tokens) times_drawn_.try_emplace(token, 0);
}

Sampled Sampler::Sample(const KernelTable& kernels, const float* logits, int vocab_size, const uint32_t* mask,
                        float* scratch) {
  if (!AllFinite(logits, vocab_size)) {
    throw std::runtime_error("the model produced logits that are not finite; its weights may be damaged");
  }
  const std::lock_guard lock(mutex_);
  float* adjusted = scratch;
  std::copy(logits, logits + vocab_size, adjusted);
  Adjust(adjusted, vocab_size);
  if (mask != nullptr) ApplyMask(mask, adjusted, vocab_size);
  if (num_drawn_ < static_cast<uint64_t>(settings_.min_tokens)) ForbidEnds(adjusted, vocab_size);

  Sampled sampled;
  sampled.token = Draw(kernels, adjusted, vocab_size, scratch + vocab_size);
  sampled.logprob = std::numeric_limits<float>::quiet_NaN();
  if (settings_.num_logprobs >= 0) {
    const float log_sum = LogSum(kernels, logits, vocab_size, scratch);
    sampled.logprob = logits[sampled.token] - log_sum;
    for (const Candidate& likely : TopK(logits, vocab_size, settings_.num_logprobs)) {
      sampled.top.push_back({likely.token, likely.value - log_sum});
    }
  }
  ++times_drawn_[sampled.token];
  ++num_drawn_;
  return sampled;
}

void Sampler::Adjust(float* logits, int vocab_size) const {
  const SamplerSettings& s = settings_;
  const bool penalties = s.repetition_penalty != 1.0f || s.presence_penalty != 0.0f || s.frequency_penalty != 0.0f;
  if (penalties) {
    for (const auto& [token, times] : times_drawn_) {
      if (token >= vocab_size) continue;
      float& logit = logits[token];
      logit = logit > 0.0f ? logit / s.repetition_penalty : logit * s.repetition_penalty;
      if (times > 0) logit -= s.presence_penalty + s.frequency_penalty * static_cast<float>(times);
    }
  }
  for (const auto& [token, bias] : s.logit_bias) {
    if (token < vocab_size) logits[token] += bias;
  }
}

void Sampler::ForbidEnds(float* logits, int vocab_size) const {
  std::vector<std::pair<int, float>> before;
  for (const int token : settings_.end_tokens) {
    if (token >= vocab_size) continue;
    before.emplace_back(token, logits[token]);
    logits[token] = kNever;
  }
  if (std::isfinite(logits[ArgMax(logits, vocab_size)])) return;
  for (auto entry = before.rbegin(); entry != before.rend(); ++entry) logits[entry->first] = entry->second;
}

int Sampler::Draw(const KernelTable& kernels, const float* logits, int vocab_size, float* scratch) const {
  const SamplerSettings& s = settings_;
  const int likeliest = ArgMax(logits, vocab_size);
  if (!std::isfinite(logits[likeliest])) throw std::runtime_error("bias and mask together leave no token to draw");
  if (s.temperature == 0.0f || s.top_k == 1) return likeliest;

  const double uniform = Uniform(s.seed, num_drawn_);
  std::vector<Candidate> candidates;
  if (s.top_k > 0 && s.top_k < vocab_size) {
    candidates = TopK(logits, vocab_size, s.top_k);
    ToProbabilities(candidates, s.temperature);
  } else {
    float* probabilities = scratch;
    Probabilities(kernels, logits, vocab_size, s.temperature, probabilities);
    if (s.top_p == 1.0f && s.min_p == 0.0f) return PickFromAll(probabilities, vocab_size, uniform);
    candidates = s.top_p < 1.0f ? LikeliestWithMass(probabilities, vocab_size, s.top_p)
                                : Above(probabilities, vocab_size, s.min_p * probabilities[likeliest]);
  }
  if (s.top_p < 1.0f) CutTopP(candidates, s.top_p);
  if (s.min_p > 0.0f) CutMinP(candidates, s.min_p);
  return Pick(candidates, uniform);
}

}  // namespace llmfw
