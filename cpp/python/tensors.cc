#include "tensors.h"

#include <cmath>
#include <limits>
#include <memory>

#include "../aligned.h"
#include "../batch.h"
#include "../packing.h"
#include "../thread_pool.h"

namespace llmfw {
namespace {

WeightType ToWeightType(const py::handle& value, const std::string& name) {
  const auto type = py::str(value).cast<std::string>();
  std::string names;
  for (int i = 0; i < kNumWeightTypes; ++i) {
    const char* known = FormatOf(static_cast<WeightType>(i)).name;
    if (type == known) return static_cast<WeightType>(i);
    if (i > 0) names += ", ";
    names += known;
  }
  throw py::value_error("tensor \"" + name + "\": type is \"" + type + "\", must be one of " + names);
}

// Aligned memory as an array that owns it.
py::array_t<uint8_t> ToArray(AlignedArray<std::byte> bytes, size_t size) {
  auto owner = std::make_unique<AlignedArray<std::byte>>(std::move(bytes));
  const auto* data = reinterpret_cast<const uint8_t*>(owner->data());
  py::capsule capsule(owner.get(), [](void* p) { delete static_cast<AlignedArray<std::byte>*>(p); });
  (void)owner.release();
  return py::array_t<uint8_t>(static_cast<py::ssize_t>(size), data, capsule);
}

// The writable memory of `out`, which must be of this size.
class WritableExport {
 public:
  WritableExport(const py::object& out, size_t size) {
    if (PyObject_GetBuffer(out.ptr(), &view_, PyBUF_WRITABLE) != 0) {
      PyErr_Clear();
      throw py::value_error("out must be a contiguous writable buffer");
    }
    if (static_cast<size_t>(view_.len) == size) return;
    const std::string length = std::to_string(view_.len);
    PyBuffer_Release(&view_);
    throw py::value_error("out has " + length + " bytes, the packed tensor takes " + std::to_string(size));
  }
  WritableExport(const WritableExport&) = delete;
  WritableExport& operator=(const WritableExport&) = delete;
  ~WritableExport() { PyBuffer_Release(&view_); }
  std::byte* data() const { return static_cast<std::byte*>(view_.buf); }

 private:
  Py_buffer view_{};
};

WeightType ToPackedType(const py::object& value) {
  const WeightType type = ToWeightType(value, "packed");
  if (!IsPacked(type)) throw py::value_error("type must be \"q8p\" or \"q4p\"");
  return type;
}

}  // namespace

Tensor ToTensor(const py::handle& value, const std::string& name, std::vector<BufferExport>& buffers) {
  if (!py::isinstance<py::sequence>(value) || py::len(value) != 5) {
    throw py::value_error("tensor \"" + name + "\" must be (buffer, type, rows, cols, scale)");
  }
  const auto fields = py::reinterpret_borrow<py::sequence>(value);
  const std::string label = "tensor \"" + name + "\": ";
  Tensor tensor;
  tensor.type = ToWeightType(fields[1], name);
  tensor.rows = static_cast<int>(ToInt(fields[2], label + "rows", 1, std::numeric_limits<int>::max()));
  tensor.cols = static_cast<int>(ToInt(fields[3], label + "cols", 1, std::numeric_limits<int>::max()));
  tensor.scale = ToFloat(fields[4], label + "scale");
  if (!std::isfinite(tensor.scale)) throw py::value_error(label + "scale is not finite");
  const int group = FormatOf(tensor.type).group_values;
  if (!IsStream(tensor.type) && !IsPacked(tensor.type) && tensor.cols % group != 0) {
    throw py::value_error(label + "rows of this type hold a multiple of " + std::to_string(group) + " values, not " +
                          std::to_string(tensor.cols));
  }
  buffers.emplace_back(fields[0], name);
  // Two sizes below 2^31 and at most 4 bytes a value: no overflow.
  const size_t bytes = tensor.bytes();
  if (buffers.back().size() != bytes) {
    throw py::value_error(label + "the buffer has " + std::to_string(buffers.back().size()) + " bytes, [" +
                          std::to_string(tensor.rows) + ", " + std::to_string(tensor.cols) + "] of this type takes " +
                          std::to_string(bytes));
  }
  tensor.data = buffers.back().data();
  return tensor;
}

py::array_t<float> PyDecodeTensor(const py::object& value) {
  std::vector<BufferExport> buffers;
  const Tensor tensor = ToTensor(value, "tensor", buffers);
  py::array_t<float> values({tensor.rows, tensor.cols});
  float* out = values.mutable_data();
  const WithoutGil unlocked;
  DecodeTensor(tensor, out);
  return values;
}

py::object PyPackTensor(const py::object& value, const py::object& packed_type, const py::object& out,
                        const py::object& num_threads) {
  std::vector<BufferExport> buffers;
  const Tensor tensor = ToTensor(value, "tensor", buffers);
  const WeightType type = ToPackedType(packed_type);
  const int threads = static_cast<int>(ToInt(num_threads, "num_threads", 0, 1024));
  if (IsPacked(tensor.type)) throw py::value_error("the tensor is packed already");
  const size_t size = TensorBytes(type, static_cast<size_t>(tensor.rows), static_cast<size_t>(tensor.cols));
  const auto pack = [&](std::byte* to) {
    const WithoutGil unlocked;
    ThreadPool pool(threads);
    PackTensor(tensor, type, pool, to);
  };
  if (out.is_none()) {
    AlignedArray<std::byte> bytes(size);
    pack(bytes.data());
    return ToArray(std::move(bytes), size);
  }
  const WritableExport writable(out, size);
  pack(writable.data());
  return out;
}

}  // namespace llmfw
