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

void CheckCount(const char* name, size_t count, int num_layers) {
  if (count != static_cast<size_t>(num_layers)) {
    Fail(std::string(name) + " has " + std::to_string(count) + " entries for " + std::to_string(num_layers) +
         " layers");
  }
}

}  // namespace

void GemmaConfig::Validate() const {
  CheckSize("num_layers", num_layers, 1024);
  CheckSize("model_dim", model_dim, 1 << 16);
  CheckSize("ffn_dim", ffn_dim, 1 << 19);
  CheckSize("num_heads", num_heads, 1024);
  CheckSize("num_kv_heads", num_kv_heads, 1024);
  CheckSize("head_dim", head_dim, 4096);
  CheckSize("vocab_size", vocab_size, 1 << 24);
  CheckSize("max_seq_len", max_seq_len, 1 << 24);
  if (num_heads % num_kv_heads != 0) {
    Fail("num_heads (" + std::to_string(num_heads) + ") is no multiple of num_kv_heads (" +
         std::to_string(num_kv_heads) + ")");
  }
  if (head_dim % 2 != 0) Fail("head_dim is " + std::to_string(head_dim) + ", must be even");
  if (qkv_layout == QkvLayout::kPerHead && num_heads != num_kv_heads) {
    Fail("qkv_layout \"per_head\" needs as many kv heads as heads");
  }
  CheckCount("windows", windows.size(), num_layers);
  CheckCount("rope_bases", rope_bases.size(), num_layers);
  CheckCount("rope_scales", rope_scales.size(), num_layers);
  for (size_t i = 0; i < windows.size(); ++i) {
    const std::string index = "[" + std::to_string(i) + "]";
    if (windows[i] < 0 || windows[i] > 1 << 24) {
      Fail("windows" + index + " is " + std::to_string(windows[i]) + ", must be 0 to 2^24");
    }
    CheckPositive("rope_bases" + index, rope_bases[i]);
    CheckPositive("rope_scales" + index, rope_scales[i]);
  }
  CheckPositive("query_scale", query_scale);
  CheckPositive("embedding_scale", embedding_scale);
  CheckNotNegative("attention_softcap", attention_softcap);
  CheckNotNegative("final_softcap", final_softcap);
  CheckNotNegative("norm_eps", norm_eps);
}

}  // namespace llmfw
