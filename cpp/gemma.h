// The forward pass of a Gemma text model: gemma.cc the layers, gemma_attention.cc their attention,
// gemma_per_layer.cc per-layer embeddings, gemma_experts.cc mixtures of experts, gemma_altup.cc Gemma 3n's streams.
#pragma once

#include <span>
#include <vector>

#include "activations.h"
#include "weights.h"

namespace llmfw {

class Gemma {
 public:
  // `weights` must come from BuildWeights with the same config.
  Gemma(GemmaConfig config, GemmaWeights weights);

  const GemmaConfig& config() const { return config_; }

  // Appends the chunks, together `m` tokens in consecutive rows, each to a sequence of its own. Afterwards act.x [m, D]
  // is the stream behind the last layer. The sequences' memory must have been reserved; the caller advances them.
  void Forward(Ops& ops, std::span<const Chunk> chunks, int m, Activations& act) const;

  // logits[m, V] from rows hidden[m, D] of the stream behind the last layer.
  void Logits(Ops& ops, const float* hidden, int m, Activations& act, float* logits) const;

 private:
  void Embed(Ops& ops, std::span<const Chunk> chunks, Activations& act) const;
  void Layer(Ops& ops, int layer, std::span<const Chunk> chunks, int m, Activations& act) const;
  void AttentionBlock(Ops& ops, int layer, std::span<const Chunk> chunks, int m, Activations& act) const;
  void FeedForwardBlock(Ops& ops, int layer, int m, Activations& act) const;
  void AddBlock(Ops& ops, const std::vector<float>& post_norm, int m, Activations& act) const;

  void ComputeRopes(Ops& ops, std::span<const Chunk> chunks, int m, Activations& act) const;
  void MakeQueriesKeysValues(Ops& ops, int layer, std::span<const Chunk> chunks, Activations& act) const;
  void Attention(Ops& ops, int layer, std::span<const Chunk> chunks, Activations& act) const;
  void AttentionTogether(Ops& ops, int layer, std::span<const Chunk> chunks, Activations& act) const;

  void GatedFeed(Ops& ops, int layer, int m, Activations& act) const;
  void CutGates(Ops& ops, int layer, int m, Activations& act) const;
  void AddExperts(Ops& ops, int layer, int m, Activations& act) const;
  void Route(Ops& ops, const ExpertWeights& w, int m, Activations& act) const;
  void RunExpert(Ops& ops, const ExpertWeights& w, std::span<const Routed> routed, Activations& act) const;

  void SplitStreams(Ops& ops, int m, Activations& act) const;
  void JoinStreams(Ops& ops, int m, Activations& act) const;
  void AltUpLayer(Ops& ops, int layer, std::span<const Chunk> chunks, int m, Activations& act) const;
  void PredictStreams(Ops& ops, const AltUpWeights& w, int m, Activations& act) const;
  void CorrectStreams(Ops& ops, const AltUpWeights& w, int m, Activations& act) const;
  void ComputeModalities(Ops& ops, const AltUpWeights& w, const float* x, int m, Activations& act) const;
  void AddLaurel(Ops& ops, const AltUpWeights& w, int m, Activations& act) const;
  void AddPerLayerToStreams(Ops& ops, int layer, int m, Activations& act) const;

  void EmbedPerLayer(Ops& ops, std::span<const Chunk> chunks, int m, Activations& act) const;
  void PerLayerBlock(Ops& ops, int layer, int m, Activations& act) const;  // into act.block

  GemmaConfig config_;
  GemmaWeights weights_;
  std::vector<std::vector<double>> ropes_;  // by kind of rope: radians a position, of each pair
  std::vector<size_t> rope_of_layer_;
};

}  // namespace llmfw
