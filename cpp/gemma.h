// The forward pass of a Gemma 1, 2 or 3 text model.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "kv_cache.h"
#include "ops.h"
#include "weights.h"

namespace llmfw {

// Tokens to append to one sequence, as rows [row, row + tokens.size()) of a pass. At most kMaxChunkTokens.
struct Chunk {
  KVCache* cache;
  std::span<const int> tokens;
  int position;  // of the first token
  int row;
};

// What one pass computes in; grows to the largest pass seen.
struct Activations {
  AlignedArray<float> x;         // [M, D], the residual stream
  AlignedArray<float> normed;    // [M, D], what a block reads
  AlignedArray<float> qkv;       // [M, (H + 2K) d]
  AlignedArray<float> attended;  // [M, H d]
  AlignedArray<float> gate_up;   // [M, 2F]
  AlignedArray<float> ffn;       // [M, F]
  AlignedArray<float> block;     // [M, D], what a block adds
  std::vector<AlignedArray<float>> rope;  // by kind of rope: [M, d], cosines of the d/2 pairs, then sines

  void Reserve(const GemmaConfig& config, size_t num_ropes, int m);
};

// A part of attention that one thread does: some tokens of a chunk, for some neighbouring heads of one kv head.
struct AttentionPart {
  int chunk;
  int token_begin;  // within the chunk
  int token_end;
  int head_begin;
  int head_end;
};

class Gemma {
 public:
  // `weights` must come from BuildWeights with the same config.
  Gemma(GemmaConfig config, GemmaWeights weights);

  const GemmaConfig& config() const { return config_; }

  // Appends the chunks, together `m` tokens in consecutive rows, each to a sequence of its own. Afterwards act.x [m, D]
  // is the stream behind the last layer. The sequences' memory must have been reserved; the caller advances them.
  void Forward(Ops& ops, std::span<const Chunk> chunks, int m, Activations& act) const;

  // logits[m, V] from rows hidden[m, D] of the stream behind the last layer.
  void Logits(Ops& ops, const float* hidden, int m, Activations& act, float* logits) const;

 private:
  void Embed(Ops& ops, std::span<const Chunk> chunks, Activations& act) const;
  void Layer(Ops& ops, int layer, std::span<const Chunk> chunks, std::span<const AttentionPart> parts, int m,
             Activations& act) const;
  void AddBlock(Ops& ops, const std::vector<float>& post_norm, int m, Activations& act) const;
  void ComputeRopes(Ops& ops, std::span<const Chunk> chunks, Activations& act) const;
  void StoreKeysAndValues(Ops& ops, int layer, std::span<const Chunk> chunks, Activations& act) const;
  void NormAndRotate(const Ops& ops, const std::vector<float>& norm, const float* rope, float* head) const;
  std::vector<AttentionPart> SplitAttention(const Ops& ops, std::span<const Chunk> chunks) const;
  void Attention(Ops& ops, int layer, std::span<const Chunk> chunks, std::span<const AttentionPart> parts,
                 Activations& act) const;
  void AttendPart(const Ops& ops, int layer, const Chunk& chunk, const AttentionPart& part, float* scores,
                  Activations& act) const;

  GemmaConfig config_;
  GemmaWeights weights_;
  std::vector<std::vector<double>> rope_frequencies_;  // by kind: [d / 2], radians a position
  std::vector<size_t> rope_of_layer_;
};

}  // namespace llmfw
