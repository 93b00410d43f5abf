// Numbers and lists from Python, checked: a fault is a ValueError that says which value and what it must be.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include <cxxabi.h>
#include <unistd.h>

namespace llmfw {

namespace py = pybind11;

// Gives up the GIL while it lives. Unlike py::gil_scoped_release it survives the end of the interpreter: Python before
// 3.14 ends a daemon thread that then asks for the GIL by unwinding its stack, which a destructor must not let pass.
// Such a thread stops here until the process is gone.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;
  ~WithoutGil() {
#if defined(__GLIBCXX__)
    try {
      PyEval_RestoreThread(state_);
    } catch (abi::__forced_unwind&) {
      for (;;) pause();
    }
#else
    PyEval_RestoreThread(state_);
#endif
  }

 private:
  PyThreadState* state_;
};

// An int, or what Python accepts as one (numpy's ints, not floats). ValueError naming `what` if it is out of range.
int64_t ToInt(const py::handle& value, const std::string& what, int64_t min, int64_t max);
int ToInt32(const py::handle& value, const std::string& what);
float ToFloat(const py::handle& value, const std::string& what);
bool ToBool(const py::handle& value, const std::string& what);

// Token ids, all below vocab_size.
std::vector<int> ToTokens(const py::iterable& tokens, int vocab_size);
// `what` names the mapping in the error.
py::dict ToDict(const py::object& mapping, const char* what);

}  // namespace llmfw
