// The keys and values of one sequence.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "aligned.h"
#include "gemma_config.h"

namespace llmfw {

// At most this many tokens of one sequence are appended before attention runs over them. Rings keep that many positions
// beyond their window, so that the first appended token still finds all that it sees.
inline constexpr int kMaxChunkTokens = 512;

// Keys [slots, kv_dim] of one layer, then values. Sequences with the same beginning share blocks; a block is written to
// only by the one sequence that has it for itself.
struct KVBlock {
  explicit KVBlock(size_t size) : values(size) {}

  AlignedArray<float> values;
  std::atomic<int> holds{0};  // by sequences that are held, see KVCache::Hold
};

// Positions live in slots: a global layer has a slot a position, a sliding layer a ring of them. Slots come in blocks,
// which are allocated when first needed, so a short text in a long cache costs little.
class KVCache {
 public:
  KVCache(const GemmaConfig& config, int capacity);
  KVCache(const KVCache&) = delete;
  KVCache& operator=(const KVCache&) = delete;
  ~KVCache() { Release(); }

  int capacity() const { return capacity_; }
  int length() const { return length_.load(std::memory_order_relaxed); }

  // Makes room for positions [length(), length() + count), count <= kMaxChunkTokens, without counting them yet.
  // Throws std::bad_alloc, and the sequence is as it was.
  void Reserve(int count);
  // Counts `count` positions as filled.
  void Advance(int count);

  // The key or value, float[num_kv_heads * head_dim], of a position that was reserved and is still held. A layer that
  // shares another's keys and values has the same ones.
  float* Key(int layer, int position) { return BlockOf(layer, position) + SlotInBlock(layer, position) * kv_dim(layer); }
  float* Value(int layer, int position) { return Key(layer, position) + kBlockSlots * kv_dim(layer); }

  // Calls visit(position, count, keys, values) for the stretches of [begin, end) that lie together in memory, in order;
  // keys and values are [count, num_kv_heads * head_dim].
  template <typename Visitor>
  void ForEachStretch(int layer, int begin, int end, const Visitor& visit) {
    for (int position = begin; position < end;) {
      const int slot = static_cast<int>(SlotInBlock(layer, position));
      const int count = std::min(end - position, kBlockSlots - slot);
      const float* keys = Key(layer, position);
      visit(position, count, keys, keys + kBlockSlots * kv_dim(layer));
      position += count;
    }
  }

  // Forgets the positions from `length` on (length <= length()). False, and nothing changes, where a ring no longer
  // holds what the token at `length` would see.
  bool Truncate(int length);
  void Clear();

  // The shortest length above 0 that Truncate and Share can go back to: 1 until a ring has wrapped.
  int shortest() const;

  // Makes this empty cache one that holds the first `length` positions of `source` (of the same model, length <= its
  // length and this capacity). Their memory is shared until one of the two writes to it. False, and nothing changes,
  // where a ring of the source no longer holds what the token at `length` would see.
  bool Share(const KVCache& source, int length);

  // Marks the sequence as one that is kept for its memory's content; it may not change until Release. Both return the
  // bytes that this adds to, or takes from, what all held sequences keep in memory together, shared blocks counted once.
  size_t Hold();
  size_t Release();
  bool is_held() const { return held_.load(std::memory_order_relaxed); }

 private:
  static constexpr int kBlockSlots = 64;

  struct Layer {
    size_t kv_dim = 0;
    int window = 0;      // 0: global
    int num_slots = 0;   // a multiple of kBlockSlots
    bool wraps = false;  // fewer slots than the sequence may have positions
    int oldest = 0;      // earlier positions were not shared by the sequence that this one began from
    std::vector<std::shared_ptr<KVBlock>> blocks;
  };

  const Layer& Of(int layer) const { return layers_[index_of_layer_[static_cast<size_t>(layer)]]; }
  size_t kv_dim(int layer) const { return Of(layer).kv_dim; }
  static int Slot(const Layer& layer, int position) { return position % layer.num_slots; }
  size_t SlotInBlock(int layer, int position) const {
    return static_cast<size_t>(Slot(Of(layer), position) % kBlockSlots);
  }
  float* BlockOf(int layer, int position) {
    const Layer& held = Of(layer);
    return held.blocks[static_cast<size_t>(Slot(held, position) / kBlockSlots)]->values.data();
  }
  static size_t BlockSize(const Layer& layer) { return 2 * kBlockSlots * layer.kv_dim; }
  static void MakeOwn(std::shared_ptr<KVBlock>& block, size_t size);
  int OldestHeld(const Layer& layer) const;
  bool Holds(int length) const;
  void FreeBlocksFrom(int length);

  const int capacity_;
  // Read without a lock by Python's `length`; written only inside a step.
  std::atomic<int> length_{0};
  int longest_ = 0;  // since the last Clear: a ring holds positions from longest_ - num_slots on
  std::atomic<bool> held_{false};
  std::vector<Layer> layers_;            // those with keys and values of their own
  std::vector<size_t> index_of_layer_;   // a model's layer -> where in layers_ its keys and values are
};

}  // namespace llmfw
