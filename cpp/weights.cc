#include "weights.h"

#include <cstring>
#include <set>
#include <stdexcept>

#include "kernels/kernels.h"

namespace llmfw {
namespace {

std::string Shape(int rows, int cols) { return "[" + std::to_string(rows) + ", " + std::to_string(cols) + "]"; }

// Takes tensors out of the map by name; knows in the end which were never asked for.
class Picker {
 public:
  explicit Picker(const TensorMap& tensors) : tensors_(tensors) {}

  bool Has(const std::string& name) const { return tensors_.count(name) != 0; }

  Tensor Take(const std::string& name, int rows, int cols) {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) throw std::invalid_argument("tensor \"" + name + "\" is missing");
    const Tensor& tensor = found->second;
    if (tensor.rows != rows || tensor.cols != cols) {
      throw std::invalid_argument("tensor \"" + name + "\" is " + Shape(tensor.rows, tensor.cols) +
                                  ", the config asks for " + Shape(rows, cols));
    }
    taken_.insert(name);
    return tensor;
  }

  std::vector<float> TakeVector(const std::string& name, int size) {
    std::vector<float> values(static_cast<size_t>(size));
    DecodeTensor(Take(name, 1, size), values.data());
    return values;
  }

  void CheckAllTaken() const {
    for (const auto& [name, tensor] : tensors_) {
      if (taken_.count(name) == 0) {
        throw std::invalid_argument("tensor \"" + name + "\" is not part of a model with this config");
      }
    }
  }

 private:
  const TensorMap& tensors_;
  std::set<std::string> taken_;
};

std::vector<PlacedTensor> TakeQkv(Picker& picker, const std::string& prefix, const GemmaConfig& c) {
  if (picker.Has(prefix + "qkv")) return {{picker.Take(prefix + "qkv", c.qkv_dim(), c.model_dim), 0}};
  const PlacedTensor q{picker.Take(prefix + "q", c.q_dim(), c.model_dim), 0};
  if (c.qkv_layout == QkvLayout::kPerHead) {
    throw std::invalid_argument("qkv_layout \"per_head\" needs the tensor \"" + prefix + "qkv\"");
  }
  if (picker.Has(prefix + "kv")) return {q, {picker.Take(prefix + "kv", 2 * c.kv_dim(), c.model_dim), c.q_dim()}};
  if (c.qkv_layout != QkvLayout::kSeparate) {
    throw std::invalid_argument("qkv_layout must be \"separate\" where \"" + prefix + "k\" and \"v\" are two tensors");
  }
  return {q,
          {picker.Take(prefix + "k", c.kv_dim(), c.model_dim), c.q_dim()},
          {picker.Take(prefix + "v", c.kv_dim(), c.model_dim), c.q_dim() + c.kv_dim()}};
}

std::vector<PlacedTensor> TakeGateUp(Picker& picker, const std::string& prefix, const GemmaConfig& c) {
  if (picker.Has(prefix + "gate_up")) return {{picker.Take(prefix + "gate_up", 2 * c.ffn_dim, c.model_dim), 0}};
  return {{picker.Take(prefix + "gate", c.ffn_dim, c.model_dim), 0},
          {picker.Take(prefix + "up", c.ffn_dim, c.model_dim), c.ffn_dim}};
}

// The same values as float32 in `decoded` where the type encodes several together, so that rows can be moved about.
Tensor WithoutGroups(const Tensor& tensor, AlignedArray<float>& decoded) {
  if (FormatOf(tensor.type).group_values == 1) return tensor;
  decoded.Reserve(static_cast<size_t>(tensor.rows) * static_cast<size_t>(tensor.cols));
  DecodeTensor(tensor, decoded.data());
  return {reinterpret_cast<const std::byte*>(decoded.data()), WeightType::kF32, tensor.rows, tensor.cols, 1.0f};
}

// [H D, d] -> [D, H d]: row m of the result is the heads' rows m, one after the other.
AlignedArray<std::byte> JoinHeads(const Tensor& heads, int num_heads, int model_dim) {
  const size_t row_bytes = WeightBytes(heads.type, static_cast<size_t>(heads.cols));
  AlignedArray<std::byte> joined(row_bytes * static_cast<size_t>(heads.rows));
  std::byte* to = joined.data();
  for (int m = 0; m < model_dim; ++m) {
    for (int h = 0; h < num_heads; ++h, to += row_bytes) std::memcpy(to, heads.row(h * model_dim + m), row_bytes);
  }
  return joined;
}

Tensor TakeAttentionOut(Picker& picker, const std::string& prefix, const GemmaConfig& c, GemmaWeights& weights) {
  if (!picker.Has(prefix + "attention_out_heads")) {
    return picker.Take(prefix + "attention_out", c.model_dim, c.q_dim());
  }
  const Tensor stored = picker.Take(prefix + "attention_out_heads", c.num_heads * c.model_dim, c.head_dim);
  AlignedArray<float> decoded;
  const Tensor heads = WithoutGroups(stored, decoded);
  weights.owned.push_back(JoinHeads(heads, c.num_heads, c.model_dim));
  return {weights.owned.back().data(), heads.type, c.model_dim, c.q_dim(), heads.scale};
}

LayerWeights TakeLayer(Picker& picker, const std::string& prefix, const GemmaConfig& c, GemmaWeights& weights) {
  LayerWeights layer;
  layer.pre_attention_norm = picker.TakeVector(prefix + "pre_attention_norm", c.model_dim);
  layer.pre_ffn_norm = picker.TakeVector(prefix + "pre_ffn_norm", c.model_dim);
  if (c.post_norms) {
    layer.post_attention_norm = picker.TakeVector(prefix + "post_attention_norm", c.model_dim);
    layer.post_ffn_norm = picker.TakeVector(prefix + "post_ffn_norm", c.model_dim);
  }
  if (c.qk_norm) {
    layer.query_norm = picker.TakeVector(prefix + "query_norm", c.head_dim);
    layer.key_norm = picker.TakeVector(prefix + "key_norm", c.head_dim);
  }
  layer.qkv = TakeQkv(picker, prefix, c);
  layer.attention_out = TakeAttentionOut(picker, prefix, c, weights);
  layer.gate_up = TakeGateUp(picker, prefix, c);
  layer.down = picker.Take(prefix + "down", c.model_dim, c.ffn_dim);
  return layer;
}

QkvOffsets Offsets(const GemmaConfig& c) {
  const int d = c.head_dim;
  QkvOffsets offsets;
  for (int h = 0; h < c.num_heads; ++h) offsets.q.push_back(c.qkv_layout == QkvLayout::kPerHead ? 3 * h * d : h * d);
  for (int h = 0; h < c.num_kv_heads; ++h) {
    switch (c.qkv_layout) {
      case QkvLayout::kSeparate:
        offsets.k.push_back(c.q_dim() + h * d);
        offsets.v.push_back(c.q_dim() + c.kv_dim() + h * d);
        break;
      case QkvLayout::kKvInterleaved:
        offsets.k.push_back(c.q_dim() + 2 * h * d);
        offsets.v.push_back(c.q_dim() + (2 * h + 1) * d);
        break;
      case QkvLayout::kPerHead:
        offsets.k.push_back((3 * h + 1) * d);
        offsets.v.push_back((3 * h + 2) * d);
        break;
    }
  }
  return offsets;
}

}  // namespace

void DecodeTensor(const Tensor& tensor, float* out) {
  for (int r = 0; r < tensor.rows; ++r, out += tensor.cols) ScalarKernels().decode_row(tensor, r, out);
}

GemmaWeights BuildWeights(const GemmaConfig& config, const TensorMap& tensors) {
  Picker picker(tensors);
  GemmaWeights weights;
  weights.embedding = picker.Take("embedding", config.vocab_size, config.model_dim);
  weights.head = weights.embedding;
  if (picker.Has("lm_head")) weights.head = picker.Take("lm_head", config.vocab_size, config.model_dim);
  weights.final_norm = picker.TakeVector("final_norm", config.model_dim);
  weights.qkv_offsets = Offsets(config);
  for (int i = 0; i < config.num_layers; ++i) {
    weights.layers.push_back(TakeLayer(picker, "layers." + std::to_string(i) + ".", config, weights));
  }
  picker.CheckAllTaken();
  return weights;
}

}  // namespace llmfw
