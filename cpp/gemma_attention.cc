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

// Keys, and columns of values, that one thread takes where several share the work of a kv head.
constexpr int kKeysOfPart = 128;
constexpr int kColumnsOfPart = 64;
// Keys below which that is not worth its waits for each other.
constexpr int kManyKeys = 512;

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

// Whether long texts are at work with fewer kv heads, of all rows together, than there are threads.
bool FewKvHeads(const LayerShape& shape, std::span<const Chunk> chunks, int num_threads) {
  int rows = 0;
  int keys = 0;
  for (const Chunk& chunk : chunks) {
    const int count = static_cast<int>(chunk.tokens.size());
    rows += count;
    keys = std::max(keys, chunk.position + count - FirstSeen(chunk.position, shape.window));
  }
  return rows * shape.num_kv_heads < num_threads && keys >= kManyKeys;
}

// The attention of some tokens of a chunk, for all or some of the heads that share a kv head, in three steps: scores for
// some of the keys, their softmax, the sum of some of the values' columns. Whoever does which part, the result is the
// same to the bit.
class SharedKeys {
 public:
  SharedKeys(const GemmaConfig& config, int layer, const QkvOffsets& offsets, const Chunk& chunk,
                 const AttentionPart& part, Activations& act)
      : config_(config), shape_(config.layer(layer)), layer_(layer), offsets_(offsets), chunk_(chunk), part_(part),
        act_(act) {}

  int num_tokens() const { return part_.token_end - part_.token_begin; }
  int num_heads() const { return part_.head_end - part_.head_begin; }
  int begin() const { return FirstSeen(chunk_.position + part_.token_begin, shape_.window); }
  int num_keys() const { return chunk_.position + part_.token_end - begin(); }
  // One for each token, head and key, whether the token sees it or not.
  long num_scores() const { return static_cast<long>(num_tokens()) * num_heads() * num_keys(); }

  // Of the keys [from, to), counted from the first that any token sees.
  void Scores(const KernelTable& kernels, float* scores, int from, int to) const {
    chunk_.cache->ForEachStretch(layer_, begin() + from, begin() + to, [&](int position, int count, const float* keys,
                                                                          const float*) {
      ForQueries(position, count, [&](int token, int head, const Queries& queries) {
        kernels.dot_rows(QueryOf(token, head), queries.row_stride, queries.count, keys + kv_offset(), shape_.kv_dim(),
                         count, shape_.head_dim, ScoresOf(scores, token, head) + (position - begin()),
                         queries.score_stride);
      });
    });
  }

  // What a token does not see gets the weight 0.
  void Normalise(const KernelTable& kernels, float* scores) const {
    for (int token = part_.token_begin; token < part_.token_end; ++token) {
      const int first = FirstSeen(chunk_.position + token, shape_.window) - begin();
      const int past = chunk_.position + token + 1 - begin();
      for (int head = part_.head_begin; head < part_.head_end; ++head) {
        float* seen = ScoresOf(scores, token, head);
        if (config_.attention_softcap > 0.0f) kernels.softcap(seen + first, config_.attention_softcap, past - first);
        kernels.softmax(seen + first, past - first);
        std::fill(seen, seen + first, 0.0f);
        std::fill(seen + past, seen + num_keys(), 0.0f);
      }
    }
  }

  // The columns [from, to) of the heads' results.
  void AddValues(const KernelTable& kernels, const float* scores, int from, int to) const {
    for (int token = part_.token_begin; token < part_.token_end; ++token) {
      for (int head = part_.head_begin; head < part_.head_end; ++head) {
        std::fill(ResultOf(token, head) + from, ResultOf(token, head) + to, 0.0f);
      }
    }
    chunk_.cache->ForEachStretch(layer_, begin(), begin() + num_keys(), [&](int position, int count, const float*,
                                                                           const float* values) {
      ForQueries(position, count, [&](int token, int head, const Queries& queries) {
        kernels.add_rows(ScoresOf(scores, token, head) + (position - begin()), queries.score_stride, queries.count,
                         values + kv_offset() + from, shape_.kv_dim(), count, to - from, ResultOf(token, head) + from,
                         queries.result_stride);
      });
    });
  }

 private:
  // Queries that a kernel takes together: the tokens of one head, or the heads of one token.
  struct Queries {
    int count;
    ptrdiff_t row_stride;
    ptrdiff_t score_stride;
    ptrdiff_t result_stride;
  };

  int kv_offset() const { return part_.head_begin / (shape_.num_heads / shape_.num_kv_heads) * shape_.head_dim; }
  const float* QueryOf(int token, int head) const {
    return Row(act_.qkv, chunk_.row + token, shape_.qkv_dim()) + offsets_.q[static_cast<size_t>(head)];
  }
  float* ResultOf(int token, int head) const {
    return Row(act_.attended, chunk_.row + token, shape_.q_dim()) + static_cast<ptrdiff_t>(head) * shape_.head_dim;
  }
  template <typename Score>
  Score* ScoresOf(Score* scores, int token, int head) const {
    const ptrdiff_t query = static_cast<ptrdiff_t>(token - part_.token_begin) * num_heads() + head - part_.head_begin;
    return scores + query * num_keys();
  }

  // visit(first token, first head, how many) for those that see something of `count` keys from `position` on.
  template <typename Visitor>
  void ForQueries(int position, int count, const Visitor& visit) const {
    if (num_tokens() == 1) {
      const ptrdiff_t apart = num_heads() > 1 ? QueryOf(part_.token_begin, part_.head_begin + 1) -
                                                    QueryOf(part_.token_begin, part_.head_begin)
                                              : 0;
      return visit(part_.token_begin, part_.head_begin, Queries{num_heads(), apart, num_keys(), shape_.head_dim});
    }
    const int first = std::max(part_.token_begin, position - chunk_.position);
    const int past = position + count - 1 + shape_.window - chunk_.position;  // the first that sees none of them
    const int last = shape_.window > 0 ? std::min(part_.token_end, past) : part_.token_end;
    const ptrdiff_t score_stride = static_cast<ptrdiff_t>(num_heads()) * num_keys();
    for (int head = part_.head_begin; head < part_.head_end && first < last; ++head) {
      visit(first, head, Queries{last - first, shape_.qkv_dim(), score_stride, shape_.q_dim()});
    }
  }

  const GemmaConfig& config_;
  const LayerShape& shape_;
  const int layer_;
  const QkvOffsets& offsets_;
  const Chunk& chunk_;
  const AttentionPart part_;
  Activations& act_;
};

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
  if (FewKvHeads(shape, chunks, ops.num_threads())) return AttentionTogether(ops, layer, chunks, act);
  SplitAttention(shape, chunks, ops.num_threads(), act.parts);
  const auto block_of = [&](int i) {
    const AttentionPart& part = act.parts[static_cast<size_t>(i)];
    const QkvOffsets& offsets = weights_.layers[static_cast<size_t>(layer)].qkv_offsets;
    return SharedKeys(config_, layer, offsets, chunks[static_cast<size_t>(part.chunk)], part, act);
  };
  const int num_parts = static_cast<int>(act.parts.size());
  long max_scores = 0;
  long work = 0;
  for (int i = 0; i < num_parts; ++i) {
    max_scores = std::max(max_scores, block_of(i).num_scores());
    work += block_of(i).num_scores();
  }
  ops.ReserveScratch(static_cast<size_t>(max_scores));
  const auto attend = [&](int i, int thread) {
    const SharedKeys block = block_of(i);
    block.Scores(ops.kernels(), ops.Scratch(thread), 0, block.num_keys());
    block.Normalise(ops.kernels(), ops.Scratch(thread));
    block.AddValues(ops.kernels(), ops.Scratch(thread), 0, shape.head_dim);
  };
  constexpr long kSerialWork = 1 << 13;
  if (work * shape.head_dim > kSerialWork) return ops.ForParts(num_parts, attend);
  for (int i = 0; i < num_parts; ++i) attend(i, 0);
}

// Where fewer kv heads are at work than threads: each step is shared among all of them, so that keys and values are read
// once and by everyone.
void Gemma::AttentionTogether(Ops& ops, int layer, std::span<const Chunk> chunks, Activations& act) const {
  const LayerShape& shape = config_.layer(layer);
  const int group = shape.num_heads / shape.num_kv_heads;
  const QkvOffsets& offsets = weights_.layers[static_cast<size_t>(layer)].qkv_offsets;
  for (size_t i = 0; i < chunks.size(); ++i) {
    const int count = static_cast<int>(chunks[i].tokens.size());
    for (int head = 0; head < shape.num_heads; head += group) {
      const AttentionPart part{static_cast<int>(i), 0, count, head, head + group};
      const SharedKeys block(config_, layer, offsets, chunks[i], part, act);
      act.scores.Reserve(static_cast<size_t>(block.num_scores()));
      float* scores = act.scores.data();
      const int key_parts = (block.num_keys() + kKeysOfPart - 1) / kKeysOfPart;
      ops.ForParts(key_parts, [&](int part_of_keys, int) {
        const int from = part_of_keys * kKeysOfPart;
        block.Scores(ops.kernels(), scores, from, std::min(block.num_keys(), from + kKeysOfPart));
      });
      block.Normalise(ops.kernels(), scores);
      ops.ForParts((shape.head_dim + kColumnsOfPart - 1) / kColumnsOfPart, [&](int part_of_columns, int) {
        const int from = part_of_columns * kColumnsOfPart;
        block.AddValues(ops.kernels(), scores, from, std::min(shape.head_dim, from + kColumnsOfPart));
      });
    }
  }
}

}  // namespace llmfw
