// Passes over a vocabulary's worth of logits or probabilities. Written so that the compiler makes vectors of them: with
// 262,144 entries, one branch an entry would cost as much as a tenth of a small model's step.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace llmfw {

inline constexpr float kNever = -std::numeric_limits<float>::infinity();

struct Candidate {
  float value;  // logit or probability
  int token;
};

// The order of tokens: ties go to the lower id.
inline bool Likelier(const Candidate& a, const Candidate& b) {
  return a.value != b.value ? a.value > b.value : a.token < b.token;
}

bool AllFinite(const float* x, int n);

// The first of the highest.
int ArgMax(const float* x, int n);

// Logits whose bit is not set become kNever. Bits are lowest first, 32 a word.
void ApplyMask(const uint32_t* mask, float* logits, int n);

// The k likeliest, likeliest first; fewer where fewer are above kNever.
std::vector<Candidate> TopK(const float* values, int n, int k);

// The fewest, likeliest probabilities that together have at least the mass `top_p` are those not below the value
// returned; others of that same value become 0.
float TopPFloor(float* probabilities, int n, float top_p);

// The first token at which the mass of the probabilities not below `floor`, in the order of ids, passes its share
// `uniform` (in [0, 1)) of the whole.
int PickAbove(const float* probabilities, int n, float floor, double uniform);

}  // namespace llmfw
