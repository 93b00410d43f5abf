// Attention: rotary positions, what goes to the cache, and the scores over it.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <tuple>

#include "gemma.h"

namespace llmfw {
namespace {

// Tokens whose attention one thread works on together, so that a key, once read, serves them all.
constexpr int kTokenBlock = 8;
// Scores of a part are kept in full; beyond this many floats a part takes fewer tokens.
constexpr long kMaxPartScores = 1 << 19;

// Pair i turns by base^(-2i / d) a position, whatever share of a head's d/2 pairs is turned at all.
std::vector<double> RopeFrequencies(const LayerShape& shape) {
  std::vector<double> frequencies;
  for (int i = 0; i < shape.rope_dims / 2; ++i) {
    frequencies.push_back(std::pow(static_cast<double>(shape.rope_base), -2.0 * i / shape.head_dim) /
                          static_cast<double>(shape.rope_scale));
  }
  return frequencies;
}

// The pairs of a head are its values i and d/2 + i; the first `pairs` of them are turned. `rope` has their cosines, then
// their sines.
void Rotate(float* head, int head_dim, const float* rope, int pairs) {
  const int half = head_dim / 2;
  for (int i = 0; i < pairs; ++i) {
    const float cosine = rope[i];
    const float sine = rope[pairs + i];
    const float first = head[i];
    const float second = head[half + i];
    head[i] = first * cosine - second * sine;
    head[half + i] = second * cosine + first * sine;
  }
}

// The first position that the token at `position` sees.
int FirstSeen(int position, int window) { return window > 0 ? std::max(0, position - window + 1) : 0; }

// Parts take all heads that share a kv head, and several tokens, so keys and values are read seldom; with few tokens, one
// head and one token each, so that all threads have something to do.
void SplitAttention(const LayerShape& shape, std::span<const Chunk> chunks, int num_threads,
                    std::vector<AttentionPart>& parts) {
  const int group = shape.num_heads / shape.num_kv_heads;
  int m = 0;
  for (const Chunk& chunk : chunks) m += static_cast<int>(chunk.tokens.size());
  const bool plenty = m * shape.num_kv_heads >= 4 * num_threads;
  const int heads = plenty ? group : 1;
  parts.clear();
  for (size_t i = 0; i < chunks.size(); ++i) {
    const int count = static_cast<int>(chunks[i].tokens.size());
    const int keys = chunks[i].position + count;
    const int most = std::clamp(m * shape.num_kv_heads / (4 * num_threads), 1, kTokenBlock);
    const long fit = kMaxPartScores / (static_cast<long>(keys) * heads);
    const int tokens = static_cast<int>(std::clamp(fit, 1L, static_cast<long>(most)));
    for (int t = 0; t < count; t += tokens) {
      for (int h = 0; h < shape.num_heads; h += heads) {
        parts.push_back({static_cast<int>(i), t, std::min(count, t + tokens), h, h + heads});
      }
    }
  }
}

}  // namespace

Gemma::Gemma(GemmaConfig config, GemmaWeights weights) : config_(std::move(config)), weights_(std::move(weights)) {
  std::map<std::tuple<float, float, int, int>, size_t> kinds;
  for (const LayerShape& shape : config_.layers) {
    const std::tuple kind{shape.rope_base, shape.rope_scale, shape.head_dim, shape.rope_dims};
    const auto [found, is_new] = kinds.try_emplace(kind, ropes_.size());
    if (is_new) ropes_.push_back(RopeFrequencies(shape));
    rope_of_layer_.push_back(found->second);
  }
}

// Angles are computed in double: in float32 a position of 100,000 would be off by a hundredth of a radian.
void Gemma::ComputeRopes(Ops& ops, std::span<const Chunk> chunks, int m, Activations& act) const {
  act.rope.resize(ropes_.size());
  for (size_t kind = 0; kind < ropes_.size(); ++kind) {
    const std::vector<double>& frequencies = ropes_[kind];
    const int pairs = static_cast<int>(frequencies.size());
    act.rope[kind].Reserve(static_cast<size_t>(m) * 2 * frequencies.size());
    ForTokens(ops, chunks, 32 * pairs, [&](const Chunk& chunk, int token, int row) {
      float* rope = Row(act.rope[kind], row, 2 * pairs);
      for (int i = 0; i < pairs; ++i) {
        const double angle = (chunk.position + token) * frequencies[static_cast<size_t>(i)];
        rope[i] = static_cast<float>(std::cos(angle));
        rope[pairs + i] = static_cast<float>(std::sin(angle));
      }
    });
  }
}

// Queries are made ready in place; keys and values go to the cache, values first: where one projection gives both, they
// are what the keys are before their norm.
void Gemma::MakeQueriesKeysValues(Ops& ops, int layer, std::span<const Chunk> chunks, Activations& act) const {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  const LayerShape& shape = config_.layer(layer);
  const QkvOffsets& offsets = w.qkv_offsets;
  AlignedArray<float>& ropes = act.rope[rope_of_layer_[static_cast<size_t>(layer)]];
  const int d = shape.head_dim;
  const auto norm = [&](const float* head, const std::vector<float>& weight, float* out) {
    if (weight.empty()) {
      if (out != head) std::memcpy(out, head, static_cast<size_t>(d) * sizeof(float));
    } else {
      ops.kernels().rms_norm(head, weight.data(), config_.norm_eps, out, d);
    }
  };
  ForTokens(ops, chunks, shape.qkv_dim(), [&](const Chunk& chunk, int token, int row) {
    float* qkv = Row(act.qkv, row, shape.qkv_dim());
    const float* rope = Row(ropes, row, shape.rope_dims);
    for (const int q : offsets.q) {
      norm(qkv + q, w.query_norm, qkv + q);
      Rotate(qkv + q, d, rope, shape.rope_dims / 2);
      Scale(qkv + q, config_.query_scale, d);
    }
    if (!shape.has_own_kv()) return;
    float* key = chunk.cache->Key(layer, chunk.position + token);
    float* value = chunk.cache->Value(layer, chunk.position + token);
    for (size_t h = 0; h < offsets.k.size(); ++h, key += d, value += d) {
      norm(qkv + offsets.v[h], w.value_norm, value);
      norm(qkv + offsets.k[h], w.key_norm, key);
      Rotate(key, d, rope, shape.rope_dims / 2);
    }
  });
}

void Gemma::Attention(Ops& ops, int layer, std::span<const Chunk> chunks, Activations& act) const {
  const LayerShape& shape = config_.layer(layer);
  SplitAttention(shape, chunks, ops.num_threads(), act.parts);
  size_t max_scores = 0;
  long work = 0;
  for (const AttentionPart& part : act.parts) {
    const Chunk& chunk = chunks[static_cast<size_t>(part.chunk)];
    const int begin = FirstSeen(chunk.position + part.token_begin, shape.window);
    const long queries = static_cast<long>(part.token_end - part.token_begin) * (part.head_end - part.head_begin);
    const long scores = queries * (chunk.position + part.token_end - begin);
    max_scores = std::max(max_scores, static_cast<size_t>(scores));
    work += scores;
  }
  ops.ReserveScratch(max_scores);
  const auto attend = [&](int i, int thread) {
    const AttentionPart& part = act.parts[static_cast<size_t>(i)];
    AttendPart(ops, layer, chunks[static_cast<size_t>(part.chunk)], part, ops.Scratch(thread), act);
  };
  constexpr long kSerialWork = 1 << 13;
  if (work * shape.head_dim > kSerialWork) return ops.ForParts(static_cast<int>(act.parts.size()), attend);
  for (int i = 0; i < static_cast<int>(act.parts.size()); ++i) attend(i, 0);
}

void Gemma::AttendPart(const Ops& ops, int layer, const Chunk& chunk, const AttentionPart& part, float* scores,
                       Activations& act) const {
  const KernelTable& kernels = ops.kernels();
  const LayerShape& shape = config_.layer(layer);
  const std::vector<int>& query_offsets = weights_.layers[static_cast<size_t>(layer)].qkv_offsets.q;
  const int d = shape.head_dim;
  const int window = shape.window;
  const int kv_dim = shape.kv_dim();
  const int kv_offset = part.head_begin / (shape.num_heads / shape.num_kv_heads) * d;
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
          Row(act.qkv, chunk.row + token, shape.qkv_dim()) + query_offsets[static_cast<size_t>(head)];
      kernels.dot_rows(queries, shape.qkv_dim(), num_tokens, keys + kv_offset, kv_dim, count, d,
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
      float* out = Row(act.attended, chunk.row + token, shape.q_dim()) + static_cast<ptrdiff_t>(head) * d;
      std::fill(out, out + d, 0.0f);
    }
  }

  chunk.cache->ForEachStretch(layer, begin, end, [&](int position, int count, const float*, const float* values) {
    for_queries_seeing(position, count, [&](int token, int num_tokens, int head) {
      float* out = Row(act.attended, chunk.row + token, shape.q_dim()) + static_cast<ptrdiff_t>(head) * d;
      kernels.add_rows(scores_of(token, head) + (position - begin), scores_stride, num_tokens, values + kv_offset,
                       kv_dim, count, d, out, shape.q_dim());
    });
  });
}

}  // namespace llmfw
