// Memory for floats and packed activations, aligned to a cache line, not initialised.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace llmfw {

inline constexpr size_t kCacheLine = 64;

constexpr size_t RoundUp(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// An owned array of T (trivial types only). Grows by replacing its memory: the old contents are lost.
template <typename T>
class AlignedArray {
 public:
  AlignedArray() = default;
  explicit AlignedArray(size_t size) { Reserve(size); }

  // Afterwards size() >= size. Throws std::bad_alloc.
  void Reserve(size_t size) {
    if (data_ && size <= size_) return;
    data_.reset();
    size_ = 0;
    data_.reset(static_cast<T*>(::operator new(RoundUp(size * sizeof(T), kCacheLine), std::align_val_t{kCacheLine})));
    size_ = size;
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(T* p) const { ::operator delete(p, std::align_val_t{kCacheLine}); }
  };
  std::unique_ptr<T, Free> data_;
  size_t size_ = 0;
};

}  // namespace llmfw
