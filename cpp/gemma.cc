#include "gemma.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

namespace llmfw {
namespace {

// Tokens whose attention one thread works on together, so that a key, once read, serves them all.
constexpr int kTokenBlock = 8;
// Scores of a part are kept in full; beyond this many floats a part takes fewer tokens.
constexpr long kMaxPartScores = 1 << 19;

// calls visit(chunk, token within it, row) for all rows of a pass
template <typename Visitor>
void ForTokens(Ops& ops, std::span<const Chunk> chunks, int row_values, const Visitor& visit) {
  for (const Chunk& chunk : chunks) {
    ops.ForRows(static_cast<int>(chunk.tokens.size()), row_values,
                [&](int token) { visit(chunk, token, chunk.row + token); });
  }
}

float* Row(AlignedArray<float>& array, int row, int width) {
  return array.data() + static_cast<size_t>(row) * static_cast<size_t>(width);
}

void Scale(float* x, float factor, int n) {
  for (int i = 0; i < n; ++i) x[i] *= factor;
}

std::vector<double> RopeFrequencies(int head_dim, float base, float scale) {
  std::vector<double> frequencies;
  for (int i = 0; i < head_dim / 2; ++i) {
    frequencies.push_back(std::pow(static_cast<double>(base), -2.0 * i / head_dim) / static_cast<double>(scale));
  }
  return frequencies;
}

// Where each of the parts of a wider row goes.
std::vector<Product> PlacedProducts(const std::vector<PlacedTensor>& tensors, float* y, int ldy) {
  std::vector<Product> products;
  for (const PlacedTensor& placed : tensors) products.push_back({&placed.tensor, y + placed.offset, ldy});
  return products;
}

// The first position that the token at `position` sees.
int FirstSeen(int position, int window) { return window > 0 ? std::max(0, position - window + 1) : 0; }

}  // namespace

void Activations::Reserve(const GemmaConfig& config, size_t num_ropes, int m) {
  const auto rows = static_cast<size_t>(m);
  const auto width = [](int n) { return static_cast<size_t>(n); };
  x.Reserve(rows * width(config.model_dim));
  normed.Reserve(rows * width(config.model_dim));
  qkv.Reserve(rows * width(config.qkv_dim()));
  attended.Reserve(rows * width(config.q_dim()));
  gate_up.Reserve(rows * width(2 * config.ffn_dim));
  ffn.Reserve(rows * width(config.ffn_dim));
  block.Reserve(rows * width(config.model_dim));
  rope.resize(num_ropes);
  for (AlignedArray<float>& table : rope) table.Reserve(rows * width(config.head_dim));
}

Gemma::Gemma(GemmaConfig config, GemmaWeights weights) : config_(std::move(config)), weights_(std::move(weights)) {
  std::map<std::pair<float, float>, size_t> kinds;
  for (size_t i = 0; i < config_.rope_bases.size(); ++i) {
    const std::pair kind{config_.rope_bases[i], config_.rope_scales[i]};
    const auto [found, is_new] = kinds.try_emplace(kind, rope_frequencies_.size());
    if (is_new) rope_frequencies_.push_back(RopeFrequencies(config_.head_dim, kind.first, kind.second));
    rope_of_layer_.push_back(found->second);
  }
}

void Gemma::Forward(Ops& ops, std::span<const Chunk> chunks, int m, Activations& act) const {
  act.Reserve(config_, rope_frequencies_.size(), m);
  Embed(ops, chunks, act);
  ComputeRopes(ops, chunks, act);
  const std::vector<AttentionPart> parts = SplitAttention(ops, chunks);
  for (int layer = 0; layer < config_.num_layers; ++layer) Layer(ops, layer, chunks, parts, m, act);
}

void Gemma::Layer(Ops& ops, int layer, std::span<const Chunk> chunks, std::span<const AttentionPart> parts, int m,
                  Activations& act) const {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  const GemmaConfig& c = config_;

  // Exact around attention: those matrices are a fifth of the weights or less, and where activations are rounded half of
  // the error in the logits comes from there.
  ops.RmsNorm(act.x.data(), w.pre_attention_norm.data(), c.norm_eps, m, c.model_dim, act.normed.data());
  ops.MatMulExact(act.normed.data(), c.model_dim, m, PlacedProducts(w.qkv, act.qkv.data(), c.qkv_dim()));
  StoreKeysAndValues(ops, layer, chunks, act);
  Attention(ops, layer, chunks, parts, act);
  ops.MatMulExact(act.attended.data(), c.q_dim(), m, {&w.attention_out, act.block.data(), c.model_dim});
  AddBlock(ops, w.post_attention_norm, m, act);

  ops.RmsNorm(act.x.data(), w.pre_ffn_norm.data(), c.norm_eps, m, c.model_dim, act.normed.data());
  ops.MatMul(act.normed.data(), c.model_dim, m, PlacedProducts(w.gate_up, act.gate_up.data(), 2 * c.ffn_dim));
  ops.GeluMul(act.gate_up.data(), m, c.ffn_dim, act.ffn.data());
  ops.MatMul(act.ffn.data(), c.ffn_dim, m, {&w.down, act.block.data(), c.model_dim});
  AddBlock(ops, w.post_ffn_norm, m, act);
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

// Angles are computed in double: in float32 a position of 100,000 would be off by a hundredth of a radian.
void Gemma::ComputeRopes(Ops& ops, std::span<const Chunk> chunks, Activations& act) const {
  const int half = config_.head_dim / 2;
  for (size_t kind = 0; kind < rope_frequencies_.size(); ++kind) {
    ForTokens(ops, chunks, 32 * half, [&](const Chunk& chunk, int token, int row) {
      float* rope = Row(act.rope[kind], row, config_.head_dim);
      for (int i = 0; i < half; ++i) {
        const double angle = (chunk.position + token) * rope_frequencies_[kind][static_cast<size_t>(i)];
        rope[i] = static_cast<float>(std::cos(angle));
        rope[half + i] = static_cast<float>(std::sin(angle));
      }
    });
  }
}

void Gemma::NormAndRotate(const Ops& ops, const std::vector<float>& norm, const float* rope, float* head) const {
  const int half = config_.head_dim / 2;
  if (!norm.empty()) ops.kernels().rms_norm(head, norm.data(), config_.norm_eps, head, config_.head_dim);
  for (int i = 0; i < half; ++i) {
    const float cosine = rope[i];
    const float sine = rope[half + i];
    const float first = head[i];
    const float second = head[half + i];
    head[i] = first * cosine - second * sine;
    head[half + i] = second * cosine + first * sine;
  }
}

// Queries are made ready in place; keys and values go to the cache.
void Gemma::StoreKeysAndValues(Ops& ops, int layer, std::span<const Chunk> chunks, Activations& act) const {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  const QkvOffsets& offsets = weights_.qkv_offsets;
  AlignedArray<float>& ropes = act.rope[rope_of_layer_[static_cast<size_t>(layer)]];
  const int d = config_.head_dim;
  const size_t head_bytes = static_cast<size_t>(d) * sizeof(float);
  ForTokens(ops, chunks, config_.qkv_dim(), [&](const Chunk& chunk, int token, int row) {
    float* qkv = Row(act.qkv, row, config_.qkv_dim());
    const float* rope = Row(ropes, row, d);
    for (const int q : offsets.q) {
      NormAndRotate(ops, w.query_norm, rope, qkv + q);
      Scale(qkv + q, config_.query_scale, d);
    }
    for (const int k : offsets.k) NormAndRotate(ops, w.key_norm, rope, qkv + k);
    float* key = chunk.cache->Key(layer, chunk.position + token);
    float* value = chunk.cache->Value(layer, chunk.position + token);
    for (size_t h = 0; h < offsets.k.size(); ++h) {
      std::memcpy(key + h * static_cast<size_t>(d), qkv + offsets.k[h], head_bytes);
      std::memcpy(value + h * static_cast<size_t>(d), qkv + offsets.v[h], head_bytes);
    }
  });
}

// Parts take all heads that share a kv head, and several tokens, so keys and values are read seldom; with few tokens, one
// head and one token each, so that all threads have something to do.
std::vector<AttentionPart> Gemma::SplitAttention(const Ops& ops, std::span<const Chunk> chunks) const {
  const int group = config_.num_heads / config_.num_kv_heads;
  int m = 0;
  for (const Chunk& chunk : chunks) m += static_cast<int>(chunk.tokens.size());
  const bool plenty = m * config_.num_kv_heads >= 4 * ops.num_threads();
  const int heads = plenty ? group : 1;
  std::vector<AttentionPart> parts;
  for (size_t i = 0; i < chunks.size(); ++i) {
    const int count = static_cast<int>(chunks[i].tokens.size());
    const int keys = chunks[i].position + count;
    const int most = std::clamp(m * config_.num_kv_heads / (4 * ops.num_threads()), 1, kTokenBlock);
    const long fit = kMaxPartScores / (static_cast<long>(keys) * heads);
    const int tokens = static_cast<int>(std::clamp(fit, 1L, static_cast<long>(most)));
    for (int t = 0; t < count; t += tokens) {
      for (int h = 0; h < config_.num_heads; h += heads) {
        parts.push_back({static_cast<int>(i), t, std::min(count, t + tokens), h, h + heads});
      }
    }
  }
  return parts;
}

void Gemma::Attention(Ops& ops, int layer, std::span<const Chunk> chunks, std::span<const AttentionPart> parts,
                      Activations& act) const {
  size_t max_scores = 0;
  long work = 0;
  for (const AttentionPart& part : parts) {
    const Chunk& chunk = chunks[static_cast<size_t>(part.chunk)];
    const int begin = FirstSeen(chunk.position + part.token_begin, config_.windows[static_cast<size_t>(layer)]);
    const long queries = static_cast<long>(part.token_end - part.token_begin) * (part.head_end - part.head_begin);
    const long scores = queries * (chunk.position + part.token_end - begin);
    max_scores = std::max(max_scores, static_cast<size_t>(scores));
    work += scores;
  }
  ops.ReserveScratch(max_scores);
  const auto attend = [&](int i, int thread) {
    const AttentionPart& part = parts[static_cast<size_t>(i)];
    AttendPart(ops, layer, chunks[static_cast<size_t>(part.chunk)], part, ops.Scratch(thread), act);
  };
  constexpr long kSerialWork = 1 << 13;
  if (work * config_.head_dim > kSerialWork) return ops.ForParts(static_cast<int>(parts.size()), attend);
  for (int i = 0; i < static_cast<int>(parts.size()); ++i) attend(i, 0);
}

void Gemma::AttendPart(const Ops& ops, int layer, const Chunk& chunk, const AttentionPart& part, float* scores,
                       Activations& act) const {
  const KernelTable& kernels = ops.kernels();
  const int d = config_.head_dim;
  const int window = config_.windows[static_cast<size_t>(layer)];
  const int kv_dim = config_.kv_dim();
  const int kv_offset = part.head_begin / (config_.num_heads / config_.num_kv_heads) * d;
  const int begin = FirstSeen(chunk.position + part.token_begin, window);
  const int end = chunk.position + part.token_end;
  const int num_keys = end - begin;

  const int num_heads = part.head_end - part.head_begin;
  // The scores of a token and head: one for each of the keys, whether the token sees it or not.
  const auto scores_of = [&](int token, int head) {
    const ptrdiff_t query = static_cast<ptrdiff_t>(token - part.token_begin) * num_heads + (head - part.head_begin);
    return scores + query * num_keys;
  };
  const ptrdiff_t scores_stride = static_cast<ptrdiff_t>(num_heads) * num_keys;  // from token to token
  // visit(token, number of tokens, head): the part's tokens that see something of `count` keys from `position` on.
  const auto for_queries_seeing = [&](int position, int count, const auto& visit) {
    const int first = std::max(part.token_begin, position - chunk.position);
    const int past = position + count - 1 + window - chunk.position;  // with a window: the first that sees none of them
    const int last = window > 0 ? std::min(part.token_end, past) : part.token_end;
    for (int head = part.head_begin; head < part.head_end && first < last; ++head) visit(first, last - first, head);
  };

  chunk.cache->ForEachStretch(layer, begin, end, [&](int position, int count, const float* keys, const float*) {
    for_queries_seeing(position, count, [&](int token, int num_tokens, int head) {
      const float* queries =
          Row(act.qkv, chunk.row + token, config_.qkv_dim()) + weights_.qkv_offsets.q[static_cast<size_t>(head)];
      kernels.dot_rows(queries, config_.qkv_dim(), num_tokens, keys + kv_offset, kv_dim, count, d,
                       scores_of(token, head) + (position - begin), scores_stride);
    });
  });

  for (int token = part.token_begin; token < part.token_end; ++token) {
    const int first = FirstSeen(chunk.position + token, window) - begin;
    const int past = chunk.position + token + 1 - begin;
    for (int head = part.head_begin; head < part.head_end; ++head) {
      float* seen = scores_of(token, head);
      if (config_.attention_softcap > 0.0f) kernels.softcap(seen + first, config_.attention_softcap, past - first);
      kernels.softmax(seen + first, past - first);
      std::fill(seen, seen + first, 0.0f);
      std::fill(seen + past, seen + num_keys, 0.0f);
      float* out = Row(act.attended, chunk.row + token, config_.q_dim()) + static_cast<ptrdiff_t>(head) * d;
      std::fill(out, out + d, 0.0f);
    }
  }

  chunk.cache->ForEachStretch(layer, begin, end, [&](int position, int count, const float*, const float* values) {
    for_queries_seeing(position, count, [&](int token, int num_tokens, int head) {
      float* out = Row(act.attended, chunk.row + token, config_.q_dim()) + static_cast<ptrdiff_t>(head) * d;
      kernels.add_rows(scores_of(token, head) + (position - begin), scores_stride, num_tokens, values + kv_offset,
                       kv_dim, count, d, out, config_.q_dim());
    });
  });
}

}  // namespace llmfw
