#include "batch.h"

#include <algorithm>

namespace llmfw {
namespace {

// Tokens of a pass, of all rows together: enough to be worth the trip over the weights, few enough to bound memory.
constexpr int kMaxPassTokens = kMaxChunkTokens;
// Rows whose logits are held at a time; a large vocabulary makes them a megabyte each.
constexpr size_t kMaxLogitRows = 32;
static_assert(kMaxDrafts + 1 <= kMaxLogitRows);

}  // namespace

Engine::Engine(Gemma model, const KernelTable& kernels, int num_threads)
    : model_(std::move(model)), ops_(kernels, num_threads) {}

// Fills a pass from token `token` of row `row` on, and moves both past what it took. Returns the number of tokens.
int Engine::AddChunks(std::span<const StepRow> rows, size_t& row, size_t& token, std::vector<Chunk>& chunks) const {
  int m = 0;
  while (row < rows.size() && m < kMaxPassTokens) {
    const size_t count = std::min(rows[row].tokens.size() - token, static_cast<size_t>(kMaxPassTokens - m));
    chunks.push_back({rows[row].cache, rows[row].tokens.subspan(token, count), rows[row].cache->length(), m});
    m += static_cast<int>(count);
    token += count;
    if (token < rows[row].tokens.size()) break;
    ++row;
    token = 0;
  }
  return m;
}

void Engine::RunPass(std::span<const Chunk> chunks, int m) {
  for (const Chunk& chunk : chunks) chunk.cache->Reserve(static_cast<int>(chunk.tokens.size()));
  model_.Forward(ops_, chunks, m, act_);
  for (const Chunk& chunk : chunks) chunk.cache->Advance(static_cast<int>(chunk.tokens.size()));
}

std::vector<RowResult> Engine::Step(std::span<const StepRow> rows, bool repeatable) {
  ops_.SetExact(repeatable);
  const auto dim = static_cast<size_t>(config().model_dim);
  size_t num_sampled = 0;
  for (const StepRow& row : rows) num_sampled += row.num_sampled();
  hidden_.Reserve(num_sampled * dim);

  size_t row = 0;
  size_t token = 0;
  float* next_hidden = hidden_.data();
  while (row < rows.size()) {
    size_t chunk_row = row;
    size_t chunk_token = token;
    std::vector<Chunk> chunks;
    const int m = AddChunks(rows, row, token, chunks);
    RunPass(chunks, m);
    for (const Chunk& chunk : chunks) {  // the states behind which tokens are drawn
      const size_t first_sampled = rows[chunk_row].tokens.size() - rows[chunk_row].num_sampled();
      const size_t end = chunk_token + chunk.tokens.size();
      const size_t begin = std::min(std::max(chunk_token, first_sampled), end);
      const float* states = act_.x.data() + (static_cast<size_t>(chunk.row) + begin - chunk_token) * dim;
      next_hidden = std::copy(states, states + (end - begin) * dim, next_hidden);
      ++chunk_row;
      chunk_token = 0;
    }
  }
  std::vector<RowResult> results(rows.size());
  SampleRows(rows, results);
  return results;
}

// hidden_ holds the states of all rows' sampled positions.
void Engine::SampleRows(std::span<const StepRow> rows, std::vector<RowResult>& results) {
  const auto vocab = static_cast<size_t>(config().vocab_size);
  const float* hidden = hidden_.data();
  for (size_t begin = 0; begin < rows.size();) {
    size_t end = begin;
    std::vector<size_t> first_logits;  // of each row, in rows of logits_
    size_t count = 0;
    for (; end < rows.size() && count + rows[end].num_sampled() <= kMaxLogitRows; ++end) {
      first_logits.push_back(count);
      count += rows[end].num_sampled();
    }
    if (count > 0) {
      logits_.Reserve(count * vocab);
      scratch_.Reserve(count * 2 * vocab);
      model_.Logits(ops_, hidden, static_cast<int>(count), act_, logits_.data());
      hidden += count * static_cast<size_t>(config().model_dim);
    }
    ops_.ForParts(static_cast<int>(end - begin), [&](int part, int /*thread*/) {
      const size_t i = begin + static_cast<size_t>(part);
      const size_t at = first_logits[static_cast<size_t>(part)];
      try {  // an exception must not leave a pool thread
        SampleRow(rows[i], logits_.data() + at * vocab, scratch_.data() + at * 2 * vocab, results[i].drawn);
      } catch (...) {
        results[i].error = std::current_exception();
      }
    });
    begin = end;
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].num_drafts == 0) continue;
    const int guessed_right = std::max(0, static_cast<int>(results[i].drawn.size()) - 1);
    rows[i].cache->Truncate(rows[i].cache->length() - rows[i].num_drafts + guessed_right);
  }
}

void Engine::SampleRow(const StepRow& row, const float* logits, float* scratch, std::vector<Sampled>& drawn) const {
  for (size_t i = 0; i < row.num_sampled(); ++i) {
    drawn.push_back(row.sampler->Sample(kernels(), logits + i * static_cast<size_t>(config().vocab_size),
                                        config().vocab_size, row.mask, scratch));
    const size_t guess = row.tokens.size() - row.num_sampled() + 1 + i;
    if (guess < row.tokens.size() && row.tokens[guess] != drawn.back().token) return;
  }
}

void Engine::Logits(KVCache& cache, std::span<const int> tokens, float* logits) {
  ops_.SetExact(false);
  const auto vocab = static_cast<size_t>(config().vocab_size);
  while (!tokens.empty()) {
    const size_t count = std::min(tokens.size(), static_cast<size_t>(kMaxPassTokens));
    const Chunk chunk{&cache, tokens.first(count), cache.length(), 0};
    RunPass({&chunk, 1}, static_cast<int>(count));
    model_.Logits(ops_, act_.x.data(), static_cast<int>(count), act_, logits);
    tokens = tokens.subspan(count);
    logits += count * vocab;
  }
}

}  // namespace llmfw
