// A tiny random model for the test programs.
#pragma once

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "weights.h"

#define CHECK(condition)                                                                  \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);  \
      std::exit(1);                                                                       \
    }                                                                                     \
  } while (false)

namespace llmfw {

inline constexpr int kVocab = 131;
inline constexpr int kWindow = 16;
inline constexpr int kCapacity = 1400;

inline GemmaConfig Config() {
  GemmaConfig config;
  config.model_dim = 24;
  config.vocab_size = kVocab;
  config.max_seq_len = 2048;
  LayerShape sliding;
  sliding.num_heads = 4;
  sliding.num_kv_heads = 2;
  sliding.head_dim = sliding.rope_dims = 6;
  sliding.ffn_dim = 40;
  sliding.window = kWindow;
  sliding.rope_base = 1e4f;
  LayerShape global = sliding;
  global.window = 0;
  global.rope_base = 1e6f;
  global.rope_scale = 8.0f;
  config.layers = {sliding, global, sliding};
  config.query_scale = 0.4f;
  config.embedding_scale = 4.9f;
  config.attention_softcap = 20.0f;
  config.final_softcap = 10.0f;
  config.qk_norm = true;
  config.post_norms = true;
  config.qkv_layout = QkvLayout::kKvInterleaved;
  return config;
}

// Random weights of one type, kept where the model can read them.
class Weights {
 public:
  Weights(const GemmaConfig& c, WeightType type) : type_(type) {
    Add("embedding", kVocab, c.model_dim);
    AddNorm("final_norm", c.model_dim);
    for (int i = 0; i < c.num_layers(); ++i) {
      const LayerShape& shape = c.layer(i);
      const std::string p = "layers." + std::to_string(i) + ".";
      for (const char* norm : {"pre_attention_norm", "post_attention_norm", "pre_ffn_norm", "post_ffn_norm"}) {
        AddNorm(p + norm, c.model_dim);
      }
      AddNorm(p + "query_norm", shape.head_dim);
      AddNorm(p + "key_norm", shape.head_dim);
      Add(p + "qkv", shape.qkv_dim(), c.model_dim);
      Add(p + "attention_out_heads", shape.num_heads * c.model_dim, shape.head_dim);
      Add(p + "gate", shape.ffn_dim, c.model_dim);
      Add(p + "up", shape.ffn_dim, c.model_dim);
      Add(p + "down", c.model_dim, shape.ffn_dim);
    }
  }

  const TensorMap& map() const { return map_; }

 private:
  // Bits drawn so that values of every type lie around +-0.5 and none is infinite.
  void Add(const std::string& name, int rows, int cols) {
    const size_t count = static_cast<size_t>(rows) * static_cast<size_t>(cols);
    // One byte more, and data from an odd address on: files promise no alignment.
    std::vector<std::byte>& bytes = storage_.emplace_back(WeightBytes(type_, count) + 1);
    std::byte* data = bytes.data() + 1;
    for (size_t i = 0; i < count; ++i) PutRandom(data + WeightBytes(type_, i));
    map_[name] = {data, type_, rows, cols, 0.5f};
  }

  void PutRandom(std::byte* at) {
    const float value = std::uniform_real_distribution<float>(-1.0f, 1.0f)(random_);
    const auto bits = std::bit_cast<uint32_t>(value);
    const auto upper = static_cast<uint16_t>(bits >> 16);
    // Sign, exponents 0.25 to 1 and a random mantissa.
    const auto half = static_cast<uint16_t>((bits >> 16 & 0x8000u) | 0x3400u | (bits & 0x7FFu));
    const auto sfp = static_cast<uint8_t>((bits >> 24 & 0x80u) | (96u + (bits & 0x1Fu)));
    switch (type_) {
      case WeightType::kF32:
        return void(std::memcpy(at, &bits, 4));
      case WeightType::kBF16:
        return void(std::memcpy(at, &upper, 2));
      case WeightType::kF16:
        return void(std::memcpy(at, &half, 2));
      case WeightType::kSFP:
        return void(std::memcpy(at, &sfp, 1));
      default:
        return;
    }
  }

  void AddNorm(const std::string& name, int size) {
    std::vector<std::byte>& bytes = storage_.emplace_back(static_cast<size_t>(size) * 4);
    map_[name] = {bytes.data(), WeightType::kF32, 1, size, 1.0f};
  }

  WeightType type_;
  std::mt19937 random_{17};
  std::deque<std::vector<std::byte>> storage_;
  TensorMap map_;
};

inline std::vector<int> Tokens(int count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(static_cast<int>(random() % kVocab));
  return tokens;
}

}  // namespace llmfw
