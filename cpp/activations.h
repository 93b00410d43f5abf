// What one pass over the weights is about, and what it computes in.
#pragma once

#include <span>
#include <vector>

#include "kv_cache.h"
#include "ops.h"

namespace llmfw {

// Tokens to append to one sequence, as rows [row, row + tokens.size()) of a pass. At most kMaxChunkTokens.
struct Chunk {
  KVCache* cache;
  std::span<const int> tokens;
  int position;  // of the first token
  int row;
};

// A part of attention that one thread does: some tokens of a chunk, for some neighbouring heads of one kv head.
struct AttentionPart {
  int chunk;
  int token_begin;  // within the chunk
  int token_end;
  int head_begin;
  int head_end;
};

// A token that an expert takes part in.
struct Routed {
  int expert;
  int row;
  float weight;
};

// Grows to the largest pass seen. Widths are those of the layer at work; D, V and P are the model's.
struct Activations {
  AlignedArray<float> x;         // [M, D], the residual stream
  AlignedArray<float> normed;    // [M, D], what a block reads
  AlignedArray<float> qkv;       // [M, (H + 2K) d]
  AlignedArray<float> attended;  // [M, H d]
  AlignedArray<float> gate_up;   // [M, 2F], where they cannot meet row by row
  AlignedArray<float> ffn;       // [M, F]
  AlignedArray<float> block;     // [M, D], what a block adds
  std::vector<AlignedArray<float>> rope;  // by kind of rope: [M, r], cosines of the r/2 pairs, then sines
  std::vector<AttentionPart> parts;       // of the layer at work
  AlignedArray<float> scores;             // [H, keys] where all threads share the attention of a token

  // Per-layer embeddings.
  AlignedArray<float> per_layer;        // [M, layers P]
  AlignedArray<float> per_layer_token;  // [M, layers P], the part that knows the token alone
  AlignedArray<float> per_layer_gate;   // [M, P]

  // A mixture of experts.
  AlignedArray<float> routing;      // [M, E]
  std::vector<Routed> routed;       // [M top_k], by expert
  AlignedArray<float> expert_in;    // [M, D], the rows of one expert
  AlignedArray<float> expert_out;   // [M, D]
  AlignedArray<float> experts_sum;  // [M, D]

  // AltUp, with N streams.
  AlignedArray<float> streams;      // [N, M, D]
  AlignedArray<float> predictions;  // [N, M, D]
  AlignedArray<float> modalities;   // [M, N]
  AlignedArray<float> laurel;       // [M, rank]

  void Reserve(const GemmaConfig& config, int m);
};

inline float* Row(AlignedArray<float>& array, int row, int width) {
  return array.data() + static_cast<size_t>(row) * static_cast<size_t>(width);
}

inline void Scale(float* x, float factor, int n) {
  for (int i = 0; i < n; ++i) x[i] *= factor;
}

// calls visit(chunk, token within it, row) for all rows of a pass
template <typename Visitor>
void ForTokens(Ops& ops, std::span<const Chunk> chunks, int row_values, const Visitor& visit) {
  for (const Chunk& chunk : chunks) {
    ops.ForRows(static_cast<int>(chunk.tokens.size()), row_values,
                [&](int token) { visit(chunk, token, chunk.row + token); });
  }
}

}  // namespace llmfw
