// The shape of a Gemma text model. Field names are those of the Python interface (_native.pyi).
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

namespace llmfw {

// How the rows of the query, key and value projections follow each other.
enum class QkvLayout {
  kSeparate,       // all query heads, all keys, all values
  kKvInterleaved,  // all query heads, then key and value of each kv head in turn
  kPerHead,        // query, key and value of each head in turn (as many kv heads as query heads)
};

// What may differ from layer to layer.
struct LayerShape {
  int num_heads = 0;      // H
  int num_kv_heads = 0;   // K
  int head_dim = 0;       // d
  int ffn_dim = 0;        // F
  int window = 0;         // a token sees the last `window` positions, its own included; 0: all of them
  float rope_base = 0.0f;   // wave length base
  float rope_scale = 1.0f;  // positions are divided by this
  int rope_dims = 0;        // values of a head that are rotated, the same number from the front of each of its halves
  int shared_kv = -1;       // the earlier layer whose keys and values are read here too; -1: the layer has its own
  bool values_are_keys = false;  // one projection gives both, and each then has its own norm
  // Gates less than so many standard deviations above their mean are cut to 0; -infinity: none are.
  float gate_cutoff = -std::numeric_limits<float>::infinity();

  bool has_own_kv() const { return shared_kv < 0; }
  int q_dim() const { return num_heads * head_dim; }
  int kv_dim() const { return num_kv_heads * head_dim; }
  // What the projections of one layer give together.
  int qkv_dim() const { return q_dim() + (has_own_kv() ? (values_are_keys ? 1 : 2) * kv_dim() : 0); }
};

struct GemmaConfig {
  int model_dim = 0;   // D
  int vocab_size = 0;  // V
  int max_seq_len = 0;
  std::vector<LayerShape> layers;

  float query_scale = 0.0f;
  float embedding_scale = 1.0f;
  float attention_softcap = 0.0f;  // 0: none
  float final_softcap = 0.0f;      // 0: none
  float norm_eps = 1e-6f;

  bool qk_norm = false;
  bool value_norm = false;  // without a weight
  bool post_norms = false;
  QkvLayout qkv_layout = QkvLayout::kSeparate;

  // Per-layer embeddings: a vector of this size for each token and layer; 0: none.
  int per_layer_dim = 0;         // P
  int per_layer_vocab_size = 0;  // tokens beyond it have the vectors of token 0

  // A mixture of experts beside each feed-forward layer; 0: none.
  int num_experts = 0;    // E
  int top_k_experts = 0;  // of them take a token
  int expert_dim = 0;     // Fe, an expert's F

  // AltUp: the residual stream and others, which the layers predict from it and correct by it; 0: none.
  int num_streams = 0;
  int active_stream = 0;  // the one that the layers compute on
  int laurel_rank = 0;

  int num_layers() const { return static_cast<int>(layers.size()); }
  const LayerShape& layer(int index) const { return layers[static_cast<size_t>(index)]; }
  int per_layer_width() const { return num_layers() * per_layer_dim; }

  // Throws std::invalid_argument naming the first value that makes no sense. The limits are far above any Gemma and
  // keep every product of two sizes within an int.
  void Validate() const;
};

}  // namespace llmfw
