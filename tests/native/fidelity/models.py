"""Small random models of every architecture: the reference in Transformers, and the same weights in the engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from native.fidelity.weight_forms import EngineTensor, Floats, make_tensor, values_of

from llm_framework.native import _native
from llm_framework.native.config import read_config
from llm_framework.native.formats.model_file import ModelFile
from llm_framework.native.reading.view import TensorView
from llm_framework.native.weights import engine_tensors, engine_views

VOCAB, DIM, FFN, WINDOW, MAX_SEQ_LEN = 323, 256, 256, 24, 256  # the vocabulary is no multiple of anything
CAPACITY = 160  # of a test's sequences
NUM_TOKENS = 72  # of the text that logits are compared on: three windows

_LOCAL, _GLOBAL = "sliding_attention", "full_attention"
_SHARED: dict[str, Any] = {
    "vocab_size": VOCAB, "hidden_size": DIM, "intermediate_size": FFN, "max_position_embeddings": MAX_SEQ_LEN,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "rms_norm_eps": 1e-6,
    "hidden_activation": "gelu_pytorch_tanh", "attn_implementation": "eager", "initializer_range": 0.08,
}  # fmt: skip


def _gemma1() -> Any:
    return transformers.GemmaForCausalLM(
        transformers.GemmaConfig(**_SHARED | {"num_key_value_heads": 1}, num_hidden_layers=2)
    )


def _gemma2() -> Any:
    config = transformers.Gemma2Config(
        **_SHARED, num_hidden_layers=2, query_pre_attn_scalar=48, sliding_window=WINDOW,
        attn_logit_softcapping=5.0, final_logit_softcapping=8.0,
    )  # fmt: skip
    return transformers.Gemma2ForCausalLM(config)


def _gemma3() -> Any:
    config = transformers.Gemma3TextConfig(
        **_SHARED, num_hidden_layers=3, query_pre_attn_scalar=64, sliding_window=WINDOW,
        layer_types=[_LOCAL, _GLOBAL, _LOCAL],
        rope_parameters={
            _GLOBAL: {"rope_type": "linear", "factor": 8.0, "rope_theta": 1_000_000.0},
            _LOCAL: {"rope_type": "default", "rope_theta": 10_000.0},
        },
    )  # fmt: skip
    return transformers.Gemma3ForCausalLM(config)


def _gemma4() -> Any:
    config = transformers.Gemma4TextConfig(
        **_SHARED, num_hidden_layers=4, sliding_window=WINDOW, layer_types=[_LOCAL, _GLOBAL, _LOCAL, _GLOBAL],
        global_head_dim=128, num_kv_shared_layers=2, use_double_wide_mlp=True, attention_k_eq_v=True,
        num_global_key_value_heads=1, hidden_size_per_layer_input=256, vocab_size_per_layer_input=VOCAB,
        final_logit_softcapping=8.0,
    )  # fmt: skip
    return transformers.Gemma4ForCausalLM(config)


# Every architecture that the engine runs. Rows of all matrices must have a multiple of 256 values.
ARCHITECTURES: dict[str, Callable[[], Any]] = {"gemma1": _gemma1, "gemma2": _gemma2, "gemma3": _gemma3}
if hasattr(transformers, "Gemma4ForCausalLM"):
    ARCHITECTURES["gemma4"] = _gemma4


@dataclass(frozen=True)
class Case:
    """One architecture in one weight type. `logits` are the reference's, in float32 on the decoded weights, after each
    of `tokens`."""

    reference: Any
    config: dict[str, Any]
    tensors: dict[str, EngineTensor]
    tokens: list[int]
    logits: Floats

    def engine(self, isa: str, num_threads: int = 2) -> Any:
        return _native.Model(self.config, self.tensors, num_threads=num_threads, isa=isa)

    def reference_logits(self, tokens: list[int]) -> Floats:
        """float32 [len(tokens), VOCAB]: the reference's, for a text of its own."""
        return reference_logits(self.reference, tokens)


def reference_logits(model: Any, tokens: list[int]) -> Floats:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for models this small its threads only stand in each other's way
    try:
        with torch.no_grad():
            logits: Floats = model(torch.tensor([tokens])).logits[0].float().numpy()
    finally:
        torch.set_num_threads(threads)
    return logits


def text(length: int, seed: int = 1) -> list[int]:
    """Random tokens."""
    return [int(token) for token in np.random.default_rng(seed).integers(0, VOCAB, length)]


def random_model(architecture: str) -> Any:
    """The reference with random weights, norms and scalars away from where they do nothing."""
    torch.manual_seed(7)
    model = ARCHITECTURES[architecture]().float().eval()
    with torch.no_grad():
        for name, values in [*model.named_parameters(), *model.named_buffers()]:
            if architecture == "gemma4" and name.endswith(("q_norm.weight", "k_norm.weight")):
                values.normal_(0.35, 0.1)  # it does not scale scores: larger ones would let attention be a hard choice
            elif "norm" in name:
                values.normal_(1.0 if architecture == "gemma4" else 0.0, 0.3)
            elif name.endswith("layer_scalar"):
                values.fill_(0.9)
    return model


@cache
def make_case(architecture: str, kind: str) -> Case:
    """Quantises a random model's matrices, gives the reference what is left of them, and asks it for its logits."""
    model = random_model(architecture)
    matrices = {}
    with torch.no_grad():
        for name, values in model.named_parameters():
            if values.ndim == 2:
                matrices[name] = make_tensor(values.detach().numpy(), kind)
                values.copy_(torch.from_numpy(values_of(matrices[name])))
    file = _as_file(model, architecture)
    config = read_config(file)
    tensors = engine_tensors(file, config)
    tensors |= {name: matrices[view.name] for name, view in engine_views(file, config).items() if view.name in matrices}
    tokens = text(NUM_TOKENS)
    return Case(model, config.engine_config(), tensors, tokens, reference_logits(model, tokens))


def _as_file(model: Any, architecture: str) -> ModelFile:
    """The reference as if it had been read from a Hugging Face folder, in float32."""
    saved = model.state_dict()
    views = {}
    for name, values in [*model.named_parameters(), *model.named_buffers()]:
        if name in saved:
            array = np.atleast_1d(values.detach().numpy())
            views[name] = TensorView(name, "f32", array.shape, memoryview(array).cast("B"))
    config = json.loads(model.config.to_json_string(use_diff=False))
    return ModelFile(Path(architecture), "safetensors", views, num_bytes=0, hf_config=config)
