#include "kv_cache.h"

#include <cassert>

namespace llmfw {

KVCache::KVCache(const GemmaConfig& config, int capacity) : capacity_(capacity) {
  const auto round_up = [](int slots) { return (slots + kBlockSlots - 1) / kBlockSlots * kBlockSlots; };
  for (const LayerShape& shape : config.layers) {
    if (!shape.has_own_kv()) {
      index_of_layer_.push_back(index_of_layer_[static_cast<size_t>(shape.shared_kv)]);
      continue;
    }
    Layer layer;
    layer.kv_dim = static_cast<size_t>(shape.kv_dim());
    layer.window = shape.window;
    layer.num_slots = round_up(capacity);
    // A window that reaches over the whole capacity needs no ring (and could overflow the sum).
    if (shape.window > 0 && shape.window < capacity) {
      layer.num_slots = std::min(layer.num_slots, round_up(shape.window + kMaxChunkTokens));
    }
    layer.wraps = layer.num_slots < capacity;
    layer.blocks.resize(static_cast<size_t>(layer.num_slots / kBlockSlots));
    index_of_layer_.push_back(layers_.size());
    layers_.push_back(std::move(layer));
  }
}

void KVCache::Reserve(int count) {
  assert(count <= kMaxChunkTokens && length() + count <= capacity_);
  if (count == 0) return;
  const int end = length() + count;
  for (Layer& layer : layers_) {
    // One position of each block that the range touches, and its last.
    for (int position = length();; position = std::min(position + kBlockSlots, end - 1)) {
      MakeOwn(layer.blocks[static_cast<size_t>(Slot(layer, position) / kBlockSlots)], BlockSize(layer));
      if (position == end - 1) break;
    }
  }
}

// Afterwards the block may be written to.
void KVCache::MakeOwn(std::shared_ptr<KVBlock>& block, size_t size) {
  if (block != nullptr && block.use_count() == 1) return;
  auto own = std::make_shared<KVBlock>(size);
  if (block != nullptr) std::copy_n(block->values.data(), size, own->values.data());
  block = std::move(own);
}

void KVCache::Advance(int count) {
  const int length = this->length() + count;
  length_.store(length, std::memory_order_relaxed);
  longest_ = std::max(longest_, length);
}

int KVCache::OldestHeld(const Layer& layer) const {
  return layer.wraps ? std::max(layer.oldest, longest_ - layer.num_slots) : layer.oldest;
}

// Whether the blocks have what the token at `length` sees.
bool KVCache::Holds(int length) const {
  if (length == 0) return true;
  for (const Layer& layer : layers_) {
    // Positions before this one will never be asked for again.
    const int oldest_needed = layer.window > 0 ? std::max(0, length - layer.window + 1) : 0;
    if (OldestHeld(layer) > oldest_needed) return false;
  }
  return true;
}

int KVCache::shortest() const {
  int shortest = 1;
  for (const Layer& layer : layers_) {
    const int oldest = OldestHeld(layer);
    if (oldest > 0) shortest = std::max(shortest, oldest + layer.window - 1);
  }
  return shortest;
}

bool KVCache::Truncate(int length) {
  if (!Holds(length)) return false;
  length_.store(length, std::memory_order_relaxed);
  FreeBlocksFrom(length);
  if (length == 0) longest_ = 0;
  return true;
}

bool KVCache::Share(const KVCache& source, int length) {
  assert(this->length() == 0 && length <= source.length() && length <= capacity_);
  if (!source.Holds(length)) return false;
  const int end = (length + kBlockSlots - 1) / kBlockSlots;  // of the blocks, counted from position 0 on
  for (size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = layers_[i];
    const Layer& from = source.layers_[i];
    const int num_blocks = static_cast<int>(layer.blocks.size());
    const int num_from = static_cast<int>(from.blocks.size());
    layer.oldest = std::max(source.OldestHeld(from), (end - num_blocks) * kBlockSlots);
    for (int b = layer.oldest / kBlockSlots; b < end; ++b) {
      layer.blocks[static_cast<size_t>(b % num_blocks)] = from.blocks[static_cast<size_t>(b % num_from)];
    }
  }
  length_.store(length, std::memory_order_relaxed);
  longest_ = length;
  return true;
}

size_t KVCache::Hold() {
  if (held_.exchange(true)) return 0;
  size_t bytes = 0;
  for (const Layer& layer : layers_) {
    for (const auto& block : layer.blocks) {
      if (block != nullptr && block->holds++ == 0) bytes += BlockSize(layer) * sizeof(float);
    }
  }
  return bytes;
}

size_t KVCache::Release() {
  if (!held_.exchange(false)) return 0;
  size_t bytes = 0;
  for (const Layer& layer : layers_) {
    for (const auto& block : layer.blocks) {
      if (block != nullptr && --block->holds == 0) bytes += BlockSize(layer) * sizeof(float);
    }
  }
  return bytes;
}

void KVCache::Clear() { Truncate(0); }

void KVCache::FreeBlocksFrom(int length) {
  for (Layer& layer : layers_) {
    if (layer.wraps && length > 0) continue;  // a ring's blocks may hold older positions that are still seen
    if (length == 0) layer.oldest = 0;
    for (size_t b = static_cast<size_t>((length + kBlockSlots - 1) / kBlockSlots); b < layer.blocks.size(); ++b) {
      layer.blocks[b].reset();
    }
  }
}

}  // namespace llmfw
