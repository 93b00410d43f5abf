#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "logits.h"

namespace llmfw {
namespace {

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

double Mass(std::span<const Candidate> candidates) {
  double mass = 0.0;
  for (const Candidate& candidate : candidates) mass += static_cast<double>(candidate.value);
  return mass;
}

// The two cuts of candidates that stand likeliest first.
void CutTopP(std::vector<Candidate>& candidates, float top_p) {
  double needed = static_cast<double>(top_p);
  auto end = candidates.begin();
  while (end != candidates.end() && needed > 0.0) needed -= static_cast<double>((end++)->value);
  candidates.erase(end, candidates.end());
}

void CutMinP(std::vector<Candidate>& candidates, float min_p) {
  const float max = candidates.front().value;
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
  const float* adjusted = logits;
  if (mask != nullptr || ChangesLogits()) {  // else a copy of a megabyte is saved
    std::copy(logits, logits + vocab_size, scratch);
    Adjust(scratch, vocab_size);
    if (mask != nullptr) ApplyMask(mask, scratch, vocab_size);
    if (num_drawn_ < static_cast<uint64_t>(settings_.min_tokens)) ForbidEnds(scratch, vocab_size);
    adjusted = scratch;
  }

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

bool Sampler::HasPenalties() const {
  const SamplerSettings& s = settings_;
  return s.repetition_penalty != 1.0f || s.presence_penalty != 0.0f || s.frequency_penalty != 0.0f;
}

bool Sampler::ChangesLogits() const {
  return HasPenalties() || !settings_.logit_bias.empty() || num_drawn_ < static_cast<uint64_t>(settings_.min_tokens);
}

void Sampler::Adjust(float* logits, int vocab_size) const {
  const SamplerSettings& s = settings_;
  if (HasPenalties()) {
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
  if (s.top_k > 0 && s.top_k < vocab_size) {
    std::vector<Candidate> candidates = TopK(logits, vocab_size, s.top_k);
    ToProbabilities(candidates, s.temperature);
    if (s.top_p < 1.0f) CutTopP(candidates, s.top_p);
    if (s.min_p > 0.0f) CutMinP(candidates, s.min_p);
    return Pick(candidates, uniform);
  }
  float* probabilities = scratch;
  // Subtracting the maximum first keeps tiny temperatures harmless.
  for (int i = 0; i < vocab_size; ++i) probabilities[i] = (logits[i] - logits[likeliest]) / s.temperature;
  kernels.softmax(probabilities, vocab_size);
  const float least = s.min_p * probabilities[likeliest];
  const float floor = s.top_p < 1.0f ? TopPFloor(probabilities, vocab_size, s.top_p) : 0.0f;
  return PickAbove(probabilities, vocab_size, std::max(floor, least), uniform);
}

}  // namespace llmfw
