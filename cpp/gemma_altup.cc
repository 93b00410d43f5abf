// Gemma 3n's AltUp: several residual streams, of which the layers compute on one alone. Before a layer all streams are
// predicted from all of them; behind it, they are corrected by how far the prediction of that one was off. LAuReL: a
// low-rank shortcut beside attention.
#include <algorithm>
#include <cmath>

#include "gemma.h"

namespace llmfw {
namespace {

float MeanSquare(const KernelTable& kernels, const float* x, int n) {
  return kernels.dot(x, x, n) / static_cast<float>(n);
}

// x becomes as long as `like`.
void MatchLength(const KernelTable& kernels, const float* like, float* x, int n) {
  const float wanted = std::sqrt(MeanSquare(kernels, like, n));
  Scale(x, wanted / std::sqrt(std::max(MeanSquare(kernels, x, n), 1e-5f)), n);
}

// Row `row` of stream `stream` in [N, M, D].
float* StreamRow(AlignedArray<float>& streams, int stream, int m, int row, int dim) {
  return streams.data() + (static_cast<size_t>(stream) * static_cast<size_t>(m) + static_cast<size_t>(row)) *
                              static_cast<size_t>(dim);
}

}  // namespace

// The first stream is act.x; the others are made from it.
void Gemma::SplitStreams(Ops& ops, int m, Activations& act) const {
  const int dim = config_.model_dim;
  std::vector<Product> products;
  for (int s = 1; s < config_.num_streams; ++s) {
    products.push_back({&weights_.stream_in[static_cast<size_t>(s - 1)], StreamRow(act.streams, s, m, 0, dim), dim});
  }
  if (!products.empty()) ops.MatMulExact(act.x.data(), dim, m, products);
  ops.ForRows(m, 4 * config_.num_streams * dim, [&](int row) {
    const float* x = Row(act.x, row, dim);
    std::copy_n(x, dim, StreamRow(act.streams, 0, m, row, dim));
    for (int s = 1; s < config_.num_streams; ++s) {
      MatchLength(ops.kernels(), x, StreamRow(act.streams, s, m, row, dim), dim);
    }
  });
}

// act.x is the mean of the streams, each as long as the first.
void Gemma::JoinStreams(Ops& ops, int m, Activations& act) const {
  const int dim = config_.model_dim;
  for (int s = 1; s < config_.num_streams; ++s) {
    const Tensor& projection = weights_.stream_out[static_cast<size_t>(s - 1)];
    ops.MatMulExact(StreamRow(act.streams, s, m, 0, dim), dim, m,
                    {&projection, StreamRow(act.predictions, s, m, 0, dim), dim});
  }
  ops.ForRows(m, 4 * config_.num_streams * dim, [&](int row) {
    const float* first = StreamRow(act.streams, 0, m, row, dim);
    float* x = Row(act.x, row, dim);
    std::copy_n(first, dim, x);
    for (int s = 1; s < config_.num_streams; ++s) {
      float* stream = StreamRow(act.predictions, s, m, row, dim);
      MatchLength(ops.kernels(), first, stream, dim);
      ops.kernels().axpy(1.0f, stream, x, dim);
    }
    Scale(x, 1.0f / static_cast<float>(config_.num_streams), dim);
  });
}

void Gemma::AltUpLayer(Ops& ops, int layer, std::span<const Chunk> chunks, int m, Activations& act) const {
  const AltUpWeights& w = weights_.layers[static_cast<size_t>(layer)].altup;
  PredictStreams(ops, w, m, act);
  AttentionBlock(ops, layer, chunks, m, act);
  AddLaurel(ops, w, m, act);
  FeedForwardBlock(ops, layer, m, act);
  CorrectStreams(ops, w, m, act);
  AddPerLayerToStreams(ops, layer, m, act);
}

// act.modalities: for each row of x, how much it is of each kind that the coefficients are for.
void Gemma::ComputeModalities(Ops& ops, const AltUpWeights& w, const float* x, int m, Activations& act) const {
  const int dim = config_.model_dim;
  const int n = config_.num_streams;
  ops.RmsNorm(x, w.router_norm.data(), config_.norm_eps, m, dim, act.normed.data());
  ops.ForRows(m, dim, [&](int row) { Scale(Row(act.normed, row, dim), 1.0f / static_cast<float>(dim), dim); });
  ops.MatMulExact(act.normed.data(), dim, m, {&w.router, act.modalities.data(), n});
  for (int i = 0; i < m * n; ++i) act.modalities.data()[i] = std::tanh(act.modalities.data()[i]);
}

// act.predictions from act.streams, and act.x, the one to compute on.
void Gemma::PredictStreams(Ops& ops, const AltUpWeights& w, int m, Activations& act) const {
  const int dim = config_.model_dim;
  const int n = config_.num_streams;
  ComputeModalities(ops, w, StreamRow(act.streams, config_.active_stream, m, 0, dim), m, act);
  ops.ForRows(m, 2 * n * n * dim, [&](int row) {
    const float* modalities = Row(act.modalities, row, n);
    for (int to = 0; to < n; ++to) {
      float* prediction = StreamRow(act.predictions, to, m, row, dim);
      std::copy_n(StreamRow(act.streams, to, m, row, dim), dim, prediction);
      for (int from = 0; from < n; ++from) {
        const float share = ops.kernels().dot(w.prediction.data() + (to * n + from) * n, modalities, n);
        ops.kernels().axpy(share, StreamRow(act.streams, from, m, row, dim), prediction, dim);
      }
    }
    std::copy_n(StreamRow(act.predictions, config_.active_stream, m, row, dim), dim, Row(act.x, row, dim));
  });
}

// Behind attention: act.normed is still what attention read.
void Gemma::AddLaurel(Ops& ops, const AltUpWeights& w, int m, Activations& act) const {
  const int dim = config_.model_dim;
  ops.MatMulExact(act.normed.data(), dim, m, {&w.laurel_left, act.laurel.data(), config_.laurel_rank});
  ops.MatMulExact(act.laurel.data(), config_.laurel_rank, m, {&w.laurel_right, act.block.data(), dim});
  AddBlock(ops, w.laurel_norm, m, act);
  ops.ForRows(m, 2 * dim, [&](int row) {
    float* x = Row(act.x, row, dim);
    ops.kernels().axpy(1.0f, Row(act.normed, row, dim), x, dim);
    Scale(x, std::sqrt(0.5f), dim);
  });
}

// act.streams from act.predictions and act.x, which the layer made of the active one.
void Gemma::CorrectStreams(Ops& ops, const AltUpWeights& w, int m, Activations& act) const {
  const int dim = config_.model_dim;
  const int n = config_.num_streams;
  ComputeModalities(ops, w, act.x.data(), m, act);
  ops.ForRows(m, 2 * n * dim, [&](int row) {
    float* error = Row(act.x, row, dim);
    ops.kernels().axpy(-1.0f, StreamRow(act.predictions, config_.active_stream, m, row, dim), error, dim);
    for (int s = 0; s < n; ++s) {
      float* stream = StreamRow(act.streams, s, m, row, dim);
      std::copy_n(StreamRow(act.predictions, s, m, row, dim), dim, stream);
      const float share = ops.kernels().dot(w.correction.data() + s * n, Row(act.modalities, row, n), n);
      ops.kernels().axpy(share + 1.0f, error, stream, dim);
    }
  });
}

// All streams but the first get what the per-layer embeddings make of the active one.
void Gemma::AddPerLayerToStreams(Ops& ops, int layer, int m, Activations& act) const {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  const std::vector<float>& scale = w.altup.output_scale;
  const int dim = config_.model_dim;
  ops.ForRows(m, dim, [&](int row) {
    float* x = Row(act.x, row, dim);
    std::copy_n(StreamRow(act.streams, config_.active_stream, m, row, dim), dim, x);
    for (size_t i = 0; i < scale.size(); ++i) x[i] *= scale[i];
  });
  PerLayerBlock(ops, layer, m, act);
  ops.ForRows(m, 2 * dim, [&](int row) {
    float* block = Row(act.block, row, dim);
    ops.kernels().rms_norm(block, w.post_per_layer_norm.data(), config_.norm_eps, block, dim);
    for (int s = 1; s < config_.num_streams; ++s) {
      ops.kernels().axpy(1.0f, block, StreamRow(act.streams, s, m, row, dim), dim);
    }
  });
}

}  // namespace llmfw
