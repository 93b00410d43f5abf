#include "gemma_config.h"

#include <cmath>
#include <stdexcept>
#include <string>

namespace llmfw {
namespace {

[[noreturn]] void Fail(const std::string& what) { throw std::invalid_argument("config: " + what); }

void CheckSize(const char* name, int value, int limit) {
  if (value < 1 || value > limit) {
    Fail(std::string(name) + " is " + std::to_string(value) + ", must be 1 to " + std::to_string(limit));
  }
}

void CheckPositive(const std::string& name, float value) {
  if (!std::isfinite(value) || value <= 0.0f) Fail(name + " is " + std::to_string(value) + ", must be above 0");
}

void CheckNotNegative(const char* name, float value) {
  if (!std::isfinite(value) || value < 0.0f) {
    Fail(std::string(name) + " is " + std::to_string(value) + ", must be 0 or more");
  }
}

void CheckHeads(const LayerShape& shape, QkvLayout layout) {
  CheckSize("num_heads", shape.num_heads, 1024);
  CheckSize("num_kv_heads", shape.num_kv_heads, 1024);
  CheckSize("head_dim", shape.head_dim, 4096);
  if (shape.num_heads % shape.num_kv_heads != 0) {
    Fail("num_heads (" + std::to_string(shape.num_heads) + ") is no multiple of num_kv_heads (" +
         std::to_string(shape.num_kv_heads) + ")");
  }
  if (shape.head_dim % 2 != 0) Fail("head_dim is " + std::to_string(shape.head_dim) + ", must be even");
  if (layout == QkvLayout::kPerHead && shape.num_heads != shape.num_kv_heads) {
    Fail("qkv_layout \"per_head\" needs as many kv heads as heads");
  }
  if (layout != QkvLayout::kSeparate && (!shape.has_own_kv() || shape.values_are_keys)) {
    Fail("qkv_layout must be \"separate\" where a layer has no keys or values of its own");
  }
}

void CheckRope(const LayerShape& shape, const std::string& index) {
  CheckPositive("rope_bases" + index, shape.rope_base);
  CheckPositive("rope_scales" + index, shape.rope_scale);
  if (shape.rope_dims < 0 || shape.rope_dims > shape.head_dim || shape.rope_dims % 2 != 0) {
    Fail("rope_dims" + index + " is " + std::to_string(shape.rope_dims) + ", must be even and 0 to head_dim");
  }
}

// A layer can read the keys and values of an earlier one that are as it would have them.
void CheckSharing(const GemmaConfig& config, int layer, const std::string& index) {
  const LayerShape& shape = config.layer(layer);
  if (shape.has_own_kv()) return;
  if (shape.shared_kv >= layer) Fail("shared_kv" + index + " must name an earlier layer");
  const LayerShape& source = config.layer(shape.shared_kv);
  if (!source.has_own_kv()) Fail("shared_kv" + index + " names a layer without keys of its own");
  if (source.num_kv_heads != shape.num_kv_heads || source.head_dim != shape.head_dim ||
      source.window != shape.window) {
    Fail("shared_kv" + index + " names a layer of another shape or window");
  }
}

}  // namespace

void GemmaConfig::Validate() const {
  CheckSize("num_layers", num_layers(), 1024);
  CheckSize("model_dim", model_dim, 1 << 16);
  CheckSize("vocab_size", vocab_size, 1 << 24);
  CheckSize("max_seq_len", max_seq_len, 1 << 24);
  for (int i = 0; i < num_layers(); ++i) {
    const LayerShape& shape = layer(i);
    const std::string index = "[" + std::to_string(i) + "]";
    CheckSize("ffn_dim", shape.ffn_dim, 1 << 19);
    CheckHeads(shape, qkv_layout);
    if (shape.window < 0 || shape.window > 1 << 24) {
      Fail("windows" + index + " is " + std::to_string(shape.window) + ", must be 0 to 2^24");
    }
    CheckRope(shape, index);
    CheckSharing(*this, i, index);
  }
  CheckPositive("query_scale", query_scale);
  CheckPositive("embedding_scale", embedding_scale);
  CheckNotNegative("attention_softcap", attention_softcap);
  CheckNotNegative("final_softcap", final_softcap);
  CheckNotNegative("norm_eps", norm_eps);
  if (per_layer_dim != 0) {
    CheckSize("per_layer_dim", per_layer_dim, 1 << 14);
    CheckSize("per_layer_vocab_size", per_layer_vocab_size, 1 << 24);
  }
  if (num_experts != 0) {
    CheckSize("num_experts", num_experts, 1024);
    CheckSize("top_k_experts", top_k_experts, num_experts);
    CheckSize("expert_dim", expert_dim, 1 << 16);
  }
  if (num_streams != 0) {
    CheckSize("num_streams", num_streams, 16);
    CheckSize("active_stream + 1", active_stream + 1, num_streams);
    CheckSize("laurel_rank", laurel_rank, 1 << 14);
    CheckSize("per_layer_dim with num_streams", per_layer_dim, 1 << 14);
  }
}

}  // namespace llmfw
