// Tensors whose memory Python lends, and what the module does with single ones.
#pragma once

#include <pybind11/numpy.h>

#include <cstddef>
#include <string>
#include <vector>

#include "../tensor.h"
#include "values.h"

namespace llmfw {

// Memory lent by a Python object. While it is lent, Python refuses to free, resize or unmap it.
class BufferExport {
 public:
  BufferExport(const py::handle& object, const std::string& name) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) != 0) {
      PyErr_Clear();
      throw py::value_error("tensor \"" + name + "\": needs a contiguous buffer");
    }
  }
  BufferExport(BufferExport&& other) noexcept : view_(other.view_) { other.view_.obj = nullptr; }
  BufferExport& operator=(BufferExport&&) = delete;
  ~BufferExport() {
    if (view_.obj != nullptr) PyBuffer_Release(&view_);  // needs the GIL
  }

  const std::byte* data() const { return static_cast<const std::byte*>(view_.buf); }
  size_t size() const { return static_cast<size_t>(view_.len); }

 private:
  Py_buffer view_{};
};

// A (buffer, type, rows, cols, scale). The buffer joins `buffers`. Raises ValueError where they do not fit together.
Tensor ToTensor(const py::handle& value, const std::string& name, std::vector<BufferExport>& buffers);

// The values of a tensor, float32 [rows, cols].
py::array_t<float> PyDecodeTensor(const py::object& value);

// A tensor in a packed form, in `out` or, where that is None, in an array of its own.
py::object PyPackTensor(const py::object& value, const py::object& packed_type, const py::object& out,
                        const py::object& num_threads);

}  // namespace llmfw
