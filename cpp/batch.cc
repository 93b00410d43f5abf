#include "batch.h"

#include <algorithm>
#include <exception>

namespace llmfw {
namespace {

// Tokens of a pass, of all rows together: enough to be worth the trip over the weights, few enough to bound memory.
constexpr int kMaxPassTokens = kMaxChunkTokens;
// Rows whose logits are held at a time; a large vocabulary makes them a megabyte each.
constexpr size_t kMaxLogitRows = 32;

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

std::vector<std::optional<Sampled>> Engine::Step(std::span<const StepRow> rows) {
  const auto dim = static_cast<size_t>(config().model_dim);
  std::vector<std::optional<Sampled>> results(rows.size());
  std::vector<size_t> sampled_rows;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].sampler != nullptr) sampled_rows.push_back(i);
  }
  hidden_.Reserve(sampled_rows.size() * dim);

  size_t row = 0;
  size_t token = 0;
  float* next_hidden = hidden_.data();
  while (row < rows.size()) {
    const size_t first_row = row;
    std::vector<Chunk> chunks;
    const int m = AddChunks(rows, row, token, chunks);
    RunPass(chunks, m);
    for (size_t i = first_row; i < row; ++i) {  // the rows that ended in this pass
      if (rows[i].sampler == nullptr) continue;
      const Chunk& chunk = chunks[i - first_row];
      const float* last = act_.x.data() + (static_cast<size_t>(chunk.row) + chunk.tokens.size() - 1) * dim;
      next_hidden = std::copy(last, last + dim, next_hidden);
    }
  }
  SampleRows(rows, sampled_rows, results);
  return results;
}

// hidden_ holds the last state of each of `sampled_rows`.
void Engine::SampleRows(std::span<const StepRow> rows, std::span<const size_t> sampled_rows,
                        std::vector<std::optional<Sampled>>& results) {
  const auto vocab = static_cast<size_t>(config().vocab_size);
  const auto dim = static_cast<size_t>(config().model_dim);
  std::vector<std::exception_ptr> errors(sampled_rows.size());
  for (size_t begin = 0; begin < sampled_rows.size(); begin += kMaxLogitRows) {
    const size_t count = std::min(kMaxLogitRows, sampled_rows.size() - begin);
    logits_.Reserve(count * vocab);
    scratch_.Reserve(count * 2 * vocab);
    model_.Logits(ops_, hidden_.data() + begin * dim, static_cast<int>(count), act_, logits_.data());
    ops_.ForParts(static_cast<int>(count), [&](int part, int /*thread*/) {
      const auto i = static_cast<size_t>(part);
      const StepRow& row = rows[sampled_rows[begin + i]];
      try {  // an exception must not leave a pool thread
        results[sampled_rows[begin + i]] =
            row.sampler->Sample(kernels(), logits_.data() + i * vocab, config().vocab_size, row.mask,
                                scratch_.data() + i * 2 * vocab);
      } catch (...) {
        errors[begin + i] = std::current_exception();
      }
    });
  }
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

void Engine::Logits(KVCache& cache, std::span<const int> tokens, float* logits) {
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
