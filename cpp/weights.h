// A model's weights in the form that the forward pass reads, built from named tensors.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "aligned.h"
#include "gemma_config.h"
#include "tensor.h"

namespace llmfw {

// A matrix whose outputs land at `offset` of a wider row (q, k and v share one buffer; so do gate and up).
struct PlacedTensor {
  Tensor tensor;
  int offset = 0;
};

// Where a head's values start in a row of the qkv buffer; one entry a head.
struct QkvOffsets {
  std::vector<int> q, k, v;
};

// A mixture of experts; empty without one.
struct ExpertWeights {
  std::vector<float> router_norm;      // [D]
  Tensor router;                       // [E, D]
  std::vector<float> scales;           // [E], of what an expert gives
  std::vector<float> pre_norm;         // [D], of what experts read
  std::vector<float> post_dense_norm;  // [D], of what the layer beside them gives
  std::vector<float> post_norm;        // [D], of what they give together
  std::vector<Tensor> gate_up;         // by expert: [2Fe, D]
  std::vector<Tensor> down;            // by expert: [D, Fe]
};

// AltUp and LAuReL of one layer, with N streams; empty without them.
struct AltUpWeights {
  std::vector<float> router_norm;   // [D]
  Tensor router;                    // [N, D]
  std::vector<float> prediction;    // [N N, N]
  std::vector<float> correction;    // [N, N]
  std::vector<float> output_scale;  // [D], may be empty
  Tensor laurel_left;               // [rank, D]
  Tensor laurel_right;              // [D, rank]
  std::vector<float> laurel_norm;   // [D]
};

struct LayerWeights {
  std::vector<float> pre_attention_norm;   // [D]
  std::vector<float> post_attention_norm;  // [D], empty without post norms
  std::vector<float> pre_ffn_norm;         // [D]
  std::vector<float> post_ffn_norm;        // [D], empty without post norms
  std::vector<float> query_norm;           // [d], empty without qk norm
  std::vector<float> key_norm;             // [d], empty without qk norm
  std::vector<float> value_norm;           // [d] zeros, empty without value norm
  std::vector<PlacedTensor> qkv;           // together [(H + 2K) d, D]; less where keys or values are another's
  QkvOffsets qkv_offsets;
  Tensor attention_out;                    // [D, H d]
  std::vector<PlacedTensor> gate_up;       // together [2F, D]
  Tensor down;                             // [D, F]
  Tensor per_layer_gate;                   // [P, D], with per-layer embeddings, as the two that follow
  Tensor per_layer_out;                    // [D, P]
  std::vector<float> post_per_layer_norm;  // [D]
  float output_scale = 1.0f;               // of the stream behind the layer
  ExpertWeights experts;
  AltUpWeights altup;
};

struct GemmaWeights {
  Tensor embedding;               // [V, D]
  Tensor head;                    // [V, D], the embedding where tied
  std::vector<float> final_norm;  // [D]
  std::vector<LayerWeights> layers;
  Tensor per_layer_embedding;         // [tokens, layers P]
  Tensor per_layer_projection;        // [layers P, D]
  std::vector<float> per_layer_norm;  // [P]
  std::vector<Tensor> stream_in;      // by stream but the first: [D, D]
  std::vector<Tensor> stream_out;
  std::vector<AlignedArray<std::byte>> owned;  // matrices whose rows had to be rearranged
};

using TensorMap = std::map<std::string, Tensor>;

// Picks the tensors that `config` asks for and checks their shapes. Norms are decoded; matrices are used where they lie
// (except "attention_out_heads", which is copied into [D, H d] order). Throws std::invalid_argument naming the tensor
// that is missing, left over or of the wrong shape.
GemmaWeights BuildWeights(const GemmaConfig& config, const TensorMap& tensors);

// All of `tensor` times its scale, as float32 into out [rows, cols].
void DecodeTensor(const Tensor& tensor, float* out);

}  // namespace llmfw
