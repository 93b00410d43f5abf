"""The engine computes what Transformers computes: tiny random Gemma 1, 2 and 3 models, every position, float32."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

_native = pytest.importorskip("llm_framework.native._native")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

FAMILIES = ("gemma1", "gemma2", "gemma3")
WINDOWS = {"gemma1": 0, "gemma2": 32, "gemma3": 16}
PROMPT_LENGTHS = (1, 7, 40, 200)
VOCAB = 515  # no multiple of anything
NUM_GREEDY = 32

# How far float32 sums may stray, and activations rounded to bf16 (as the wide kernels do with many tokens).
F32_TOLERANCE = 1e-4
BF16_TOLERANCE = 1e-2

SHARED = {
    "vocab_size": VOCAB,
    "max_position_embeddings": 1024,
    "rms_norm_eps": 1e-6,
    "hidden_activation": "gelu_pytorch_tanh",
    "attn_implementation": "eager",
    "initializer_range": 0.1,
}


@dataclass(frozen=True)
class Reference:
    """A Transformers model, and the same model in the engine's terms."""

    model: Any
    config: dict[str, Any]
    weights: dict[str, NDArray[np.float32]]

    def logits(self, tokens: list[int]) -> NDArray[np.float32]:
        with torch.no_grad():
            result: NDArray[np.float32] = self.model(torch.tensor([tokens])).logits[0].float().numpy()
        return result

    def native(self, isa: str, weight_type: str = "f32", **changes: Any) -> Any:
        tensors = {name: encode(array, weight_type) for name, array in self.weights.items()}
        return _native.Model({**self.config, **changes}, tensors, num_threads=2, isa=isa)


def encode(array: NDArray[np.float32], weight_type: str) -> tuple[Any, str, int, int, float]:
    """`array` as a tensor of the engine; for bf16 the values must be rounded already: the lower bits are cut off."""
    rows, cols = array.reshape(-1, array.shape[-1]).shape
    if weight_type == "bf16":
        return (np.ascontiguousarray(array.view(np.uint32) >> 16).astype(np.uint16), "bf16", rows, cols, 1.0)
    return (array, "f32", rows, cols, 1.0)


def gemma1() -> Any:
    return transformers.GemmaForCausalLM(
        transformers.GemmaConfig(
            **SHARED,
            hidden_size=64,
            intermediate_size=160,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=1,
            head_dim=24,
        )
    )


def gemma2() -> Any:
    return transformers.Gemma2ForCausalLM(
        transformers.Gemma2Config(
            **SHARED,
            hidden_size=96,
            intermediate_size=200,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=32,
            query_pre_attn_scalar=24,
            sliding_window=WINDOWS["gemma2"],
            attn_logit_softcapping=5.0,
            final_logit_softcapping=8.0,
        )
    )


def gemma3() -> Any:
    kinds = ["full_attention" if i % 6 == 5 else "sliding_attention" for i in range(7)]
    return transformers.Gemma3ForCausalLM(
        transformers.Gemma3TextConfig(
            **SHARED,
            hidden_size=72,
            intermediate_size=136,
            num_hidden_layers=7,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=40,
            query_pre_attn_scalar=40,
            sliding_window=WINDOWS["gemma3"],
            layer_types=kinds,
            rope_parameters={
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1_000_000.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
            },
        )
    )


def native_config(family: str, hf: Any) -> dict[str, Any]:
    layers = hf.num_hidden_layers
    kinds = getattr(hf, "layer_types", None) or ["full_attention"] * layers
    is_sliding = [kind == "sliding_attention" for kind in kinds]
    is_gemma3 = family == "gemma3"
    return {
        "num_layers": layers,
        "model_dim": hf.hidden_size,
        "ffn_dim": hf.intermediate_size,
        "num_heads": hf.num_attention_heads,
        "num_kv_heads": hf.num_key_value_heads,
        "head_dim": hf.head_dim,
        "vocab_size": hf.vocab_size,
        "max_seq_len": hf.max_position_embeddings,
        "windows": [WINDOWS[family] if sliding else 0 for sliding in is_sliding],
        "rope_bases": [10_000.0 if sliding or not is_gemma3 else 1_000_000.0 for sliding in is_sliding],
        "rope_scales": [1.0 if sliding or not is_gemma3 else 8.0 for sliding in is_sliding],
        "query_scale": getattr(hf, "query_pre_attn_scalar", hf.head_dim) ** -0.5,
        "embedding_scale": hf.hidden_size**0.5,
        "attention_softcap": getattr(hf, "attn_logit_softcapping", None) or 0.0,
        "final_softcap": getattr(hf, "final_logit_softcapping", None) or 0.0,
        "norm_eps": hf.rms_norm_eps,
        "qk_norm": is_gemma3,
        "post_norms": family != "gemma1",
        "qkv_layout": "separate",
    }


LAYER_NAMES = {
    "self_attn.q_proj": "q",
    "self_attn.k_proj": "k",
    "self_attn.v_proj": "v",
    "self_attn.o_proj": "attention_out",
    "self_attn.q_norm": "query_norm",
    "self_attn.k_norm": "key_norm",
    "mlp.gate_proj": "gate",
    "mlp.up_proj": "up",
    "mlp.down_proj": "down",
    "input_layernorm": "pre_attention_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "pre_ffn_norm",
    "post_feedforward_layernorm": "post_ffn_norm",
}
MODEL_NAMES = {"model.embed_tokens.weight": "embedding", "model.norm.weight": "final_norm"}


def native_name(family: str, name: str) -> str:
    if name in MODEL_NAMES:
        return MODEL_NAMES[name]
    index, _, part = name.removeprefix("model.layers.").removesuffix(".weight").partition(".")
    # Gemma 1 has no post norms: this one, in spite of its name, precedes the FFN.
    if family == "gemma1" and part == "post_attention_layernorm":
        return f"layers.{index}.pre_ffn_norm"
    return f"layers.{index}.{LAYER_NAMES[part]}"


@cache
def reference(family: str, bf16_weights: bool = False) -> Reference:
    torch.manual_seed(7)
    model = {"gemma1": gemma1, "gemma2": gemma2, "gemma3": gemma3}[family]().float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.normal_(0.0, 0.3)
            if bf16_weights:
                parameter.copy_(parameter.bfloat16().float())
    weights = {
        native_name(family, name): np.ascontiguousarray(parameter.detach().numpy())
        for name, parameter in model.named_parameters()
    }
    return Reference(model, native_config(family, model.config), weights)


@cache
def prompt_logits(family: str, length: int, bf16_weights: bool = False) -> NDArray[np.float32]:
    """The reference's logits after each token of `prompt(length)`."""
    return reference(family, bf16_weights).logits(prompt(length))


def prompt(length: int) -> list[int]:
    return [int(token) for token in np.random.default_rng(length).integers(0, VOCAB, length)]


def relative_errors(actual: NDArray[np.float32], expected: NDArray[np.float32]) -> NDArray[np.float32]:
    """Per position, the L2 norm of the difference over that of the expected logits."""
    errors: NDArray[np.float32] = np.linalg.norm(actual - expected, axis=-1) / np.linalg.norm(expected, axis=-1)
    return errors


@pytest.fixture(params=_native.cpu_isas())
def isa(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True, scope="module")
def one_torch_thread() -> Iterator[None]:
    """For models this small, torch's threads only stand in each other's way."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("length", PROMPT_LENGTHS)
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_match_at_every_position(family: str, length: int, isa: str) -> None:
    """With float32 weights, the logits after every token of a prompt are those of the float32 reference."""
    ref = reference(family)
    model = ref.native(isa)
    tokens = prompt(length)
    logits = model.logits(model.new_sequence(length), tokens)
    assert relative_errors(logits, prompt_logits(family, length)).max() <= F32_TOLERANCE


@pytest.mark.parametrize("length", PROMPT_LENGTHS)
@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_weights_match_the_rounded_reference(family: str, length: int, isa: str) -> None:
    """With bf16 weights, the logits are those of the reference with the same rounded weights."""
    ref = reference(family, bf16_weights=True)
    model = ref.native(isa, "bf16")
    tokens = prompt(length)
    logits = model.logits(model.new_sequence(length), tokens)
    tolerance = F32_TOLERANCE if isa == "scalar" else BF16_TOLERANCE
    assert relative_errors(logits, prompt_logits(family, length, bf16_weights=True)).max() <= tolerance


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_longer_than_a_pass_matches(family: str, isa: str) -> None:
    """A prompt that the engine must cut internally, and that wraps the rings, gives the reference's logits."""
    ref = reference(family)
    model = ref.native(isa)
    tokens = prompt(800)
    logits = model.logits(model.new_sequence(900), tokens)
    assert relative_errors(logits, prompt_logits(family, 800)).max() <= F32_TOLERANCE


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_continuation_matches(family: str, isa: str) -> None:
    """Each greedy token is the reference's wherever its two best logits differ by more than the measured error."""
    ref = reference(family)
    model = ref.native(isa)
    sequence = model.new_sequence(256)
    greedy = _native.Sampler(seed=0, temperature=0.0)
    tokens = prompt(40)
    given = tokens
    for _ in range(NUM_GREEDY):
        [sampled] = model.step([_native.Row(sequence, given, greedy)])
        given = [sampled.token]
        tokens = tokens + given
    expected = ref.logits(tokens)[39:-1]
    seconds, firsts = np.sort(expected)[:, -2:].T
    is_clear = firsts - seconds > F32_TOLERANCE * np.linalg.norm(expected, axis=-1)
    assert is_clear.sum() > NUM_GREEDY // 2
    assert (expected.argmax(-1) == tokens[40:])[is_clear].all()


@pytest.mark.parametrize("sizes", [(1, 199), (199, 1), (64, 64, 72), (13,) * 15 + (5,)])
@pytest.mark.parametrize("family", FAMILIES)
def test_chunked_prefill_is_whole_prefill(family: str, sizes: tuple[int, ...], isa: str) -> None:
    """However a prompt is cut, its logits are those of the uncut prompt."""
    model = reference(family).native(isa)
    tokens = prompt(200)
    whole = model.logits(model.new_sequence(200), tokens)
    sequence = model.new_sequence(200)
    parts = []
    for size in sizes:
        parts.append(model.logits(sequence, tokens[sequence.length : sequence.length + size]))
    assert relative_errors(np.concatenate(parts), whole).max() <= F32_TOLERANCE


@pytest.mark.parametrize("family", FAMILIES)
def test_a_sequence_in_a_batch_is_as_alone(family: str, isa: str) -> None:
    """Prompts of several lengths and running texts in one step give each the log-probabilities it has alone."""
    model = reference(family).native(isa)
    prompts = [prompt(length) for length in (1, 7, 40, 200, 700)]

    def run(batches: list[list[list[int]]]) -> list[list[float]]:
        results = []
        for batch in batches:
            samplers = [_native.Sampler(seed=0, temperature=0.0, num_logprobs=VOCAB) for _ in batch]
            sequences = [model.new_sequence(800) for _ in batch]
            model.step([_native.Row(s, tokens) for s, tokens in zip(sequences, batch, strict=True)])
            rows = [_native.Row(s, [len(p) % VOCAB], r) for s, p, r in zip(sequences, batch, samplers, strict=True)]
            for sampled in model.step(rows):
                results.append([logprob for _, logprob in sorted(sampled.top)])
        return results

    together = run([prompts])
    alone = run([[tokens] for tokens in prompts])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_truncated_text_continues_as_if_fresh(family: str, isa: str) -> None:
    """After `truncate`, other tokens can follow, and the logits are those of a fresh sequence."""
    model = reference(family).native(isa)
    tokens = prompt(300)
    sequence = model.new_sequence(400)
    model.logits(sequence, tokens)
    assert sequence.truncate(120)
    other = prompt(100)
    fresh = model.logits(model.new_sequence(400), tokens[:120] + other)[120:]
    assert relative_errors(model.logits(sequence, other), fresh).max() <= F32_TOLERANCE


def split_heads(weights: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """[heads * d, D] -> [heads, d, D]."""
    return weights.reshape(-1, dim, weights.shape[-1])


def rearranged(ref: Reference, layout: str) -> dict[str, NDArray[np.float32]]:
    """The same weights with fused matrices in another order of rows."""
    config, weights = ref.config, dict(ref.weights)
    dim, heads = config["head_dim"], config["num_heads"]
    for i in range(config["num_layers"]):
        p = f"layers.{i}."
        q, k, v = (split_heads(weights.pop(p + name), dim) for name in "qkv")
        orders = {
            "separate": np.concatenate([q, k, v]),
            "kv_interleaved": np.concatenate([q, np.stack([k, v], 1).reshape(-1, *k.shape[1:])]),
            "split_kv": np.stack([k, v], 1),
        }
        if layout == "split_kv":
            weights[p + "q"] = q.reshape(-1, q.shape[-1])
            weights[p + "kv"] = orders[layout].reshape(-1, q.shape[-1])
        else:
            weights[p + "qkv"] = orders[layout].reshape(-1, q.shape[-1])
        weights[p + "gate_up"] = np.concatenate([weights.pop(p + "gate"), weights.pop(p + "up")])
        out = weights.pop(p + "attention_out")  # [D, H d]
        weights[p + "attention_out_heads"] = np.ascontiguousarray(
            out.reshape(-1, heads, dim).transpose(1, 0, 2).reshape(-1, dim)
        )
    return {name: np.ascontiguousarray(array) for name, array in weights.items()}


@pytest.mark.parametrize("layout", ["separate", "kv_interleaved", "split_kv"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_layout_of_the_weights_is_the_same_model(family: str, layout: str, isa: str) -> None:
    """Fused and split matrices, in each order of rows the engine knows, give the same logits."""
    ref = reference(family)
    tokens = prompt(40)
    expected = prompt_logits(family, 40)
    other = Reference(ref.model, ref.config, rearranged(ref, layout))
    model = other.native(isa, qkv_layout="separate" if layout == "separate" else "kv_interleaved")
    assert relative_errors(model.logits(model.new_sequence(40), tokens), expected).max() <= F32_TOLERANCE


def test_per_head_layout_is_the_same_model(isa: str) -> None:
    """With as many kv heads as heads, query, key and value rows may follow each other head by head."""
    torch.manual_seed(3)
    model = transformers.GemmaForCausalLM(
        transformers.GemmaConfig(
            **SHARED,
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            head_dim=16,
        )
    ).eval()
    weights = {native_name("gemma1", n): p.detach().numpy().copy() for n, p in model.named_parameters()}
    for i in range(2):
        parts = [split_heads(weights.pop(f"layers.{i}.{name}"), 16) for name in "qkv"]
        weights[f"layers.{i}.qkv"] = np.ascontiguousarray(np.stack(parts, 1).reshape(-1, 64))
    ref = Reference(model, native_config("gemma1", model.config), weights)
    tokens = prompt(40)
    native = ref.native(isa, qkv_layout="per_head")
    assert relative_errors(native.logits(native.new_sequence(40), tokens), ref.logits(tokens)).max() <= F32_TOLERANCE


def test_own_head_is_used(isa: str) -> None:
    """With an "lm_head", the logits come from it and not from the embedding."""
    ref = reference("gemma3")
    head = np.random.default_rng(1).normal(size=(VOCAB, ref.config["model_dim"])).astype(np.float32)
    model = Reference(ref.model, ref.config, {**ref.weights, "lm_head": head}).native(isa)
    tokens = prompt(40)
    with torch.no_grad():
        hidden = ref.model.model(torch.tensor([tokens])).last_hidden_state[0].numpy()
    logits = model.logits(model.new_sequence(40), tokens)
    assert relative_errors(logits, hidden @ head.T).max() <= F32_TOLERANCE
