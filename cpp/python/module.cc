// The Python module: all checks of what comes from Python, and all exceptions. Behind this file inputs are trusted.
//
// Fork: a child process has no pool threads, so a model from before the fork refuses to work there (RuntimeError) and
// is leaked rather than torn down. Load models after the fork.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cmath>
#include <limits>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>

#include "../batch.h"
#include "../ceilings.h"
#include "config.h"
#include "tensors.h"
#include "values.h"

namespace llmfw {
namespace {

std::vector<std::string> CpuIsas() {
  const char* names[8];
  return {names, names + AvailableIsas(names, 8)};
}

const KernelTable& ToKernels(const std::optional<std::string>& isa) {
  const KernelTable* kernels = FindKernels(isa ? isa->c_str() : nullptr);
  if (kernels != nullptr) return *kernels;
  const std::string name = isa ? "isa \"" + *isa + "\"" : "the instruction set that LLM_FRAMEWORK_ISA names";
  std::string usable;
  for (const std::string& usable_name : CpuIsas()) usable += (usable.empty() ? "" : ", ") + usable_name;
  throw py::value_error(name + " is not one that this processor runs; these are: " + usable);
}

double PyDotPeak(const std::string& type, int num_threads) {
  if (type != "int8" && type != "bf16") throw py::value_error("type must be \"int8\" or \"bf16\"");
  const KernelTable& kernels = ToKernels(std::nullopt);
  const WithoutGil unlocked;
  return DotPeak(type == "int8" ? kernels.int8_dots : kernels.bf16_dots, num_threads);
}

// ------------------------------------------------------------------------------------------------------------ classes

struct PySequence;

// Lives as long as its Python object or any sequence of it does. All work goes through `Locked`.
class PyModel {
 public:
  PyModel(const py::object& config, const py::object& tensors, const py::object& num_threads,
          const std::optional<std::string>& isa)
      : config_(ToConfig(config)), process_(getpid()) {
    const int threads = static_cast<int>(ToInt(num_threads, "num_threads", 0, 1024));
    const KernelTable& kernels = ToKernels(isa);
    TensorMap map;
    for (const auto& [key, value] : ToDict(tensors, "tensors")) {
      const auto name = py::str(key).cast<std::string>();
      map.emplace(name, ToTensor(value, name, buffers_));
    }
    const WithoutGil unlocked;
    engine_ = std::make_unique<Engine>(Gemma(config_, BuildWeights(config_, map)), kernels, threads);
    num_threads_ = engine_->num_threads();
    isa_ = kernels.isa;
  }
  PyModel(const PyModel&) = delete;
  PyModel& operator=(const PyModel&) = delete;
  ~PyModel() { Close(); }

  const GemmaConfig& config() const { return config_; }
  const std::string& isa() const { return isa_; }
  int num_threads() const { return num_threads_; }

  // work(engine) without the GIL, one caller at a time.
  template <typename Work>
  auto Locked(const Work& work) {
    CheckProcess();
    const WithoutGil unlocked;  // before the lock: who holds the lock never waits for the GIL
    const std::lock_guard lock(mutex_);
    if (engine_ == nullptr) throw std::invalid_argument("the model is closed");
    return work(*engine_);
  }

  // The same for work of microseconds, where giving up the GIL could cost far more: whoever takes it keeps it for
  // milliseconds. Only where somebody computes is it given up.
  template <typename Work>
  auto LockedBriefly(const Work& work) {
    CheckProcess();
    {
      const std::unique_lock lock(mutex_, std::try_to_lock);
      if (lock.owns_lock()) {
        if (engine_ == nullptr) throw std::invalid_argument("the model is closed");
        return work(*engine_);
      }
    }
    return Locked(work);
  }

  void Close() {
    if (getpid() != process_) {
      (void)engine_.release();  // its threads are not in this process: nothing to join
      return;
    }
    {
      const WithoutGil unlocked;
      const std::lock_guard lock(mutex_);
      engine_.reset();
    }
    buffers_.clear();
  }

 private:
  void CheckProcess() const {
    if (getpid() == process_) return;
    throw std::runtime_error("this model was loaded before the process forked; load it in the child process");
  }

  const GemmaConfig config_;
  const pid_t process_;
  std::string isa_;
  int num_threads_ = 0;
  std::vector<BufferExport> buffers_;
  std::mutex mutex_;
  std::unique_ptr<Engine> engine_;
};

struct PySequence {
  PySequence(std::shared_ptr<PyModel> owner, int capacity)
      : model(std::move(owner)), cache(model->config(), capacity) {}

  bool Truncate(const py::object& length) {
    const int to = ToInt32(length, "length");
    return model->Locked([&](Engine&) {
      CheckNotHeld();
      CheckLength(to);
      return cache.Truncate(to);
    });
  }

  std::shared_ptr<PySequence> Fork(const py::object& length, const py::object& capacity) {
    const int to = ToInt32(length, "length");
    auto fork = std::make_shared<PySequence>(
        model, static_cast<int>(ToInt(capacity, "capacity", std::max(to, 1), model->config().max_seq_len)));
    const bool held = model->LockedBriefly([&](Engine&) {
      CheckLength(to);
      return fork->cache.Share(cache, to);
    });
    return held ? fork : nullptr;
  }

  int Shortest() {
    return model->LockedBriefly([&](Engine&) { return cache.shortest(); });
  }

  void CheckLength(int to) const {
    if (to >= 0 && to <= cache.length()) return;
    throw std::invalid_argument("a sequence of " + std::to_string(cache.length()) + " tokens has no length of " +
                                std::to_string(to));
  }

  void CheckNotHeld() const {
    if (cache.is_held()) throw std::invalid_argument("a sequence that is held cannot change; release it, or fork it");
  }

  const std::shared_ptr<PyModel> model;
  KVCache cache;
};

struct PyRow {
  PyRow(std::shared_ptr<PySequence> row_sequence, const py::iterable& row_tokens, std::shared_ptr<Sampler> row_sampler,
        const py::object& row_mask, const py::object& row_drafts)
      : sequence(std::move(row_sequence)), sampler(std::move(row_sampler)) {
    const int vocab_size = sequence->model->config().vocab_size;
    tokens = ToTokens(row_tokens, vocab_size);
    if (tokens.empty()) throw py::value_error("a row needs at least one token");
    if (sampler && sampler->min_vocab_size() > vocab_size) {
      throw py::value_error("logit_bias has token id " + std::to_string(sampler->min_vocab_size() - 1) +
                            ", the vocabulary ends at " + std::to_string(vocab_size - 1));
    }
    if (!row_mask.is_none()) SetMask(row_mask, vocab_size);
    if (!row_drafts.is_none()) AddDrafts(ToTokens(row_drafts.cast<py::iterable>(), vocab_size));
  }

  const std::shared_ptr<PySequence> sequence;
  const std::shared_ptr<Sampler> sampler;
  std::vector<int> tokens;
  int num_drafts = 0;          // at the tokens' end
  std::vector<uint32_t> mask;  // a copy, so nobody writes to it during a step

 private:
  void AddDrafts(const std::vector<int>& drafts) {
    if (drafts.empty()) return;
    if (drafts.size() > static_cast<size_t>(kMaxDrafts)) {
      throw py::value_error("a row has " + std::to_string(drafts.size()) + " drafts, at most " +
                            std::to_string(kMaxDrafts) + " are taken");
    }
    if (!sampler) throw py::value_error("a row with drafts needs a sampler");
    if (!mask.empty()) throw py::value_error("a row with drafts has no mask: it would hold for the first token alone");
    tokens.insert(tokens.end(), drafts.begin(), drafts.end());
    num_drafts = static_cast<int>(drafts.size());
  }

  void SetMask(const py::object& row_mask, int vocab_size) {
    const size_t words = (static_cast<size_t>(vocab_size) + 31) / 32;
    if (!py::isinstance<py::array_t<uint32_t>>(row_mask)) throw py::value_error("mask must be an array of uint32");
    const auto array = py::array_t<uint32_t, py::array::c_style | py::array::forcecast>::ensure(row_mask);
    if (!array || array.ndim() != 1 || static_cast<size_t>(array.size()) != words) {
      throw py::value_error("mask must have one dimension of " + std::to_string(words) + " words, has shape " +
                            py::str(row_mask.attr("shape")).cast<std::string>());
    }
    mask.assign(array.data(), array.data() + words);
    if (vocab_size % 32 != 0) mask.back() &= (1u << (vocab_size % 32)) - 1;
    if (std::all_of(mask.begin(), mask.end(), [](uint32_t word) { return word == 0; })) {
      throw py::value_error("mask allows no token");
    }
  }
};

void CheckRoom(const KVCache& cache, size_t num_tokens) {
  const auto room = static_cast<size_t>(cache.capacity() - cache.length());
  if (num_tokens > room) {
    throw std::invalid_argument("a sequence of capacity " + std::to_string(cache.capacity()) + " with " +
                                std::to_string(cache.length()) + " tokens has no room for " +
                                std::to_string(num_tokens) + " more");
  }
}

template <typename T>
void CheckAllDiffer(std::vector<const T*> used, const char* what) {
  used.erase(std::remove(used.begin(), used.end(), nullptr), used.end());
  std::sort(used.begin(), used.end());
  if (std::adjacent_find(used.begin(), used.end()) != used.end()) {
    throw py::value_error(std::string(what) + " stands in two rows of one step");
  }
}

// What a row drew: the first token, and those behind its drafts.
struct PySampled {
  explicit PySampled(std::vector<Sampled> row_drawn) : drawn(std::move(row_drawn)) {}

  std::vector<Sampled> drawn;  // at least one
};

std::vector<std::pair<int, float>> TopOf(const Sampled& sampled) {
  std::vector<std::pair<int, float>> top;
  for (const TokenLogprob& likely : sampled.top) top.emplace_back(likely.token, likely.logprob);
  return top;
}

std::vector<PySampled> Following(const PySampled& sampled) {
  std::vector<PySampled> following;
  for (size_t i = 1; i < sampled.drawn.size(); ++i) following.emplace_back(std::vector<Sampled>{sampled.drawn[i]});
  return following;
}

std::optional<PySampled> WhatWasDrawn(RowResult result) {
  return result.drawn.empty() ? std::nullopt : std::optional<PySampled>(std::move(result.drawn));
}

std::string MessageOf(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& exception) {
    return exception.what();
  }
}

constexpr char kModuleName[] = "llm_framework.native._native";
constexpr char kRowsFailed[] = "RowsFailed";

// The exception that carries what the other rows drew.
[[noreturn]] void RaiseRowsFailed(std::vector<RowResult> results) {
  py::list rows;
  std::string message;
  for (RowResult& result : results) {
    if (result.error == nullptr) {
      rows.append(WhatWasDrawn(std::move(result)));
      continue;
    }
    const std::string reason = MessageOf(result.error);
    if (message.empty()) message = reason;
    rows.append(reason);
  }
  const py::object type = py::module_::import(kModuleName).attr(kRowsFailed);
  const py::object error = type(message);
  error.attr("rows") = rows;
  PyErr_SetObject(type.ptr(), error.ptr());
  throw py::error_already_set();
}

std::vector<std::optional<PySampled>> PyStep(PyModel& model, const std::vector<std::shared_ptr<PyRow>>& rows,
                                              bool repeatable) {
  std::vector<StepRow> step_rows;
  std::vector<const KVCache*> caches;
  std::vector<const Sampler*> samplers;
  for (const std::shared_ptr<PyRow>& row : rows) {
    if (row == nullptr) throw py::value_error("a row is None");
    if (row->sequence->model.get() != &model) throw py::value_error("a row's sequence belongs to another model");
    const uint32_t* mask = row->mask.empty() ? nullptr : row->mask.data();
    step_rows.push_back({&row->sequence->cache, row->tokens, row->sampler.get(), mask, row->num_drafts});
    caches.push_back(&row->sequence->cache);
    samplers.push_back(row->sampler.get());
  }
  CheckAllDiffer(std::move(caches), "a sequence");
  CheckAllDiffer(std::move(samplers), "a sampler");
  std::vector<RowResult> results = model.Locked([&](Engine& engine) {
    for (const auto& row : rows) {
      row->sequence->CheckNotHeld();
      CheckRoom(row->sequence->cache, row->tokens.size());
    }
    return engine.Step(step_rows, repeatable);
  });
  if (std::any_of(results.begin(), results.end(), [](const RowResult& row) { return row.error != nullptr; })) {
    RaiseRowsFailed(std::move(results));
  }
  std::vector<std::optional<PySampled>> sampled;
  for (RowResult& result : results) sampled.push_back(WhatWasDrawn(std::move(result)));
  return sampled;
}

py::array_t<float> PyLogits(PyModel& model, PySequence& sequence, const py::iterable& tokens) {
  if (sequence.model.get() != &model) throw py::value_error("the sequence belongs to another model");
  const std::vector<int> ids = ToTokens(tokens, model.config().vocab_size);
  CheckRoom(sequence.cache, ids.size());  // before the result is allocated; once more under the lock
  py::array_t<float> logits({ids.size(), static_cast<size_t>(model.config().vocab_size)});
  float* out = logits.mutable_data();
  model.Locked([&](Engine& engine) {
    sequence.CheckNotHeld();
    CheckRoom(sequence.cache, ids.size());
    engine.Logits(sequence.cache, ids, out);
  });
  return logits;
}

std::shared_ptr<Sampler> MakeSampler(const py::object& seed, const py::object& temperature, const py::object& top_k,
                                     const py::object& top_p, const py::object& min_p, const py::object& num_logprobs,
                                     const py::object& repetition_penalty, const py::object& presence_penalty,
                                     const py::object& frequency_penalty, const py::object& logit_bias,
                                     const py::object& min_tokens, const py::iterable& end_tokens) {
  SamplerSettings settings;
  const auto seed_index = py::reinterpret_steal<py::object>(PyNumber_Index(seed.ptr()));
  if (!seed_index) {
    PyErr_Clear();
    throw py::value_error("seed must be an int");
  }
  settings.seed = PyLong_AsUnsignedLongLongMask(seed_index.ptr());  // any int will do: its low 64 bits count
  settings.temperature = ToFloat(temperature, "temperature");
  settings.top_k = ToInt32(top_k, "top_k");
  settings.top_p = ToFloat(top_p, "top_p");
  settings.min_p = ToFloat(min_p, "min_p");
  settings.num_logprobs = ToInt32(num_logprobs, "num_logprobs");
  settings.repetition_penalty = ToFloat(repetition_penalty, "repetition_penalty");
  settings.presence_penalty = ToFloat(presence_penalty, "presence_penalty");
  settings.frequency_penalty = ToFloat(frequency_penalty, "frequency_penalty");
  if (!logit_bias.is_none()) {
    for (const auto& [token, bias] : ToDict(logit_bias, "logit_bias")) {
      settings.logit_bias.emplace_back(ToInt(token, "logit_bias: a token id", 0, (1 << 24) - 1),
                                       ToFloat(bias, "logit_bias"));
    }
  }
  settings.min_tokens = ToInt32(min_tokens, "min_tokens");
  settings.end_tokens = ToTokens(end_tokens, 1 << 24);
  return std::make_shared<Sampler>(std::move(settings));
}

// ------------------------------------------------------------------------------------------------------- registration

void BindModel(py::module_& m) {
  py::class_<PySequence, std::shared_ptr<PySequence>>(m, "Sequence", py::is_final())
      .def_property_readonly("length", [](const PySequence& s) { return s.cache.length(); })
      .def_property_readonly("capacity", [](const PySequence& s) { return s.cache.capacity(); })
      .def("truncate", &PySequence::Truncate, py::arg("length"))
      .def_property_readonly("shortest", &PySequence::Shortest)
      .def("fork", &PySequence::Fork, py::arg("length"), py::arg("capacity"))
      .def("hold", [](PySequence& s) { return s.model->LockedBriefly([&](Engine&) { return s.cache.Hold(); }); })
      .def("release", [](PySequence& s) { return s.model->LockedBriefly([&](Engine&) { return s.cache.Release(); }); })
      .def("clear", [](PySequence& s) {
        s.model->Locked([&](Engine&) {
          s.CheckNotHeld();
          s.cache.Clear();
        });
      });

  py::class_<PyModel, std::shared_ptr<PyModel>>(m, "Model", py::is_final())
      .def(py::init<const py::object&, const py::object&, const py::object&, const std::optional<std::string>&>(),
           py::arg("config"), py::arg("tensors"), py::arg("num_threads") = 0, py::arg("isa") = py::none())
      .def_property_readonly("isa", &PyModel::isa)
      .def_property_readonly("num_threads", &PyModel::num_threads)
      .def("new_sequence",
           [](const std::shared_ptr<PyModel>& model, const py::object& capacity) {
             const auto tokens = static_cast<int>(ToInt(capacity, "capacity", 1, model->config().max_seq_len));
             model->LockedBriefly([](Engine&) {});  // throws if closed
             return std::make_shared<PySequence>(model, tokens);
           },
           py::arg("capacity"))
      .def("step", &PyStep, py::arg("rows"), py::arg("repeatable") = false)
      .def("logits", &PyLogits, py::arg("sequence"), py::arg("tokens"))
      .def("close", &PyModel::Close);
}

void BindSampling(py::module_& m) {
  py::class_<Sampler, std::shared_ptr<Sampler>>(m, "Sampler", py::is_final())
      .def(py::init(&MakeSampler), py::arg("seed"), py::arg("temperature") = 1.0, py::arg("top_k") = 0,
           py::arg("top_p") = 1.0, py::arg("min_p") = 0.0, py::arg("num_logprobs") = -1,
           py::arg("repetition_penalty") = 1.0, py::arg("presence_penalty") = 0.0, py::arg("frequency_penalty") = 0.0,
           py::arg("logit_bias") = py::none(), py::arg("min_tokens") = 0, py::arg("end_tokens") = py::tuple())
      .def("observe",
           [](Sampler& sampler, const py::iterable& tokens) { sampler.Observe(ToTokens(tokens, 1 << 24)); },
           py::arg("tokens"));

  py::class_<PyRow, std::shared_ptr<PyRow>>(m, "Row", py::is_final())
      .def(py::init<std::shared_ptr<PySequence>, const py::iterable&, std::shared_ptr<Sampler>, const py::object&,
                    const py::object&>(),
           py::arg("sequence").none(false), py::arg("tokens"), py::arg("sampler") = py::none(),
           py::arg("mask") = py::none(), py::arg("drafts") = py::none());

  py::class_<PySampled>(m, "Sampled", py::is_final())
      .def_property_readonly("token", [](const PySampled& sampled) { return sampled.drawn.front().token; })
      .def_property_readonly("logprob", [](const PySampled& sampled) { return sampled.drawn.front().logprob; })
      .def_property_readonly("top", [](const PySampled& sampled) { return TopOf(sampled.drawn.front()); })
      .def_property_readonly("following", &Following);
}

}  // namespace

PYBIND11_MODULE(_native, m) {
  m.doc() = "The C++ engine; see _native.pyi.";
  m.def("cpu_isas", &CpuIsas);
  m.def("default_isa", [] { return std::string(ToKernels(std::nullopt).isa); });
  m.def("default_packs", [] { return ToKernels(std::nullopt).packs; });
  m.def("decode_tensor", &PyDecodeTensor, py::arg("tensor"));
  m.def("pack_tensor", &PyPackTensor, py::arg("tensor"), py::arg("type"), py::arg("out") = py::none(),
        py::arg("num_threads") = 0);
  m.def("read_bandwidth", &ReadBandwidth, py::arg("num_bytes"), py::arg("num_threads") = 0,
        py::call_guard<py::gil_scoped_release>());
  m.def("dot_peak", &PyDotPeak, py::arg("type"), py::arg("num_threads") = 0);
  m.attr(kRowsFailed) = py::reinterpret_steal<py::object>(
      PyErr_NewException((std::string(kModuleName) + "." + kRowsFailed).c_str(), PyExc_RuntimeError, nullptr));
  BindModel(m);
  BindSampling(m);
}

}  // namespace llmfw
