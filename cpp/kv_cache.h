// The keys and values of one sequence.
#pragma once

#include <algorithm>
#include <atomic>
#include <vector>

#include "aligned.h"
#include "gemma_config.h"

namespace llmfw {

// At most this many tokens of one sequence are appended before attention runs over them. Rings keep that many positions
// beyond their window, so that the first appended token still finds all that it sees.
inline constexpr int kMaxChunkTokens = 512;

// Positions live in slots: a global layer has a slot a position, a sliding layer a ring of them. Slots come in blocks,
// which are allocated when first needed, so a short text in a long cache costs little.
class KVCache {
 public:
  KVCache(const GemmaConfig& config, int capacity);

  int capacity() const { return capacity_; }
  int length() const { return length_.load(std::memory_order_relaxed); }

  // Makes room for positions [length(), length() + count), count <= kMaxChunkTokens, without counting them yet.
  // Throws std::bad_alloc, and the sequence is as it was.
  void Reserve(int count);
  // Counts `count` positions as filled.
  void Advance(int count);

  // The key or value, float[num_kv_heads * head_dim], of a position that was reserved and is still held.
  float* Key(int layer, int position) { return BlockOf(layer, position) + SlotInBlock(layer, position) * kv_dim_; }
  float* Value(int layer, int position) { return Key(layer, position) + kBlockSlots * kv_dim_; }

  // Calls visit(position, count, keys, values) for the stretches of [begin, end) that lie together in memory, in order;
  // keys and values are [count, num_kv_heads * head_dim].
  template <typename Visitor>
  void ForEachStretch(int layer, int begin, int end, const Visitor& visit) {
    for (int position = begin; position < end;) {
      const int slot = static_cast<int>(SlotInBlock(layer, position));
      const int count = std::min(end - position, kBlockSlots - slot);
      const float* keys = Key(layer, position);
      visit(position, count, keys, keys + kBlockSlots * kv_dim_);
      position += count;
    }
  }

  // Forgets the positions from `length` on (length <= length()). False, and nothing changes, where a ring no longer
  // holds what the token at `length` would see.
  bool Truncate(int length);
  void Clear();

 private:
  static constexpr int kBlockSlots = 64;

  struct Layer {
    int window = 0;      // 0: global
    int num_slots = 0;   // a multiple of kBlockSlots
    bool wraps = false;  // fewer slots than the sequence may have positions
    std::vector<AlignedArray<float>> blocks;  // each: keys [kBlockSlots, kv_dim], then values
  };

  int Slot(int layer, int position) const { return position % layers_[static_cast<size_t>(layer)].num_slots; }
  size_t SlotInBlock(int layer, int position) const {
    return static_cast<size_t>(Slot(layer, position) % kBlockSlots);
  }
  float* BlockOf(int layer, int position) {
    return layers_[static_cast<size_t>(layer)].blocks[static_cast<size_t>(Slot(layer, position) / kBlockSlots)].data();
  }
  void FreeBlocksFrom(int length);

  const int capacity_;
  const size_t kv_dim_;
  // Read without a lock by Python's `length`; written only inside a step.
  std::atomic<int> length_{0};
  int longest_ = 0;  // since the last Clear: a ring holds positions from longest_ - num_slots on
  std::vector<Layer> layers_;
};

}  // namespace llmfw
