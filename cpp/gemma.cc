#include "gemma.h"

#include <algorithm>
#include <cmath>

namespace llmfw {
namespace {

// Where each of the parts of a wider row goes.
std::vector<Product> PlacedProducts(const std::vector<PlacedTensor>& tensors, float* y, int ldy) {
  std::vector<Product> products;
  for (const PlacedTensor& placed : tensors) products.push_back({&placed.tensor, y + placed.offset, ldy});
  return products;
}

// Whether gate and up can meet row by row: not where a cutoff needs the whole row first, nor where both are one tensor
// whose halves do not begin on a kernel's row.
bool MeetRowByRow(const LayerShape& shape, const LayerWeights& w) {
  return !std::isfinite(shape.gate_cutoff) && (w.gate_up.size() == 2 || shape.ffn_dim % kRowGrain == 0);
}

// Gate and up of the feed-forward block: two tensors, or one with the gate's rows first.
GatedProduct GateUpProduct(const std::vector<PlacedTensor>& gate_up, int ffn_dim, float* y) {
  const Tensor* gate = &gate_up.front().tensor;
  const Tensor* up = &gate_up.back().tensor;
  return {gate, 0, up, gate == up ? ffn_dim : 0, ffn_dim, y, ffn_dim};
}

}  // namespace

void Activations::Reserve(const GemmaConfig& config, int m) {
  const auto rows = static_cast<size_t>(m);
  const auto width = [](int n) { return static_cast<size_t>(n); };
  x.Reserve(rows * width(config.model_dim));
  normed.Reserve(rows * width(config.model_dim));
  block.Reserve(rows * width(config.model_dim));
  for (const LayerShape& shape : config.layers) {
    qkv.Reserve(rows * width(shape.qkv_dim()));
    attended.Reserve(rows * width(shape.q_dim()));
    ffn.Reserve(rows * width(shape.ffn_dim));
  }
  const int streams_width = config.num_streams * config.model_dim;
  streams.Reserve(rows * width(streams_width));
  predictions.Reserve(rows * width(streams_width));
  modalities.Reserve(rows * width(config.num_streams));
  laurel.Reserve(rows * width(config.laurel_rank));
  if (config.num_experts > 0) {
    gate_up.Reserve(rows * width(2 * config.expert_dim));
    ffn.Reserve(rows * width(config.expert_dim));
    routing.Reserve(rows * width(config.num_experts));
    for (AlignedArray<float>* array : {&expert_in, &expert_out, &experts_sum}) {
      array->Reserve(rows * width(config.model_dim));
    }
  }
  per_layer.Reserve(rows * width(config.per_layer_width()));
  per_layer_token.Reserve(rows * width(config.per_layer_width()));
  per_layer_gate.Reserve(rows * width(config.per_layer_dim));
}

void Gemma::Forward(Ops& ops, std::span<const Chunk> chunks, int m, Activations& act) const {
  act.Reserve(config_, m);
  Embed(ops, chunks, act);
  if (config_.per_layer_dim > 0) EmbedPerLayer(ops, chunks, m, act);
  ComputeRopes(ops, chunks, m, act);
  if (config_.num_streams == 0) {
    for (int layer = 0; layer < config_.num_layers(); ++layer) Layer(ops, layer, chunks, m, act);
  } else {
    SplitStreams(ops, m, act);
    for (int layer = 0; layer < config_.num_layers(); ++layer) AltUpLayer(ops, layer, chunks, m, act);
    JoinStreams(ops, m, act);
  }
}

void Gemma::Layer(Ops& ops, int layer, std::span<const Chunk> chunks, int m, Activations& act) const {
  AttentionBlock(ops, layer, chunks, m, act);
  FeedForwardBlock(ops, layer, m, act);
  const LayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  if (config_.per_layer_dim > 0) {
    PerLayerBlock(ops, layer, m, act);
    AddBlock(ops, w.post_per_layer_norm, m, act);
  }
  const float scale = w.output_scale;
  if (scale != 1.0f) {
    const int dim = config_.model_dim;
    ops.ForRows(m, dim, [&](int row) { Scale(Row(act.x, row, dim), scale, dim); });
  }
}

// Exact around attention: those matrices are a fifth of the weights or less, and where activations are rounded half of
// the error in the logits comes from there.
void Gemma::AttentionBlock(Ops& ops, int layer, std::span<const Chunk> chunks, int m, Activations& act) const {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  const LayerShape& shape = config_.layer(layer);
  const GemmaConfig& c = config_;
  ops.RmsNorm(act.x.data(), w.pre_attention_norm.data(), c.norm_eps, m, c.model_dim, act.normed.data());
  ops.MatMulExact(act.normed.data(), c.model_dim, m, PlacedProducts(w.qkv, act.qkv.data(), shape.qkv_dim()));
  MakeQueriesKeysValues(ops, layer, chunks, act);
  Attention(ops, layer, chunks, act);
  ops.MatMulExact(act.attended.data(), shape.q_dim(), m, {&w.attention_out, act.block.data(), c.model_dim});
  AddBlock(ops, w.post_attention_norm, m, act);
}

void Gemma::FeedForwardBlock(Ops& ops, int layer, int m, Activations& act) const {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  const GemmaConfig& c = config_;
  const int ffn_dim = c.layer(layer).ffn_dim;
  ops.RmsNorm(act.x.data(), w.pre_ffn_norm.data(), c.norm_eps, m, c.model_dim, act.normed.data());
  GatedFeed(ops, layer, m, act);
  ops.MatMul(act.ffn.data(), ffn_dim, m, {&w.down, act.block.data(), c.model_dim});
  if (c.num_experts > 0) AddExperts(ops, layer, m, act);
  AddBlock(ops, w.post_ffn_norm, m, act);
}

// act.ffn = gelu(gate) * up, of act.normed.
void Gemma::GatedFeed(Ops& ops, int layer, int m, Activations& act) const {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  const LayerShape& shape = config_.layer(layer);
  const int ffn_dim = shape.ffn_dim;
  if (MeetRowByRow(shape, w)) {
    ops.MatMulGelu(act.normed.data(), config_.model_dim, m, GateUpProduct(w.gate_up, ffn_dim, act.ffn.data()));
    return;
  }
  act.gate_up.Reserve(static_cast<size_t>(m) * static_cast<size_t>(2 * ffn_dim));
  ops.MatMul(act.normed.data(), config_.model_dim, m, PlacedProducts(w.gate_up, act.gate_up.data(), 2 * ffn_dim));
  if (std::isfinite(shape.gate_cutoff)) CutGates(ops, layer, m, act);
  ops.GeluMul(act.gate_up.data(), m, ffn_dim, act.ffn.data());
}

// Keeps of each gate what is above the cutoff, which lies so many standard deviations above the mean of its row.
void Gemma::CutGates(Ops& ops, int layer, int m, Activations& act) const {
  const LayerShape& shape = config_.layer(layer);
  const int n = shape.ffn_dim;
  ops.ForRows(m, 4 * n, [&](int row) {
    float* gates = Row(act.gate_up, row, 2 * n);
    double sum = 0.0;
    for (int i = 0; i < n; ++i) sum += static_cast<double>(gates[i]);
    const double mean = sum / n;
    double squares = 0.0;
    for (int i = 0; i < n; ++i) {
      const double from_mean = static_cast<double>(gates[i]) - mean;
      squares += from_mean * from_mean;
    }
    const auto cutoff = static_cast<float>(mean + static_cast<double>(shape.gate_cutoff) * std::sqrt(squares / n));
    for (int i = 0; i < n; ++i) gates[i] = std::max(gates[i] - cutoff, 0.0f);
  });
}

void Gemma::Logits(Ops& ops, const float* hidden, int m, Activations& act, float* logits) const {
  const GemmaConfig& c = config_;
  act.normed.Reserve(static_cast<size_t>(m) * static_cast<size_t>(c.model_dim));
  ops.RmsNorm(hidden, weights_.final_norm.data(), c.norm_eps, m, c.model_dim, act.normed.data());
  ops.MatMul(act.normed.data(), c.model_dim, m, {&weights_.head, logits, c.vocab_size});
  if (c.final_softcap > 0.0f) ops.SoftCap(logits, c.final_softcap, m, c.vocab_size);
}

void Gemma::Embed(Ops& ops, std::span<const Chunk> chunks, Activations& act) const {
  const int dim = config_.model_dim;
  ForTokens(ops, chunks, dim, [&](const Chunk& chunk, int token, int row) {
    float* x = Row(act.x, row, dim);
    ops.kernels().decode_row(weights_.embedding, chunk.tokens[static_cast<size_t>(token)], x);
    Scale(x, config_.embedding_scale, dim);
  });
}

// x += block, normed first where the model does that
void Gemma::AddBlock(Ops& ops, const std::vector<float>& post_norm, int m, Activations& act) const {
  const int dim = config_.model_dim;
  ops.ForRows(m, 2 * dim, [&](int row) {
    float* block = Row(act.block, row, dim);
    if (!post_norm.empty()) ops.kernels().rms_norm(block, post_norm.data(), config_.norm_eps, block, dim);
    ops.kernels().axpy(1.0f, block, Row(act.x, row, dim), dim);
  });
}

}  // namespace llmfw
