#include "values.h"

#include <limits>

namespace llmfw {

int64_t ToInt(const py::handle& value, const std::string& what, int64_t min, int64_t max) {
  const auto index = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
  if (!index) {
    PyErr_Clear();
    throw py::value_error(what + " must be an int, is " + py::repr(value).cast<std::string>());
  }
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
  if (overflow != 0 || number < min || number > max) {
    throw py::value_error(what + " is " + py::str(index).cast<std::string>() + ", must be " + std::to_string(min) +
                          " to " + std::to_string(max));
  }
  return number;
}

int ToInt32(const py::handle& value, const std::string& what) {
  return static_cast<int>(ToInt(value, what, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()));
}

float ToFloat(const py::handle& value, const std::string& what) {
  const double number = PyFloat_AsDouble(value.ptr());
  if (number == -1.0 && PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    throw py::value_error(what + " must be a number, is " + py::repr(value).cast<std::string>());
  }
  return static_cast<float>(number);
}

bool ToBool(const py::handle& value, const std::string& what) {
  const int truth = PyObject_IsTrue(value.ptr());
  if (truth < 0) {
    PyErr_Clear();
    throw py::value_error(what + " must be true or false");
  }
  return truth != 0;
}

std::vector<int> ToTokens(const py::iterable& tokens, int vocab_size) {
  std::vector<int> ids;
  for (const py::handle token : tokens) {
    const long id = PyLong_CheckExact(token.ptr()) ? PyLong_AsLong(token.ptr()) : -1;
    if (id >= 0 && id < vocab_size) {  // the quick way for what is almost always the case
      ids.push_back(static_cast<int>(id));
    } else {
      PyErr_Clear();
      ids.push_back(static_cast<int>(ToInt(token, "a token id", 0, vocab_size - 1)));
    }
  }
  return ids;
}

py::dict ToDict(const py::object& mapping, const char* what) {
  try {
    return py::dict(mapping);
  } catch (py::error_already_set&) {
    throw py::value_error(std::string(what) + " must be a mapping");
  }
}

}  // namespace llmfw
