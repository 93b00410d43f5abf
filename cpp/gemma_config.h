// The shape of a Gemma 1, 2 or 3 text model. Field names are those of the Python interface (_native.pyi).
#pragma once

#include <vector>

namespace llmfw {

// How the rows of the query, key and value projections follow each other.
enum class QkvLayout {
  kSeparate,       // all query heads, all keys, all values
  kKvInterleaved,  // all query heads, then key and value of each kv head in turn
  kPerHead,        // query, key and value of each head in turn (as many kv heads as query heads)
};

struct GemmaConfig {
  int num_layers = 0;
  int model_dim = 0;     // D
  int ffn_dim = 0;       // F
  int num_heads = 0;     // H
  int num_kv_heads = 0;  // K
  int head_dim = 0;      // d
  int vocab_size = 0;    // V
  int max_seq_len = 0;

  // One entry a layer.
  std::vector<int> windows;        // a token sees the last `window` positions, its own included; 0: all of them
  std::vector<float> rope_bases;   // wave length base
  std::vector<float> rope_scales;  // positions are divided by this

  float query_scale = 0.0f;
  float embedding_scale = 1.0f;
  float attention_softcap = 0.0f;  // 0: none
  float final_softcap = 0.0f;      // 0: none
  float norm_eps = 1e-6f;

  bool qk_norm = false;
  bool post_norms = false;
  QkvLayout qkv_layout = QkvLayout::kSeparate;

  int q_dim() const { return num_heads * head_dim; }
  int kv_dim() const { return num_kv_heads * head_dim; }
  int qkv_dim() const { return q_dim() + 2 * kv_dim(); }

  // Throws std::invalid_argument naming the first value that makes no sense. The limits are far above any Gemma and
  // keep every product of two sizes within an int.
  void Validate() const;
};

}  // namespace llmfw
