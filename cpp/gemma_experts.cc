// Mixtures of experts: beside its feed-forward layer a layer has many small ones, of which a router picks a few for each
// token. What both give is normed, each by itself, and added.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "gemma.h"

namespace llmfw {
namespace {

// The `count` likeliest experts of one row of probabilities, weighted so that the weights' sum is 1 before the scales.
void PickExperts(const float* probabilities, int num_experts, int count, const std::vector<float>& scales, int row,
                 Routed* picked) {
  std::vector<int> order(static_cast<size_t>(num_experts));
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](int a, int b) {
    return probabilities[a] != probabilities[b] ? probabilities[a] > probabilities[b] : a < b;
  });
  float sum = 0.0f;
  for (int i = 0; i < count; ++i) sum += probabilities[order[static_cast<size_t>(i)]];
  for (int i = 0; i < count; ++i) {
    const int expert = order[static_cast<size_t>(i)];
    picked[i] = {expert, row, probabilities[expert] / sum * scales[static_cast<size_t>(expert)]};
  }
}

}  // namespace

// act.routed: which experts take which rows, expert by expert.
void Gemma::Route(Ops& ops, const ExpertWeights& w, int m, Activations& act) const {
  const GemmaConfig& c = config_;
  const int dim = c.model_dim;
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  ops.RmsNorm(act.x.data(), w.router_norm.data(), c.norm_eps, m, dim, act.normed.data());
  ops.ForRows(m, dim, [&](int row) { Scale(Row(act.normed, row, dim), scale, dim); });
  ops.MatMulExact(act.normed.data(), dim, m, {&w.router, act.routing.data(), c.num_experts});
  act.routed.resize(static_cast<size_t>(m) * static_cast<size_t>(c.top_k_experts));
  ops.ForRows(m, 16 * c.num_experts, [&](int row) {
    float* probabilities = Row(act.routing, row, c.num_experts);
    ops.kernels().softmax(probabilities, c.num_experts);
    PickExperts(probabilities, c.num_experts, c.top_k_experts, w.scales, row,
                act.routed.data() + static_cast<ptrdiff_t>(row) * c.top_k_experts);
  });
  const auto by_expert = [](const Routed& a, const Routed& b) {
    return a.expert != b.expert ? a.expert < b.expert : a.row < b.row;
  };
  std::sort(act.routed.begin(), act.routed.end(), by_expert);
}

// act.block, what the dense layer gives, becomes the sum of both.
void Gemma::AddExperts(Ops& ops, int layer, int m, Activations& act) const {
  const ExpertWeights& w = weights_.layers[static_cast<size_t>(layer)].experts;
  const int dim = config_.model_dim;
  Route(ops, w, m, act);
  ops.RmsNorm(act.x.data(), w.pre_norm.data(), config_.norm_eps, m, dim, act.normed.data());
  std::fill_n(act.experts_sum.data(), static_cast<size_t>(m) * static_cast<size_t>(dim), 0.0f);
  for (auto begin = act.routed.cbegin(); begin != act.routed.cend();) {
    const auto end = std::find_if(begin, act.routed.cend(), [&](const Routed& r) { return r.expert != begin->expert; });
    RunExpert(ops, w, {begin, end}, act);
    begin = end;
  }
  ops.ForRows(m, 4 * dim, [&](int row) {
    float* block = Row(act.block, row, dim);
    float* sum = Row(act.experts_sum, row, dim);
    ops.kernels().rms_norm(block, w.post_dense_norm.data(), config_.norm_eps, block, dim);
    ops.kernels().rms_norm(sum, w.post_norm.data(), config_.norm_eps, sum, dim);
    ops.kernels().axpy(1.0f, sum, block, dim);
  });
}

// The rows that one expert takes, from act.normed, weighted into act.experts_sum.
void Gemma::RunExpert(Ops& ops, const ExpertWeights& w, std::span<const Routed> routed, Activations& act) const {
  const int dim = config_.model_dim;
  const int expert_dim = config_.expert_dim;
  const int m = static_cast<int>(routed.size());
  const auto expert = static_cast<size_t>(routed[0].expert);
  const auto at = [&](int i) { return routed[static_cast<size_t>(i)]; };
  ops.ForRows(m, dim, [&](int i) {
    std::copy_n(Row(act.normed, at(i).row, dim), dim, Row(act.expert_in, i, dim));
  });
  ops.MatMul(act.expert_in.data(), dim, m, {&w.gate_up[expert], act.gate_up.data(), 2 * expert_dim});
  ops.GeluMul(act.gate_up.data(), m, expert_dim, act.ffn.data());
  ops.MatMul(act.ffn.data(), expert_dim, m, {&w.down[expert], act.expert_out.data(), dim});
  ops.ForRows(m, dim, [&](int i) {
    ops.kernels().axpy(at(i).weight, Row(act.expert_out, i, dim), Row(act.experts_sum, at(i).row, dim), dim);
  });
}

}  // namespace llmfw
