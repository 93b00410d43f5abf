#include "config.h"

#include <set>

namespace llmfw {
namespace {

// A dict's values by key; remembers which keys were asked for.
class ConfigReader {
 public:
  explicit ConfigReader(const py::object& config) : config_(ToDict(config, "config")) {}

  bool Has(const char* key) const { return config_.contains(key); }

  template <typename Convert>
  auto Get(const char* key, const Convert& convert) {
    if (!Has(key)) throw py::value_error(std::string("config: \"") + key + "\" is missing");
    read_.insert(key);
    return convert(config_[key], std::string("config: ") + key);
  }
  int Int(const char* key) { return Get(key, ToInt32); }
  float Float(const char* key) { return Get(key, ToFloat); }
  bool Bool(const char* key) { return Get(key, ToBool); }

  // One value a layer.
  template <typename Convert>
  auto List(const char* key, int num_layers, const Convert& convert) {
    return Get(key, [&](const py::handle& values, const std::string& what) {
      return ToList(values, what, num_layers, convert);
    });
  }

  template <typename Convert>
  static auto ToList(const py::handle& values, const std::string& what, int num_layers, const Convert& convert) {
    if (!py::isinstance<py::sequence>(values) || py::isinstance<py::str>(values)) {
      throw py::value_error(what + " must be a list with one value a layer");
    }
    std::vector<decltype(convert(values, what))> list;
    for (const py::handle value : values) list.push_back(convert(value, what));
    if (list.size() != static_cast<size_t>(num_layers)) {
      throw py::value_error(what + " has " + std::to_string(list.size()) + " entries for " +
                            std::to_string(num_layers) + " layers");
    }
    return list;
  }

  void CheckAllRead() const {
    if (read_.size() != config_.size()) {
      throw py::value_error("config: there are keys beyond the documented ones: " +
                            py::repr(py::list(config_)).cast<std::string>());
    }
  }

 private:
  py::dict config_;
  std::set<std::string> read_;
};

QkvLayout ToQkvLayout(const py::handle& value, const std::string& what) {
  const auto name = py::str(value).cast<std::string>();
  if (name == "separate") return QkvLayout::kSeparate;
  if (name == "kv_interleaved") return QkvLayout::kKvInterleaved;
  if (name == "per_head") return QkvLayout::kPerHead;
  throw py::value_error(what + " is \"" + name + "\", must be \"separate\", \"kv_interleaved\" or \"per_head\"");
}

// A value for each layer: a list of them, or one for all.
std::vector<int> PerLayer(ConfigReader& reader, const char* key, int num_layers) {
  return reader.Get(key, [&](const py::handle& value, const std::string& what) {
    if (PyIndex_Check(value.ptr())) return std::vector<int>(static_cast<size_t>(num_layers), ToInt32(value, what));
    return reader.ToList(value, what, num_layers, ToInt32);
  });
}

std::vector<LayerShape> ToLayerShapes(ConfigReader& reader) {
  const int num_layers = static_cast<int>(reader.Get("num_layers", [](const py::handle& value, const std::string& what) {
    return ToInt(value, what, 1, 1024);
  }));
  std::vector<LayerShape> layers(static_cast<size_t>(num_layers));
  const auto fill = [&](const auto& values, auto member) {
    for (size_t i = 0; i < layers.size(); ++i) layers[i].*member = values[i];
  };
  fill(PerLayer(reader, "num_heads", num_layers), &LayerShape::num_heads);
  fill(PerLayer(reader, "num_kv_heads", num_layers), &LayerShape::num_kv_heads);
  fill(PerLayer(reader, "head_dim", num_layers), &LayerShape::head_dim);
  fill(PerLayer(reader, "ffn_dim", num_layers), &LayerShape::ffn_dim);
  fill(reader.List("windows", num_layers, ToInt32), &LayerShape::window);
  fill(reader.List("rope_bases", num_layers, ToFloat), &LayerShape::rope_base);
  fill(reader.List("rope_scales", num_layers, ToFloat), &LayerShape::rope_scale);
  fill(PerLayer(reader, reader.Has("rope_dims") ? "rope_dims" : "head_dim", num_layers), &LayerShape::rope_dims);
  if (reader.Has("shared_kv")) fill(reader.List("shared_kv", num_layers, ToInt32), &LayerShape::shared_kv);
  if (reader.Has("values_are_keys")) {
    fill(reader.List("values_are_keys", num_layers, ToBool), &LayerShape::values_are_keys);
  }
  if (reader.Has("gate_cutoff")) fill(reader.List("gate_cutoff", num_layers, ToFloat), &LayerShape::gate_cutoff);
  return layers;
}

}  // namespace

GemmaConfig ToConfig(const py::object& mapping) {
  ConfigReader reader(mapping);
  GemmaConfig config;
  config.layers = ToLayerShapes(reader);
  config.model_dim = reader.Int("model_dim");
  config.vocab_size = reader.Int("vocab_size");
  config.max_seq_len = reader.Int("max_seq_len");
  config.query_scale = reader.Float("query_scale");
  config.embedding_scale = reader.Float("embedding_scale");
  config.attention_softcap = reader.Float("attention_softcap");
  config.final_softcap = reader.Float("final_softcap");
  config.norm_eps = reader.Float("norm_eps");
  config.qk_norm = reader.Bool("qk_norm");
  config.post_norms = reader.Bool("post_norms");
  config.qkv_layout = reader.Get("qkv_layout", ToQkvLayout);
  if (reader.Has("value_norm")) config.value_norm = reader.Bool("value_norm");
  if (reader.Has("per_layer_dim")) {
    config.per_layer_dim = reader.Int("per_layer_dim");
    config.per_layer_vocab_size = reader.Int("per_layer_vocab_size");
  }
  if (reader.Has("num_experts")) {
    config.num_experts = reader.Int("num_experts");
    config.top_k_experts = reader.Int("top_k_experts");
    config.expert_dim = reader.Int("expert_dim");
  }
  if (reader.Has("num_streams")) {
    config.num_streams = reader.Int("num_streams");
    config.active_stream = reader.Int("active_stream");
    config.laurel_rank = reader.Int("laurel_rank");
  }
  reader.CheckAllRead();
  config.Validate();
  return config;
}

}  // namespace llmfw
