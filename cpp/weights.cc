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

  std::vector<float> TakeVector(const std::string& name, int size) { return TakeDecoded(name, 1, size); }

  std::vector<float> TakeDecoded(const std::string& name, int rows, int cols) {
    std::vector<float> values(static_cast<size_t>(rows) * static_cast<size_t>(cols));
    DecodeTensor(Take(name, rows, cols), values.data());
    return values;
  }

  // [count rows, cols] as `count` matrices.
  std::vector<Tensor> TakeSlices(const std::string& name, int count, int rows, int cols) {
    const Tensor all = Take(name, count * rows, cols);
    const size_t values = static_cast<size_t>(rows) * static_cast<size_t>(cols);
    const bool whole = IsPacked(all.type) ? static_cast<size_t>(rows) % kPackedRows == 0
                                          : values % static_cast<size_t>(FormatOf(all.type).group_values) == 0;
    if (!whole) {
      throw std::invalid_argument("tensor \"" + name + "\" has a type whose rows cannot be told apart");
    }
    std::vector<Tensor> slices;
    for (int i = 0; i < count; ++i) {
      Tensor slice = all;
      slice.data += TensorBytes(all.type, static_cast<size_t>(i) * static_cast<size_t>(rows), static_cast<size_t>(cols));
      slice.rows = rows;
      slices.push_back(slice);
    }
    return slices;
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

std::vector<PlacedTensor> TakeQkv(Picker& picker, const std::string& prefix, const GemmaConfig& c,
                                  const LayerShape& shape) {
  if (picker.Has(prefix + "qkv")) return {{picker.Take(prefix + "qkv", shape.qkv_dim(), c.model_dim), 0}};
  const PlacedTensor q{picker.Take(prefix + "q", shape.q_dim(), c.model_dim), 0};
  if (!shape.has_own_kv()) return {q};
  if (c.qkv_layout == QkvLayout::kPerHead) {
    throw std::invalid_argument("qkv_layout \"per_head\" needs the tensor \"" + prefix + "qkv\"");
  }
  if (picker.Has(prefix + "kv")) {
    return {q, {picker.Take(prefix + "kv", shape.qkv_dim() - shape.q_dim(), c.model_dim), shape.q_dim()}};
  }
  if (c.qkv_layout != QkvLayout::kSeparate) {
    throw std::invalid_argument("qkv_layout must be \"separate\" where \"" + prefix + "k\" and \"v\" are two tensors");
  }
  const PlacedTensor k{picker.Take(prefix + "k", shape.kv_dim(), c.model_dim), shape.q_dim()};
  if (shape.values_are_keys) return {q, k};
  return {q, k, {picker.Take(prefix + "v", shape.kv_dim(), c.model_dim), shape.q_dim() + shape.kv_dim()}};
}

std::vector<PlacedTensor> TakeGateUp(Picker& picker, const std::string& prefix, int model_dim, int ffn_dim) {
  if (picker.Has(prefix + "gate_up")) return {{picker.Take(prefix + "gate_up", 2 * ffn_dim, model_dim), 0}};
  return {{picker.Take(prefix + "gate", ffn_dim, model_dim), 0},
          {picker.Take(prefix + "up", ffn_dim, model_dim), ffn_dim}};
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

Tensor TakeAttentionOut(Picker& picker, const std::string& prefix, int model_dim, const LayerShape& shape,
                        GemmaWeights& weights) {
  if (!picker.Has(prefix + "attention_out_heads")) {
    return picker.Take(prefix + "attention_out", model_dim, shape.q_dim());
  }
  const Tensor stored = picker.Take(prefix + "attention_out_heads", shape.num_heads * model_dim, shape.head_dim);
  AlignedArray<float> decoded;
  const Tensor heads = WithoutGroups(stored, decoded);
  weights.owned.push_back(JoinHeads(heads, shape.num_heads, model_dim));
  return {weights.owned.back().data(), heads.type, model_dim, shape.q_dim(), heads.scale};
}

QkvOffsets Offsets(const LayerShape& shape, QkvLayout layout) {
  const int d = shape.head_dim;
  const int keys = shape.q_dim();
  const int values = shape.values_are_keys ? keys : keys + shape.kv_dim();
  QkvOffsets offsets;
  for (int h = 0; h < shape.num_heads; ++h) offsets.q.push_back(layout == QkvLayout::kPerHead ? 3 * h * d : h * d);
  if (!shape.has_own_kv()) return offsets;
  for (int h = 0; h < shape.num_kv_heads; ++h) {
    switch (layout) {
      case QkvLayout::kSeparate:
        offsets.k.push_back(keys + h * d);
        offsets.v.push_back(values + h * d);
        break;
      case QkvLayout::kKvInterleaved:
        offsets.k.push_back(keys + 2 * h * d);
        offsets.v.push_back(keys + (2 * h + 1) * d);
        break;
      case QkvLayout::kPerHead:
        offsets.k.push_back((3 * h + 1) * d);
        offsets.v.push_back((3 * h + 2) * d);
        break;
    }
  }
  return offsets;
}

void TakeNorms(Picker& picker, const std::string& prefix, const GemmaConfig& c, const LayerShape& shape,
               LayerWeights& layer) {
  layer.pre_attention_norm = picker.TakeVector(prefix + "pre_attention_norm", c.model_dim);
  layer.pre_ffn_norm = picker.TakeVector(prefix + "pre_ffn_norm", c.model_dim);
  if (c.post_norms) {
    layer.post_attention_norm = picker.TakeVector(prefix + "post_attention_norm", c.model_dim);
    layer.post_ffn_norm = picker.TakeVector(prefix + "post_ffn_norm", c.model_dim);
  }
  if (c.qk_norm) {
    layer.query_norm = picker.TakeVector(prefix + "query_norm", shape.head_dim);
    if (shape.has_own_kv()) layer.key_norm = picker.TakeVector(prefix + "key_norm", shape.head_dim);
  }
  if (c.value_norm) layer.value_norm.assign(static_cast<size_t>(shape.head_dim), 0.0f);
}

ExpertWeights TakeExperts(Picker& picker, const std::string& prefix, const GemmaConfig& c) {
  ExpertWeights experts;
  experts.router_norm = picker.TakeVector(prefix + "router_norm", c.model_dim);
  experts.router = picker.Take(prefix + "router", c.num_experts, c.model_dim);
  experts.scales = picker.TakeVector(prefix + "expert_scales", c.num_experts);
  experts.pre_norm = picker.TakeVector(prefix + "pre_experts_norm", c.model_dim);
  experts.post_dense_norm = picker.TakeVector(prefix + "post_dense_norm", c.model_dim);
  experts.post_norm = picker.TakeVector(prefix + "post_experts_norm", c.model_dim);
  experts.gate_up = picker.TakeSlices(prefix + "experts_gate_up", c.num_experts, 2 * c.expert_dim, c.model_dim);
  experts.down = picker.TakeSlices(prefix + "experts_down", c.num_experts, c.model_dim, c.expert_dim);
  return experts;
}

AltUpWeights TakeAltUp(Picker& picker, const std::string& prefix, const GemmaConfig& c) {
  const int n = c.num_streams;
  AltUpWeights altup;
  altup.router_norm = picker.TakeVector(prefix + "altup_router_norm", c.model_dim);
  altup.router = picker.Take(prefix + "altup_router", n, c.model_dim);
  altup.prediction = picker.TakeDecoded(prefix + "altup_prediction", n * n, n);
  altup.correction = picker.TakeDecoded(prefix + "altup_correction", n, n);
  if (picker.Has(prefix + "altup_output_scale")) {
    altup.output_scale = picker.TakeVector(prefix + "altup_output_scale", c.model_dim);
  }
  altup.laurel_left = picker.Take(prefix + "laurel_left", c.laurel_rank, c.model_dim);
  altup.laurel_right = picker.Take(prefix + "laurel_right", c.model_dim, c.laurel_rank);
  altup.laurel_norm = picker.TakeVector(prefix + "laurel_norm", c.model_dim);
  return altup;
}

LayerWeights TakeLayer(Picker& picker, const std::string& prefix, const GemmaConfig& c, const LayerShape& shape,
                       GemmaWeights& weights) {
  LayerWeights layer;
  TakeNorms(picker, prefix, c, shape, layer);
  layer.qkv = TakeQkv(picker, prefix, c, shape);
  layer.qkv_offsets = Offsets(shape, c.qkv_layout);
  layer.attention_out = TakeAttentionOut(picker, prefix, c.model_dim, shape, weights);
  layer.gate_up = TakeGateUp(picker, prefix, c.model_dim, shape.ffn_dim);
  layer.down = picker.Take(prefix + "down", c.model_dim, shape.ffn_dim);
  if (c.per_layer_dim > 0) {
    layer.per_layer_gate = picker.Take(prefix + "per_layer_gate", c.per_layer_dim, c.model_dim);
    layer.per_layer_out = picker.Take(prefix + "per_layer_out", c.model_dim, c.per_layer_dim);
    layer.post_per_layer_norm = picker.TakeVector(prefix + "post_per_layer_norm", c.model_dim);
  }
  if (c.num_experts > 0) layer.experts = TakeExperts(picker, prefix, c);
  if (c.num_streams > 0) layer.altup = TakeAltUp(picker, prefix, c);
  if (picker.Has(prefix + "output_scale")) layer.output_scale = picker.TakeVector(prefix + "output_scale", 1)[0];
  return layer;
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
  if (config.per_layer_dim > 0) {
    weights.per_layer_embedding =
        picker.Take("per_layer_embedding", config.per_layer_vocab_size, config.per_layer_width());
    weights.per_layer_projection = picker.Take("per_layer_projection", config.per_layer_width(), config.model_dim);
    weights.per_layer_norm = picker.TakeVector("per_layer_norm", config.per_layer_dim);
  }
  for (int i = 1; i < config.num_streams; ++i) {
    const std::string suffix = "." + std::to_string(i);
    weights.stream_in.push_back(picker.Take("stream_in" + suffix, config.model_dim, config.model_dim));
    weights.stream_out.push_back(picker.Take("stream_out" + suffix, config.model_dim, config.model_dim));
  }
  for (int i = 0; i < config.num_layers(); ++i) {
    const std::string prefix = "layers." + std::to_string(i) + ".";
    weights.layers.push_back(TakeLayer(picker, prefix, config, config.layer(i), weights));
  }
  picker.CheckAllTaken();
  return weights;
}

}  // namespace llmfw
