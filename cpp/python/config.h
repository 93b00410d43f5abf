// A model's configuration from a Python mapping: every key must be known, every value fit the others.
#pragma once

#include "../gemma_config.h"
#include "values.h"

namespace llmfw {

// Raises ValueError that names the key.
GemmaConfig ToConfig(const py::object& mapping);

}  // namespace llmfw
