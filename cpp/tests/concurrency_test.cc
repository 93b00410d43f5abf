// One engine, many threads, as the Python module drives it: a thread that steps whoever takes part, behind a lock, while
// sixteen others submit requests, cancel them at random, read lengths and show samplers more tokens. Meant for
// ThreadSanitizer; whoever is not cancelled must get the tokens that he gets alone.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "batch.h"
#include "tests/tiny_model.h"

namespace llmfw {
namespace {

constexpr int kClients = 16;
constexpr int kRequests = 12;  // of each client
constexpr int kMaxTokens = 20;
constexpr int kPiece = 24;  // tokens of a prompt that are read in a step

SamplerSettings Settings(uint64_t seed) {
  SamplerSettings settings;
  settings.seed = seed;
  settings.temperature = 1.5f;
  return settings;
}

// A request: the server's but for what is atomic, until it is done.
struct Request {
  Request(const GemmaConfig& config, std::vector<int> request_prompt, uint64_t seed)
      : prompt(std::move(request_prompt)), cache(config, kCapacity), sampler(Settings(seed)), pending(prompt) {}

  const std::vector<int> prompt;
  KVCache cache;
  Sampler sampler;
  std::vector<int> pending;
  std::vector<int> drawn;
  std::atomic<bool> cancelled{false};
  std::atomic<bool> done{false};
};

std::vector<int> Alone(Engine& engine, const std::vector<int>& prompt, uint64_t seed) {
  KVCache cache(engine.config(), kCapacity);
  Sampler sampler(Settings(seed));
  std::vector<int> pending(prompt);
  std::vector<int> drawn;
  while (drawn.size() < kMaxTokens) {
    const StepRow row{&cache, pending, &sampler, nullptr};
    drawn.push_back(engine.Step({&row, 1}).at(0).drawn.at(0).token);
    pending = {drawn.back()};
  }
  return drawn;
}

class Server {
 public:
  explicit Server(Engine& engine) : engine_(engine), thread_([this] { Run(); }) {}
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  ~Server() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void Submit(const std::shared_ptr<Request>& request) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(request);
    }
    changed_.notify_all();
  }

  void WaitFor(const Request& request) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return request.done.load(); });
  }

 private:
  bool Admit() {
    std::unique_lock lock(mutex_);
    std::erase_if(active_, [](const auto& request) {
      if (request->cancelled) request->done = true;
      return request->done.load();
    });
    changed_.notify_all();
    changed_.wait(lock, [&] { return closed_ || !active_.empty() || !waiting_.empty(); });
    active_.insert(active_.end(), waiting_.begin(), waiting_.end());
    waiting_.clear();
    return !active_.empty() || !closed_;
  }

  void Run() {
    while (Admit()) {
      std::vector<StepRow> rows;
      for (const auto& request : active_) {
        const size_t count = std::min<size_t>(kPiece, request->pending.size());
        const bool samples = count == request->pending.size();
        rows.push_back({&request->cache, std::span(request->pending).first(count), samples ? &request->sampler : nullptr});
      }
      const std::vector<RowResult> results = engine_.Step(rows);
      for (size_t i = 0; i < rows.size(); ++i) Follow(*active_[i], rows[i].tokens.size(), results[i]);
    }
  }

  static void Follow(Request& request, size_t count, const RowResult& result) {
    CHECK(result.error == nullptr);
    request.pending.erase(request.pending.begin(), request.pending.begin() + static_cast<ptrdiff_t>(count));
    for (const Sampled& sampled : result.drawn) request.pending.push_back(sampled.token);
    for (const Sampled& sampled : result.drawn) request.drawn.push_back(sampled.token);
    if (request.drawn.size() >= kMaxTokens) request.done = true;
  }

  Engine& engine_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Request>> waiting_;
  std::vector<std::shared_ptr<Request>> active_;  // the thread's own
  bool closed_ = false;
  std::thread thread_;
};

struct Client {
  std::vector<int> prompt;
  std::vector<int> alone;
};

void RunClient(Server& server, const GemmaConfig& config, const Client& client, unsigned seed, std::atomic<int>& finished) {
  std::mt19937 random(seed);
  for (int i = 0; i < kRequests; ++i) {
    const auto request = std::make_shared<Request>(config, client.prompt, seed);
    server.Submit(request);
    const bool cancels = random() % 2 == 0;
    if (cancels) {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 4000));
      CHECK(request->cache.length() <= kCapacity);
      request->sampler.Observe(client.prompt);  // counts for a penalty that is off
      request->cancelled = true;
    }
    server.WaitFor(*request);
    if (request->drawn.size() == kMaxTokens) {
      CHECK(request->drawn == client.alone);
      ++finished;
    } else {
      CHECK(cancels);
    }
  }
}

void TestManyClients(const KernelTable& kernels, WeightType type) {
  const GemmaConfig config = Config();
  const Weights weights(config, type);
  Engine engine(Gemma(config, BuildWeights(config, weights.map())), kernels, 4);
  Engine other(Gemma(config, BuildWeights(config, weights.map())), kernels, 2);
  std::vector<Client> clients;
  for (unsigned i = 0; i < kClients; ++i) {
    clients.push_back({Tokens(1 + 7 * static_cast<int>(i), i), {}});
    clients.back().alone = Alone(engine, clients.back().prompt, i);
  }
  std::atomic<int> finished = 0;
  {
    Server server(engine);
    Server beside(other);  // a second model in the process, at work at the same time
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kClients; ++i) {
      threads.emplace_back([&, i] { RunClient(i % 4 == 3 ? beside : server, config, clients[i], i, finished); });
    }
    for (std::thread& thread : threads) thread.join();
  }
  CHECK(finished > kClients);
}

}  // namespace
}  // namespace llmfw

int main() {
  const char* isas[8];
  const int count = llmfw::AvailableIsas(isas, 8);
  for (int i = 0; i < count; ++i) llmfw::TestManyClients(*llmfw::FindKernels(isas[i]), llmfw::WeightType::kF32);
  std::puts("ok");
  return 0;
}
