// Per-layer embeddings: beside the vector that begins its stream, a token has a small one for each layer, which gates
// what the layer adds last. Half of it comes from a table of its own, half from the beginning of the stream.
#include <cmath>

#include "gemma.h"

namespace llmfw {

void Gemma::EmbedPerLayer(Ops& ops, std::span<const Chunk> chunks, int m, Activations& act) const {
  const int dim = config_.per_layer_dim;
  const int width = config_.per_layer_width();
  const float stream_scale = 1.0f / std::sqrt(static_cast<float>(config_.model_dim));
  const float token_scale = std::sqrt(static_cast<float>(dim));
  const float* norm = weights_.per_layer_norm.data();
  ops.MatMulExact(act.x.data(), config_.model_dim, m, {&weights_.per_layer_projection, act.per_layer.data(), width});
  ForTokens(ops, chunks, 4 * width, [&](const Chunk& chunk, int token, int row) {
    const int id = chunk.tokens[static_cast<size_t>(token)];
    float* of_stream = Row(act.per_layer, row, width);
    float* of_token = Row(act.per_layer_token, row, width);
    ops.kernels().decode_row(weights_.per_layer_embedding, id < config_.per_layer_vocab_size ? id : 0, of_token);
    Scale(of_stream, stream_scale, width);
    for (int i = 0; i < width; i += dim) {
      ops.kernels().rms_norm(of_stream + i, norm, config_.norm_eps, of_stream + i, dim);
    }
    ops.kernels().axpy(token_scale, of_token, of_stream, width);
    Scale(of_stream, std::sqrt(0.5f), width);
  });
}

// Exact: these matrices are small.
void Gemma::PerLayerBlock(Ops& ops, int layer, int m, Activations& act) const {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  const int dim = config_.per_layer_dim;
  float* gate = act.per_layer_gate.data();
  ops.MatMulExact(act.x.data(), config_.model_dim, m, {&w.per_layer_gate, gate, dim});
  ops.ForRows(m, 4 * dim, [&](int row) {
    float* row_gate = Row(act.per_layer_gate, row, dim);
    ops.kernels().gelu_mul(row_gate, Row(act.per_layer, row, config_.per_layer_width()) + layer * dim, row_gate, dim);
  });
  ops.MatMulExact(gate, dim, m, {&w.per_layer_out, act.block.data(), config_.model_dim});
}

}  // namespace llmfw
