#include "logits.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <span>

namespace llmfw {
namespace {

constexpr int kLanes = 16;
constexpr int kBlock = 1024;

float BlockMax(const float* x, int n) {
  std::array<float, kLanes> lanes;
  lanes.fill(kNever);
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const auto at = static_cast<size_t>(lane);
      lanes[at] = x[i + lane] > lanes[at] ? x[i + lane] : lanes[at];
    }
  }
  for (; i < n; ++i) lanes[0] = std::max(lanes[0], x[i]);
  return *std::max_element(lanes.begin(), lanes.end());
}

// x where it is not below `floor`, else 0; without a branch, which nobody could predict.
float KeptValue(float x, float floor) {
  const uint32_t all_or_none = 0u - static_cast<uint32_t>(x >= floor);
  return std::bit_cast<float>(std::bit_cast<uint32_t>(x) & all_or_none);
}

double BlockMass(const float* x, int n, float floor) {
  std::array<double, kLanes> lanes{};
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      lanes[static_cast<size_t>(lane)] += static_cast<double>(KeptValue(x[i + lane], floor));
    }
  }
  for (; i < n; ++i) lanes[0] += static_cast<double>(KeptValue(x[i], floor));
  double mass = 0.0;
  for (const double lane : lanes) mass += lane;
  return mass;
}

// Probabilities fall into bins of 1/128 of an octave: exponent and seven bits of the mantissa.
constexpr int kBinShift = 16;
constexpr size_t kNumBins = (std::bit_cast<uint32_t>(2.0f) >> kBinShift) + 1;

size_t BinOf(float probability) {
  return std::min<size_t>(std::bit_cast<uint32_t>(probability) >> kBinShift, kNumBins - 1);
}

double Mass(std::span<const Candidate> candidates) {
  double mass = 0.0;
  for (const Candidate& candidate : candidates) mass += static_cast<double>(candidate.value);
  return mass;
}

// Puts the fewest, likeliest candidates that together have at least the mass `needed` first; returns how many they are.
// Halves the range in which the cut lies until sorting it costs nothing.
size_t CountWithMass(std::vector<Candidate>& candidates, double needed) {
  constexpr std::ptrdiff_t kSortable = 64;
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
  return static_cast<size_t>(begin - candidates.begin());
}

std::vector<Candidate> OfBin(const float* probabilities, int n, size_t bin) {
  const auto lowest = std::bit_cast<float>(static_cast<uint32_t>(bin) << kBinShift);
  const auto next = std::bit_cast<float>(static_cast<uint32_t>(bin + 1) << kBinShift);
  std::vector<Candidate> found;
  for (int i = 0; i < n; ++i) {
    if (probabilities[i] >= lowest && probabilities[i] < next) found.push_back({probabilities[i], i});
  }
  return found;
}

}  // namespace

bool AllFinite(const float* x, int n) {
  constexpr uint32_t kExponent = 0x7F800000u;  // all of it set: infinite, or no number
  uint32_t faults = 0;
  for (int i = 0; i < n; ++i) faults |= (std::bit_cast<uint32_t>(x[i]) & kExponent) == kExponent ? 1u : 0u;
  return faults == 0;
}

int ArgMax(const float* x, int n) {
  float best = kNever;
  int block = 0;
  for (int begin = 0; begin < n; begin += kBlock) {
    const float max = BlockMax(x + begin, std::min(kBlock, n - begin));
    if (max > best) {
      best = max;
      block = begin;
    }
  }
  return static_cast<int>(std::find(x + block, x + std::min(n, block + kBlock), best) - x);
}

void ApplyMask(const uint32_t* mask, float* logits, int n) {
  std::array<uint32_t, 32> bits;
  for (uint32_t i = 0; i < 32; ++i) bits[i] = 1u << i;
  int begin = 0;
  for (; begin + 32 <= n; begin += 32) {
    const uint32_t word = mask[begin / 32];
    if (word == ~0u) continue;
    for (int i = 0; i < 32; ++i) {
      const float logit = logits[begin + i];
      logits[begin + i] = (word & bits[static_cast<size_t>(i)]) != 0 ? logit : kNever;
    }
  }
  for (int i = begin; i < n; ++i) {
    if ((mask[i / 32] & bits[static_cast<size_t>(i % 32)]) == 0) logits[i] = kNever;
  }
}

// One pass over a small heap: with k far below n, nearly all values fail the first comparison.
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

// With flat distributions, sorting everything would cost more than the step: only the bin in which the cut lies is.
float TopPFloor(float* probabilities, int n, float top_p) {
  std::vector<double> masses(kNumBins);
  for (int i = 0; i < n; ++i) masses[BinOf(probabilities[i])] += static_cast<double>(probabilities[i]);
  double needed = static_cast<double>(top_p);
  size_t bin = kNumBins - 1;
  while (bin > 0 && masses[bin] < needed) needed -= masses[bin--];
  std::vector<Candidate> candidates = OfBin(probabilities, n, bin);
  const size_t count = CountWithMass(candidates, needed);
  for (size_t i = count; i < candidates.size(); ++i) probabilities[candidates[i].token] = 0.0f;
  return std::bit_cast<float>(static_cast<uint32_t>(bin) << kBinShift);
}

int PickAbove(const float* probabilities, int n, float floor, double uniform) {
  std::vector<double> masses;
  masses.reserve(static_cast<size_t>(n / kBlock + 1));
  double whole = 0.0;
  for (int begin = 0; begin < n; begin += kBlock) {
    masses.push_back(BlockMass(probabilities + begin, std::min(kBlock, n - begin), floor));
    whole += masses.back();
  }
  double left = uniform * whole;
  int block = 0;
  for (int i = 0; i < static_cast<int>(masses.size()); ++i) {
    const double mass = masses[static_cast<size_t>(i)];
    if (mass == 0.0) continue;
    block = i * kBlock;
    if (left < mass) break;
    left -= mass;
  }
  int last = block;
  for (int i = block; i < std::min(n, block + kBlock); ++i) {
    if (!(probabilities[i] >= floor && probabilities[i] > 0.0f)) continue;
    left -= static_cast<double>(probabilities[i]);
    last = i;
    if (left < 0.0) break;
  }
  return last;
}

}  // namespace llmfw
