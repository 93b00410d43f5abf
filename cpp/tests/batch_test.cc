// Sequences, batches and the sampler on a tiny random model: a plain program, to be built with the sanitizers. What is
// computed is tested from Python, against a reference; here it only has to agree with itself, on every kernel table.
#include "batch.h"

#include <cmath>
#include <cstdio>
#include <deque>
#include <limits>
#include <memory>
#include <stdexcept>

#include "tests/tiny_model.h"

namespace llmfw {
namespace {

bool Near(std::span<const float> a, std::span<const float> b, float tolerance) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (!(std::abs(a[i] - b[i]) <= tolerance)) return false;
  }
  return a.size() == b.size();
}

// All of a model's tests. `tolerance`: kernels may round activations differently for few and for many tokens.
class ModelTest {
 public:
  ModelTest(const KernelTable& kernels, WeightType type, int num_threads, float tolerance)
      : config_(Config()), weights_(config_, type),
        engine_(Gemma(config_, BuildWeights(config_, weights_.map())), kernels, num_threads), tolerance_(tolerance) {}

  void Run() {
    ChunksAreTheWhole();
    RingsWrapAndTruncate();
    ForksGoTheirOwnWays();
    ForksOfWrappedRings();
    HeldBytesCountOnce();
    BatchIsAlone();
    DraftsChangeNothing();
    ClearedIsFresh();
  }

 private:
  std::vector<float> Logits(KVCache& cache, std::span<const int> tokens) {
    std::vector<float> logits(tokens.size() * kVocab);
    engine_.Logits(cache, tokens, logits.data());
    return logits;
  }

  std::vector<float> FreshLogits(std::span<const int> tokens) {
    KVCache cache(config_, kCapacity);
    return Logits(cache, tokens);
  }

  void ChunksAreTheWhole() {
    const std::vector<int> tokens = Tokens(90, 1);
    const std::vector<float> whole = FreshLogits(tokens);
    KVCache cache(config_, kCapacity);
    size_t done = 0;
    for (const size_t size : {1u, 1u, 30u, 7u, 51u}) {
      const std::vector<float> part = Logits(cache, std::span(tokens).subspan(done, size));
      CHECK(Near(part, std::span(whole).subspan(done * kVocab, size * kVocab), tolerance_));
      done += size;
    }
    CHECK(cache.length() == 90);
  }

  void RingsWrapAndTruncate() {
    const std::vector<int> tokens = Tokens(1300, 2);
    KVCache cache(config_, kCapacity);
    Logits(cache, tokens);
    CHECK(!cache.Truncate(700));  // the ring has gone on since
    CHECK(cache.length() == 1300);
    CHECK(cache.Truncate(1200));
    std::vector<int> changed(tokens.begin(), tokens.begin() + 1200);
    const std::vector<int> more = Tokens(150, 3);
    changed.insert(changed.end(), more.begin(), more.end());
    const std::vector<float> fresh = FreshLogits(changed);
    CHECK(Near(Logits(cache, more), std::span(fresh).last(more.size() * kVocab), tolerance_));
    CHECK(cache.Truncate(0));
  }

  // What a fork and its source append stays their own, block by block.
  void ForksGoTheirOwnWays() {
    const std::vector<int> tokens = Tokens(200, 6);
    for (const int length : {1, 63, 64, 100, 200}) {
      KVCache source(config_, kCapacity);
      Logits(source, tokens);
      KVCache fork(config_, 400);
      CHECK(fork.Share(source, length));
      CHECK(fork.length() == length);
      const std::vector<int> mine = Tokens(150, 7);
      const std::vector<int> theirs = Tokens(170, 8);
      CHECK(Near(Logits(fork, mine), After(tokens, length, mine), tolerance_));
      CHECK(Near(Logits(source, theirs), After(tokens, 200, theirs), tolerance_));
    }
  }

  // Behind a window only what a ring still has can be gone on from, also in a fork of a fork, of any capacity.
  void ForksOfWrappedRings() {
    const std::vector<int> tokens = Tokens(1300, 2);
    KVCache source(config_, kCapacity);
    Logits(source, tokens);
    const int shortest = source.shortest();
    CHECK(shortest > 700 && shortest <= 1300 - kMaxChunkTokens);
    KVCache none(config_, kCapacity);
    CHECK(!none.Share(source, shortest - 1) && none.length() == 0);
    for (const int capacity : {1290, kCapacity, 2048}) {
      KVCache fork(config_, capacity);
      CHECK(fork.Share(source, 1200));
      CHECK(fork.shortest() <= shortest + kMaxChunkTokens && fork.shortest() <= 1200);
      KVCache second(config_, 1999);
      CHECK(second.Share(fork, fork.shortest()));
      const std::vector<int> more = Tokens(80, 3);
      CHECK(Near(Logits(second, more), After(tokens, fork.shortest(), more), tolerance_));
      CHECK(Near(Logits(fork, more), After(tokens, 1200, more), tolerance_));
    }
    const std::vector<int> more = Tokens(40, 3);
    CHECK(Near(Logits(source, more), After(tokens, 1300, more), tolerance_));
  }

  void HeldBytesCountOnce() {
    KVCache source(config_, kCapacity);
    Logits(source, Tokens(130, 6));
    KVCache fork(config_, kCapacity);
    CHECK(fork.Share(source, 128));
    const size_t all = source.Hold();
    CHECK(all > 0 && source.is_held() && source.Hold() == 0);
    CHECK(fork.Hold() == 0);
    const size_t partial = source.Release();
    CHECK(partial > 0 && partial < all);
    CHECK(fork.Release() == all - partial);
  }

  // The logits of `more` behind the first `length` of `tokens`.
  std::vector<float> After(std::span<const int> tokens, int length, std::span<const int> more) {
    std::vector<int> text(tokens.begin(), tokens.begin() + length);
    text.insert(text.end(), more.begin(), more.end());
    std::vector<float> logits = FreshLogits(text);
    logits.erase(logits.begin(), logits.begin() + static_cast<ptrdiff_t>(length) * kVocab);
    return logits;
  }

  // Five prompts in one step: the one without a sampler has no result, the others that which they have alone.
  void BatchIsAlone() {
    std::vector<std::vector<int>> prompts;
    std::deque<KVCache> caches;
    std::deque<Sampler> samplers;
    std::vector<StepRow> rows;
    for (const int length : {1, 3, 60, 300, 700}) prompts.push_back(Tokens(length, 10 + static_cast<unsigned>(length)));
    for (const std::vector<int>& prompt : prompts) {
      rows.push_back({&caches.emplace_back(config_, kCapacity), prompt, &samplers.emplace_back(AllLogprobs()), nullptr});
    }
    rows[2].sampler = nullptr;
    const std::vector<RowResult> together = engine_.Step(rows);
    for (size_t i = 0; i < rows.size(); ++i) {
      CHECK(caches[i].length() == static_cast<int>(prompts[i].size()));
      CHECK(together[i].drawn.size() == (i == 2 ? 0 : 1));
      if (i != 2) CHECK(Near(Logprobs(together[i].drawn), Alone(prompts[i]), tolerance_));
    }
  }

  static SamplerSettings AllLogprobs() {
    SamplerSettings settings;
    settings.num_logprobs = kVocab;
    return settings;
  }

  // By token id.
  static std::vector<float> Logprobs(std::span<const Sampled> sampled) {
    std::vector<float> logprobs(kVocab);
    CHECK(sampled.size() == 1);
    CHECK(sampled.front().top.size() == kVocab);
    for (const TokenLogprob& entry : sampled.front().top) logprobs[static_cast<size_t>(entry.token)] = entry.logprob;
    return logprobs;
  }

  std::vector<float> Alone(std::span<const int> prompt) {
    KVCache cache(config_, kCapacity);
    Sampler sampler(AllLogprobs());
    const StepRow row{&cache, prompt, &sampler, nullptr};
    return Logprobs(engine_.Step({&row, 1}).at(0).drawn);
  }

  static SamplerSettings Wild() {
    SamplerSettings settings;
    settings.temperature = 1.5f;
    settings.presence_penalty = 0.5f;
    settings.seed = 5;
    return settings;
  }

  // Guesses, right and wrong, beside other rows: the tokens that are drawn one by one, and a cache that goes on from them.
  void DraftsChangeNothing() {
    if (tolerance_ > 0.1f) return;  // what is drawn depends on how activations are rounded
    const std::vector<int> prompt = Tokens(600, 11);
    KVCache cache(config_, kCapacity);
    Sampler sampler(Wild());
    std::vector<int> text(prompt);
    for (int i = 0; i < 12; ++i) {
      const std::span<const int> rest = i == 0 ? std::span<const int>(prompt) : std::span<const int>(&text.back(), 1);
      text.push_back(DrawOne(cache, sampler, rest));
    }

    for (const size_t num_right : {0u, 1u, 5u}) {
      KVCache other(config_, kCapacity);
      KVCache drafted(config_, kCapacity);
      Sampler draws(Wild());
      Sampler any(Wild());
      std::vector<int> tokens(text.begin(), text.begin() + static_cast<ptrdiff_t>(prompt.size() + num_right));
      if (num_right < 5) tokens.push_back((text[tokens.size()] + 1) % kVocab);
      const auto num_drafts = static_cast<int>(tokens.size() - prompt.size());
      const std::vector<int> beside = Tokens(500, 12);
      const std::vector<StepRow> rows{{&other, beside, &any, nullptr}, {&drafted, tokens, &draws, nullptr, num_drafts}};
      const std::vector<Sampled> drawn = engine_.Step(rows)[1].drawn;
      CHECK(drawn.size() == num_right + 1);
      for (size_t i = 0; i < drawn.size(); ++i) CHECK(drawn[i].token == text[prompt.size() + i]);
      CHECK(drafted.length() == static_cast<int>(prompt.size() + num_right));
      CHECK(DrawOne(drafted, draws, std::span(&drawn.back().token, 1)) == text[prompt.size() + drawn.size()]);
    }
  }

  int DrawOne(KVCache& cache, Sampler& sampler, std::span<const int> tokens) {
    const StepRow row{&cache, tokens, &sampler, nullptr};
    return engine_.Step({&row, 1}).at(0).drawn.at(0).token;
  }

  void ClearedIsFresh() {
    const std::vector<int> tokens = Tokens(100, 4);
    KVCache cache(config_, kCapacity);
    Logits(cache, Tokens(1000, 5));
    cache.Clear();
    CHECK(Near(Logits(cache, tokens), FreshLogits(tokens), 0.0f));
  }

  GemmaConfig config_;
  Weights weights_;
  Engine engine_;
  float tolerance_;
};

template <typename Error, typename Work>
bool Throws(const Work& work) {
  try {
    work();
  } catch (const Error&) {
    return true;
  }
  return false;
}

int Draw(const KernelTable& kernels, Sampler& sampler, std::span<const float> logits, const uint32_t* mask = nullptr) {
  std::vector<float> scratch(2 * logits.size());
  return sampler.Sample(kernels, logits.data(), static_cast<int>(logits.size()), mask, scratch.data()).token;
}

void TestSampler(const KernelTable& kernels) {
  std::vector<float> logits(777);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = 4.0f * std::sin(static_cast<float>(i * i));
  logits[500] = 5.0f;
  std::vector<uint32_t> mask(25, 0);
  mask[24] = 1u << 8;  // 776, the last
  const auto with = [](auto change) {
    SamplerSettings settings;
    settings.seed = 5;
    change(settings);
    return settings;
  };

  Sampler greedy(with([](SamplerSettings& s) { s.temperature = 0.0f; }));
  CHECK(Draw(kernels, greedy, logits) == 500);
  CHECK(Draw(kernels, greedy, logits, mask.data()) == 776);

  const auto cut = [](SamplerSettings& s) {
    s.top_k = 40;
    s.top_p = 0.9f;
    s.min_p = 0.01f;
    s.repetition_penalty = 1.2f;
    s.presence_penalty = 0.1f;
    s.logit_bias = {{3, -1.0f}, {500, -std::numeric_limits<float>::infinity()}};
  };
  Sampler first(with(cut));
  Sampler second(with(cut));
  for (Sampler* sampler : {&first, &second}) sampler->Observe(std::vector<int>{1, 2, 100000});
  for (int i = 0; i < 100; ++i) {
    const int token = Draw(kernels, first, logits);
    CHECK(token == Draw(kernels, second, logits));
    CHECK(token != 500);
  }
  for (const float top_p : {0.001f, 0.5f, 0.9999999f, 1.0f}) {
    Sampler sampler(with([&](SamplerSettings& s) { s.top_p = top_p; }));
    const int token = Draw(kernels, sampler, logits);
    CHECK(token >= 0 && token < 777);
  }

  Sampler patient(with([](SamplerSettings& s) {
    s.temperature = 0.0f;
    s.min_tokens = 2;
    s.end_tokens = {500, 776, 10000};
  }));
  CHECK(Draw(kernels, patient, logits, mask.data()) == 776);  // nothing else may be drawn
  CHECK(Draw(kernels, patient, logits) != 500);
  CHECK(Draw(kernels, patient, logits) == 500);

  logits[10] = std::numeric_limits<float>::quiet_NaN();
  CHECK(Throws<std::runtime_error>([&] { Draw(kernels, greedy, logits); }));
  CHECK(Throws<std::invalid_argument>([&] { Sampler(with([](SamplerSettings& s) { s.top_p = 0.0f; })); }));
}

void TestBadModels() {
  const GemmaConfig good = Config();
  const Weights weights(good, WeightType::kF32);
  GemmaConfig bad = good;
  bad.layers[0].head_dim = 7;
  CHECK(Throws<std::invalid_argument>([&] { bad.Validate(); }));
  bad = good;
  bad.vocab_size = kVocab - 1;
  CHECK(Throws<std::invalid_argument>([&] { BuildWeights(bad, weights.map()); }));
  TensorMap map = weights.map();
  map.erase("layers.1.down");
  CHECK(Throws<std::invalid_argument>([&] { BuildWeights(good, map); }));
}

void TestAll() {
  const char* isas[8];
  const int count = AvailableIsas(isas, 8);
  for (int i = 0; i < count; ++i) {
    const KernelTable& kernels = *FindKernels(isas[i]);
    TestSampler(kernels);
    for (const WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kBF16, WeightType::kSFP}) {
      const bool rounds = i > 0 && type != WeightType::kF32;
      for (const int threads : {1, 3}) ModelTest(kernels, type, threads, rounds ? 0.5f : 1e-3f).Run();
    }
    std::printf("%s: ok\n", isas[i]);
  }
  TestBadModels();
}

}  // namespace
}  // namespace llmfw

int main() { llmfw::TestAll(); }
