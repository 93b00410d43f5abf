#include "kv_cache.h"

#include <cassert>

namespace llmfw {

KVCache::KVCache(const GemmaConfig& config, int capacity)
    : capacity_(capacity), kv_dim_(static_cast<size_t>(config.kv_dim())) {
  const auto round_up = [](int slots) { return (slots + kBlockSlots - 1) / kBlockSlots * kBlockSlots; };
  for (const int window : config.windows) {
    Layer layer;
    layer.window = window;
    layer.num_slots = round_up(capacity);
    // A window that reaches over the whole capacity needs no ring (and could overflow the sum).
    if (window > 0 && window < capacity) {
      layer.num_slots = std::min(layer.num_slots, round_up(window + kMaxChunkTokens));
    }
    layer.wraps = layer.num_slots < capacity;
    layer.blocks.resize(static_cast<size_t>(layer.num_slots / kBlockSlots));
    layers_.push_back(std::move(layer));
  }
}

void KVCache::Reserve(int count) {
  assert(count <= kMaxChunkTokens && length() + count <= capacity_);
  if (count == 0) return;
  const int end = length() + count;
  for (int i = 0; i < static_cast<int>(layers_.size()); ++i) {
    Layer& layer = layers_[static_cast<size_t>(i)];
    // One position of each block that the range touches, and its last.
    for (int position = length();; position = std::min(position + kBlockSlots, end - 1)) {
      layer.blocks[static_cast<size_t>(Slot(i, position) / kBlockSlots)].Reserve(2 * kBlockSlots * kv_dim_);
      if (position == end - 1) break;
    }
  }
}

void KVCache::Advance(int count) {
  const int length = this->length() + count;
  length_.store(length, std::memory_order_relaxed);
  longest_ = std::max(longest_, length);
}

bool KVCache::Truncate(int length) {
  for (const Layer& layer : layers_) {
    // The next token, at `length`, sees back to this position; earlier ones will never be asked for again.
    const int oldest_needed = std::max(0, length - layer.window + 1);
    if (layer.wraps && length > 0 && longest_ - layer.num_slots > oldest_needed) return false;
  }
  length_.store(length, std::memory_order_relaxed);
  FreeBlocksFrom(length);
  if (length == 0) longest_ = 0;
  return true;
}

void KVCache::Clear() { Truncate(0); }

void KVCache::FreeBlocksFrom(int length) {
  for (Layer& layer : layers_) {
    if (layer.wraps && length > 0) continue;  // a ring's blocks may hold older positions that are still seen
    for (size_t b = static_cast<size_t>((length + kBlockSlots - 1) / kBlockSlots); b < layer.blocks.size(); ++b) {
      layer.blocks[b] = AlignedArray<float>();
    }
  }
}

}  // namespace llmfw
